"""Findings on files as the API gives them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shared.exports.diagnostics import Diagnostic

_SHOWN = 1_000


def shown(findings: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Findings as JSON-ready data; what a file says reaches an answer in part only."""
    return [{name: text[:_SHOWN] for name, text in finding.as_dict().items()} for finding in findings]
