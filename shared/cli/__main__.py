"""`python -m shared.cli`: the same as `defender-export`."""

import sys

from shared.cli import main

sys.exit(main())
