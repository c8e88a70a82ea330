"""`notify`: who is informed of what is wrong and of what is well again.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.cli.exit_codes import DONE
from shared.cli.file_commands import FileCommands

if TYPE_CHECKING:
    from shared.notify.rules import Rules


def register(commands: Any) -> None:
    """Add the command."""
    notify = commands.add_parser("notify", help="who is informed of what is wrong, and of what is well again")
    below = notify.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of receivers and rules, without storing it")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    _FILE.register(below)


def _check(arguments: argparse.Namespace) -> int:
    print(_told(_FILE.checked(arguments.file)[1]))
    return DONE


def _read(text: bytes, source: str) -> Rules:
    from shared.notify.rules import read_rules

    return read_rules(text, source)


def _told(found: Rules) -> str:
    return f"{len(found.receivers)} receivers, {len(found.rules)} rules"


_FILE: Final = FileCommands(
    "notify",
    "there are no rules: `defender-export notify put FILE` stores them",
    lambda services: services.notify_rules,
    _read,
    _told,
)
