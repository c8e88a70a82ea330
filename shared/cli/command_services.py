"""What commands that talk to Azure share: the services of the process, the scope, and errors as one line."""

from __future__ import annotations

import argparse
import asyncio
import getpass
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


async def person(services: Services) -> str:
    """Who is at the terminal: the identity of their token where four eyes are asked for, else their name here."""
    if services.settings.approval == "four-eyes" and (identity := await services.clients.object_id()):
        return f"entra:{identity}"
    return f"cli:{getpass.getuser()}"


def failed(error: Exception | str) -> int:
    """Say why on standard error; returns the exit code 1."""
    print(f"error: {getattr(error, 'message', None) or error}", file=sys.stderr)
    return 1
