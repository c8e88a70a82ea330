"""Coverage, freshness and previews as people read them on a terminal."""

from __future__ import annotations

import argparse
import json
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.cli.command_services import moment_text
from shared.cli.tables import print_table
from shared.clock import utc_moment
from shared.reconcile.plan.plan_render import WIDTH
from shared.shown_text import printable

ATTENTION = ("silent", "quiet", "not observable", "fresh")
_MUTED = "silent, muted"
_SHOWN_IDS = 2
STALE_CHECK = timedelta(days=1)


def show_coverage(rows: Sequence[Mapping[str, Any]], *, details: bool) -> None:
    """Print rows of coverage as columns; with `details` each automation below its subscription."""
    lines: list[tuple[str, ...] | str] = []
    for row in sorted(rows, key=lambda row: str(row["subscription"])):
        automations = {each["automation"]: each["owner"] for found in row["sources"].values() for each in found}
        owners = Counter(automations.values())
        missing = [f"{each['requirement']}: {each['reason']}" for each in row["verdicts"] if not each["met"]]
        missing += [muted_words(row.get("muted"))] if missing and row.get("muted") else []
        lines.append((
            row["subscription"], str(owners["ours"]), str(owners["foreign"]), _kinds(row["sources"]),
            "; ".join(missing) or "met",
        ))  # fmt: skip
        if details:
            lines += [_exporter_line(source, each) for source, found in row["sources"].items() for each in found]
    print_table(("subscription", "ours", "foreign", "kinds exported", "requirements"), lines)


def show_met(requirement: str, met: int, of: int, description: str = "") -> None:
    """Print how many subscriptions meet a requirement."""
    about = f" ({description})" if description else ""
    told = f"{requirement}: met by {met:,} of {of:,} subscriptions{about}"
    if not of:
        told = f"{requirement}: not judged, for no subscription was seen{about}"
    print("\n".join(textwrap.wrap(printable(told), WIDTH, subsequent_indent="    ", break_on_hyphens=False)))


def say(trouble: str) -> None:
    """Print a sentence that needs to be known, where there is one."""
    if trouble:
        print(printable(f"! {trouble}"))


def show_muted(count: int) -> None:
    """Print how many of those that miss a requirement are muted, where any is."""
    if count:
        whom = "subscription that misses" if count == 1 else "subscriptions that miss"
        print(f"{count:,} {whom} a requirement muted: --check does not count that")


def is_silent(health: Mapping[str, Any]) -> bool:
    """Whether a verdict is to be raised: it is silent, and not muted."""
    return health["verdict"] == "silent" and not health.get("muted")


def overdue(checked: str | None, now: datetime) -> list[str]:
    """Why the latest check says nothing of the present; nothing where it is a day old at most."""
    if checked is None or now - utc_moment(checked) <= STALE_CHECK:  # without a time the answer itself says so
        return []
    return [f"the last check was more than a day ago, at {moment_text(checked)}: does the timer fire?"]


def all_flows(document: Mapping[str, Any], health: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> bool:
    """Whether the check saw everything, judged what the options ask for, and found no silence that is not muted."""
    judged = document["health"] and (health or arguments.verdict)
    return bool(judged) and not document["reasons"] and not any(map(is_silent, health))


def muted_words(muted: Mapping[str, str] | None) -> str:
    """By whom something is muted, until when and why; empty where it is not."""
    if not muted:
        return ""
    return f"muted until {moment_text(muted['until'])} by {muted['owner']}: {muted['reason']}"


def _kinds(sources: Mapping[str, Any]) -> str:
    from shared.exports.event_sources import KINDS, SNAPSHOT

    live = {name for name, found in sources.items() if any(each["enabled"] for each in found)}
    kinds = [kind for kind in KINDS if kind in live or kind + SNAPSHOT in live]
    return "all" if len(kinds) == len(KINDS) else ", ".join(kinds) or "none"


def _exporter_line(source: str, exporter: Mapping[str, Any]) -> str:
    where = ", ".join(destination.rsplit("/", 1)[-1] for destination in exporter["destinations"]) or "nowhere"
    state = "" if exporter["enabled"] else " (disabled)"
    partly = "" if exporter["wholeSubscription"] else " of some resource groups"
    findings = f" [{', '.join(exporter['findings'])}]" if exporter["findings"] else ""
    name = exporter["automation"].rsplit("/", 1)[-1]
    return f"{source}: {name}{state}: {exporter['filter']}{partly} -> {where}{findings}"


def show_freshness(document: Mapping[str, Any], health: Sequence[Mapping[str, Any]], *, everything: bool) -> None:
    """Print verdicts as columns, those that need a look first, and the counts of all."""
    order = {verdict: rank for rank, verdict in enumerate(ATTENTION)}
    shown = [each for each in health if everything or each["verdict"] == "silent"]
    shown.sort(
        key=lambda each: (order.get(each["verdict"], len(order)), each["name"] or each["subscription_id"], each["kind"])
    )
    lines = [
        (
            each["name"] or each["subscription_id"], each["kind"], _verdict(each),
            moment_text(each["since"]), moment_text(each["last_seen"]) or "never",
            "; ".join(filter(None, (muted_words(each.get("muted")), each["reason"]))),
        )
        for each in shown
    ]  # fmt: skip
    if lines:
        print_table(("subscription", "kind", "verdict", "since", "last seen", "reason"), lines)
    say(document.get("muteTrouble", ""))
    for reason in document["reasons"]:
        print(f"! {reason}; what follows from it is not judged")
    counts = Counter(map(_verdict, document["health"]))
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in (*ATTENTION, _MUTED) if counts[verdict])
    print(f"checked {moment_text(document['checked'])}: {told or 'no export sends to the hub that this app reads'}")
    for each in document.get("notCompared", ()):
        print(f"! rows stored: {each}")
    for each in document.get("stored", ()):
        lost = each["uploaded"] - each["stored"]
        if lost > 0:
            held = f"{each['stored']:,} of {each['uploaded']:,} rows of {each['day']}"
            because = f" ({each['because']})" if each.get("because") else ""
            print(f"! {each['table']} holds {held}: {lost:,} accepted rows are not in it{because}")
        if delay := each.get("delay"):
            late = f"{delay['late']:,} of {delay['events']:,} events late" if delay["late"] else "no event late"
            print(f"  {each['table']}, {each['day']}: p50 {delay['p50']:g} s, p99 {delay['p99']:g} s, {late}")


