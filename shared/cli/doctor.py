"""`doctor`: what is wrong with a deployment, the cause first, each with its mend.

Exit codes: 0 all is well, 1 something is not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared.cli.app_context import AppContext, add_target, chosen
from shared.cli.argument_parser import WIDTH
from shared.cli.exit_codes import DONE, NOT_WELL, UsageError
from shared.cli.time_limit import run_limited
from shared.cli.watch_tables import overdue
from shared.reconcile.plan.plan_render import shortened
from shared.shown_text import printable
from shared.watch.open_items import only_claimed

if TYPE_CHECKING:
    from shared.cli.api_client import ApiClient

_ALL_IS_WELL = (
    "all is well: settings, sign-in, identity, storage, hub, ingestion, routes, tables, what is stored, runs, exports, "
    "freshness, dead letters"
)
_NAMES = 5
_NOT_LET_IN = frozenset({401, 403})
_MENDS: Final = {
    "app": "look at the address that `use` keeps, the network, and whether the app runs: `az functionapp show`",
    "access": "`use URL` keeps a new key; with Entra, have an app role assigned (docs/api.md, Who may call)",
    "python": "publish the package again for the Python that the app runs on (docs/deploy.md)",
    "settings": "correct these app settings (docs/settings.md), with the deployment's parameter `settings`",
    "signIn": "turn authentication on for the app, so that it refuses callers without a token (docs/security.md)",
    "identity": "give the app its managed identity back: deploy the resources again (docs/deploy.md)",
    "storage": "look at AzureWebJobsStorage__*Uri, the account's network rules and the app's roles on it",
    "eventHub": "look at EventHubConnection, EVENT_HUB_NAME, the namespace's network rules and the app's role on it",
    "ingestion": "look at LOGS_INGESTION_ENDPOINT, LOGS_INGESTION_RULE_ID and the app's role on the rule",
    "routes": "mend the file of routes or what refuses rows at the place named (docs/routing.md)",
    "tables": "deploy this release's tables and rule, before its code; the app needs Log Analytics Data Reader there",
    "stored": "put right or remove what is named, an export by `push` (docs/stored-formats.md)",
    "lastRun": "look at `runs`, and whether the timer fires: `az functionapp show` must say Running",
    "timers": "see whether the app runs, and start it again: after a deployment all of its timers may stand still",
    "exports": "`push` files that are right; `exports list` has every finding",
    "inForce": "mend the first reason, and the next run does the rest; `runs RUN_ID` has each with its count",
    "freshness": "`freshness --verdict silent` has each with its reason; docs/operate.md, a subscription is silent",
    "deadLetters": "`dead-letters list` has them; when the cause is gone, `dead-letters replay`",
}
_OF_STORAGE: Final = frozenset(
    {"eventHub", "ingestion", "routes", "stored", "lastRun", "timers", "exports", "inForce", "freshness", "deadLetters"}
)
# What a fault brings about elsewhere: one cause is told once.
_FOLLOWS: Final = {
    "identity": frozenset({"storage", "tables", *_OF_STORAGE}),
    "storage": _OF_STORAGE,
    "eventHub": frozenset({"freshness"}),
    "stored": frozenset({"exports"}),
    "ingestion": frozenset({"deadLetters"}),
    "routes": frozenset({"deadLetters"}),
    "lastRun": frozenset({"inForce"}),
}


@dataclass(frozen=True)
class Fault:
    """Something that is not as it should be; `about` is one of the subjects that have a mend."""

    about: str
    cause: str

    @property
    def mend(self) -> str:
        """What helps."""
        return _MENDS.get(self.about, "see `ready` and the app's log")


def register(commands: Any) -> None:
    """Add the command."""
    doctor = commands.add_parser("doctor", help="what is wrong with the deployment: the cause first, with its mend")
    doctor.add_argument("--json", action="store_true")
    add_target(doctor)
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    context = chosen(arguments)
    if context is None:
        raise UsageError("`doctor` asks the app, which alone sees what it may reach: `defender-export use URL` first")
    return run_limited(_look(context, arguments), arguments)


async def _look(context: AppContext, arguments: argparse.Namespace) -> int:
    from shared.cli.api_client import open_api

    async with open_api(context) as api:
        return await _ask(arguments, api)


async def _ask(arguments: argparse.Namespace, api: ApiClient) -> int:
    from shared.cli.api_client import ApiFailure

    try:
        ready = await api.document("GET", "ready", (200, 503))
    except ApiFailure as failure:
        about = "access" if failure.status in _NOT_LET_IN else "app"
        return _show([Fault(about, str(failure))], (), as_json=arguments.json)
    if "checks" not in ready:  # the app refuses every route, and says why
        faults = [Fault("settings", str(ready.get("detail") or ready))]
        return _show(faults, (), as_json=arguments.json)
    faults = faults_of(ready["checks"])
    for about, look in _LOOKS.items():
        if about not in _explained(faults):
            try:
                faults += await look(api)
            except ApiFailure as failure:
                faults.append(Fault(about, str(failure)))
    return _show(without_consequences(faults), ready["warnings"], as_json=arguments.json)


def without_consequences(faults: Sequence[Fault]) -> list[Fault]:
    """The faults in the order of cause, without those that others among them bring about."""
    explained = _explained(faults)
    order = list(_MENDS)
    left = [fault for fault in faults if fault.about not in explained]
    return sorted(left, key=lambda fault: order.index(fault.about) if fault.about in order else len(order))


def _explained(faults: Iterable[Fault]) -> set[str]:
    return {about for fault in faults for about in _FOLLOWS.get(fault.about, ())}


async def _exports(api: ApiClient) -> list[Fault]:
    page = await api.document("GET", "exports", params={"limit": "1"})
    wrong = [
        f"{problem['name']}: {problem['findings'][0]['sentence'] if problem['findings'] else 'it is invalid'}"
        for problem in page["problems"]
    ]
    if not wrong and not page["value"]:
        wrong = ["no export is stored: nothing is exported"]
    return [Fault("exports", _some(wrong))] if wrong else []


async def _in_force(api: ApiClient) -> list[Fault]:
    runs = (await api.document("GET", "runs", params={"limit": "100"}))["value"]
    newest = next(filter(_tells_of_all, runs), None)
    if newest is None:
        return [Fault("inForce", "no run of the app looked at the whole tenant and ended of late: `plan` does")]
    if newest["outcome"] == "Succeeded":
        return []
    return [Fault("inForce", f"the run {newest['runId']} ended {newest['outcome']}: {newest['reason']}")]


def _tells_of_all(run: Mapping[str, Any]) -> bool:
    """Whether it ended and looked at every export; a run of a terminal saw what one person may see."""
    ended = run["outcome"] not in {"Skipped", "Running"}
    return ended and run["trigger"] != "cli" and not only_claimed(run) and not run["scope"]


async def _freshness(api: ApiClient) -> list[Fault]:
    from shared.cli.subscriptions_by_app import subscriptions

    rows, page = await api.listing("freshness", verdict="silent", limit="1000")
    if page["checked"] is None:  # right after a deployment; a timer that does not fire is a fault of `timers`
        return []
    if told := overdue(page["checked"], datetime.now(UTC)):
        return [Fault("freshness", *told)]
    if not rows:
        return [Fault("freshness", f"not all is judged: {_some(page['reasons'])}")] if page.get("reasons") else []
    names = {one.id.lower(): one.name for one in await subscriptions(api)}
    silent = [f"{names.get(row['subscriptionId'].lower()) or row['subscriptionId']} {row['kind']}" for row in rows]
    return [Fault("freshness", f"silent: {_some(silent)}; {rows[0]['reason']}")]


async def _dead_letters(api: ApiClient) -> list[Fault]:
    reasons: Counter[str] = Counter()
    for row in await api.pages("dead-letters"):
        if not row["trouble"]:  # what can't be read is the check `stored`
            reasons[row["reason"]] += row["records"]
    told = [f"{number:,} records {reason}" for reason, number in reasons.most_common()]
    return [Fault("deadLetters", f"not delivered: {_some(told)}")] if told else []


_LOOKS: Final = {"exports": _exports, "inForce": _in_force, "freshness": _freshness, "deadLetters": _dead_letters}


def _some(texts: Sequence[str]) -> str:
    left = len(texts) - _NAMES
    return ", ".join(texts[:_NAMES]) + (f" and {left:,} more" if left > 0 else "")


def _show(faults: Sequence[Fault], warnings: Sequence[str], *, as_json: bool) -> int:
    if as_json:
        found = [asdict(fault) | {"mend": fault.mend} for fault in faults]
        print(json.dumps({"well": not faults, "faults": found, "warnings": list(warnings)}, indent=1))
        return NOT_WELL if faults else DONE
    for fault in faults:
        print("\n".join(_wrapped(f"! {fault.about}: {fault.cause}")))
        print("\n".join(_wrapped(f"  mend: {fault.mend}")))
    for warning in warnings:
        print("\n".join(_wrapped(f"note: {warning}")))
    if not faults:
        print("\n".join(_wrapped(_ALL_IS_WELL)))
    return NOT_WELL if faults else DONE


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(printable(shortened(text)), WIDTH, subsequent_indent="    ", break_on_hyphens=False)


def faults_of(checks: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """The faults that the checks of `ready` name."""
    return without_consequences([Fault(check["name"], check["detail"]) for check in checks if not check["ok"]])
