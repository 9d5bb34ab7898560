"""Measure a model on benchmarks; see --help."""

import sys

from pams_tf.commands.evaluate import main

sys.exit(main())
