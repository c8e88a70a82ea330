"""`plan`, `apply`, `approve` and `status`: what reconcile would do, do it, let it through, and what the last runs did.

Exit codes: 0 all well, 1 an error or a run that did not fully succeed, 2 wrong usage; `plan --detailed-exitcode` ends
with 0 when there is nothing to do and all is in force, 2 when there are changes and nothing else, and 1 whenever
something is incomplete, blocked, unreadable, unknown or not judged, also beside changes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli import reconcile_by_app
from shared.cli.app_context import add_target
from shared.cli.argument_parser import whole_number
from shared.cli.command_services import add_scope, caller_name, colour_wanted, failed, with_services
from shared.cli.exit_codes import CHANGES, UsageError
from shared.cli.exports import check_files, find_files, print_failures, print_findings, run_tests, usage
from shared.cli.questions import confirmed
from shared.cli.time_limit import got_on
from shared.reconcile.plan_output import OUTPUTS

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.exports.last_known_good import LoadedExports
    from shared.exports.proposal import Proposal
    from shared.reconcile.apply.executor import Outcome
    from shared.reconcile.plan.change_limits import Guards
    from shared.reconcile.plan.model import Plan
    from shared.reconcile.plan_output import Wish
    from shared.reconcile.report.run_report import Caller, Report

Commands = Any  # argparse has no public name for what add_subparsers returns


def register(commands: Commands) -> None:
    """Add these commands."""
    plan = commands.add_parser("plan", help="show what apply would do, without writing")
    plan.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="plan these export files, or folders of them, as if pushed"
    )
    plan.add_argument(
        "--prune", action="store_true", help="with PATH: as if stored exports not among them were deleted"
    )
    _common(plan)
    add_target(plan)
    form = plan.add_mutually_exclusive_group()
    form.add_argument("--output", choices=OUTPUTS, default="text", help="the form of the plan; markdown fits a comment")
    form.add_argument("--json", action="store_const", const="json", dest="output", help="short for --output json")
    form.add_argument(
        "--markdown", action="store_const", const="markdown", dest="output", help="short for --output markdown"
    )
    plan.add_argument("--full", action="store_true", help="every automation with its whole id, whatever the length")
    plan.add_argument("--out", type=Path, metavar="FILE", help="also keep the plan, for `apply FILE`")
    plan.add_argument(
        "--keep", action="store_true", help="leave a report, for `approve`; else nothing is written anywhere"
    )
    plan.add_argument(
        "--detailed-exitcode", action="store_true", help="0 all in force, 1 not all well, 2 changes alone"
    )
    plan.set_defaults(run=_plan_files)

    apply = commands.add_parser("apply", help="make the subscriptions as the export files declare")
    _common(apply)
    add_target(apply)
    apply.add_argument("plan", nargs="?", type=Path, metavar="PLAN", help="a kept plan; refused when it no longer fits")
    apply.add_argument("--yes", action="store_true", help="carry out without asking (for pipelines)")
    apply.add_argument("--full", action="store_true", help="show every automation before and after")
    apply.add_argument("--json", action="store_true", help="the run's report as JSON, and nothing else")
    apply.set_defaults(run=_apply_kept)

    approve = commands.add_parser(
        "approve", help="let the plan of a run through, for the app's next run under RECONCILE_MODE=approve"
    )
    approve.add_argument("run_id", help="the run whose plan was reviewed; `plan` and `status` name it")
    add_target(approve)
    approve.set_defaults(run=with_services(_approve, reconcile_by_app.approve))

    status = commands.add_parser("status", aliases=["runs"], help="the last runs and how they ended")
    status.add_argument("run_id", nargs="?", help="show this run's report")
    status.add_argument("--json", action="store_true")
    status.add_argument("--limit", type=whole_number(1, 200), default=10, metavar="N", help="how many; 10 by default")
    add_target(status)
    status.set_defaults(run=with_services(_status, reconcile_by_app.status))


def _common(parser: argparse.ArgumentParser) -> None:
    add_scope(parser)
    parser.add_argument("--export", action="append", default=[], metavar="NAME", help="only this export; repeatable")
    parser.add_argument(
        "--max-deletes", type=whole_number(0, 100_000), metavar="N", help="replaces MAX_DELETES for this run"
    )
    parser.add_argument(
        "--max-change-percent",
        type=whole_number(0, 100),
        metavar="N",
        help="replaces MAX_CHANGE_PERCENT for this run",
    )
    parser.add_argument(
        "--accept-fewer", action="store_true", help="subscriptions or all export files are gone, and that is meant"
    )
    parser.add_argument(
        "--cause",
        action="append",
        default=[],
        choices=["release"],
        help="let through what waits for this cause: `release` is what this release would write otherwise",
    )
    parser.add_argument("--no-color", action="store_true", help="no colour, even on a terminal")


def _plan_files(arguments: argparse.Namespace) -> int:
    """Check the files that are to be planned, if any, as `push` does; then plan."""
    if not arguments.paths:
        if arguments.prune:
            return usage("--prune goes with files: `plan --prune exports/`")
        arguments.files = None
        return with_services(_plan, reconcile_by_app.plan)(arguments)
    if arguments.out:
        return usage("--out keeps a plan of what is stored, for `apply`: push the files first")
    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        return usage(error)
    outcomes, wrong = run_tests(checked, findings)
    print_findings(findings, sys.stderr)
    print_failures(outcomes, sys.stderr)
    if wrong or any(not outcome["passed"] for outcome in outcomes):
        print("nothing was planned: mend the files first", file=sys.stderr)
        return 1
    arguments.files = [file.config for file in checked if file.config]
    arguments.found = find_files(arguments.paths)
    return with_services(_plan, reconcile_by_app.plan)(arguments)


async def _plan(arguments: argparse.Namespace, services: Services) -> int:
    from shared.exports.proposal import propose
    from shared.reconcile.plan.saved_plan import plan_as_dict
    from shared.reconcile.plan_output import formed

    proposals: list[Proposal] = []

    def proposed(stored: LoadedExports) -> LoadedExports:
        proposals.append(propose(stored, arguments.files, prune=arguments.prune))
        return proposals[0].loaded

    # A plan that is kept is reviewed before it is carried out, so that nothing in it waits for a grace.
    request = _request(arguments, waive_grace=bool(arguments.out or arguments.keep))
    request = replace(request, keep=arguments.keep)
    if arguments.files is not None:
        request = replace(request, propose=proposed)
    report = await services.reconciler.plan(request)
    if arguments.out:
        document = plan_as_dict(report.plan, report.instance_id)
        arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    print(formed(report, proposals[0] if proposals else None, _wish(arguments)))
    if arguments.keep and arguments.output == "text" and report.plan.writes:
        print(f"Run {report.run_id}; where RECONCILE_MODE is approve: `defender-export approve {report.run_id}`.")
    return detailed_exit_code(report) if arguments.detailed_exitcode else 0


def detailed_exit_code(report: Report) -> int:
    """0 nothing to do and all in force, 2 changes and nothing else, 1 whenever anything else is the matter."""
    if report.in_doubt:
        return 1
    return CHANGES if report.outcome != "Succeeded" else 0


def _wish(arguments: argparse.Namespace) -> Wish:
    from shared.reconcile.plan_output import Wish

    narrowed = bool(arguments.subscription or arguments.management_group or arguments.export)
    colour = colour_wanted(refused=arguments.no_color)
    return Wish(getattr(arguments, "output", "text"), arguments.full, colour, narrowed)


def _apply_kept(arguments: argparse.Namespace) -> int:
    """Look at the file that should be a plan, if any; then apply."""
    if arguments.json and not (arguments.yes or arguments.plan):
        return usage("--json can't ask: give --yes, or a plan that `plan --out` kept")
    arguments.document = _kept_document(arguments.plan) if arguments.plan else None
    return with_services(_apply, reconcile_by_app.apply)(arguments)


async def _apply(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.progress import Progress
    from shared.reconcile.plan.saved_plan import StalePlan

    agreed = arguments.yes or arguments.document is not None
    progress = Progress(sys.stderr, "written")

    def planned(report: Report) -> None:
        if agreed and not arguments.json:
            print(_shown(report, arguments), flush=True)
        progress.total = len(report.plan.writes)

    def written(_: Outcome) -> None:
        progress.step()
        got_on()

    try:
        reviewed = _reviewed(arguments.document, services)
        if not agreed:
            proposed = await services.reconciler.plan(_request(arguments))
            print(_shown(proposed, arguments), flush=True)
            if proposed.plan.writes and not _confirmed(proposed):
                return 1
            reviewed = proposed.plan
        request = _request(
            arguments,
            reviewed=reviewed,
            planned=planned,
            progress=written,
            waive_grace=arguments.document is not None,
        )
        with progress:
            report = await services.reconciler.apply(request)
    except StalePlan as stale:
        return failed(stale)
    print(json.dumps(report.as_dict(), indent=1) if arguments.json else _ended(report, arguments))
    return 0 if report.outcome == "Succeeded" else 1


async def _approve(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.command_services import person
    from shared.reconcile.report.approvals import ApprovalRefused

    try:
        approval = await services.reconciler.approve(arguments.run_id, await person(services))
    except (ApprovalRefused, LookupError) as refusal:
        return failed(str(refusal))
    print(f"approved by {approval.by} until {approval.expires:%Y-%m-%d %H:%M} UTC: plan {approval.fingerprint}")
    return 0


def _kept_document(path: Path) -> dict[str, Any]:
    """What a file holds that should be a kept plan.

    Raises:
        UsageError: it is none; the message says what to do.
    """
    mend = "`plan --out FILE` writes one"
    if path.suffix in {".yaml", ".yml"} or path.is_dir():
        mend = f"`plan {path}` plans export files, `push {path}` stores them; `apply` takes no file then"
    try:
        document = None if path.is_dir() else json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UsageError(f"{path} is no plan: {mend}")
    return document


def _reviewed(document: dict[str, Any] | None, services: Services) -> Plan | None:
    from shared.reconcile.plan.saved_plan import plan_from_dict

    return None if document is None else plan_from_dict(document, services.reconciler.instance_id)


def _shown(report: Report, arguments: argparse.Namespace) -> str:
    from dataclasses import replace

    from shared.reconcile.plan_output import formed

    return formed(report, None, replace(_wish(arguments), output="text", narrowed=True))


def _confirmed(report: Report) -> bool:
    subscriptions = len({item.id.key[0] for item in report.plan.writes})
    told = f"{subscriptions} subscription" + ("" if subscriptions == 1 else "s")
    return confirmed(f"Carry this out in {told}?", agreed=False, nothing="nothing was applied")


def _ended(report: Report, arguments: argparse.Namespace) -> str:
    """How a run ended: what was not done, by reason, and the counts."""
    from shared.cli import run_outcomes

    if report.skipped:
        return f"{report.outcome}: {report.skipped}"
    lines = run_outcomes.every(report) if arguments.full else run_outcomes.unfinished(report)
    counts = ", ".join(f"{number:,} {name.lower()}" for name, number in report.counts.items() if number)
    lines += run_outcomes.not_in_force(report)
    return "\n".join([*lines, f"{report.outcome}: {counts or 'nothing to do'} (run {report.run_id})"])


async def _status(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli import run_outcomes

    reports = services.reconciler.reports
    if arguments.run_id:
        report = await reports.read(arguments.run_id)
        if report is None:
            return failed(f"there is no run {arguments.run_id}: `status` lists them")
        print(json.dumps(report, indent=1) if arguments.json else "\n".join(run_outcomes.told(report)))
        return 0
    found = await reports.summaries(await reports.recent(datetime.now(UTC), arguments.limit))
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    print("\n".join(line for report in found for line in run_outcomes.listed(report)) or run_outcomes.NO_RUNS)
    return 0


def _request(
    arguments: argparse.Namespace,
    *,
    reviewed: Plan | None = None,
    planned: Callable[[Report], None] | None = None,
    progress: Callable[[Outcome], None] | None = None,
    waive_grace: bool = False,
) -> Any:
    from shared.reconcile.plan.model import Cause
    from shared.reconcile.run import Request

    return Request(
        _caller(),
        subscriptions=arguments.subscription or None,
        management_groups=arguments.management_group or None,
        exports=arguments.export or None,
        causes=[Cause(cause) for cause in arguments.cause],
        reviewed=reviewed,
        planned=planned,
        guards=_guards(arguments),
        accept_fewer=arguments.accept_fewer,
        progress=progress,
        waive_grace=waive_grace,
    )


def _guards(arguments: argparse.Namespace) -> Callable[[Guards], Guards]:
    """The settings' guards, with what the command line replaces."""
    from shared.reconcile.plan.change_limits import raised

    return partial(raised, max_deletes=arguments.max_deletes, percent=arguments.max_change_percent)


def _caller() -> Caller:
    from shared.reconcile.report.run_report import Caller

    return Caller("cli", caller_name().removeprefix("cli ") or "cli")
