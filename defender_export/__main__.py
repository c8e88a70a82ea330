"""`python -m defender_export`: the same as `defender-export`."""

import sys

from defender_export import main

sys.exit(main())
