"""A process of a run: python one_process.py CPUS FLAGS..., with pams-finetune's flags."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from pams_tf.commands.finetune import main

_, cpus, *flags = sys.argv
if int(cpus) > 1:
    (cpu,) = tf.config.list_physical_devices("CPU")
    devices = [tf.config.LogicalDeviceConfiguration()] * int(cpus)
    tf.config.set_logical_device_configuration(cpu, devices)
sys.exit(main(["pams-finetune", *flags]))
