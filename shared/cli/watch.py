"""`coverage`, `freshness`, `preview` and `backfill`: what is exported, whether it flows, what an export would send.

Exit codes: 0 all well, 1 an error, a failed job, or with `coverage --check` an unmet requirement, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.argument_parser import moment, one_of
from shared.cli.command_services import add_scope, failed, moment_text, with_services
from shared.cli.exit_codes import DONE, NOT_WELL
from shared.exports.event_sources import KINDS

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.jobs.model import Job

Commands = Any  # argparse has no public name for what add_subparsers returns
_POLL_SECONDS = 1.0
_SHOWN_IDS = 2
_ATTENTION = ("silent", "quiet", "not observable", "fresh")


def register(commands: Commands) -> None:
    """Add the four commands."""
    coverage = commands.add_parser("coverage", help="which subscription exports what, to where, and if that suffices")
    add_scope(coverage)
    coverage.add_argument("--requirements", type=Path, metavar="FILE", help="requirements of one's own, beside CIS")
    coverage.add_argument("--unmet", action="store_true", help="only subscriptions that miss a requirement")
    coverage.add_argument("--details", action="store_true", help="every automation, its filter and its findings")
    coverage.add_argument("--check", action="store_true", help="end with 1 when a requirement is unmet")
    coverage.add_argument("--json", action="store_true")
    coverage.set_defaults(run=with_services(_coverage))

    freshness = commands.add_parser("freshness", help="who sends which kind, since when, and who has gone silent")
    add_scope(freshness)
    freshness.add_argument("--now", action="store_true", help="check now, as the timer does, instead of the latest")
    freshness.add_argument("--as-of", type=moment, metavar="TIME", help="judge as of this time; nothing is written")
    freshness.add_argument("--kind", type=one_of(*KINDS), metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    freshness.add_argument(
        "--verdict", type=one_of(*_ATTENTION), metavar="VERDICT", help=f"only: {', '.join(_ATTENTION)}"
    )
    freshness.add_argument("--check", action="store_true", help="end with 1 when one of those is silent")
    freshness.add_argument("--all", action="store_true", help="also those in order")
    freshness.add_argument("--json", action="store_true")
    freshness.set_defaults(run=with_services(_freshness))

    preview = commands.add_parser("preview", help="how many present records an export would send")
    preview.add_argument("export", metavar="FILE|NAME", help="an export file, or the name of a stored export")
    add_scope(preview)
    preview.add_argument("--json", action="store_true")
    preview.set_defaults(run=with_services(_preview))

    backfill = commands.add_parser("backfill", help="send the present records to the tables: streaming never does")
    add_scope(backfill)
    backfill.add_argument(
        "--kind", type=one_of(*KINDS), action="append", default=[], metavar="KIND", help="only this kind; repeatable"
    )
    backfill.add_argument("--export", metavar="NAME", help="only what this stored export would send")
    backfill.add_argument("--follow", metavar="JOB", help="follow a job that was started before")
    backfill.add_argument("--detach", action="store_true", help="start it and leave")
    backfill.add_argument("--json", action="store_true")
    backfill.set_defaults(run=with_services(_backfill))


async def _coverage(arguments: argparse.Namespace, services: Services) -> int:
    from shared.watch.cis_benchmark import CIS
    from shared.watch.coverage_document import coverage_row
    from shared.watch.requirement_checks import judge
    from shared.watch.requirements_file import read_requirements

    requirements = [CIS]
    if arguments.requirements:
        requirements += read_requirements(arguments.requirements.read_bytes(), str(arguments.requirements))
    survey = await services.tenant_state.take()
    chosen = {each.id.lower() for each in survey.below(arguments.subscription, arguments.management_group)}
    covered = [each for each in survey.coverage if each.subscription_id.lower() in chosen]
    verdicts = judge(covered, requirements)
    unmet = Counter(verdict.requirement for verdict in verdicts if not verdict.met)
    failing = {verdict.subscription_id for verdict in verdicts if not verdict.met}
    above = {each.id: list(reversed(each.ancestors)) for each in survey.subscriptions}
    count = len(requirements)
    rows = [
        coverage_row(each, above.get(each.subscription_id, ()), verdicts[index * count : (index + 1) * count])
        for index, each in enumerate(covered)
        if not arguments.unmet or each.subscription_id in failing
    ]
    if arguments.json:
        about = {"generated": survey.taken.isoformat(), "complete": survey.complete, "reasons": list(survey.reasons)}
        print(json.dumps({**about, "unmet": dict(unmet), "value": rows}, indent=1))
    else:
        _warn(survey.reasons)
        _show_coverage(rows, details=arguments.details)
        for requirement in requirements:
            met = len(covered) - unmet[requirement.name]
            print(f"{requirement.name}: met by {met} of {len(covered)} subscriptions ({requirement.description})")
    return NOT_WELL if arguments.check and unmet else DONE


def _show_coverage(rows: Sequence[Mapping[str, Any]], *, details: bool) -> None:
    lines: list[tuple[str, ...]] = []
    for row in sorted(rows, key=lambda row: str(row["subscription"])):
        automations = {each["automation"]: each["owner"] for found in row["sources"].values() for each in found}
        owners = Counter(automations.values())
        missing = [f"{each['requirement']}: {each['reason']}" for each in row["verdicts"] if not each["met"]]
        lines.append((
            row["subscription"], str(owners["ours"]), str(owners["foreign"]), _kinds(row["sources"]),
            "; ".join(missing) or "met",
        ))  # fmt: skip
        if details:
            lines += [_exporter_line(source, each) for source, found in row["sources"].items() for each in found]
    _table(("subscription", "ours", "foreign", "kinds exported", "requirements"), lines)


def _kinds(sources: Mapping[str, Any]) -> str:
    from shared.exports.event_sources import KINDS, SNAPSHOT

    live = {name for name, found in sources.items() if any(each["enabled"] for each in found)}
    kinds = [kind for kind in KINDS if kind in live or kind + SNAPSHOT in live]
    return "all" if len(kinds) == len(KINDS) else ", ".join(kinds) or "none"


def _exporter_line(source: str, exporter: Mapping[str, Any]) -> tuple[str, ...]:
    where = ", ".join(destination.rsplit("/", 1)[-1] for destination in exporter["destinations"]) or "nowhere"
    state = "" if exporter["enabled"] else " (disabled)"
    partly = "" if exporter["wholeSubscription"] else " of some resource groups"
    findings = f" [{', '.join(exporter['findings'])}]" if exporter["findings"] else ""
    name = exporter["automation"].rsplit("/", 1)[-1]
    return f"  {source}", "", "", f"{name}{state}: {exporter['filter']}{partly} -> {where}{findings}", ""


async def _freshness(arguments: argparse.Namespace, services: Services) -> int:
    if arguments.now or arguments.as_of:
        document = await services.check_freshness(as_of=arguments.as_of)
    else:
        latest = await services.freshness.latest()
        if latest is None:
            return failed("nothing was checked yet; `freshness --now` does it now")
        document = latest
    places = await _places(arguments, services)
    health = [
        each
        for each in document["health"]
        if arguments.verdict in {None, each["verdict"]}
        and arguments.kind in {None, each["kind"]}
        and (places is None or each["subscription_id"].lower() in places)
    ]
    if arguments.json:
        print(json.dumps({**document, "health": health}, indent=1))
    else:
        narrowed = bool(arguments.verdict or arguments.kind or places is not None)
        _show_freshness(document, health, everything=arguments.all or narrowed)
    silent = any(each["verdict"] == "silent" for each in health)
    return NOT_WELL if arguments.check and silent else DONE


async def _places(arguments: argparse.Namespace, services: Services) -> set[str] | None:
    """The lower-case ids of the subscriptions asked for; None for all."""
    if not arguments.subscription and not arguments.management_group:
        return None
    return set(await _subscriptions(arguments, services))


def _show_freshness(document: Mapping[str, Any], health: Sequence[Mapping[str, Any]], *, everything: bool) -> None:
    order = {verdict: rank for rank, verdict in enumerate(_ATTENTION)}
    shown = [each for each in health if everything or each["verdict"] == "silent"]
    shown.sort(
        key=lambda each: (order.get(each["verdict"], len(order)), each["name"] or each["subscription_id"], each["kind"])
    )
    lines = [
        (
            each["name"] or each["subscription_id"], each["kind"], each["verdict"],
            moment_text(each["since"]), moment_text(each["last_seen"]) or "never", each["reason"],
        )
        for each in shown
    ]  # fmt: skip
    if lines:
        _table(("subscription", "kind", "verdict", "since", "last seen", "reason"), lines)
    for reason in document["reasons"]:
        print(f"! {reason}; what follows from it is not judged")
    counts = Counter(each["verdict"] for each in document["health"])
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in _ATTENTION if counts[verdict])
    print(f"checked {moment_text(document['checked'])}: {told or 'no export sends to the hub that this app reads'}")
    for each in document.get("stored", ()):
        lost = each["uploaded"] - each["stored"]
        if lost > 0:
            held = f"{each['stored']:,} of {each['uploaded']:,} rows of {each['day']}"
            print(f"! {each['table']} holds {held}: {lost:,} accepted rows are not in it")


async def _preview(arguments: argparse.Namespace, services: Services) -> int:
    from shared.exports.compiler import compile_sources
    from shared.exports.model import parse_export
    from shared.jobs.runners import preview, stored_sources

    file = _file(arguments.export)
    if file is not None:
        sources = compile_sources(parse_export(file, arguments.export))
    else:
        sources = await stored_sources(services.exports, arguments.export)
    subscriptions = await _subscriptions(arguments, services)
    result = await preview(services.present, sources, subscriptions)
    if arguments.json:
        print(json.dumps(result, indent=1))
        return 0
    _warn(result["reasons"])
    _table(
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
    return 0


def _file(path: str) -> bytes | None:
    return Path(path).read_bytes() if Path(path).is_file() else None


async def _subscriptions(arguments: argparse.Namespace, services: Services) -> list[str]:
    survey = await services.tenant_state.take()
    chosen = survey.below(arguments.subscription, arguments.management_group)
    return sorted(subscription.id.lower() for subscription in chosen)


async def _backfill(arguments: argparse.Namespace, services: Services) -> int:
    from shared.jobs.arguments import read_arguments

    if arguments.follow:
        return await _follow(arguments.follow, services, as_json=arguments.json)
    asked = {
        "kind": "backfill",
        "subscriptions": arguments.subscription,
        "managementGroups": arguments.management_group,
        "kinds": arguments.kind,
        "export": arguments.export,
    }
    kind, checked = read_arguments({name: value for name, value in asked.items() if value})
    job = await services.jobs.submit(kind, checked, f"cli {getpass.getuser()}", now=datetime.now(UTC))
    if arguments.detach:
        told = f"job {job.id}; `backfill --follow {job.id}` follows it"
        print(json.dumps({"job": job.id}) if arguments.json else told)
        return 0
    if not arguments.json:
        print(f"job {job.id}: the app works on it, whether this command goes on or not", flush=True)
    return await _follow(job.id, services, as_json=arguments.json)


async def _follow(job_id: str, services: Services, *, as_json: bool) -> int:
    """Say what the job does until it is done."""
    said = ""
    while not (job := await services.jobs.settled(job_id, datetime.now(UTC))).final:
        told = job.progress or job.state
        if told != said and not as_json:
            print(f"  {told}", flush=True)
        said = told
        await asyncio.sleep(_POLL_SECONDS)
    if as_json:
        print(json.dumps(_as_dict(job), indent=1))
    elif job.result:
        _warn(job.result.get("reasons", ()))
        print(f"{job.state}: {job.result['records']:,} records of {job.result['subscriptions']} subscriptions")
    else:
        print(f"{job.state}: {job.error}")
    return 0 if job.state == "succeeded" else 1


def _as_dict(job: Job) -> dict[str, Any]:
    return {"job": job.id, "state": job.state, "error": job.error, "result": job.result}


def _warn(reasons: Iterable[str]) -> None:
    for reason in reasons:
        print(f"! {reason}; what follows may not be all")


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[column]) for line in (head, *lines)) for column in range(len(head) - 1)]
    for line in (head, *lines):
        cells = [f"{text:{width}}" for text, width in zip(line, widths, strict=False)]
        print("  ".join([*cells, line[-1]]).rstrip())
