"""What commands that talk to Azure share: the services of the process, the scope, and errors as one line."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from shared.cli.app_context import chosen
from shared.cli.command_errors import sentence
from shared.cli.exit_codes import NOT_WELL, UsageError
from shared.cli.time_limit import run_limited
from shared.clock import utc_moment, utc_text

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

Command = Callable[[argparse.Namespace, "Services"], Awaitable[int]]
"""Carries out the arguments and returns the exit code."""
ApiCommand = Callable[[argparse.Namespace, "ApiClient"], Awaitable[int]]
"""The same, by asking the app."""


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options that narrow a command to some subscriptions."""
    parser.add_argument(
        "--subscription", action="append", default=[], metavar="ID|NAME", help="only this one; repeatable"
    )
    parser.add_argument(
        "--management-group", action="append", default=[], metavar="[TENANT/]ID", help="only below this one"
    )


def with_services(direct: Command, through_app: ApiCommand | None = None) -> Callable[[argparse.Namespace], int]:
    """The command as argparse calls it: through the app that is chosen, or with the services of this process."""

    async def run(arguments: argparse.Namespace) -> int:
        from shared.cli.api_client import open_api
        from shared.cli.direct import open_services

        context = chosen(arguments)
        if context is None:
            async with open_services() as services:
                return await direct(arguments, services)
        if through_app is None:
            raise UsageError(f"`{arguments.command}` works on the storage and on Azure itself: give --direct")
        async with open_api(context) as api:
            return await through_app(arguments, api)

    return lambda arguments: run_limited(run(arguments), arguments)


async def person(services: Services) -> str:
    """Who is at the terminal: the identity of their token where four eyes are asked for, else their name here."""
    if services.settings.approval == "four-eyes" and (identity := await services.clients.object_id()):
        return f"entra:{identity}"
    return f"cli:{getpass.getuser()}"


def colour_wanted(*, refused: bool = False) -> bool:
    """Whether standard output shows colour: a terminal that can, unless NO_COLOR holds anything (no-color.org)."""
    can = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return can and not refused and not os.environ.get("NO_COLOR")


def failed(error: Exception | str) -> int:
    """Say why on standard error; returns the exit code for that."""
    print(f"error: {sentence(error)}", file=sys.stderr)
    return NOT_WELL


def caller_name() -> str:
    """Who works here, for jobs and reports."""
    try:
        return f"cli {getpass.getuser()}"
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "cli"


def moment_text(text: str | None) -> str:
    """A time as a report has it, to the second in UTC, as 2026-11-26T08:00:00Z; empty for none."""
    if not text:
        return ""
    return utc_text(utc_moment(text), "seconds")
