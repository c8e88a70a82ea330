"""Export files from a terminal: validate, test, compile, schema, push.

Exit codes: 0 every file is in order (warnings allowed), 1 a file is invalid, a test failed or a push was refused,
2 wrong usage.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shared.exports.check import Checked
    from shared.exports.findings import Finding
    from shared.exports.store import ExportStore

_SUFFIXES = {".yaml", ".yml"}


class PushTarget(Protocol):
    """Where `push` puts files: the store itself, or something that stands in front of it."""

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """The stored text and its ETag; None when there is no export of this name."""

    async def write(self, name: str, text: bytes, etag: str | None) -> None:
        """Replace the version of that ETag, or create when None; raises `ExportConflict` when it is another."""


def register(commands: Any) -> None:
    """Add this group's commands."""
    validate = commands.add_parser("validate", help="check export files")
    _add_paths(validate)
    validate.add_argument("--json", action="store_true", help="print findings as JSON")
    validate.set_defaults(run=_validate)

    test = commands.add_parser("test", help="run the tests that export files carry")
    _add_paths(test)
    test.add_argument("--json", action="store_true", help="print outcomes as JSON")
    test.set_defaults(run=_test)

    compile_ = commands.add_parser("compile", help="print the automation that a file becomes in a subscription")
    compile_.add_argument("file", type=Path)
    compile_.add_argument("--subscription", required=True, help="subscription id")
    compile_.add_argument("--instance", default="default", help="instance id of the deployment (INSTANCE_ID)")
    compile_.add_argument("--explain", action="store_true", help="say in English what is exported instead")
    compile_.set_defaults(run=_compile)

    schema = commands.add_parser("schema", help="print the JSON Schema of export files, for editors")
    schema.set_defaults(run=_schema)

    push = commands.add_parser("push", help="validate and test files, then write them to the store")
    _add_paths(push)
    push.add_argument("--dry-run", action="store_true", help="show what would be written")
    push.set_defaults(run=_push)


def _add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="path", help="export files, or folders of them")


def find_files(paths: Iterable[Path]) -> list[Path]:
    """The export files among `paths` and, at any depth, in the folders among them.

    Raises:
        FileNotFoundError: a path does not exist, or a folder holds no export file.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file()) if path.is_dir() else [path]
        if not files or not files[0].exists():
            raise FileNotFoundError(f"{path}: no export file here")
        found |= dict.fromkeys(files)
    return list(found)


def check_files(paths: Iterable[Path]) -> tuple[list[Checked], list[Finding]]:
    """Every file checked, and all findings: of each file, then of the files together."""
    from shared.exports.check import check_text, check_together

    checked = [check_text(path.read_bytes(), path.as_posix()) for path in find_files(paths)]
    findings = [finding for file in checked for finding in file.findings]
    return checked, findings + check_together([(file.source, file.config) for file in checked if file.config])


def _validate(arguments: argparse.Namespace) -> int:
    from shared.exports.findings import errors

    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        return _usage(error)
    wrong = len(errors(findings))
    if arguments.json:
        summary = {"files": len(checked), "errors": wrong, "warnings": len(findings) - wrong}
        print(json.dumps(summary | {"findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        _print(findings)
        print(f"{_count(len(checked), 'file')}: {_count(wrong, 'error')}, {_count(len(findings) - wrong, 'warning')}")
    return 1 if wrong else 0


def _test(arguments: argparse.Namespace) -> int:
    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        return _usage(error)
    outcomes, unreadable = _run_tests(checked, findings)
    failed = sum(not outcome["passed"] for outcome in outcomes)
    if arguments.json:
        print(json.dumps({"tests": len(outcomes), "failed": failed, "outcomes": outcomes}, indent=2))
    else:
        _print(unreadable)
        _print_failures(outcomes)
        print(f"{_count(len(outcomes), 'test')}: {failed} failed")
    return 1 if failed or unreadable else 0


def _run_tests(checked: Iterable[Checked], findings: Iterable[Finding]) -> tuple[list[dict[str, Any]], list[Finding]]:
    """Outcomes of every file's tests, and the errors that stand in the way of running them."""
    from shared.exports.check import run_tests
    from shared.exports.findings import errors

    outcomes = [
        {
            "file": file.source,
            "test": outcome.label,
            "passed": outcome.passed,
            "expected": outcome.expected,
            "reason": outcome.reason,
        }
        for file in checked
        if file.config
        for outcome in run_tests(file.config)
    ]
    return outcomes, errors(findings)


