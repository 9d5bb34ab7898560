"""Say what is in a .tflite file; see --help."""

import sys

from pams_tf.commands.inspect_tflite import main

sys.exit(main())
