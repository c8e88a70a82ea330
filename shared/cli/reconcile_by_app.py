"""`plan`, `apply` and `status` as questions to the app: with its settings, its guards and its identity."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.cli import run_outcomes
from shared.cli.command_services import colour_wanted, moment_text
from shared.cli.exit_codes import CHANGES, DONE, NOT_WELL, UsageError
from shared.cli.questions import confirmed
from shared.cli.subscriptions_by_app import ids_of
from shared.cli.time_limit import got_on

if TYPE_CHECKING:
    from shared.cli.api_client import ApiClient

_WRITES = ("create", "update", "adopt", "delete")


async def plan(arguments: argparse.Namespace, api: ApiClient) -> int:
    """What a reconcile of the app would change, of what is stored or of the files at hand."""
    if arguments.keep:
        raise UsageError("the app keeps the plans of its own runs: `runs` lists them; --direct keeps this one")
    files = {path.as_posix(): path.read_text("utf-8-sig") for path in arguments.found} if arguments.paths else None
    asked = _asked(arguments) | ({"files": files, "prune": arguments.prune} if files else {})
    answer = await api.document("POST", "plan", json=asked | {"output": arguments.output})
    if arguments.out:
        arguments.out.write_text(json.dumps(answer["plan"], indent=1), encoding="utf-8")
    print(answer["shown"])
    changes = _writes(answer["plan"]) or answer["plan"]["guards"]
    return CHANGES if arguments.detailed_exitcode and changes else DONE


async def approve(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Let the plan of a run through."""
    found = await api.document("POST", "approvals", (200, 201), json={"runId": arguments.run_id})
    print(f"approved: the plan of run {arguments.run_id}, by {found['by']} until {moment_text(found['expires'])}")
    return DONE


async def apply(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Show the app's plan, ask, let the app carry out that plan and no other, and say how that ended."""
    answer = await api.document("POST", "plan", json=_asked(arguments))
    if arguments.document is not None:
        _refuse_another(arguments.document, answer["plan"])
    if not arguments.json:
        print(answer["shown"], flush=True)
        agreed = arguments.yes or arguments.document is not None
        if _writes(answer["plan"]) and not agreed and not _agreed(answer["plan"]):
            return NOT_WELL
    bound = {"kind": "reconcile", "fingerprint": answer["plan"]["fingerprint"]} | await _scope(arguments, api)
    job = await api.start(bound)
    ended = await api.finished(job, progress())
    if ended["state"] != "succeeded":
        raise ValueError(f"the job {ended['id']} {ended['state']}: {ended['error'] or ended['trouble']}")
    report = ended["result"]
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(run_outcomes.told(report, everything=arguments.full)))
    return DONE if report["outcome"] == "Succeeded" else NOT_WELL


async def status(arguments: argparse.Namespace, api: ApiClient) -> int:
    """The app's last runs, or the report of one."""
    if arguments.run_id:
        report = await api.document("GET", f"runs/{_name(arguments.run_id)}")
        print(json.dumps(report, indent=1) if arguments.json else "\n".join(run_outcomes.told(report)))
        return DONE
    page = await api.document("GET", "runs", params={"limit": str(arguments.limit)})
    if arguments.json:
        print(json.dumps(page["value"], indent=1))
    else:
        print("\n".join(line for run in page["value"] for line in run_outcomes.listed(run)) or run_outcomes.NO_RUNS)
    return DONE


def progress() -> Callable[[str], None]:
    """Says on a terminal what a job does, when that is something new; nothing in a pipe."""
    said = ""

    def tell(text: str) -> None:
        nonlocal said
        if said and text != said:
            got_on()
        if text != said and sys.stderr.isatty():
            print(f"  {text}", file=sys.stderr, flush=True)
        said = text

    return tell


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    asked = {
        "subscriptions": arguments.subscription,
        "managementGroups": arguments.management_group,
        "exports": arguments.export,
        "causes": arguments.cause,
        "maxDeletes": arguments.max_deletes,
        "maxChangePercent": arguments.max_change_percent,
        "acceptFewer": arguments.accept_fewer,
        "full": arguments.full,
        "colour": colour_wanted(refused=arguments.no_color),
    }
    return {name: value for name, value in asked.items() if value or (value == 0 and value is not False)}


async def _scope(arguments: argparse.Namespace, api: ApiClient) -> dict[str, Any]:
    asked = _asked(arguments)
    scope = {name: value for name, value in asked.items() if name not in {"full", "colour"}}
    if arguments.subscription:
        scope["subscriptions"] = await ids_of(arguments.subscription, api)
    return scope


def _writes(document: dict[str, Any]) -> int:
    counts = document["counts"]
    return sum(number for action, number in counts.items() if action in _WRITES)


def _agreed(document: dict[str, Any]) -> bool:
    subscriptions = {item["id"].split("/")[2].lower() for item in document["items"] if item["action"] in _WRITES}
    number = f"{len(subscriptions)} subscription" + ("" if len(subscriptions) == 1 else "s")
    return confirmed(f"Carry this out in {number}?", agreed=False, nothing="nothing was applied")


def _refuse_another(kept: dict[str, Any], now: dict[str, Any]) -> None:
    """Hold a kept plan against what the app would do now.

    Raises:
        ValueError: the kept one is none, of another instance, was edited, or no longer fits.
    """
    from shared.reconcile.plan.saved_plan import StalePlan, plan_from_dict, refuse_if_stale

    instance = now["instanceId"]
    try:
        refuse_if_stale(plan_from_dict(kept, instance), plan_from_dict(now, instance))
    except StalePlan as stale:
        raise ValueError(str(stale)) from None


def _name(text: str) -> str:
    """A name from the command line as one segment of a path."""
    from urllib.parse import quote

    return quote(text, safe="")
