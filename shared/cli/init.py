"""`init`: a first export file, by options or by questions, with what the app knows of the tenant to choose from.

Exit codes: 0 the file is written, 1 it would be invalid or the app does not answer, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from shared.cli.app_context import add_target, chosen
from shared.cli.argument_parser import one_of
from shared.cli.exit_codes import DONE, NOT_WELL, UsageError
from shared.cli.questions import answer
from shared.cli.time_limit import run_limited
from shared.exports.first_file import CONTENTS, Answers, first_file
from shared.exports.known_values import REGIONS

_SEVERITIES = ("Critical", "High", "Medium", "Low")
_SHOWN = 12


class Known(NamedTuple):
    """What there is to choose from; empty where no app was asked."""

    groups: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()


def register(commands: Any) -> None:
    """Add the command."""
    init = commands.add_parser("init", help="write a first export file, by options or by questions")
    init.add_argument("name", metavar="NAME", help="the export's name; the file is NAME.yaml")
    init.add_argument("--destination", metavar="ID", help="resource id of the event hub or the workspace")
    init.add_argument(
        "--management-group", action="append", default=[], metavar="[TENANT/]ID", help="from all below this one"
    )
    init.add_argument(
        "--subscription", action="append", default=[], metavar="ID|NAME", help="from this one; repeatable"
    )
    init.add_argument("--location", type=one_of(*REGIONS), metavar="REGION", help="where the automations lie")
    init.add_argument("--send", type=one_of(*CONTENTS), action="append", default=[], metavar="WHAT", help=_sent())
    init.add_argument("--severity", type=one_of(*_SEVERITIES), metavar="SEVERITY", help="from this severity on")
    init.add_argument("--folder", type=Path, default=Path("exports"), help="where the file goes; exports by default")
    add_target(init)
    init.set_defaults(run=_init)


def _sent() -> str:
    return f"what is sent, repeatable: {', '.join(CONTENTS)}; alerts by default"


def _init(arguments: argparse.Namespace) -> int:
    from shared.exports.diagnostics import errors
    from shared.exports.validation import check_text

    path = arguments.folder / f"{arguments.name}.yaml"
    if path.exists():
        raise UsageError(f"{path} is there already: choose another name, or edit it")
    known = _known(arguments)
    subscriptions = _ids(arguments) if arguments.subscription else ()
    groups = tuple(arguments.management_group)
    if not groups and not subscriptions:
        groups = (_asked("management group to export from", "--management-group", known.groups),)
    destination = arguments.destination or _asked("destination", "--destination", known.destinations)
    location = arguments.location or _asked("region of the automations", "--location", REGIONS)
    answers = Answers(
        arguments.name,
        destination,
        location,
        tuple(arguments.send) or ("alerts",),
        arguments.severity or "",
        groups,
        tuple(subscriptions),
    )
    text = first_file(answers)
    checked = check_text(text.encode(), path.as_posix())
    for finding in checked.findings:
        print(finding, file=sys.stderr)
    if errors(checked.findings):
        print("nothing was written", file=sys.stderr)
        return NOT_WELL
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    print(f"{path} is written; next: `defender-export plan {path}`, then `defender-export push {path}`")
    return DONE


def _asked(what: str, option: str, known: Sequence[str]) -> str:
    """One answer from the terminal: a number of the list, or the text itself.

    Raises:
        UsageError: there is no terminal to ask on, or the answer is empty.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{option} is needed: {what}")
    for number, one in enumerate(known[:_SHOWN], 1):
        print(f"  {number:2} {one}")
    if len(known) > _SHOWN:
        print(f"     and {len(known) - _SHOWN} more")
    said = answer(f"{what}{' (number or text)' if known else ''}: ")
    if said.isascii() and said.isdecimal() and 1 <= int(said) <= len(known[:_SHOWN]):
        return known[int(said) - 1]
    if not said:
        raise UsageError(f"{option} is needed: {what}")
    return said


def _known(arguments: argparse.Namespace) -> Known:
    """What the app knows, when questions are to be asked and an app is chosen."""
    complete = arguments.destination and (arguments.management_group or arguments.subscription)
    if complete or not sys.stdin.isatty():
        return Known()
    try:
        context = chosen(arguments)
    except UsageError:
        return Known()
    return Known() if context is None else run_limited(_look_up(arguments), arguments)


async def _look_up(arguments: argparse.Namespace) -> Known:
    from shared.cli.api_client import open_api
    from shared.exports.management_groups import GroupNames
    from shared.reconcile.model import Subscription

    context = chosen(arguments)
    if context is None:
        return Known()
    async with open_api(context) as api:
        rows = await api.pages("coverage", limit="1000")
    destinations = {
        each: None
        for row in rows
        for found in row["sources"].values()
        for exporter in found
        for each in exporter["destinations"]
    }
    seen = [
        Subscription(row["subscriptionId"], tenant_id=row["tenantId"], ancestors=tuple(row["managementGroups"]))
        for row in rows
    ]
    return Known(tuple(GroupNames.of(seen).written), tuple(destinations))


def _ids(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The ids of the subscriptions that are named; names need an app that knows them."""
    from shared.cli.argument_parser import subscription_id

    try:
        return tuple(subscription_id(one) for one in arguments.subscription)
    except argparse.ArgumentTypeError:
        return run_limited(_named(arguments), arguments)


async def _named(arguments: argparse.Namespace) -> tuple[str, ...]:
    from shared.cli.api_client import open_api
    from shared.cli.subscriptions_by_app import ids_of

    context = chosen(arguments)
    if context is None:
        raise UsageError("names of subscriptions are known to the app: `defender-export use URL`, or give ids")
    async with open_api(context) as api:
        return tuple(await ids_of(arguments.subscription, api))