def _verdict(health: Mapping[str, Any]) -> str:
    return _MUTED if health["verdict"] == "silent" and health.get("muted") else str(health["verdict"])


def show_backfill(state: str, result: Mapping[str, Any]) -> None:
    """Print what a job sent, and why that may not be all."""
    reasons = result.get("reasons", ())
    warn(reasons)
    how = f"{state} in part" if reasons else state
    print(f"{how}: {result['records']:,} records of {result['subscriptions']} subscriptions")


def show_preview(result: Mapping[str, Any], price: float | None, *, as_json: bool) -> None:
    """Print how many records each rule set would send, what rows those bring, and what they cost by a price of a GB."""
    volume = [_with_cost(each, price) for each in result.get("volume", ())]
    if as_json:
        print(json.dumps({**result, "volume": volume}, indent=1))
        return
    warn(result["reasons"])
    print_table(
        ("event source", "rule set", "records", "filter"),
        [
            (
                each["eventSource"],
                "" if each["ruleSet"] is None else str(each["ruleSet"] + 1),
                f"{each['records']:,}",
                each["filter"],
            )
            for each in result["counts"]
        ],
    )
    for each in result["counts"]:
        number = "" if each["ruleSet"] is None else f" {each['ruleSet'] + 1}"
        for example in each["examples"][:_SHOWN_IDS]:
            print(f"{each['eventSource']}{number}: {example}")
    print(
        f"{result['sent']:,} of {result['records']:,} records of {result['subscriptions']} subscriptions would be sent"
    )
    if volume:
        _show_volume(volume)


def _with_cost(volume: Mapping[str, Any], price: float | None) -> dict[str, Any]:
    if price is None:
        return dict(volume)
    size = volume["gigabytesAMonth"]
    return {**volume, "costAMonth": None if size is None else round(size * price, 2)}


def _show_volume(volume: Sequence[Mapping[str, Any]]) -> None:
    """What comes a month, at the least; a question mark where nothing tells."""
    columns = {
        "kind": "kind",
        "present": "present",
        "sent": "sent",
        "changedInThirtyDays": "changed in 30 days",
        "rowsAMonth": "rows a month",
        "bytesARow": "bytes a row",
        "gigabytesAMonth": "GB a month",
    }
    if "costAMonth" in volume[0]:
        columns["costAMonth"] = "cost a month"
    print()
    print_table(tuple(columns.values()), [tuple(_figure(each[name]) for name in columns) for each in volume])
    known = {name: [each[name] for each in volume if each[name] is not None] for name in columns}
    told = f"At least {sum(known['rowsAMonth']):,} rows and {sum(known['gigabytesAMonth']):.3g} GB a month"
    if "costAMonth" in columns:
        told += f", {sum(known['costAMonth']):,.2f} for their ingestion"
    unknown = [each["kind"] for each in volume if each["rowsAMonth"] is None or each["gigabytesAMonth"] is None]
    print(told + (f"; not known of {', '.join(unknown)}" if unknown else ""))


def _figure(value: Any) -> str:
    if value is None:
        return "?"
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"


def wanted(
    health: Iterable[Mapping[str, Any]], arguments: argparse.Namespace, places: set[str] | None
) -> list[Mapping[str, Any]]:
    """Those verdicts that the options ask for; `places` are lower-case subscription ids, None for all."""
    return [
        each
        for each in health
        if arguments.verdict in {None, each["verdict"]}
        and arguments.kind in {None, each["kind"]}
        and (places is None or each["subscription_id"].lower() in places)
    ]


def warn(reasons: Iterable[str]) -> None:
    """Say why what follows may not be all."""
    for reason in reasons:
        print(f"! {reason}; what follows may not be all")
