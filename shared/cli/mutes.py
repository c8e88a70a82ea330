"""`mutes`: what raises nothing until an agreed end, and maintenance windows.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.command_services import failed, moment_text, person, with_services
from shared.cli.exit_codes import DONE
from shared.clock import utc_text
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient
    from shared.muting.mutes import Mute

_NONE = "nothing is muted: `defender-export mutes put FILE` stores a file of mutes"


def register(commands: Any) -> None:
    """Add the command."""
    mutes = commands.add_parser("mutes", help="what raises nothing until an agreed end, and maintenance windows")
    below = mutes.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of mutes, without storing it")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    show = below.add_parser("show", help="print the stored file as it was put")
    add_target(show)
    show.set_defaults(run=with_services(_show, _show_by_app))
    put = below.add_parser("put", help="check a file and store it in place of the one that is there")
    put.add_argument("file", type=Path)
    add_target(put)
    put.set_defaults(run=with_services(_put, _put_by_app))


def _check(arguments: argparse.Namespace) -> int:
    from shared.muting.mutes_file import Known, warnings

    _, mutes = _checked(arguments.file)
    _warn(warnings(mutes, Known(), datetime.now(UTC)))
    print(_told(mutes))
    return DONE


async def _show(arguments: argparse.Namespace, services: Services) -> int:  # noqa: ARG001 - every command takes them
    return _shown(await services.mutes.text())


async def _show_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:  # noqa: ARG001 - every command takes them
    return _shown(await api.mutes())


def _shown(text: bytes | None) -> int:
    if text is None:
        return failed(_NONE)
    sys.stdout.write(text.decode())
    return DONE


async def _put(arguments: argparse.Namespace, services: Services) -> int:
    text, mutes = _checked(arguments.file)
    await services.mutes.put(text, await person(services))
    _warn(await services.mute_warnings(mutes))
    print(f"stored: {_told(mutes)}")
    return DONE


async def _put_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    text, mutes = _checked(arguments.file)
    _warn(await api.put_mutes(text))
    print(f"stored: {_told(mutes)}")
    return DONE


def _warn(said: Iterable[str]) -> None:
    for each in said:
        print(printable(f"! {each}"), file=sys.stderr)


def _told(mutes: Sequence[Mute]) -> str:
    now = datetime.now(UTC)
    holding = [f"{mute.name} until {moment_text(utc_text(end))}" for mute in mutes if (end := mute.end_at(now))]
    return f"{len(mutes)} mutes; in force now: {', '.join(holding) or 'none'}"


def _checked(file: Path) -> tuple[bytes, tuple[Mute, ...]]:
    """A file's text, and the mutes in it.

    Raises:
        shared.exports.diagnostics.InvalidExport: it is no such file.
    """
    from shared.muting.mutes_file import read_mutes

    text = file.read_bytes()
    return text, read_mutes(text, str(file))
