"""Fetch training data, benchmarks and released weights; see --help."""

import sys

from pams_tf.commands.download import main

sys.exit(main())
