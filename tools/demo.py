"""Fine-tune, export, run and compare in minutes; see --help."""

import sys

from pams_tf.commands.demo import main

sys.exit(main())
