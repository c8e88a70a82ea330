"""`defender-export push`: export files that passed their checks, into the store or through the HTTP API.

Exit codes: 0 everything is as the files say, 1 a file is invalid, a test failed or a write was refused, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from shared import __version__
from shared.cli.app_context import add_target, chosen
from shared.cli.exports import add_paths, check_files, print_failures, print_findings, run_tests, usage
from shared.cli.questions import confirmed
from shared.cli.time_limit import run_limited

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig
    from shared.exports.store import ExportStore
    from shared.exports.validation import Checked
    from shared.reconcile.report.report_store import Reports


class PushTarget(Protocol):
    """Where `push` puts files: the store itself, or something that stands in front of it.

    `beside` has what is put or deleted (None) in the same turn, as far as the target can take it into account.
    """

    beside: dict[str, ExportConfig | None]

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """The stored text and its ETag; None when there is no export of this name."""

    async def write(self, name: str, text: bytes, etag: str | None) -> None:
        """Replace the version of that ETag, or create when None; raises `ExportConflict` when it is another."""

    async def release(self) -> str:
        """The release of the app that will read the files; empty when it does not say."""

    async def refusal(self, name: str, text: bytes) -> str:
        """Why the app would not take this version; empty when it would, or where only it can say so later."""

    async def names(self) -> dict[str, str]:
        """The ETag of each stored export by name."""

    async def delete(self, name: str, etag: str) -> None:
        """Delete that version; raises `ExportConflict` when the stored one is another."""


def register(commands: Any) -> None:
    """Add the command."""
    push = commands.add_parser("push", help="validate and test files, then write them to the store")
    add_paths(push)
    push.add_argument("--dry-run", action="store_true", help="show what would be written")
    push.add_argument("--prune", action="store_true", help="delete stored exports that are not among the files")
    push.add_argument("--yes", action="store_true", help="delete without asking (for pipelines)")
    add_target(push)
    push.set_defaults(run=_push)


def _push(arguments: argparse.Namespace) -> int:
    from shared.exports.diagnostics import errors

    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        return usage(error)
    outcomes, _ = run_tests(checked, findings)
    print_findings(findings)
    print_failures(outcomes)
    if errors(findings) or any(not outcome["passed"] for outcome in outcomes):
        print("nothing was pushed: mend the files first", file=sys.stderr)
        return 1
    return run_limited(_push_to_target(checked, arguments), arguments)


async def _push_to_target(checked: Sequence[Checked], arguments: argparse.Namespace) -> int:
    async with _target(arguments) as target:
        pushed = {file.config.name for file in checked if file.config}
        if arguments.prune:
            target.beside |= dict.fromkeys(set(await target.names()) - pushed)
        code = await push_files(checked, target, dry_run=arguments.dry_run)
        if code or not arguments.prune:
            return code
        return await prune(pushed, target, confirm=_confirm(arguments), dry_run=arguments.dry_run)


def _confirm(arguments: argparse.Namespace) -> Callable[[Sequence[str]], bool]:
    def ask(names: Sequence[str]) -> bool:
        question = f"Delete {', '.join(names)}, and their automations with the next run?"
        return confirmed(question, agreed=arguments.yes, nothing="nothing was deleted")

    return ask


async def prune(
    pushed: Collection[str], target: PushTarget, *, confirm: Callable[[Sequence[str]], bool], dry_run: bool = False
) -> int:
    """Delete what is stored and not among the files that were pushed, each in the version listed; the exit code.

    An empty list of files prunes nothing: `push` has refused it before.
    """
    from shared.exports.export_blobs import ExportConflict

    stored = await target.names()
    extra = sorted(set(stored) - set(pushed))
    if dry_run or not extra:
        for name in extra:
            print(f"{name}: would be deleted")
        return 0
    if not confirm(extra):
        return 1
    refused = 0
    for name in extra:
        try:
            await target.delete(name, stored[name])
        except ExportConflict:
            refused += 1
            print(f"{name}: kept: another writer changed it meanwhile; push again")
        else:
            print(f"{name}: deleted")
    return 1 if refused else 0


async def push_files(checked: Sequence[Checked], target: PushTarget, *, dry_run: bool = False) -> int:
    """Write files that passed their checks to `target`, and print what became of each; the exit code.

    The app is asked about every file first: one that it would not take stops all of them, so that none is half-way in.
    """
    from shared.exports.export_blobs import ExportConflict

    target.beside |= {file.config.name: file.config for file in checked if file.config}
    if not await _all_taken(checked, target):
        print("nothing was pushed")
        return 1
    refused = 0
    for file in checked:
        if file.config is None:
            continue
        name = file.config.name
        text = file.text.encode() if isinstance(file.text, str) else file.text
        stored = await target.read(name)
        change = "created" if stored is None else "unchanged" if stored[0] == text else "updated"
        if change != "unchanged" and not dry_run:
            try:
                await target.write(name, text, stored[1] if stored else None)
            except ExportConflict:
                refused, change = refused + 1, "refused: another writer changed it meanwhile; push again"
        print(f"{name}: {'would be ' if dry_run and change != 'unchanged' else ''}{change}")
    return 1 if refused else 0


async def _all_taken(checked: Sequence[Checked], target: PushTarget) -> bool:
    """Whether the app takes every file; prints why not."""
    release = await target.release()
    if release != __version__:
        print(f"the app is of release {release or '(it does not say)'}, this command line of {__version__}")
    taken = True
    for file in checked:
        if file.config is None:
            continue
        text = file.text.encode() if isinstance(file.text, str) else file.text
        if refusal := await target.refusal(file.config.name, text):
            print(f"{file.config.name}: the app would refuse it: {refusal}")
            taken = False
    return taken


@asynccontextmanager
async def _target(arguments: argparse.Namespace) -> AsyncIterator[PushTarget]:
    """The app that is asked, or the storage account that the environment names, with the caller's own identity."""
    from shared.cli.api_client import open_api
    from shared.cli.command_services import person
    from shared.cli.direct import open_services

    context = chosen(arguments)
    if context is not None:
        async with open_api(context) as target:
            yield target
        return
    async with open_services() as services:
        yield StoreTarget(services.exports, services.reconciler.reports, await person(services))


