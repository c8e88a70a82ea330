"""Findings on files as the API gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shared.exports.diagnostics import Diagnostic, InvalidExport

_SHOWN = 1_000


def found_by(check: Callable[[bytes, str], object], text: bytes, name: str) -> tuple[Diagnostic, ...]:
    """What a check that raises says of a file."""
    try:
        check(text, name)
    except InvalidExport as invalid:
        return invalid.findings
    return ()


def shown(findings: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Findings as JSON-ready data; what a file says reaches an answer in part only."""
    return [{name: text[:_SHOWN] for name, text in finding.as_dict().items()} for finding in findings]
