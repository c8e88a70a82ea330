"""`plan`, `apply` and `status`: what reconcile would do, do it, and what the last runs did.

Exit codes: 0 all well, 1 an error or a run that did not fully succeed, 2 wrong usage; `plan --detailed-exitcode` ends
with 0 when there is nothing to do and all is in force, 2 when there are changes and nothing else, and 1 whenever
something is incomplete, blocked, unreadable, unknown or not judged, also beside changes.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.command_services import add_scope, failed, with_services

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.reconcile.apply.executor import Outcome
    from shared.reconcile.plan.guards import Guards
    from shared.reconcile.plan.model import Plan
    from shared.reconcile.report.run_report import Caller, Report

Commands = Any  # argparse has no public name for what add_subparsers returns
CHANGES = 2


def register(commands: Commands) -> None:
    """Add the three commands."""
    plan = commands.add_parser("plan", help="show what apply would do, without writing")
    _common(plan)
    form = plan.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="the plan as JSON")
    form.add_argument("--markdown", action="store_true", help="the plan as Markdown, for a pull request")
    plan.add_argument("--out", type=Path, metavar="FILE", help="also keep the plan, for `apply FILE`")
    plan.add_argument(
        "--detailed-exitcode", action="store_true", help="0 all in force, 1 not all well, 2 changes alone"
    )
    plan.set_defaults(run=with_services(_plan))

    apply = commands.add_parser("apply", help="make the subscriptions as the export files declare")
    _common(apply)
    apply.add_argument("plan", nargs="?", type=Path, metavar="PLAN", help="a kept plan; refused when it no longer fits")
    apply.add_argument("--json", action="store_true", help="the run's report as JSON")
    apply.set_defaults(run=with_services(_apply))

    status = commands.add_parser("status", help="the last runs and how they ended")
    status.add_argument("run_id", nargs="?", help="show this run's report")
    status.add_argument("--json", action="store_true")
    status.add_argument("--limit", type=int, default=10)
    status.set_defaults(run=with_services(_status))


def _common(parser: argparse.ArgumentParser) -> None:
    add_scope(parser)
    parser.add_argument("--export", action="append", default=[], metavar="NAME", help="only this export; repeatable")
    parser.add_argument("--max-deletes", type=int, metavar="N", help="replaces MAX_DELETES for this run")
    parser.add_argument("--max-change-percent", type=int, metavar="N", help="replaces MAX_CHANGE_PERCENT for this run")
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


async def _plan(arguments: argparse.Namespace, services: Services) -> int:
    from shared.reconcile.plan.plan_render import markdown
    from shared.reconcile.plan.saved_plan import plan_as_dict

    # A plan that is kept is reviewed before it is carried out, so that nothing in it waits for a grace.
    report = await services.reconciler.plan(_request(arguments, reviewable=bool(arguments.out)))
    document = plan_as_dict(report.plan, report.instance_id)
    if arguments.out:
        arguments.out.write_text(json.dumps(document, indent=1), encoding="utf-8")
    if arguments.json:
        print(json.dumps(document, indent=1))
    elif arguments.markdown:
        print(markdown(report.plan))
    else:
        _show(report.plan, arguments)
        _show_unreadable(report)
        for each in report.in_force:
            print(each)
    return detailed_exit_code(report) if arguments.detailed_exitcode else 0


def detailed_exit_code(report: Report) -> int:
    """0 nothing to do and all in force, 2 changes and nothing else, 1 whenever anything else is the matter."""
    if report.in_doubt:
        return 1
    return CHANGES if report.outcome != "Succeeded" else 0


async def _apply(arguments: argparse.Namespace, services: Services) -> int:
    from shared.reconcile.plan.saved_plan import StalePlan, plan_from_dict

    reviewed = None
    if arguments.plan:
        document = json.loads(arguments.plan.read_text(encoding="utf-8"))
        reviewed = plan_from_dict(document, services.reconciler.instance_id)
    progress = None if arguments.json else _progress
    try:
        report = await services.reconciler.apply(_request(arguments, reviewed=reviewed, progress=progress))
    except StalePlan as stale:
        return failed(stale)
    if arguments.json:
        print(json.dumps(report.as_dict(), indent=1))
    else:
        if report.skipped:
            print(report.skipped)
        for reason in (*report.plan.reasons, *report.plan.guards, *report.plan.findings, *report.plan.warnings):
            print(f"! {reason}")
        _show_unreadable(report)
        counts = ", ".join(f"{number} {name.lower()}" for name, number in report.counts.items() if number)
        for each in report.in_force:
            print(each)
        print(f"{report.outcome}: {counts or 'nothing to do'} (run {report.run_id})")
    return 0 if report.outcome == "Succeeded" else 1


async def _status(arguments: argparse.Namespace, services: Services) -> int:
    reports = services.reconciler.reports
    if arguments.run_id:
        report = await reports.read(arguments.run_id)
        if report is None:
            return failed(f"there is no run {arguments.run_id}")
        print(json.dumps(report, indent=1))
        return 0
    runs = [await reports.read(run_id) for run_id in await reports.recent(datetime.now(UTC), arguments.limit)]
    found = [report for report in runs if report]
    if arguments.json:
        print(json.dumps(found, indent=1))
        return 0
    for report in found:
        counts = ", ".join(f"{number} {name.lower()}" for name, number in report["counts"].items() if number)
        reason = f": {report['reason']}" if report["reason"] else ""
        print(f"{report['started']}  {report['runId']}  {report['mode']:5}  {report['outcome']}{reason}  ({counts})")
    return 0


def _request(
    arguments: argparse.Namespace,
    *,
    reviewed: Plan | None = None,
    progress: Callable[[Outcome], None] | None = None,
    reviewable: bool = False,
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
        guards=_guards(arguments),
        accept_fewer=arguments.accept_fewer,
        progress=progress,
        waive_grace=reviewable,
    )


def _guards(arguments: argparse.Namespace) -> Callable[[Guards], Guards]:
    """The settings' guards, with what the command line replaces."""
    from dataclasses import replace

    given = {
        "max_deletes": arguments.max_deletes,
        "max_change_percent": arguments.max_change_percent,
    }
    return lambda guards: replace(guards, **{name: value for name, value in given.items() if value is not None})


def _caller() -> Caller:
    from shared.reconcile.report.run_report import Caller

    return Caller("cli", getpass.getuser())


def _show(plan: Plan, arguments: argparse.Namespace) -> None:
    from shared.reconcile.plan.plan_render import terminal

    print(terminal(plan, colour=sys.stdout.isatty() and not arguments.no_color and "NO_COLOR" not in os.environ))


def _show_unreadable(report: Report) -> None:
    for name, why in report.unreadable.items():
        print(f"! the file of {name} is invalid, and nothing of it is changed: {why}")


def _progress(outcome: Outcome) -> None:
    reason = f": {outcome.reason}" if outcome.reason else ""
    print(f"{outcome.status.value.replace('_', ' '):12} {outcome.id} [{outcome.export}]{reason}", flush=True)
