"""Steps on four devices of one process, some of which see NaN; prints what came of them as JSON."""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from pams_tf.training.descent import step_function
from pams_tf.training.precision import optimizer_for
from pams_tf.training.replicas import choose_replicas

(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
replicas = choose_replicas("mirrored")


class Line:
    """Trains y = weight * x + offset, with an optimizer for each of the two."""

    jit_compile = False
    clip_norm = 0.0

    def __init__(self, precision):
        self.updates = []
        for name in ("weight", "offset"):
            variable = keras.Variable(1.0, name=name)
            optimizer = optimizer_for(precision, keras.optimizers.SGD(0.125))
            optimizer.build([variable])
            self.updates.append((optimizer, [variable]))

    @property
    def values(self):
        return [float(keras.ops.convert_to_numpy(group[0])) for _, group in self.updates]

    def losses(self, x, y):
        (_, (weight,)), (_, (offset,)) = self.updates
        return {"loss": tf.reduce_mean(tf.square(weight * x + offset - y))}


def steps(precision, batches):
    """The losses of each replica and the two values behind them, for every batch."""
    with replicas.strategy.scope():
        line = Line(precision)
    step = step_function(line, replicas, ["loss"])
    parts = tf.data.Dataset.from_tensor_slices(np.reshape(batches, (-1, 2, 2)).astype(np.float32))
    iterator = replicas.distributed(parts.map(lambda part: (part[:, 0], part[:, 1])))
    done = []
    for _ in batches:
        losses = step(*next(iterator)).numpy()[0].tolist()
        done.append({"losses": losses, "values": line.values})
    return done


x = np.arange(8.0) / 8
good = np.stack([x, 3 * x - 1], axis=-1)  # (8, 2): x and y
broken = good.copy()
broken[5, 0] = np.nan  # the third device has samples 4 and 5
print(
    json.dumps(
        {
            "float32": steps("float32", [good, broken]),
            "mixed_float16": steps("mixed_float16", [broken, good]),
        }
    )
)
