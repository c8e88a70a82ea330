"""What commands that talk to Azure share: the services of the process, the scope, and errors as one line."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.bootstrap import Services

Command = Callable[[argparse.Namespace, "Services"], Awaitable[int]]
"""Carries out the arguments and returns the exit code."""


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add the options that narrow a command to some subscriptions."""
    parser.add_argument("--subscription", action="append", default=[], metavar="ID", help="only this one; repeatable")
    parser.add_argument("--management-group", action="append", default=[], metavar="ID", help="only below this one")


def with_services(command: Command) -> Callable[[argparse.Namespace], int]:
    """The command as argparse calls it: with the services of this process, and errors as one line."""

    async def run(arguments: argparse.Namespace) -> int:
        from azure.core.exceptions import AzureError

        from shared.bootstrap import Services
        from shared.jobs.store import JobNotFoundError
        from shared.jobs.worker import JobRefusedError
        from shared.settings import Settings, SettingsError
        from shared.stored_format import KeptAsIs

        try:
            services = Services(Settings.load_all_readable())
        except SettingsError as error:
            return failed(error)
        try:
            return await command(arguments, services)
        except JobNotFoundError as error:
            return failed(f"there is no job {error}")
        except (AzureError, SettingsError, JobRefusedError, KeptAsIs, ValueError, OSError) as error:
            return failed(error)
        finally:
            await services.close()

    return lambda arguments: asyncio.run(run(arguments))


def colour_wanted(*, refused: bool = False) -> bool:
    """Whether standard output shows colour: a terminal that can, unless NO_COLOR holds anything (no-color.org)."""
    can = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return can and not refused and not os.environ.get("NO_COLOR")


def failed(error: Exception | str) -> int:
    """Say why on standard error; returns the exit code 1."""
    print(f"error: {getattr(error, 'message', None) or error}", file=sys.stderr)
    return 1
