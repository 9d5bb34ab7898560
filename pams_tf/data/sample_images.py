"""The built-in photographs as arrays."""

import numpy as np

from pams_tf.data import datasets


def sample_images(scale: int, split: str = "valid") -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The built-in photographs: LR and HR image of each, by name.

    Example:
      >>> import pams_tf
      >>> low, high = pams_tf.sample_images(scale=2)["chelsea"]
      >>> low.shape, high.shape
      ((150, 225, 3), (300, 450, 3))

    Args:
      scale: the upscaling factor: 2, 3 or 4. HR images are cropped to a multiple of it.
      split: "valid" for astronaut, chelsea and coffee, with which nothing was trained; "train" for
        the others.

    Returns:
      Name -> (LR, HR), uint8 RGB (h, w, 3) and (h*scale, w*scale, 3). LR images are made like
      MATLAB's bicubic imresize.

    Raises:
      InputError: an unsupported scale or an unknown split.

    Source: public domain or CC0; `pams_tf/data/sample/LICENSES.md` names the authors.
    """
    pairs = datasets.sample(scale, split)
    return {name: pairs.load(index) for index, name in enumerate(pairs.names)}
