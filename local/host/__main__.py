"""`python -m local.host`: the host as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.host import FunctionsHost
from local.host.config import HostConfig
from local.host.http import Keys


async def _serve(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    config = HostConfig.load(arguments.host_file) if arguments.host_file else None
    given = {"master": arguments.master_key, "host": arguments.host_key}
    keys = Keys(**{name: key for name, key in given.items() if key})
    async with FunctionsHost(
        arguments.app, os.environ, config=config, port=arguments.port, keys=keys, timers=not arguments.no_timers
    ) as host:
        ready = {"port": host.port, "url": host.url, "masterKey": keys.master, "hostKey": keys.host}
        print(json.dumps(ready | {"functions": [one.name for one in host.functions]}), flush=True)
        await stopped.wait()


def main(argv: Sequence[str]) -> int:
    """Run an app until interrupted, after one line of JSON with the port; app settings are the environment."""
    parser = argparse.ArgumentParser(prog="local host", description=main.__doc__)
    parser.add_argument("--app", type=Path, default=Path("function_app.py"))
    parser.add_argument("--host-file", type=Path, help="default: host.json beside the app")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--master-key", help="default: a new one, in the line of JSON")
    parser.add_argument("--host-key", help="default: a new one, in the line of JSON")
    parser.add_argument("--no-timers", action="store_true", help="fire timers only by the admin route")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_serve(parser.parse_args(argv)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
