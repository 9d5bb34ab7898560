"""A process of a run: python one_process.py CPUS STEPS FLAGS..., with pams-finetune's flags.

With STEPS above 0 it waits for ever behind so many steps, so that a test can kill it there.
"""

import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from pams_tf.commands.finetune import main
from pams_tf.training.logs import TrainingLog

_, cpus, steps, *flags = sys.argv
step_done = TrainingLog.step_done


def waiting(log, losses):
    step_done(log, losses)
    while log.step == int(steps):
        time.sleep(1)


TrainingLog.step_done = waiting
if int(cpus) > 1:
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * int(cpus)
    tf.config.set_logical_device_configuration(cpu, devices)
sys.exit(main(["pams-finetune", *flags]))
