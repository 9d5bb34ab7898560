"""Lay results of several devices side by side; see --help."""

import sys

from pams_tf.commands.mobile_report import main

sys.exit(main())
