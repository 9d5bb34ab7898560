"""A process of a run: python one_process.py RUN STRATEGY CPUS < settings.json"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from pams_tf import InputError, QuantizationRecipe
from pams_tf.runs import RunFolder
from pams_tf.training.jobs import distil
from pams_tf.training.settings import DistillationSettings


def main() -> int:
    folder, strategy, count = sys.argv[1:]
    if int(count) > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        devices = [tf.config.LogicalDeviceConfiguration()] * int(count)
        tf.config.set_logical_device_configuration(cpu, devices)
    given = json.load(sys.stdin)
    recipe = QuantizationRecipe(**given.pop("recipe"))
    run = RunFolder(folder)
    try:
        distil(DistillationSettings(**given), recipe, run, strategy=strategy, progress=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
