"""Export files from a terminal: validate, test, compile, migrate, schema.

Exit codes: 0 every file is in order (warnings allowed), 1 a file is invalid or a test failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.argument_parser import subscription_id
from shared.cli.command_errors import sentence
from shared.cli.exit_codes import USAGE

if TYPE_CHECKING:
    from shared.exports.diagnostics import Diagnostic
    from shared.exports.validation import Checked

_SUFFIXES = {".yaml", ".yml"}


def register(commands: Any) -> None:
    """Add this group's commands."""
    validate = commands.add_parser("validate", help="check export files")
    add_paths(validate)
    validate.add_argument("--json", action="store_true", help="print findings as JSON")
    validate.set_defaults(run=_validate)

    test = commands.add_parser("test", help="run the tests that export files carry")
    add_paths(test)
    test.add_argument("--json", action="store_true", help="print outcomes as JSON")
    test.set_defaults(run=_test)

    compile_ = commands.add_parser("compile", help="print the automation that a file becomes in a subscription")
    compile_.add_argument("file", type=Path)
    compile_.add_argument("--subscription", type=subscription_id, metavar="ID", help="subscription id")
    compile_.add_argument(
        "--instance",
        default=os.environ.get("INSTANCE_ID") or "default",
        help="instance id of the deployment; the environment's INSTANCE_ID by default",
    )
    compile_.add_argument("--explain", action="store_true", help="say in English what is exported, where and to where")
    compile_.set_defaults(run=_compile)

    migrate = commands.add_parser("migrate", help="show files in the model of individual recommendations, as a diff")
    add_paths(migrate)
    migrate.add_argument("--write", action="store_true", help="write the files instead of showing the difference")
    migrate.set_defaults(run=_migrate)

    schema = commands.add_parser("schema", help="print the JSON Schema of export files, for editors")
    schema.set_defaults(run=_schema)


def add_paths(parser: argparse.ArgumentParser) -> None:
    """The files that a command takes."""
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


def check_files(paths: Iterable[Path]) -> tuple[list[Checked], list[Diagnostic]]:
    """Every file checked, and all findings: of each file, then of the files together."""
    from shared.exports.validation import check_text, check_together

    checked = [check_text(path.read_bytes(), path.as_posix()) for path in find_files(paths)]
    findings = [finding for file in checked for finding in file.findings]
    return checked, findings + check_together([(file.source, file.config) for file in checked if file.config])


def _validate(arguments: argparse.Namespace) -> int:
    from shared.exports.diagnostics import errors

    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        if arguments.json:
            print(json.dumps({"files": 0, "errors": 0, "warnings": 0, "findings": [], "error": sentence(error)}))
        return usage(error)
    wrong = len(errors(findings))
    if arguments.json:
        summary = {"files": len(checked), "errors": wrong, "warnings": len(findings) - wrong}
        print(json.dumps(summary | {"findings": [finding.as_dict() for finding in findings]}, indent=2))
    else:
        print_findings(findings)
        print(f"{_count(len(checked), 'file')}: {_count(wrong, 'error')}, {_count(len(findings) - wrong, 'warning')}")
    return 1 if wrong else 0


def _test(arguments: argparse.Namespace) -> int:
    try:
        checked, findings = check_files(arguments.paths)
    except OSError as error:
        if arguments.json:
            print(json.dumps({"tests": 0, "failed": 0, "outcomes": [], "error": sentence(error)}))
        return usage(error)
    outcomes, unreadable = run_tests(checked, findings)
    failed = sum(not outcome["passed"] for outcome in outcomes)
    if arguments.json:
        print(json.dumps({"tests": len(outcomes), "failed": failed, "outcomes": outcomes}, indent=2))
    else:
        print_findings(unreadable)
        print_failures(outcomes)
        print(f"{_count(len(outcomes), 'test')}: {failed} failed")
    return 1 if failed or unreadable else 0


def run_tests(
    checked: Iterable[Checked], findings: Iterable[Diagnostic]
) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
    """Outcomes of every file's tests, and the errors that stand in the way of running them."""
    from shared.exports.diagnostics import errors
    from shared.exports.file_tests import run_tests

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


def print_failures(outcomes: Iterable[dict[str, Any]], stream: Any = None) -> None:
    """A line for each test that failed."""
    for outcome in outcomes:
        if not outcome["passed"]:
            wanted, got = ("exported", "not exported") if outcome["expected"] else ("not exported", "exported")
            told = f"{outcome['file']}: {outcome['test']}: should be {wanted}, is {got}: {outcome['reason']}"
            print(told, file=stream)


def _compile(arguments: argparse.Namespace) -> int:
    from shared.exports.compiler import automation_id, compile_automation, compile_sources, one_scope_each
    from shared.exports.explain import explain
    from shared.exports.explain_place import explain_place

    try:
        checked, findings = check_files([arguments.file])
    except OSError as error:
        return usage(error)
    print_findings(findings, sys.stderr)
    config = checked[0].config
    if config is None or not checked[0].valid:
        return 1
    if arguments.explain:
        print("\n".join([*map(explain, compile_sources(config)), *explain_place(config)]))
        return 0
    if arguments.subscription is None:
        return usage("--subscription is needed: the automation of which subscription? `--explain` does without")
    for part in one_scope_each(config):
        body = compile_automation(part, arguments.subscription, arguments.instance)
        print(json.dumps({"id": automation_id(part, arguments.subscription)} | body, indent=2))
    return 0


def _migrate(arguments: argparse.Namespace) -> int:
    from shared.exports.diagnostics import InvalidExport
    from shared.exports.migration import migrate

    try:
        files = find_files(arguments.paths)
        texts = [path.read_bytes() for path in files]
    except OSError as error:
        return usage(error)
    changed, unreadable = 0, 0
    for path, text in zip(files, texts, strict=True):
        try:
            migrated = migrate(text, path.as_posix())
        except InvalidExport as error:
            unreadable += 1
            print_findings(error.findings, sys.stderr)
            continue
        for remark in migrated.remarks:
            print(f"{path.as_posix()}: {remark}", file=sys.stderr)
        if migrated.text == text.decode("utf-8-sig"):
            continue
        changed += 1
        if arguments.write:
            path.write_text(migrated.text, encoding="utf-8", newline="")
        else:
            sys.stdout.writelines(_difference(text.decode("utf-8-sig"), migrated.text, path.as_posix()))
    done = "written" if arguments.write else "to change (--write writes them)"
    print(f"{_count(len(files), 'file')}: {changed} {done}, {unreadable} unreadable", file=sys.stderr)
    return 1 if unreadable else 0


def _difference(old: str, new: str, name: str) -> list[str]:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{name} (as it is)", f"{name} (migrated)"
    )
    return [line if line.endswith("\n") else f"{line}\n" for line in lines]


def _schema(_: argparse.Namespace) -> int:
    from shared.exports.json_schema import export_schema

    print(json.dumps(export_schema(), indent=2))
    return 0


def print_findings(findings: Iterable[Diagnostic], stream: Any = None) -> None:
    """A line for each finding."""
    for finding in findings:
        print(finding, file=stream)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def usage(error: Exception | str) -> int:
    """Say what was wrong with the call; the exit code for that."""
    print(f"error: {sentence(error)}", file=sys.stderr)
    return USAGE
