"""`exports delete`, `exports accept`, `claim` and `pull`: what people say about stored files and about who writes.

Exit codes: 0 done, 1 refused or a failure, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import getpass
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.command_services import failed, with_services
from shared.cli.questions import confirmed

if TYPE_CHECKING:
    from shared.bootstrap import Services


def register(commands: Any) -> None:
    """Add these commands."""
    exports = commands.add_parser("exports", help="say what is meant about stored export files")
    below = exports.add_subparsers(title="commands", dest="exports_command", required=True)
    delete = below.add_parser("delete", help="delete a stored export, or end one whose file was lost")
    delete.add_argument("name", help="the export's name")
    delete.add_argument("--reason", default="", help="why; it is shown with the automations that go")
    _add_yes(delete)
    delete.set_defaults(run=with_services(_delete))
    accept = below.add_parser("accept", help="say that the store is meant as it is, after it was put back or refilled")
    _add_yes(accept)
    accept.set_defaults(run=with_services(_accept))

    claim = commands.add_parser("claim", help="take over the automations that another app wrote for this instance")
    claim.add_argument("--former", default="", metavar="INSTANCE_ID", help="also those of this former instance")
    _add_yes(claim)
    claim.set_defaults(run=with_services(_claim))

    pull = commands.add_parser("pull", help="write the stored export files into a folder, for a backup or for git")
    pull.add_argument("folder", type=Path)
    pull.set_defaults(run=with_services(_pull))


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="without asking (for pipelines)")


def _confirmed(arguments: argparse.Namespace, question: str) -> bool:
    return confirmed(question, agreed=arguments.yes)


async def _delete(arguments: argparse.Namespace, services: Services) -> int:
    from shared.cli.command_services import person
    from shared.exports.export_blobs import ExportConflict, ExportNotFound

    name, reason = arguments.name, arguments.reason or f"by {getpass.getuser()}"
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
    listed = [entry.name for entry in await services.exports.list()]
    print(f"{len(listed)} stored export files: {', '.join(listed) or 'none'}")
    if not _confirmed(arguments, "Are these all files that should be in force?"):
        return 1
    print(f"the store is accepted; its number is {await services.reconciler.accept_store()} now")
    return 0


async def _claim(arguments: argparse.Namespace, services: Services) -> int:
    from shared.reconcile.plan.plan_render import terminal
    from shared.reconcile.report.run_report import Caller
    from shared.reconcile.run import Request

    request = Request(Caller("cli", getpass.getuser()), claim=True, former_instance=arguments.former)
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
    _write(arguments.folder, stored)
    print(f"{len(stored)} files; dead letters, jobs, reports and what freshness has seen are not among them")
    return 0


def _write(folder: Path, stored: Mapping[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in stored.items():
        file = folder / f"{name}.yaml"
        same = file.is_file() and file.read_bytes() == text
        if not same:
            file.write_bytes(text)
        print(f"{file}: {'unchanged' if same else 'written'}")
    for other in sorted(path for path in folder.glob("*.y*ml") if path.stem not in stored):
        print(f"{other}: is not in the store, and was left")
