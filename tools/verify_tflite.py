"""Prove that a .tflite file is the network that was trained; see --help."""

import sys

from pams_tf.commands.verify_tflite import main

sys.exit(main())
