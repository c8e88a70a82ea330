"""`accept`: what a real deployment shows of the checklist in docs/fidelity.md, as far as a program can look.

Exit codes: 0 nothing differs, 1 something differs or could not be seen for a service's failure, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.cli.app_context import AppContext, add_target, chosen, place
from shared.cli.argument_parser import whole_number
from shared.cli.exit_codes import DONE, NOT_WELL, UnansweredError, UsageError
from shared.cli.questions import confirmed
from shared.cli.tables import print_table
from shared.cli.time_limit import go_on_by, run_limited
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.accept.findings import Acceptance, Difference
    from shared.accept.world import World
    from shared.bootstrap import Services

_GROUP: Final = re.compile(r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w().-]{1,90}", re.IGNORECASE)
_HUB: Final = re.compile(
    _GROUP.pattern + r"/providers/Microsoft\.EventHub/namespaces/[\w-]{6,50}/eventhubs/[\w.-]{1,256}", re.IGNORECASE
)
_SITE: Final = re.compile(_GROUP.pattern + r"/providers/Microsoft\.Web/sites/[\w-]{2,60}", re.IGNORECASE)
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DEFAULT_WAIT: Final = 300
_LONGEST_WAIT: Final = 3600
_CLEAN: Final = "`defender-export accept --clean` removes what is left"


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("accept", help="what this deployment shows of the checklist in docs/fidelity.md")
    parser.add_argument(
        "--resource-group", type=_shaped(_GROUP, "a resource group"), metavar="ID", help="where automations are made"
    )
    parser.add_argument("--hub", type=_shaped(_HUB, "an event hub"), metavar="ID", help="else the app's own")
    parser.add_argument(
        "--location", default="", metavar="REGION", help="of automations; else that of the resource group"
    )
    parser.add_argument(
        "--identity", type=_shaped(_GUID, "an object"), metavar="OBJECT_ID", help="whose roles; else your own"
    )
    parser.add_argument(
        "--app-id", type=_shaped(_SITE, "a function app"), metavar="ID", help="restart this app, to see it go on"
    )
    parser.add_argument(
        "--only", action="append", default=[], type=_item, metavar="ITEM", help="look at this item alone; repeatable"
    )
    parser.add_argument(
        "--wait", type=whole_number(1, _LONGEST_WAIT), default=_DEFAULT_WAIT, metavar="SECONDS",
        help=f"for rows to be in their table; {_DEFAULT_WAIT}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write accept.md and accept.json there")
    parser.add_argument("--clean", action="store_true", help="only remove what earlier runs left")
    parser.add_argument("--yes", action="store_true", help="do not ask before anything is made")
    parser.add_argument("--json", action="store_true")
    add_target(parser)
    parser.set_defaults(run=lambda arguments: run_limited(_accept(arguments), arguments))


def _shaped(pattern: re.Pattern[str], what: str) -> Any:
    def read(text: str) -> str:
        if not pattern.fullmatch(text) or "/../" in f"{text}/" or "/./" in f"{text}/":
            raise argparse.ArgumentTypeError(f"{text!r} is no id of {what}")
        return text

    return read


def _item(text: str) -> str:
    from shared.accept.acceptance_run import CHECKS
    from shared.exports.suggestions import suggest

    if text not in CHECKS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no item that a program looks at. {suggest(text, CHECKS)}".strip()
        )
    return text


async def _accept(arguments: argparse.Namespace) -> int:
    from shared.cli.direct import open_services

    if not arguments.resource_group and not arguments.clean:
        raise UsageError("--resource-group ID: a resource group in which automations may be made and deleted")
    context = chosen(arguments)
    async with open_services() as services:
        world = await _world(arguments, services, context)
        if arguments.clean:
            return await _clean(arguments, world)
        return await _run(arguments, world)


async def _world(arguments: argparse.Namespace, services: Services, context: AppContext | None) -> World:
    from shared.accept.journal import Journal
    from shared.accept.wire import Wire
    from shared.accept.world import Target, World
    from shared.cli.api_client import base_address

    run = secrets.token_hex(4)
    settings = services.settings
    app = base_address(context.url) if context else ""
    target = Target(
        arguments.resource_group or "",
        arguments.hub or settings.event_hub_resource_id,
        arguments.location or "westeurope",
        arguments.identity or "",
        app,
        arguments.app_id or "",
        tuple((await _proof(context)).items()) if context else (),
        arguments.wait,
    )
    wire = Wire(services.clients, settings, app)
    canary = partial(_canary, context, target.group) if context else None
    return World(services.clients, settings, wire, Journal(_folder(), run), run, target, canary)


async def _canary(context: AppContext, group: str) -> list[Difference]:
    """A canary of the group's subscription, by the app: its own pipeline notes what it sees of the alert."""
    from shared.accept.findings import Difference, NotSeen
    from shared.cli.api_client import ApiFailure, open_api
    from shared.cli.reconcile_by_app import progress

    try:
        async with open_api(context) as api:
            job = await api.start({"kind": "canary", "subscriptions": [group.split("/")[2].lower()]})
            ended = await api.finished(job, progress())
    except ApiFailure as failure:
        if failure.status is None:
            raise NotSeen("the app did not answer", trouble=True) from failure
        raise NotSeen(f"the app refuses to ask for one ({failure.status})") from failure
    finally:
        go_on_by(_CLEAN)
    if ended["state"] != "succeeded":
        raise NotSeen("the app asked for none: is CANARY on? `jobs list` says why")
    (told,) = ended["result"]["value"]
    if told["outcome"] == "not-possible":
        raise NotSeen(f"none is possible here ({told['hop']}): `defender-export canary` says why")
    return [] if told["outcome"] == "proven" else [Difference("a simulated alert", "seen at every hop", told["hop"])]


