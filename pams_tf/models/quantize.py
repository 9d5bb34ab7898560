"""From a float network to a calibrated student, without training."""

from pams_tf.data.calibration import Images, lr_batches
from pams_tf.errors import InputError
from pams_tf.models.files import Source, load
from pams_tf.models.network import SuperResolution
from pams_tf.models.transfer import with_recipe
from pams_tf.quantization import calibrate, quantizers
from pams_tf.recipe import QuantizationRecipe


def quantize(
    model: Source,
    recipe: QuantizationRecipe,
    images: Images = None,
    *,
    percentile: float = 100.0,
) -> SuperResolution:
    """Quantize a float network and calibrate its ranges; nothing is trained.

    Every image counts alike: a range in the body begins as the mean over the images of their
    largest magnitude (paper, Eq. 4, with all images as one step), a range in head and tail as the
    largest of all.

    Example:
      >>> import pams_tf
      >>> recipe = pams_tf.QuantizationRecipe(bits=8, scope="all")
      >>> student = pams_tf.quantize("edsr_mobile_x2", recipe)
      >>> student.recipe.bits, student.calibrated
      (8, True)

    Args:
      model: a float network: a Keras model of `pams_tf`, a `.keras` file, a run folder, or a name
        in the zoo. It stays as it is.
      recipe: how to quantize it.
      images: LR images in [0, 255]: one array (N, H, W, 3) or (H, W, 3), or an iterable of such
        arrays; or a folder of HR photographs, which are reduced; None for the built-in ones.
      percentile: of each image's values at a site, instead of its extremes; above 50, up to 100.

    Returns:
      A student with the float weights and calibrated ranges, a network like any other: evaluate
      it, convert it, or save it.

    Raises:
      InputError: the network is quantized already, there are no images, or they cannot be used.

    Source: Li et al., ECCV 2020, Eq. 1 to 4.
    """
    network = load(model)
    if network.recipe is not None:
        raise InputError(
            f"{network.described} is quantized already, with {network.recipe.bits} bits; give the "
            "float network"
        )
    student = with_recipe(network, recipe)
    batches = lr_batches(images, network.scale)
    calibrate(student, network, batches, percentile=percentile, together=True)
    return student


def fully_quantized(
    student: SuperResolution, images: Images = None, percentile: float = 100.0
) -> SuperResolution:
    """The student with a quantizer at every site: the network that an integer file is a copy of.

    A student of scope "all" is returned as it is. For scope "body" the ranges of head and tail
    are the largest values of its own activations there, or the largest of the images' percentiles;
    the ranges of the body stay as learned.

    Args:
      student: a network with a recipe.
      images: as `quantize` takes them; needed for scope "body" only.
      percentile: of each image's values at a site; 100 trims nothing and was best where measured.

    Raises:
      InputError: scope "body" without images, a percentile out of range, or one below 100 for
        scope "all".
    """
    assert student.recipe is not None
    if student.recipe.scope == "all":
        if percentile != 100:
            raise InputError(
                f"percentile={percentile!r} is not possible for a student of scope 'all': it has "
                "learned every range; leave it out"
            )
        return student
    if images is None:
        raise InputError(
            "a student of scope 'body' has no ranges for head and tail; give calibration images"
        )
    whole = with_recipe(student, student.recipe.replace(scope="all"))
    learned = {q.name for q in quantizers(student)}
    missing = [q.name for q in quantizers(whole) if q.name not in learned]
    batches = lr_batches(images, student.scale)
    calibrate(whole, student, batches, only=missing, percentile=percentile)
    return whole
