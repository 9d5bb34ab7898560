"""List the networks that come with the package; see --help."""

import sys

from pams_tf.commands.zoo import main

sys.exit(main())
