"""`use`: the app that every command asks from now on.

Exit codes: 0 the app answers and lets the caller in, 1 it does not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from typing import Any

from shared import __version__
from shared.cli import app_context
from shared.cli.app_context import KEY_VARIABLE, AppContext
from shared.cli.exit_codes import DONE, UsageError
from shared.cli.time_limit import add_timeout, run_limited


def register(commands: Any) -> None:
    """Add the command."""
    use = commands.add_parser("use", help="keep the address of the app that commands ask, and how to get in")
    use.add_argument("address", nargs="?", metavar="URL", help="the app's address; without it, what is kept is shown")
    use.add_argument("--resource", metavar="URI", default="", help="sign in with Entra to this API, api://<client id>")
    use.add_argument("--forget", action="store_true", help="keep nothing any more")
    add_timeout(use)
    use.set_defaults(run=_use)


def _use(arguments: argparse.Namespace) -> int:
    if arguments.forget:
        print("forgotten" if app_context.forget() else "nothing was kept")
        return DONE
    if not arguments.address:
        kept = app_context.read()
        if kept is None:
            raise UsageError(app_context.NO_APP)
        print(f"{kept.url}, with {_way(kept)} ({app_context.place()})")
        return DONE
    return run_limited(_look_and_keep(arguments), arguments)


async def _look_and_keep(arguments: argparse.Namespace) -> int:
    from shared.cli.api_client import base_address, open_api

    url = base_address(arguments.address)
    key = "" if arguments.resource else os.environ.get(KEY_VARIABLE) or _asked_key()
    context = AppContext(url, key, arguments.resource)
    async with open_api(context) as api:
        release = await api.release()
        await api.document("GET", "exports", params={"limit": "1"})
    path = app_context.keep(context)
    print(f"{url} answers and lets you in, with {_way(context)}; kept in {path}")
    if release != __version__:
        print(f"the app is of release {release or '(it does not say)'}, this command line of {__version__}")
    return DONE


def _asked_key() -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"how to get in? --resource api://<client id> for Entra, or a function key in {KEY_VARIABLE}")
    return getpass.getpass("function key of the app (it is not shown): ").strip()


def _way(context: AppContext) -> str:
    return f"Entra for {context.resource}" if context.resource else "a function key"
