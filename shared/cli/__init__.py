"""The services from a terminal: `defender-export <command>`.

Exit codes: 0 all well, 1 invalid input or a failure, 2 wrong usage (`plan --detailed-exitcode` documents its own).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

_GROUPS = ("exports", "push", "reconcile", "stored_exports", "import_live", "watch")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's own."""
    parser = argparse.ArgumentParser(prog="defender-export", description=__doc__)
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    for group in _GROUPS:
        importlib.import_module(f"shared.cli.{group}").register(commands)
    chosen = parser.parse_args(arguments)
    result: int = chosen.run(chosen)
    return result


if __name__ == "__main__":
    sys.exit(main())