def _print_failures(outcomes: Iterable[dict[str, Any]]) -> None:
    for outcome in outcomes:
        if not outcome["passed"]:
            wanted, got = ("exported", "not exported") if outcome["expected"] else ("not exported", "exported")
            print(f"{outcome['file']}: {outcome['test']}: should be {wanted}, is {got}: {outcome['reason']}")


def _compile(arguments: argparse.Namespace) -> int:
    from shared.exports.compile import automation_id, compile_automation, compile_sources
    from shared.exports.rules import explain

    try:
        checked, findings = check_files([arguments.file])
    except OSError as error:
        return _usage(error)
    _print(findings, sys.stderr)
    config = checked[0].config
    if config is None or not checked[0].valid:
        return 1
    if arguments.explain:
        print("\n".join(explain(source) for source in compile_sources(config)))
        return 0
    body = compile_automation(config, arguments.subscription, arguments.instance)
    print(json.dumps({"id": automation_id(config, arguments.subscription)} | body, indent=2))
    return 0


def _schema(_: argparse.Namespace) -> int:
    from shared.exports.schema import export_schema

    print(json.dumps(export_schema(), indent=2))
    return 0


def _push(arguments: argparse.Namespace) -> int:
    from shared.exports.findings import errors
    from shared.settings import SettingsError

    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        return _usage(error)
    outcomes, _ = _run_tests(checked, findings)
    _print(findings)
    _print_failures(outcomes)
    if errors(findings) or any(not outcome["passed"] for outcome in outcomes):
        print("nothing was pushed")
        return 1
    try:
        return asyncio.run(_push_to_target(checked, arguments))
    except SettingsError as error:
        return _usage(error)


async def _push_to_target(checked: Sequence[Checked], arguments: argparse.Namespace) -> int:
    async with _target() as target:
        return await push_files(checked, target, dry_run=arguments.dry_run)


async def push_files(checked: Sequence[Checked], target: PushTarget, *, dry_run: bool = False) -> int:
    """Write files that passed their checks to `target`, and print what became of each; the exit code."""
    from shared.exports.store import ExportConflict

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
                refused, change = refused + 1, "refused: someone else changed it meanwhile; push again"
        print(f"{name}: {'would be ' if dry_run and change != 'unchanged' else ''}{change}")
    return 1 if refused else 0


@asynccontextmanager
async def _target() -> AsyncIterator[PushTarget]:
    """The store of the storage account that the environment names, with the caller's own identity."""
    from shared.services import Services
    from shared.settings import Settings

    services = Services(Settings.load())
    try:
        yield StoreTarget(services.exports)
    finally:
        await services.close()


class StoreTarget:
    """The store as a target of `push`."""

    def __init__(self, store: ExportStore) -> None:
        self._store = store

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """See `PushTarget`."""
        from shared.exports.store import ExportNotFound

        try:
            stored = await self._store.get(name)
        except ExportNotFound:
            return None
        return stored.text, stored.etag

    async def write(self, name: str, text: bytes, etag: str | None) -> None:
        """See `PushTarget`."""
        await self._store.put(name, text, if_match=etag, if_none_match=None if etag else "*")


def _print(findings: Iterable[Finding], stream: Any = None) -> None:
    for finding in findings:
        print(finding, file=stream)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _usage(error: Exception) -> int:
    print(error, file=sys.stderr)
    return 2
