"""Make the tables and figures of the paper; see --help."""

import sys

from pams_tf.commands.reproduce import main

sys.exit(main())
