"""`jobs`: what the app was asked to do.

Exit codes: 0 done, 1 refused, failed, or the job that was waited for did not succeed; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.argument_parser import whole_number
from shared.cli.command_services import caller_name, failed, moment_text, with_services
from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.job_results import shortfall
from shared.cli.questions import confirmed
from shared.cli.reconcile_by_app import progress
from shared.cli.tables import print_table
from shared.cli.time_limit import following
from shared.clock import utc_text
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

_HEAD = ("created", "job", "kind", "state", "by")


def register(commands: Any) -> None:
    """Add the command."""
    jobs = commands.add_parser("jobs", help="what the app was asked to do on demand")
    below = jobs.add_subparsers(title="commands", dest="jobs_command", required=True, metavar="COMMAND")
    listing = below.add_parser("list", help="the newest jobs")
    listing.add_argument("--limit", type=whole_number(1, 200), default=20, metavar="N", help="how many; 20 by default")
    show = below.add_parser("show", help="one job with its result")
    show.add_argument("id", help="the job's id")
    show.add_argument("--wait", action="store_true", help="until it has ended")
    cancel = below.add_parser("cancel", help="end a job; what it has done by then stays")
    cancel.add_argument("id", help="the job's id")
    cancel.add_argument("--yes", action="store_true", help="without asking (for pipelines)")
    for parser in (listing, show):
        parser.add_argument("--json", action="store_true")
    for parser, direct, by_app in (
        (listing, _list_jobs, _list_jobs_by_app),
        (show, _show_job, _show_job_by_app),
        (cancel, _cancel_job, _cancel_job_by_app),
    ):
        add_target(parser)
        parser.set_defaults(run=with_services(direct, by_app))


async def _list_jobs(arguments: argparse.Namespace, services: Services) -> int:
    found = await services.jobs.page(datetime.now(UTC), size=arguments.limit)
    rows = [
        {
            "id": job.id,
            "kind": job.kind,
            "state": job.state,
            "actor": job.actor,
            "created": utc_text(job.created),
            "error": job.error or job.trouble,
        }
        for job in found.jobs
    ]
    return _print_jobs(rows, as_json=arguments.json)


async def _list_jobs_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    page = await api.document("GET", "jobs", params={"limit": str(arguments.limit)})
    return _print_jobs(page["value"], as_json=arguments.json)


def _print_jobs(rows: list[dict[str, Any]], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(rows, indent=1))
    elif not rows:
        print("no job yet")
    else:
        lines = [(moment_text(row["created"]), row["id"], row["kind"], row["state"], row["actor"]) for row in rows]
        print_table(_HEAD, lines)
    return DONE


async def _show_job(arguments: argparse.Namespace, services: Services) -> int:
    import asyncio

    tell = progress()
    while not (job := await services.jobs.settled(arguments.id, datetime.now(UTC))).final and arguments.wait:
        following(arguments.id)
        tell(job.progress or job.state)
        await asyncio.sleep(1)
    document = {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "arguments": dict(job.arguments),
        "actor": job.actor,
        "created": utc_text(job.created),
        "progress": job.progress,
        "error": job.error or job.trouble,
        "result": job.result,
    }
    return _print_job(document, as_json=arguments.json, waited=arguments.wait)


async def _show_job_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    job = await api.document("GET", f"jobs/{_one_segment(arguments.id)}", (200, 202))
    if arguments.wait:
        job = await api.finished(job, progress())
    return _print_job(job, as_json=arguments.json, waited=arguments.wait)


def _print_job(job: Mapping[str, Any], *, as_json: bool, waited: bool) -> int:
    left = shortfall(job["kind"], job.get("result"))
    if as_json:
        print(json.dumps(job, indent=1))
    else:
        print(
            f"{job['kind']} {job['id']}: {job['state']}, asked for at {moment_text(job['created'])} by {job['actor']}"
        )
        for name in ("progress", "error"):
            if job.get(name):
                print(f"  {name}: {job[name]}")
        if left:
            print(f"  not all was done: {printable(left)}")
        if job.get("arguments"):
            print(f"  arguments: {json.dumps(job['arguments'])}")
        if job.get("result"):
            print("  --json shows its result")
    return NOT_WELL if waited and (job["state"] != "succeeded" or left) else DONE


async def _cancel_job(arguments: argparse.Namespace, services: Services) -> int:
    from shared.jobs.store import JobEndedError

    if not _sure(arguments):
        return NOT_WELL
    try:
        job = await services.jobs.cancel(arguments.id, caller_name())
    except JobEndedError as ended:
        return failed(f"nothing is left to cancel of this job: {ended}")
    return _told_cancelled(job.id, job.state)


async def _cancel_job_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    if not _sure(arguments):
        return NOT_WELL
    job = await api.document("POST", f"jobs/{_one_segment(arguments.id)}/cancel", (200, 202))
    return _told_cancelled(job["id"], job["state"])


def _sure(arguments: argparse.Namespace) -> bool:
    return confirmed(f"Cancel {arguments.id}? What it has done by now stays.", agreed=arguments.yes)


def _told_cancelled(job: str, state: str) -> int:
    ended = state == "cancelled"
    print(f"{job}: cancelled" if ended else f"{job}: its worker ends it soon; `jobs show {job} --wait` follows it")
    return DONE


def _one_segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
