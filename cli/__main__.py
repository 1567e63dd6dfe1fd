"""`python -m polysemy.cli`, where the script `polysemy` is not on the path."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
