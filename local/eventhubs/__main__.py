"""`python -m local.eventhubs`."""

import sys

from local.eventhubs.broker import main

sys.exit(main(sys.argv[1:]))
