"""Enlarge pictures of any size; see --help."""

import sys

from pams_tf.commands.upscale import main

if __name__ == "__main__":  # not in the processes of --jobs, which import this file
    sys.exit(main())
