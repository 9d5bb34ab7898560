"""Tell what network PyTorch weights are, and convert them to a .keras file.

Examples:
  pams-import-weights --source realesr-general-x4v3.pth
  pams-import-weights --source realesr-general-x4v3.pth --out general.keras
  pams-import-weights --source fsrcnn.safetensors --scale 2 --out fsrcnn_x2.keras
  pams-import-weights --source edsr_baseline_x4-6b446fab.pt --out edsr_baseline_x4.keras
  pams-import-weights --source pams_edsr_8bit.pt --bits 8 --out student.keras

The source is a .pth or .pt file (needs PyTorch: pip install 'pams_tf[torch-weights]'), a
.safetensors or an .npz file. Network, size, scale and activation are read from the names and
shapes in it. Known are EDSR and RDN (the released layouts, BasicSR's and yjn870's),
SRVGGNetCompact, ESPCN, FSRCNN, ABPN, ECBSR, ETDS and chains of convolutions in one nn.Sequential.
Where the shapes fit several networks, each is listed with what it makes of a grey image, and
--layout or --scale decides.

With --model the source is read as the weights of that network and no other; all names that are
missing, unknown or of the wrong shape are then reported at once.
"""

from collections.abc import Sequence
from typing import Any

from absl import flags

from pams_tf.commands import cli, options
from pams_tf.errors import InputError
from pams_tf.recipe import QuantizationRecipe

FLAGS = cli.command_flags()
options.define_network(FLAGS)
FLAGS.set_default("model", None)  # told from the weights
FLAGS.set_default("scale", None)
flags.DEFINE_string(
    "source", None, "The .pth, .pt, .safetensors or .npz file.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "out", None, "The .keras file to write. Default: only tell what the source holds.",
    flag_values=FLAGS,
)  # fmt: skip
flags.DEFINE_string(
    "layout", None, "Read the source as this network, where its shapes fit several: compact_relu, "
    "chain_anchor, ...; a wrong name lists all of them.", flag_values=FLAGS
)  # fmt: skip
flags.DEFINE_integer(
    "image_range", None, "Largest value of the images that a chain of convolutions was trained on: "
    "1 or 255. The .keras file takes [0, 255] in any case. Default: 1.", flag_values=FLAGS
)  # fmt: skip
flags.DEFINE_integer(
    "bits", None, "Bit width, if the source is a PAMS student; its alphas are read too. "
    "Default: a float network.", flag_values=FLAGS
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; `argv` includes the program's name. Returns its exit status."""
    return cli.run(_import_weights, FLAGS, __doc__, argv)


def _import_weights() -> dict[str, Any]:
    recipe = None if FLAGS.bits is None else QuantizationRecipe(bits=FLAGS.bits)
    if FLAGS.out is not None and not FLAGS.out.endswith(".keras"):
        raise InputError(f"--out={FLAGS.out}: the file's name must end in .keras")
    if FLAGS.model is not None and FLAGS.layout is not None:
        raise InputError("--model and --layout both say what the source holds; give one of them")

    cli.load_tensorflow()
    from pams_tf import models
    from pams_tf.models.files import save
    from pams_tf.models.layouts import catalogue, files, released
    from pams_tf.models.layouts.layout import Options
    from pams_tf.models.torch_weights import load_released

    overrides = options.overrides(FLAGS)
    tensors = files.read_weights(FLAGS.source)
    if FLAGS.model is not None:
        scale = 4 if FLAGS.scale is None else FLAGS.scale
        model = models.build(FLAGS.model, scale, recipe, **overrides)
        load_released(model, released.to_released(tensors), FLAGS.source)
        layout, described = None, model.described
    else:
        given = Options(recipe, overrides, FLAGS.image_range)
        fit = catalogue.recognise(tensors, FLAGS.source, FLAGS.layout, FLAGS.scale, given)
        model = fit.build(given)
        layout, described, scale = fit.layout, fit.described, fit.scale
    parameters = model.count_params()
    print(f"{FLAGS.source}: {described}, {parameters:,} parameters")
    if FLAGS.out is None:
        print("--out FILE.keras converts it")
    else:
        save(model, FLAGS.out)
        print(f"wrote {FLAGS.out}")
    return {
        "file": FLAGS.out,
        "layout": layout,
        "network": described,
        "scale": scale,
        "channels": model.input_shape[-1],
        "parameters": parameters,
    }
