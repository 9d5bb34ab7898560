"""The last step of fine-tuning: ranges of head and tail with which flat colours stay what they are.

A range that holds a colour is not enough: where its code falls decides how it is rounded, and in a
flat patch every pixel is rounded the same way, so that nothing averages the error out.
"""

import numpy as np

from pams_tf import models
from pams_tf.evaluation.colours import CUBE, Colour, shift_of
from pams_tf.evaluation.upscaler import keras_upscale
from pams_tf.models import SuperResolution
from pams_tf.models.quantize import reach_every_colour
from pams_tf.quantization import ActivationQuantizer, quantizers

MOST_SHIFT = {8: 3, 4: 4}
"""Grey levels that a flat colour may shift by, for the bits of the body; others are like 4."""
_WIDEST = 1.08  # of what a colour needs: a step that is 8 % coarser costs photographs little
_TRIES, _ROUNDS = 8, 3


def settle_colours(student: SuperResolution, teacher: SuperResolution, seed: int) -> int:
    """Choose the ranges of head and tail that shift the colours of `CUBE` least.

    Ranges are widened to what the colours need, and then by up to 8 % at random, one tensor after
    the other, as long as that makes the largest shift smaller or rarer; it ends when no colour
    shifts by more than `MOST_SHIFT`. Takes some hundred small images.

    Args:
      student: a calibrated student of scope "all"; its ranges are set in place.
      teacher: its float network.
      seed: the same seed gives the same ranges.

    Returns:
      The largest shift, in grey levels.
    """
    assert student.recipe is not None
    most = MOST_SHIFT.get(student.recipe.bits, MOST_SHIFT[4])
    reach_every_colour(student, teacher)
    settling = _Settling(student)
    rng = np.random.default_rng(seed)
    targets = [q for q in quantizers(student) if q.calibration == "maximum" and _is_alpha(q)]
    for _ in range(_ROUNDS):
        for quantizer in targets:
            if settling.best[0] <= most:
                return settling.best[0]
            least = float(quantizer.range["alpha"])
            kept = least
            for factor in rng.uniform(1, _WIDEST, _TRIES):
                quantizer.restore_range({"alpha": least * factor})
                if settling.better():
                    kept = float(quantizer.range["alpha"])
            quantizer.restore_range({"alpha": kept})
    return settling.best[0]


class _Settling:
    """Remembers the best figure so far: the largest shift, and the sum of their fourth powers."""

    def __init__(self, student: SuperResolution) -> None:
        self._upscale = keras_upscale(student)
        self._scale = student.scale
        self._radius = models.receptive_field_radius(
            student.preset, student.scale, **student.overrides
        )
        self._hardest: list[Colour] = list(CUBE)
        self.best = (256, 0)
        self.better()

    def better(self) -> bool:
        """Whether the current ranges are better than all before."""
        shifts: dict[Colour, int] = {}
        for colour in self._hardest:  # most candidates fail at one of the first
            shift = shift_of(self._upscale, colour, scale=self._scale, radius=self._radius)
            shifts[colour] = shift
            if shift > self.best[0]:
                return False
        figure = max(shifts.values()), sum(shift**4 for shift in shifts.values())
        if figure >= self.best:
            return False
        self.best = figure
        self._hardest.sort(key=lambda colour: -shifts[colour])
        return True


def _is_alpha(quantizer: ActivationQuantizer) -> bool:
    return set(quantizer.range) == {"alpha"}
