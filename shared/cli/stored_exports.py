"""`exports`, `claim` and `pull`: the stored files, what people say about them, and who writes.

Exit codes: 0 done, 1 refused or a failure, 2 wrong usage.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli import stored_by_app, stored_files
from shared.cli.app_context import add_target
from shared.cli.command_services import caller_name, failed, with_services
from shared.cli.questions import confirmed
from shared.clock import utc_text

if TYPE_CHECKING:
    from shared.bootstrap import Services


def register(commands: Any) -> None:
    """Add these commands."""
    exports = commands.add_parser("exports", help="the stored export files: look at them, end them")
    below = exports.add_subparsers(title="commands", dest="exports_command", required=True, metavar="COMMAND")
    listing = below.add_parser("list", help="every stored export, and what is wrong with it")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(run=with_services(_list, stored_by_app.exports))
    get = below.add_parser("get", help="print a stored export as it was put")
    get.add_argument("name", help="the export's name")
    get.set_defaults(run=with_services(_get, stored_by_app.get))
    delete = below.add_parser("delete", help="delete a stored export, or end one whose file was lost")
    delete.add_argument("name", help="the export's name")
    delete.add_argument("--reason", default="", help="why; it is shown with the automations that go")
    _add_yes(delete)
    delete.set_defaults(run=with_services(_delete, stored_by_app.delete))
    accept = below.add_parser("accept", help="say that the store is meant as it is, after it was put back or refilled")
    _add_yes(accept)
    accept.set_defaults(run=with_services(_accept, stored_by_app.accept))

    claim = commands.add_parser("claim", help="take over the automations that another app wrote for this instance")
    claim.add_argument("--former", default="", metavar="INSTANCE_ID", help="also those of this former instance")
    _add_yes(claim)
    claim.set_defaults(run=with_services(_claim, stored_by_app.claim))

    pull = commands.add_parser("pull", help="write the stored export files into a folder, for a backup or for git")
    pull.add_argument("folder", type=Path)
    for parser in (listing, get, delete, accept, claim, pull):
        add_target(parser)
    pull.set_defaults(run=with_services(_pull, stored_by_app.pull))


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="without asking (for pipelines)")


async def _list(arguments: argparse.Namespace, services: Services) -> int:
    rows = [
        {"name": entry.name, "etag": entry.etag, "size": entry.size, "modified": utc_text(entry.modified)}
        for entry in await services.exports.list()
    ]
    loaded = await services.exports.load_all()
    problems = [
        {
            "name": problem.name,
            "inForce": problem.in_force,
            "findings": [finding.as_dict() for finding in problem.findings],
        }
        for problem in loaded.problems
    ]
    warnings = [finding.as_dict() for finding in loaded.warnings]
    stored_files.show_exports({"value": rows, "problems": problems, "warnings": warnings}, as_json=arguments.json)
    return 0


async def _get(arguments: argparse.Namespace, services: Services) -> int:
    from shared.exports.export_blobs import ExportNotFound

    try:
        stored = await services.exports.get(arguments.name)
    except ExportNotFound:
        return failed(f"there is no stored export {arguments.name}: `exports list` shows them")
    print(stored.text.decode("utf-8", "backslashreplace"), end="")
    return 0


def _confirmed(arguments: argparse.Namespace, question: str) -> bool:
    return confirmed(question, agreed=arguments.yes)


async def _delete(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.command_services import person
    from shared.exports.export_blobs import ExportConflict, ExportNotFound

    name, reason = arguments.name, arguments.reason or f"by {caller_name()}"
    if not _confirmed(arguments, f"Delete the export {name}, and its automations with the next run?"):
        return 1
    by = await person(services)
    try:
        try:
            await services.exports.delete(name, reason=reason, by=by)
            print(f"{name}: deleted; the next run removes its automations, within the guards")
        except ExportNotFound:
            await services.exports.end(name, reason=reason, by=by)
            print(f"{name}: has no file, and is ended; the next run removes its automations, within the guards")
    except (ExportConflict, ExportNotFound) as error:
        return failed(str(error))
    return 0


async def _accept(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.command_services import person

    listed = [entry.name for entry in await services.exports.list()]
    print(f"{len(listed)} stored export files: {', '.join(listed) or 'none'}")
    if not _confirmed(arguments, "Are these all files that should be in force?"):
        return 1
    number = await services.reconciler.accept_store(await person(services))
    print(f"the store is accepted; its number is {number} now")
    return 0


async def _claim(arguments: argparse.Namespace, services: Services) -> int:
    from shared.reconcile.plan.plan_render import terminal
    from shared.reconcile.report.run_report import Caller
    from shared.reconcile.run import Request

    request = Request(Caller("cli", caller_name()), claim=True, former_instance=arguments.former)
    planned = await services.reconciler.plan(replace(request, keep=False))
    print(terminal(planned.plan, colour=False))
    if not planned.plan.writes:
        print("there is nothing to take over")
        return 0
    question = f"Stop the other app first. Take these over for {services.reconciler.writer_name}?"
    if not _confirmed(arguments, question):
        return 1
    report = await services.reconciler.apply(request)
    print(f"{report.outcome}: {report.counts['Updated']} taken over{f'; {report.reason}' if report.reason else ''}")
    return 0 if report.outcome == "Succeeded" else 1


async def _pull(arguments: argparse.Namespace, services: Services) -> int:
    """Write each stored file as it is, valid or not; names are checked, so that none leaves the folder."""
    stored = {entry.name: (await services.exports.get(entry.name)).text for entry in await services.exports.list()}
    stored_files.write_folder(arguments.folder, stored)
    print(f"{len(stored)} files; dead letters, jobs, reports and what freshness has seen are not among them")
    return 0
