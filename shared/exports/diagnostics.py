"""What is wrong with an export, as data: shown on a terminal, in an HTTP answer and in a report alike."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

MAX_FINDINGS: Final = 100
"""A file has at most this many findings, and one that counts the rest."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong, where, and what to do about it.

    `code` is stable and can be waived in a file; `where` names the file, line and path as far as they are known.
    """

    code: str
    severity: Severity
    where: str
    sentence: str
    fix: str

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready data."""
        return asdict(self)

    def __str__(self) -> str:
        fix = f" {self.fix}" if self.fix else ""
        return f"{self.where}: {self.severity} {self.code}: {self.sentence}{fix}"


class InvalidExport(ValueError):  # noqa: N818 - names the state of the file, as callers read it
    """An export file can't be accepted; `findings` says why, with at least one error among them."""

    def __init__(self, findings: Iterable[Diagnostic]) -> None:
        self.findings: tuple[Diagnostic, ...] = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


def errors(findings: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those of `findings` that make an export unacceptable."""
    return [finding for finding in findings if finding.severity == "error"]


def more_findings(count: int, severity: Severity, where: str) -> Diagnostic:
    """The finding that stands for `count` others."""
    return Diagnostic("more-findings", severity, where, f"there are {count:,} more findings.", "Mend these first.")


def limit(findings: Iterable[Diagnostic], where: str) -> list[Diagnostic]:
    """At most MAX_FINDINGS of `findings` in their order, errors before warnings where some must go, and a count."""
    listed = list(findings)
    if len(listed) <= MAX_FINDINGS:
        return listed
    wrong = errors(listed)
    kept = wrong[:MAX_FINDINGS]
    if len(kept) < MAX_FINDINGS:
        room = MAX_FINDINGS - len(kept)
        warnings = {id(one) for one in [one for one in listed if one.severity == "warning"][:room]}
        kept = [one for one in listed if one.severity == "error" or id(one) in warnings]
    severity: Severity = "error" if len(wrong) > MAX_FINDINGS else "warning"
    return [*kept, more_findings(len(listed) - len(kept), severity, where)]
