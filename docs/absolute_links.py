"""Make the links and images of a Markdown file absolute, so that they work away from its folder.

Example: python docs/absolute_links.py README.md https://HOST/OWNER/pams_tf/raw/main > PYPI.md

PyPI shows the README without the repository around it. `make dist REPOSITORY=URL` builds the
package with links below URL.
"""

import re
import sys
from pathlib import Path

_LINK = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)\s]+)(\))")


def absolute(text: str, address: str) -> str:
    """The Markdown with every relative link below `address`."""
    return _LINK.sub(rf"\g<1>{address.rstrip('/')}/\g<2>\g<3>", text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.stdout.write(absolute(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]))
