"""An export file's own tests: would the export send each record, and is that what the file says?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.exports.compiler import compile_sources
from shared.exports.evaluator import Decision, evaluate

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig, ExportTest
    from shared.exports.rule_sets import Source


@dataclass(frozen=True)
class FileTestOutcome:
    """How one of a file's own tests went; `reason` quotes the record, so it is for the file's author only."""

    label: str
    passed: bool
    expected: bool
    reason: str


def run_tests(config: ExportConfig) -> list[FileTestOutcome]:
    """Run a file's own tests: would this export send each record, and does that agree with `exported`?"""
    sources = compile_sources(config) if config.tests else ()
    return [_run_test(sources, test, index) for index, test in enumerate(config.tests)]


def _run_test(sources: Sequence[Source], test: ExportTest, index: int) -> FileTestOutcome:
    decision = _decide(sources, test.record)
    label = f"tests[{index}]" + (f" {test.name}" if test.name else "")
    return FileTestOutcome(label, decision.exported == test.exported, test.exported, decision.reason)


def decide(config: ExportConfig, record: Mapping[str, Any]) -> Decision:
    """Whether an export sends `record`, by the source that decided: the first that sends it, else the nearest."""
    return _decide(compile_sources(config), record)


def _decide(sources: Sequence[Source], record: Mapping[str, Any]) -> Decision:
    decisions = [evaluate(source, record) for source in sources]
    return (
        next((decision for decision in decisions if decision.exported), None)
        or next((decision for decision in decisions if decision.rule_set is not None), None)
        or (decisions[0] if len(decisions) == 1 else Decision(False, None, _no_source(decisions)))
    )


def _no_source(decisions: Sequence[Decision]) -> str:
    return "no source of this export carries the record: " + "; ".join(decision.reason for decision in decisions)
