"""What stands around a plan: what files would change of the store, and exports that the plan can say nothing of."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.reconcile.plan.plan_render import MAX_MARKDOWN, WIDTH, markdown_text
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.exports.proposal import Proposal
    from shared.reconcile.report.run_report import Report

_SHOWN = 20
_NOTES = 5


def notes(report: Report, *, empty_scopes: bool = False) -> list[str]:
    """Sentences on exports whose files can't be read and, with `empty_scopes`, on those that are nowhere."""
    found = [
        f"the file of {name} is invalid, and nothing of it is changed: {why}" for name, why in report.unreadable.items()
    ]
    if empty_scopes and not report.plan.reasons:
        placed = {item.export for item in report.plan.items}
        found += [
            f"{name} is in no subscription: it is disabled, or its scope selects none that is visible"
            for name in report.exports
            if name not in placed
        ]
    return found


def above(proposal: Proposal | None) -> list[str]:
    """The differences of the files, as lines to stand above a plan."""
    lines = [line for sentence in _differences(proposal) for line in _wrapped(sentence)]
    return [*lines, ""] if lines else []


def below(told: Sequence[str]) -> list[str]:
    """The notes as lines, the first of them where there are many."""
    lines = [line for note in told[:_NOTES] for line in _wrapped(f"! {note}")]
    left = len(told) - _NOTES
    return [*lines, f"! and {left} more like these; --full shows them"] if left > 0 else lines


def markdown(page: str, proposal: Proposal | None, told: Sequence[str]) -> str:
    """The page with the same in front of it, as long as it stays one comment."""
    head, _, rest = page.partition("\n")
    above = [f"- {markdown_text(sentence)}" for sentence in _differences(proposal)]
    above += [f"> **Note:** {markdown_text(note)}\n" for note in told[:_SHOWN]]
    added = "\n".join(["", *above, ""]) if above else ""
    if len(page) + len(added) >= MAX_MARKDOWN:
        added = f"\n{len(above)} remarks left out.\n"
    return f"{head}\n{added}{rest}"


def _differences(proposal: Proposal | None) -> list[str]:
    if proposal is None:
        return []
    renamed = [f"{former} to {name}" for name, former in (proposal.renamed or {}).items()]
    kept = "stored, not among the files, and kept (--prune plans their delete)"
    said = (
        ("new", proposal.new),
        ("changed", proposal.changed),
        ("renamed", renamed),
        ("deleted", proposal.deleted),
        (kept, proposal.kept),
    )
    told = [f"{word}: {_first(names)}" for word, names in said if names]
    number = len(proposal.unchanged)
    told += [f"unchanged: {number} file{'' if number == 1 else 's'}"] if number else []
    return [f"files {sentence}" for sentence in told]


def _first(names: Sequence[str]) -> str:
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")


def _wrapped(sentence: str) -> list[str]:
    return textwrap.wrap(printable(sentence), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
