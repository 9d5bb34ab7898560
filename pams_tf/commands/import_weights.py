"""Convert released PyTorch weights (EDSR, RDN, PAMS students) to a .keras file.

Examples:
  pams-import-weights --source edsr_baseline_x4-6b446fab.pt --model edsr_baseline --scale 4 \\
      --out edsr_baseline_x4.keras
  pams-import-weights --source pams_edsr_8bit.pt --bits 8 --out student.keras

The source is a .pt file (needs PyTorch: pip install 'pams_tf[torch-weights]') or an .npz file with
the same names. All names that are missing, unknown or of the wrong shape are reported at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

FLAGS = cli.command_flags()
options.define_network(FLAGS)
flags.DEFINE_string("source", None, "The .pt or .npz file.", required=True, flag_values=FLAGS)
flags.DEFINE_string("out", None, "The .keras file to write.", required=True, flag_values=FLAGS)
flags.DEFINE_integer(
    "bits", None, "Bit width, if the source is a PAMS student; its alphas are read too. "
    "Default: a float network.", flag_values=FLAGS
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_import_weights, FLAGS, __doc__, argv)


def _import_weights() -> dict[str, Any]:
    recipe = None if FLAGS.bits is None else QuantizationRecipe(bits=FLAGS.bits)
    if not FLAGS.out.endswith(".keras"):
        raise InputError(f"--out={FLAGS.out}: the file's name must end in .keras")

    cli.load_tensorflow()
    from pams_tf import models
    from pams_tf.models.torch_weights import load_released

    model = models.build(FLAGS.model, FLAGS.scale, recipe, **options.overrides(FLAGS))
    source: str | Mapping[str, Any] = FLAGS.source
    if FLAGS.source.endswith(".npz"):
        source = _read_npz(FLAGS.source)
    load_released(model, source)
    models.save(model, FLAGS.out)
    parameters = sum(int(variable.value.shape.num_elements()) for variable in model.variables)
    print(f"{FLAGS.out}: {FLAGS.model} x{FLAGS.scale}, {parameters:,} parameters")
    return {"file": FLAGS.out, "parameters": parameters}


def _read_npz(path: str) -> dict[str, Any]:
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except Exception as error:  # NumPy raises zip, pickle and value errors, among others
        raise InputError(f"{path}: not a readable .npz file") from error
