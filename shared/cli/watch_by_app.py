"""`coverage`, `freshness`, `preview` and `backfill` as questions to the app."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.cli import watch_tables
from shared.cli.exit_codes import DONE, NOT_WELL, UsageError
from shared.cli.exports import is_file
from shared.cli.job_results import shortfall
from shared.cli.reconcile_by_app import progress
from shared.cli.subscriptions_by_app import ids_of, places, subscriptions

if TYPE_CHECKING:
    from shared.cli.api_client import ApiClient

_HEALTH = {"subscription_id": "subscriptionId", "last_seen": "lastSeen"}


async def coverage(arguments: argparse.Namespace, api: ApiClient) -> int:
    """What each subscription exports, and whether that suffices."""
    if arguments.requirements:
        raise UsageError("requirements of one's own are judged by `coverage --direct --requirements FILE`")
    chosen = await places(arguments.subscription, arguments.management_group, api)
    everything, first = await api.listing("coverage", limit="1000")
    rows = [row for row in everything if chosen is None or row["subscriptionId"].lower() in chosen]
    unmet = Counter(verdict["requirement"] for row in rows for verdict in row["verdicts"] if not verdict["met"])
    names = list(dict.fromkeys(verdict["requirement"] for row in rows for verdict in row["verdicts"]))
    failing = [row for row in rows if not all(each["met"] for each in row["verdicts"])]
    raised = [row for row in failing if not row.get("muted")]
    shown = [row for row in rows if not arguments.unmet or not all(each["met"] for each in row["verdicts"])]
    if arguments.json:
        about = {name: first[name] for name in ("generated", "complete", "reasons")}
        print(json.dumps({**about, "unmet": dict(unmet), "value": shown}, indent=1))
    else:
        watch_tables.warn(first["reasons"])
        watch_tables.say(first.get("muteTrouble", ""))
        watch_tables.show_coverage(shown, details=arguments.details)
        for name in names:
            watch_tables.show_met(name, len(rows) - unmet[name], len(rows))
        watch_tables.show_muted(len(failing) - len(raised))
    well = first["complete"] and rows and not raised
    return NOT_WELL if arguments.check and not well else DONE


async def freshness(arguments: argparse.Namespace, api: ApiClient) -> int:
    """The verdicts of the app's latest check."""
    if arguments.now or arguments.as_of:
        raise UsageError("the app's timer checks; a check of another time or right now needs `freshness --direct`")
    listed, page = await api.listing("freshness", limit="1000")
    if page["checked"] is None:
        raise ValueError("nothing was checked yet: the app's timer does it within the hour")
    chosen = await places(arguments.subscription, arguments.management_group, api)
    names = {one.id.lower(): one.name for one in await subscriptions(api)}
    everything = [_health(row, names) for row in listed]
    health = watch_tables.wanted(everything, arguments, chosen)
    reasons = [*page.get("reasons", []), *watch_tables.overdue(page["checked"], datetime.now(UTC))]
    document = {"checked": page["checked"], "reasons": reasons, "health": everything}
    document["muteTrouble"] = page.get("muteTrouble", "")
    if arguments.json:
        print(json.dumps({**document, "health": health}, indent=1))
    else:
        narrowed = bool(arguments.verdict or arguments.kind or chosen is not None)
        watch_tables.show_freshness(document, health, everything=arguments.all or narrowed)
    return NOT_WELL if arguments.check and not watch_tables.all_flows(document, health, arguments) else DONE


def _health(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    back = {given: name for name, given in _HEALTH.items()}
    found = {back.get(name, name): value for name, value in row.items()}
    return found | {"name": names.get(found["subscription_id"].lower(), "")}


async def preview(arguments: argparse.Namespace, api: ApiClient) -> int:
    """How many present records a stored export would send."""
    if is_file(arguments.export):
        raise UsageError("a file is previewed by `preview --direct FILE`; through the app, a stored export by its name")
    job = {"kind": "preview", "export": arguments.export, **await _scope(arguments, api)}
    result = (await _done(job, api))["result"]
    watch_tables.show_preview(result, arguments.price, as_json=arguments.json)
    return DONE


async def backfill(arguments: argparse.Namespace, api: ApiClient) -> int:
    """Let the app send the present records."""
    if arguments.follow:
        job = await api.document("GET", f"jobs/{arguments.follow}", (200, 202))
    else:
        asked: dict[str, Any] = {"kind": "backfill", **await _scope(arguments, api)}
        asked |= {"kinds": arguments.kind} if arguments.kind else {}
        asked |= {"export": arguments.export} if arguments.export else {}
        job = await api.start(asked)
        if arguments.detach:
            told = f"job {job['id']}; `backfill --follow {job['id']}` follows it"
            print(json.dumps({"job": job["id"]}) if arguments.json else told)
            return DONE
        if not arguments.json:
            print(f"job {job['id']}: the app works on it, whether this command goes on or not", flush=True)
    ended = await api.finished(job, progress())
    if arguments.json:
        print(
            json.dumps(
                {"job": ended["id"], **{name: ended.get(name) for name in ("state", "error", "result")}}, indent=1
            )
        )
    elif result := ended.get("result"):
        watch_tables.show_backfill(ended["state"], result)
    else:
        print(f"{ended['state']}: {ended['error'] or ended['trouble']}")
    return DONE if ended["state"] == "succeeded" and not shortfall("backfill", ended.get("result")) else NOT_WELL


async def _scope(arguments: argparse.Namespace, api: ApiClient) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    if arguments.subscription:
        scope["subscriptions"] = await ids_of(arguments.subscription, api)
    if arguments.management_group:
        scope["managementGroups"] = arguments.management_group
    return scope


async def _done(asked: dict[str, Any], api: ApiClient) -> dict[str, Any]:
    """A job that the app has carried out.

    Raises:
        ValueError: it failed; the message says why.
    """
    job = await api.start(asked)
    ended = await api.finished(job, progress())
    if ended["state"] != "succeeded":
        raise ValueError(ended["error"] or ended["trouble"] or f"the job {ended['id']} is {ended['state']}")
    return ended
