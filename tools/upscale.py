"""Enlarge pictures of any size; see --help."""

import sys

from pams_tf.commands.upscale import main

sys.exit(main())
