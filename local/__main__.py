"""`python -m local`: the whole Azure on loopback, one part of it, or a question to the one that runs."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from local import running
from local.faults import KINDS, Fault
from local.http import CONTROL
from local.running import PARTS

MAX_RECORDS = 10_000
EMULATORS = ("identity", "arm", "ingestion", "query")


async def up(parts: tuple[str, ...], partitions: int, *, app: bool) -> None:
    """Start the parts, say where they are, and stop on Ctrl-C or SIGTERM."""
    from local.console import introduction
    from local.stack import LocalAzure

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with LocalAzure(parts=parts, partitions=partitions, app=app) as azure:
        running.write(running.state_of(azure))
        try:
            print("\n".join(introduction(azure)), flush=True)
            await stopped.wait()
        finally:
            running.forget()


def query(arguments: argparse.Namespace) -> None:
    """Print the answer to a query in SQL as tab-separated lines, the names first."""
    answer = running.ask("query", "POST", CONTROL + "/sql", arguments.sql.encode())
    print("\t".join(answer["columns"]))
    for row in answer["rows"]:
        print("\t".join("" if value is None else str(value) for value in row))


def faults(arguments: argparse.Namespace) -> None:
    """Replace the faults of one emulator by one rule, or by none, and print what has befallen it so far."""
    route = CONTROL + "/faults"
    if arguments.kind is None:
        answer = running.ask(arguments.service, "DELETE" if arguments.clear else "GET", route)
    else:
        rule = {
            "kind": arguments.kind,
            "rate": arguments.rate,
            "matching": arguments.matching,
            "times": arguments.times,
        }
        rule |= {f.name: value for f in fields(Fault)[1:] if (value := getattr(arguments, f.name)) is not None}
        document = {"seed": arguments.seed, "rules": [rule]}
        answer = running.ask(arguments.service, "PUT", route, json.dumps(document).encode())
    print(json.dumps(answer))


def env(arguments: argparse.Namespace) -> None:
    """Print the app's settings as shell exports, or as a `local.settings.json` for `func start`."""
    settings = running.read()["settings"]
    if arguments.json:
        print(json.dumps({"IsEncrypted": False, "Values": settings}, indent=2))
        return
    for name, value in settings.items():
        print(f"export {name}={shlex.quote(value)}")


def send(arguments: argparse.Namespace) -> None:
    """Send sample records of subscriptions of the running tenant, and say how many."""
    from datetime import UTC, datetime, timedelta

    from azure.eventhub import EventData, EventHubProducerClient

    from local.records import generate

    state = running.read()
    if not 1 <= arguments.count <= MAX_RECORDS:
        raise ValueError(f"send 1 to {MAX_RECORDS:,} records at a time")
    start = datetime.now(UTC) - timedelta(seconds=arguments.count / 10)
    events = generate(arguments.seed, state["subscriptions"], arguments.count, start=start)
    settings = state["settings"]
    with EventHubProducerClient.from_connection_string(
        settings["EventHubConnection"], eventhub_name=settings["EVENT_HUB_NAME"]
    ) as producer:
        for event in events:
            producer.send_event(EventData(event.body))
    print(f"{arguments.count:,} records sent")


def execute(arguments: argparse.Namespace) -> None:
    """Become the command, so that this shell keeps its own settings and trust."""
    if not arguments.command:
        raise ValueError("exec needs a command, such as: python -m local exec defender-export plan --direct")
    settings = running.read()["settings"]
    # The command line is installed beside this Python, whose environment need not be activated.
    environment = os.environ | settings | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    try:
        os.execvpe(arguments.command[0], arguments.command, environment)  # noqa: S606 - that is its purpose
    except FileNotFoundError:
        raise ValueError(f"there is no command {arguments.command[0]} on PATH") from None


def parser() -> argparse.ArgumentParser:
    """The command line; `eventhubs` alone has one of its own."""
    command = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    command.add_argument("--partitions", type=int, default=4, help="partitions of each event hub")
    command.add_argument("--no-app", dest="app", action="store_false", help="everything but the app itself")
    command.set_defaults(act=None, parts=PARTS)
    commands = command.add_subparsers(metavar="COMMAND")
    commands.add_parser(
        "run", help="the app's main job, told from nothing to rows in tables; --stay goes on", add_help=False
    )
    commands.add_parser("eventhubs", help="the Event Hubs broker alone", add_help=False)
    for part in PARTS:
        if part != "eventhubs":
            alone = commands.add_parser(part, help=f"{part} alone, with the identity that opens it")
            alone.set_defaults(parts=(part,))
    asking = commands.add_parser("query", help="ask the running workspace in SQL")
    asking.add_argument("sql")
    asking.set_defaults(act=query)
    breaking = commands.add_parser("faults", help="let an emulator of the running one misbehave")
    breaking.add_argument("service", choices=EMULATORS)
    breaking.add_argument("kind", nargs="?", choices=KINDS, help="without one: show what has happened so far")
    breaking.add_argument("--clear", action="store_true", help="behave again")
    breaking.add_argument("--rate", type=float, default=1.0, help="share of the requests, 0 to 1")
    breaking.add_argument("--times", type=int, help="at most so often")
    breaking.add_argument("--matching", default="", help="pattern over 'METHOD /path'")
    breaking.add_argument("--seed", type=int, default=0)
    breaking.add_argument("--seconds", type=float, help="of latency or hang")
    breaking.add_argument("--retry-after", type=float, help="seconds, of throttle")
    breaking.add_argument("--status", type=int, help="of error")
    breaking.set_defaults(act=faults)
    sending = commands.add_parser("send", help="send sample records to the running one's event hub")
    sending.add_argument("count", nargs="?", type=int, default=100)
    sending.add_argument("--seed", type=int, default=0)
    sending.set_defaults(act=send)
    child = commands.add_parser("exec", help="run a command with the app settings of the running one")
    child.add_argument("command", nargs=argparse.REMAINDER)
    child.set_defaults(act=execute)
    settings = commands.add_parser("env", help="the running one's app settings, as shell exports")
    settings.add_argument("--json", action="store_true", help="as local.settings.json")
    settings.set_defaults(act=env)
    return command


def main(argv: Sequence[str]) -> int:
    """Run one command; 0 when it worked, 1 when not, 2 for a wrong command line."""
    if argv[:1] == ["eventhubs"]:
        from local.eventhubs import main as eventhubs

        return eventhubs(argv[1:])
    if argv[:1] == ["run"]:
        from local.story import main as story

        return story(stay="--stay" in argv[1:])
    arguments = parser().parse_args(argv)
    if arguments.act is None:
        asyncio.run(up(arguments.parts, arguments.partitions, app=arguments.app and arguments.parts == PARTS))
        return 0
    try:
        arguments.act(arguments)
    except (running.NotRunningError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
