"""Flat colours through networks whose answer is known."""

import numpy as np
import pytest
from affine import GAIN, OFFSET

from pams_tf import Upscaler
from pams_tf.evaluation.colours import CUBE, colour_shifts, summary


def test_shifts_are_those_of_the_network(tflite):
    shifts = colour_shifts(Upscaler(tflite["float32"]))
    assert list(shifts) == list(CUBE)
    assert len(shifts) == 125
    for colour, shift in shifts.items():
        given = np.array(colour)
        assert shift == np.abs(np.clip(np.rint(GAIN * given + OFFSET), 0, 255) - given).max()


@pytest.mark.parametrize("allowed", [4, 90])
def test_a_summary_counts_those_beyond_what_is_allowed(tflite, allowed):
    upscaler = Upscaler(tflite["float32"])
    shifts = colour_shifts(upscaler).values()
    assert summary(upscaler, allowed) == {
        "shifted": len([shift for shift in shifts if shift > allowed]),
        "of": 125,
        "allowed": allowed,
        "most": max(shifts),
    }
