"""`notify`: who is informed of what is wrong and of what is well again.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.command_services import failed, person, with_services
from shared.cli.exit_codes import DONE

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

_NONE = "there are no rules: `defender-export notify put FILE` stores them"


def register(commands: Any) -> None:
    """Add the command."""
    notify = commands.add_parser("notify", help="who is informed of what is wrong, and of what is well again")
    below = notify.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of receivers and rules, without storing it")
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
    print(_checked(arguments.file)[1])
    return DONE


async def _show(arguments: argparse.Namespace, services: Services) -> int:  # noqa: ARG001 - every command takes them
    return _shown(await services.notify_rules.text())


async def _show_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:  # noqa: ARG001 - every command takes them
    return _shown(await api.notify_rules())


def _shown(text: bytes | None) -> int:
    if text is None:
        return failed(_NONE)
    sys.stdout.write(text.decode())
    return DONE


async def _put(arguments: argparse.Namespace, services: Services) -> int:
    text, told = _checked(arguments.file)
    await services.notify_rules.put(text, await person(services))
    print(f"stored: {told}")
    return DONE


async def _put_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    text, told = _checked(arguments.file)
    await api.put_notify_rules(text)
    print(f"stored: {told}")
    return DONE


def _checked(file: Path) -> tuple[bytes, str]:
    """A file's text, and what is in it.

    Raises:
        shared.exports.diagnostics.InvalidExport: it is no such file.
    """
    from shared.notify.rules import read_rules

    text = file.read_bytes()
    found = read_rules(text, str(file))
    return text, f"{len(found.receivers)} receivers, {len(found.rules)} rules"
