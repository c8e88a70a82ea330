"""`mutes`: what raises nothing until an agreed end, and maintenance windows.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.cli.command_services import moment_text
from shared.cli.exit_codes import DONE
from shared.cli.file_commands import FileCommands, warn
from shared.clock import utc_text

if TYPE_CHECKING:
    from shared.muting.mutes import Mute


def register(commands: Any) -> None:
    """Add the command."""
    mutes = commands.add_parser("mutes", help="what raises nothing until an agreed end, and maintenance windows")
    below = mutes.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of mutes, without storing it")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    _FILE.register(below)


def _check(arguments: argparse.Namespace) -> int:
    from shared.muting.mutes_file import Known, warnings

    _, mutes = _FILE.checked(arguments.file)
    warn(warnings(mutes, Known(), datetime.now(UTC)))
    print(_told(mutes))
    return DONE


def _read(text: bytes, source: str) -> Sequence[Mute]:
    from shared.muting.mutes_file import read_mutes

    return read_mutes(text, source)


def _told(mutes: Sequence[Mute]) -> str:
    now = datetime.now(UTC)
    holding = [f"{mute.name} until {moment_text(utc_text(end))}" for mute in mutes if (end := mute.end_at(now))]
    return f"{len(mutes)} mutes; in force now: {', '.join(holding) or 'none'}"


_FILE: Final = FileCommands(
    "mutes",
    "nothing is muted: `defender-export mutes put FILE` stores a file of mutes",
    lambda services: services.mutes,
    _read,
    _told,
    lambda services, mutes: services.mute_warnings(mutes),
)
