"""Train a float network; see --help."""

import sys

from pams_tf.commands.train import main

sys.exit(main())
