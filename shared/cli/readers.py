"""`readers`: which app role sees which part of the tenant.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.exit_codes import DONE

if TYPE_CHECKING:
    from shared.readers_file import Limit


def register(commands: Any) -> None:
    """Add the command."""
    readers = commands.add_parser("readers", help="which app role sees which part of the tenant")
    below = readers.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of readers")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)


def _check(arguments: argparse.Namespace) -> int:
    """The file alone is read: whether the app sees what it names is said by the app's `ready`."""
    from shared.readers_file import MAX_BYTES, read_readers

    with arguments.file.open("rb") as file:
        readers = read_readers(file.read(MAX_BYTES + 1), str(arguments.file))
    for role, limit in readers.items():
        print(f"{role}: {_sees(limit)}")
    return DONE


def _sees(limit: Limit) -> str:
    parts = {"tenants": limit.tenants, "management groups": limit.groups}
    return "; ".join(f"{what} {', '.join(names)}" for what, names in parts.items() if names)