class StoreTarget:
    """The store as a target of `push`."""

    def __init__(self, store: ExportStore, reports: Reports | None = None, by: str = "") -> None:
        self.beside: dict[str, ExportConfig | None] = {}
        self._store = store
        self._by = by
        self._reports = reports

    async def release(self) -> str:
        """See `PushTarget`; the newest run's report tells."""
        if self._reports is None:
            return __version__
        for report in await self._reports.summaries(await self._reports.recent(datetime.now(UTC), limit=1)):
            return str(report["release"])
        return __version__  # no app has run yet

    async def refusal(self, name: str, text: bytes) -> str:
        """See `PushTarget`."""
        from shared.exports.diagnostics import errors

        return "; ".join(map(str, errors((await self._store.check(name, text, self.beside)).findings)))

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """See `PushTarget`."""
        from shared.exports.export_blobs import ExportNotFound

        try:
            stored = await self._store.get(name)
        except ExportNotFound:
            return None
        return stored.text, stored.etag

    async def write(self, name: str, text: bytes, etag: str | None) -> None:
        """See `PushTarget`."""
        absent = None if etag else "*"
        await self._store.put(
            name, text, if_match=etag, if_none_match=absent, accept=False, beside=self.beside, by=self._by
        )

    async def names(self) -> dict[str, str]:
        """See `PushTarget`."""
        return {entry.name: entry.etag for entry in await self._store.list()}

    async def delete(self, name: str, etag: str) -> None:
        """See `PushTarget`."""
        from shared.exports.export_blobs import ExportNotFound

        with suppress(ExportNotFound):  # what is gone already need not go
            await self._store.delete(name, if_match=etag, by=self._by)
