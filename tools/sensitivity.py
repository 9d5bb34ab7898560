"""Show what each tensor costs; see --help."""

import sys

from pams_tf.commands.sensitivity import main

sys.exit(main())
