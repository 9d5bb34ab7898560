"""Make the tables and figures of the paper; see --help."""

import sys

from pams_tf.reproduce.command import main

sys.exit(main())
