"""One deed done directly on the storage by a process that may be killed amid it.

`python -m tests.e2e.audit_deeds <command line as JSON> <request>`: the process kills itself at that HTTP request of the
SDK clients, before or after it (`12:before`); at `0` it lives.
"""

from __future__ import annotations

import json
import sys

from shared.cli import main
from tests.e2e.crashing import kill_at

if __name__ == "__main__":
    number, _, when = sys.argv[2].partition(":")
    if int(number):
        kill_at(f"http.request:{when}", int(number))
    sys.exit(main(json.loads(sys.argv[1])))
