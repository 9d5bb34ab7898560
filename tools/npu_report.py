"""What an Ethos-U accelerator makes of a file; see --help."""

import sys

from pams_tf.commands.npu_report import main

sys.exit(main())
