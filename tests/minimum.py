"""Prints the least version of each package that setup.cfg declares, as constraints for pip.

For `make test-minimum`. The extras are named: python tests/minimum.py dev torch-weights
"""

import configparser
import re
import sys
from pathlib import Path

SETUP = Path(__file__).parents[1] / "setup.cfg"


def minimum(extras: list[str]) -> list[str]:
    """["numpy==2.0", ...] of what is always needed and of these extras."""
    setup = configparser.ConfigParser()
    setup.read(SETUP)
    declared = [setup["options"]["install_requires"]]
    declared += [setup["options.extras_require"][extra] for extra in extras]
    constraints = []
    for line in "\n".join(declared).split("\n"):
        if line and not line.startswith("#"):
            name, version = re.match(r"([\w-]+)(?:\[.*\])? >= ([\d.]+)", line).groups()
            constraints.append(f"{name}=={version}")
    return constraints


if __name__ == "__main__":
    print("\n".join(minimum(sys.argv[1:])))
