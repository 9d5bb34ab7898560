"""Convert released PyTorch weights; see --help."""

import sys

from pams_tf.commands.import_weights import main

sys.exit(main())
