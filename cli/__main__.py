"""`python -m polysemy.cli`, where the script `polysemy` is not on the path."""

import sys

from . import main

sys.exit(main())
