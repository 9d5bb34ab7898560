"""Export a student as an integer TFLite file; see --help."""

import sys

from pams_tf.commands.to_tflite import main

sys.exit(main())