async def _proof(context: AppContext) -> Mapping[str, str]:
    from shared.cli.api_client import token_for

    if context.key:
        return {"x-functions-key": context.key}
    return {"Authorization": f"Bearer {await token_for(context.resource)}"} if context.resource else {}


def _folder() -> Path:
    """Where runs note what they make: beside what `use` keeps."""
    return place().parent / "accept"


async def _clean(arguments: argparse.Namespace, world: World) -> int:
    from shared.accept.acceptance_run import clean, sweep
    from shared.accept.findings import NotSeen
    from shared.accept.journal import journals
    from shared.accept.world import PREFIX

    things = [thing for journal in journals(_folder()) for thing in journal.left()]
    for thing in things:
        print(printable(f"to be deleted: {thing.kind} {thing.place}"))
    if arguments.resource_group:
        where = f"in {arguments.resource_group}, on the hub and in the app's storage"
        print(f"to be deleted: whatever is named {PREFIX}* {where}")
    elif not things:
        print("nothing is left of an earlier run")
        return DONE
    if not confirmed("Delete these?", agreed=arguments.yes):
        return NOT_WELL
    await clean(world, _folder())
    if arguments.resource_group:
        try:
            await sweep(world)
        except NotSeen as why:
            raise UnansweredError(f"not everything was looked for: {why}") from why
    return _told_left(world)


async def _run(arguments: argparse.Namespace, world: World) -> int:
    from shared.accept.acceptance_run import CHECKS, accept, clean, planned
    from shared.accept.findings import Acceptance, NotSeen
    from shared.accept.journal import journals

    asked = frozenset(arguments.only or CHECKS)
    if not arguments.location:
        with suppress(NotSeen):  # each item says so itself
            world.target = replace(world.target, location=await world.place() or world.target.location)
    out = sys.stderr if arguments.json else sys.stdout
    for line in planned(world, asked):
        print(f"will make: {line}", file=out)
    for journal in journals(_folder()):
        for thing in journal.left():
            print(printable(f"will delete, left by an earlier run: {thing.kind} {thing.place}"), file=out)
    if not confirmed("Go on?", agreed=arguments.yes):
        return NOT_WELL
    go_on_by(_CLEAN)
    found = Acceptance()
    try:
        await clean(world, _folder())
        await accept(world, found, asked, _progress)
    finally:
        _show(found, arguments)
        left = _told_left(world)
    return left if found.well else NOT_WELL


def _progress(item: str) -> None:
    if sys.stderr.isatty():
        print(f"... {item}", file=sys.stderr)


def _told_left(world: World) -> int:
    for thing in world.left:
        print(printable(f"left behind: {thing}; {_CLEAN}"), file=sys.stderr)
    return NOT_WELL if world.left else DONE


def _show(found: Acceptance, arguments: argparse.Namespace) -> None:
    """What may be sent on standard output and in files; what Azure said word by word on standard error."""
    from shared.accept.acceptance_report import as_markdown, document, sentence
    from shared.accept.findings import BY_HAND, NOT_ASKED

    report = document(found)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "accept.json").write_text(f"{json.dumps(report, indent=1)}\n", encoding="utf-8")
        (arguments.out / "accept.md").write_text(as_markdown(report), encoding="utf-8")
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    looked = [item for item in report["items"] if item["why"] not in {BY_HAND, NOT_ASKED}]
    print_table(("item", "verdict", "why"), [(item["id"], item["verdict"], item["why"]) for item in looked])
    for item in report["items"]:
        for one in item["differences"]:
            print(f"! {item['id']}: {sentence(one)}")
    for one in report["unlisted"]:
        print(f"! not in the checklist: {sentence(one)}")
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report["counts"].items())
    print(f"{counts}; {len(report['unlisted'])} differences beside the checklist")
    print("what is left to a person: docs/accept.md, or --out")
