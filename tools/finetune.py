"""Fine-tune a float network into a quantized student; see --help."""

import sys

from pams_tf.commands.finetune import main

sys.exit(main())
