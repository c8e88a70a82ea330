"""`canary`: whether an alert of a subscription reaches its table now, by one that Defender for Cloud simulates.

Exit codes: 0 proven, 1 not proven, not possible or an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.canary.bundles import NAMES
from shared.cli.app_context import add_target
from shared.cli.argument_parser import one_of
from shared.cli.command_services import caller_name, moment_text, with_services
from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.reconcile_by_app import progress
from shared.cli.tables import print_table

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

_HEAD = ("hop", "state", "seconds", "at", "reason")
_PROVEN = "proven"


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("canary", help="prove that an alert of a subscription reaches its table now")
    parser.add_argument(
        "--subscription", action="append", required=True, metavar="ID|NAME", help="whose path to prove; repeatable"
    )
    parser.add_argument(
        "--bundle", type=one_of(*NAMES), metavar="BUNDLE",
        help="which alert to simulate; else the first that the filters let through",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true")
    add_target(parser)
    parser.set_defaults(run=with_services(_canary, _canary_by_app))


async def _canary(arguments: argparse.Namespace, services: Services) -> int:
    from shared.jobs.arguments import read_arguments
    from shared.jobs.model import new_id

    survey = await services.tenant_state.take()
    ids = sorted(each.id for each in survey.below(arguments.subscription, ()))
    _, asked = read_arguments(_request(arguments, ids))
    job = new_id(datetime.now(UTC))
    found = await services.canary.follow(
        asked["subscriptions"], asked.get("bundle", ""), caller_name(), job, progress()
    )
    return _show(found, as_json=arguments.json)


async def _canary_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    from shared.cli.subscriptions_by_app import ids_of

    job = await api.start(_request(arguments, await ids_of(arguments.subscription, api)))
    ended = await api.finished(job, progress())
    if ended["state"] != "succeeded":
        raise ValueError(f"the job {ended['id']} {ended['state']}: {ended['error'] or ended['trouble']}")
    return _show(ended["result"]["value"], as_json=arguments.json)


def _request(arguments: argparse.Namespace, ids: Sequence[str]) -> dict[str, Any]:
    asked: dict[str, Any] = {"kind": "canary", "subscriptions": list(ids)}
    return asked | ({"bundle": arguments.bundle} if arguments.bundle else {})


def _show(found: Sequence[Mapping[str, Any]], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        for told in found:
            print(_sentence(told))
            print_table(_HEAD, [_line(each) for each in told["hops"]])
            if told["mend"]:
                print(f"  {told['mend']}")
    return DONE if all(told["outcome"] == _PROVEN for told in found) else NOT_WELL


def _sentence(told: Mapping[str, Any]) -> str:
    outcome = told["outcome"].replace("-", " ")
    where = f" at {told['hop']}" if told["hop"] else ""
    why = f": {told['reason']}" if told["reason"] else ""
    return f"{told['subscription']}: {outcome}{where}{why}"


def _line(leg: Mapping[str, Any]) -> tuple[str, ...]:
    seconds = "" if leg["seconds"] is None else f"{leg['seconds']:.1f}"
    return (leg["hop"], leg["state"], seconds, moment_text(leg["at"]), leg["reason"])
