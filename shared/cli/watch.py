"""`coverage`, `freshness`, `preview` and `backfill`: what is exported, whether it flows, what an export would send.

Exit codes: 0 all well, 1 an error, a failed job, or with `--check` what is not well or not known, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli import watch_tables
from shared.cli.app_context import add_target
from shared.cli.argument_parser import moment, one_of
from shared.cli.command_services import ApiCommand, add_scope, caller_name, failed, with_services
from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.job_results import shortfall
from shared.cli.time_limit import WHETHER_TAKEN, following, go_on_by, got_on
from shared.clock import utc_text
from shared.exports.event_sources import KINDS

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient
    from shared.jobs.model import Job

Commands = Any  # argparse has no public name for what add_subparsers returns
_POLL_SECONDS = 1.0
_HIGHEST_PRICE = 1_000


def register(commands: Commands) -> None:
    """Add the four commands."""
    coverage = commands.add_parser("coverage", help="which subscription exports what, to where, and if that suffices")
    add_scope(coverage)
    coverage.add_argument("--requirements", type=Path, metavar="FILE", help="requirements of one's own, beside CIS")
    coverage.add_argument("--unmet", action="store_true", help="only subscriptions that miss a requirement")
    coverage.add_argument("--details", action="store_true", help="every automation, its filter and its findings")
    coverage.add_argument(
        "--check", action="store_true", help="end with 1 unless all was seen, and judged, and meets what is required"
    )
    coverage.add_argument("--json", action="store_true")
    add_target(coverage)
    coverage.set_defaults(run=_read_requirements)

    freshness = commands.add_parser("freshness", help="who sends which kind, since when, and who has gone silent")
    add_scope(freshness)
    freshness.add_argument("--now", action="store_true", help="check now, as the timer does, instead of the latest")
    freshness.add_argument("--as-of", type=moment, metavar="TIME", help="judge as of this time; nothing is written")
    freshness.add_argument("--kind", type=one_of(*KINDS), metavar="KIND", help=f"only this kind: {', '.join(KINDS)}")
    words = watch_tables.ATTENTION
    freshness.add_argument("--verdict", type=one_of(*words), metavar="VERDICT", help=f"only: {', '.join(words)}")
    freshness.add_argument(
        "--check", action="store_true", help="end with 1 when one of those is silent, or that is not known"
    )
    freshness.add_argument("--all", action="store_true", help="also those in order")
    freshness.add_argument("--json", action="store_true")
    add_target(freshness)
    freshness.set_defaults(run=with_services(_freshness, _by_app("freshness")))

    preview = commands.add_parser("preview", help="how many present records an export would send")
    preview.add_argument("export", metavar="FILE|NAME", help="an export file, or the name of a stored export")
    add_scope(preview)
    preview.add_argument("--price", type=_price, metavar="PER_GB", help="what a GB costs where the tables are")
    preview.add_argument("--json", action="store_true")
    add_target(preview)
    preview.set_defaults(run=with_services(_preview, _by_app("preview")))

    backfill = commands.add_parser("backfill", help="send the present records to the tables: streaming never does")
    add_scope(backfill)
    backfill.add_argument(
        "--kind", type=one_of(*KINDS), action="append", default=[], metavar="KIND", help="only this kind; repeatable"
    )
    backfill.add_argument("--export", metavar="NAME", help="only what this stored export would send")
    backfill.add_argument("--follow", metavar="JOB", help="follow a job that was started before")
    backfill.add_argument("--detach", action="store_true", help="start it and leave")
    backfill.add_argument("--json", action="store_true")
    add_target(backfill)
    backfill.set_defaults(run=with_services(_backfill, _by_app("backfill")))


def _by_app(name: str) -> ApiCommand:
    """The command of this name as a question to the app."""

    async def ask(arguments: argparse.Namespace, api: ApiClient) -> int:
        from shared.cli import watch_by_app

        command: ApiCommand = getattr(watch_by_app, name)
        return await command(arguments, api)

    return ask


def _read_requirements(arguments: argparse.Namespace) -> int:
    """Look at the file of requirements, if any, before anything else is asked."""
    from shared.watch.cis_benchmark import CIS
    from shared.watch.requirements_file import read_requirements

    arguments.judged = [CIS]
    if arguments.requirements:
        file = arguments.requirements
        arguments.judged += read_requirements(file.read_bytes(), str(file)).requirements
    return with_services(_coverage, _by_app("coverage"))(arguments)


async def _coverage(arguments: argparse.Namespace, services: Services) -> int:
    from shared.muting.mutes import Part
    from shared.watch.cis_benchmark import CIS
    from shared.watch.coverage_document import coverage_row
    from shared.watch.requirement_checks import judge, with_proof

    requirements = arguments.judged
    survey = await services.tenant_state.take()
    chosen = {each.id.lower() for each in survey.below(arguments.subscription, arguments.management_group)}
    covered = [each for each in survey.coverage if each.subscription_id.lower() in chosen]
    broken = (await services.open_items.newest(datetime.now(UTC))).broken
    verdicts = with_proof(judge(covered, requirements, broken), await services.proven(), CIS.name)
    unmet = Counter(verdict.requirement for verdict in verdicts if not verdict.met)
    failing = {verdict.subscription_id for verdict in verdicts if not verdict.met}
    muting, now = await services.muting(survey), datetime.now(UTC)
    muted = {each: by.as_dict() for each in failing if (by := muting.of([Part(each.lower())], now))}
    above = {each.id: list(reversed(each.ancestors)) for each in survey.subscriptions}
    count = len(requirements)
    rows = [
        coverage_row(each, above.get(each.subscription_id, ()), verdicts[index * count : (index + 1) * count])
        | {"muted": muted.get(each.subscription_id)}
        for index, each in enumerate(covered)
        if not arguments.unmet or each.subscription_id in failing
    ]
    if arguments.json:
        about = {"generated": utc_text(survey.taken), "complete": survey.complete, "reasons": list(survey.reasons)}
        about["muteTrouble"] = muting.trouble
        print(json.dumps({**about, "unmet": dict(unmet), "value": rows}, indent=1))
    else:
        watch_tables.warn(survey.reasons)
        watch_tables.say(muting.trouble)
        watch_tables.show_coverage(rows, details=arguments.details)
        for requirement in requirements:
            met = len(covered) - unmet[requirement.name]
            watch_tables.show_met(requirement.name, met, len(covered), requirement.description)
        watch_tables.show_muted(len(muted))
    well = survey.complete and covered and not failing - muted.keys()
    return NOT_WELL if arguments.check and not well else DONE


async def _freshness(arguments: argparse.Namespace, services: Services) -> int:
    from shared.muting.mutes import parts_of

    if arguments.now or arguments.as_of:
        document = await services.check_freshness(as_of=arguments.as_of)
    else:
        latest = await services.freshness.latest()
        if latest is None:
            return failed("nothing was checked yet; `freshness --now` does it now")
        document = {
            **latest,
            "reasons": [*latest["reasons"], *watch_tables.overdue(latest["checked"], datetime.now(UTC))],
        }
    places = await _places(arguments, services)
    muting, now = await services.muting(), arguments.as_of or datetime.now(UTC)
    hub = services.settings.event_hub_resource_id
    judged = [
        {**each, "muted": by.as_dict() if by else None}
        for each in document["health"]
        for by in (muting.of(parts_of(each["subscription_id"], each["export"], hub), now),)
    ]
    document = {**document, "health": judged, "muteTrouble": muting.trouble}
    health = watch_tables.wanted(judged, arguments, places)
    if arguments.json:
        print(json.dumps({**document, "health": health}, indent=1))
    else:
        narrowed = bool(arguments.verdict or arguments.kind or places is not None)
        watch_tables.show_freshness(document, health, everything=arguments.all or narrowed)
    return NOT_WELL if arguments.check and not watch_tables.all_flows(document, health, arguments) else DONE


async def _places(arguments: argparse.Namespace, services: Services) -> set[str] | None:
    """The lower-case ids of the subscriptions asked for; None for all."""
    if not arguments.subscription and not arguments.management_group:
        return None
    return set(await _subscriptions(arguments, services))


async def _preview(arguments: argparse.Namespace, services: Services) -> int:
    from shared.exports.model import parse_export
    from shared.jobs.export_choice import ExportChoice
    from shared.jobs.runners import preview, stored_choice

    file = _file(arguments.export)
    if file is not None:
        export = ExportChoice.of(parse_export(file, arguments.export))
    else:
        export = await stored_choice(services.exports, arguments.export)
    state = await services.tenant_state.take()
    chosen = export.of_those(state, arguments.subscription, arguments.management_group)
    watch_tables.show_preview(
        await preview(services.present, export, chosen, services.to_rows), arguments.price, as_json=arguments.json
    )
    return 0


def _price(text: str) -> float:
    """Of a GB; argparse says what is wrong."""
    try:
        price = float(text)
    except ValueError:
        price = -1
    if not 0 < price < _HIGHEST_PRICE:
        raise argparse.ArgumentTypeError(f"{text!r} is no price of a GB, such as 2.50")
    return price


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
    go_on_by(WHETHER_TAKEN)
    kind, checked = read_arguments({name: value for name, value in asked.items() if value})
    job = await services.jobs.submit(kind, checked, caller_name(), now=datetime.now(UTC))
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
        following(job_id)
        told = job.progress or job.state
        if told != said and not as_json:
            print(f"  {told}", flush=True)
        if said and told != said:
            got_on()
        said = told
        await asyncio.sleep(_POLL_SECONDS)
    if as_json:
        print(json.dumps(_as_dict(job), indent=1))
    elif job.result:
        watch_tables.show_backfill(job.state, job.result)
    else:
        print(f"{job.state}: {job.error}")
    return DONE if job.state == "succeeded" and not shortfall(job.kind, job.result) else NOT_WELL


def _as_dict(job: Job) -> dict[str, Any]:
    return {"job": job.id, "state": job.state, "error": job.error, "result": job.result}
