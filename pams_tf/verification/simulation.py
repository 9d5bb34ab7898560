"""The Keras network that a file claims to hold."""

from collections.abc import Mapping
from typing import Any

from pams_tf.errors import InputError
from pams_tf.models import SuperResolution, with_recipe
from pams_tf.quantization import quantizers


def simulation(student: SuperResolution, known: Mapping[str, Any] | None) -> SuperResolution:
    """The network, with a quantizer at every site, that a file claims to hold.

    Ranges are the student's own where it has them; for scope "body", those of head and tail, which
    the export calibrated, come from the file's metadata `known`.

    Raises:
      InputError: the metadata describes another network, or lacks a range that is needed.
    """
    recipe = student.recipe
    if recipe is None:
        raise InputError("the run holds a float network, which has no ranges to compare")
    if known is not None:
        for key, mine in (
            ("preset", student.preset),
            ("scale", student.scale),
            ("overrides", student.overrides),
            ("recipe", recipe.to_dict()),
        ):
            if known.get(key) != mine:
                raise InputError(f"its {key} is {known.get(key)!r}, the run's {mine!r}")
        for quantizer in quantizers(student):
            site = known["sites"].get(quantizer.name, {})
            for key, value in quantizer.range.items():
                if site.get(key) != value:
                    raise InputError(
                        f"its range of {quantizer.name} is {key} {site.get(key)!r}, the run's "
                        f"{value!r}"
                    )
    if recipe.scope == "all":
        return student
    whole = with_recipe(student, recipe.replace(scope="all"))
    learned = {q.name for q in quantizers(student)}
    for quantizer in quantizers(whole):
        if quantizer.name not in learned:
            try:
                quantizer.restore_range((known or {})["sites"][quantizer.name])
            except (KeyError, TypeError, ValueError):
                raise InputError(
                    f"its metadata has no range for {quantizer.name}; export the run again"
                ) from None
    return whole
