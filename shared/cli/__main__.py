"""`python -m shared.cli`, where the `defender-export` script is not installed."""

import sys

from shared.cli import main

sys.exit(main())
