"""Write bicubic.json: small pictures enlarged by pams_tf, which agrees with MATLAB's imresize."""

import json
from pathlib import Path

import numpy as np

from pams_tf.data.resize import upscale

cases = []
for scale, height, width in ((2, 5, 3), (3, 4, 4), (4, 3, 6)):
    picture = np.random.default_rng(scale).integers(0, 256, (height, width, 3), np.uint8)
    cases.append(
        {
            "scale": scale,
            "height": height,
            "width": width,
            "input": picture.ravel().tolist(),
            "output": upscale(picture, scale).ravel().tolist(),
        }
    )
Path(__file__).with_name("bicubic.json").write_text(json.dumps(cases) + "\n")
