"""What became of each automation of a run, as lines: all of them, or what was not done, by reason."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

from shared.reconcile.apply.executor import Status
from shared.reconcile.plan.plan_render import WIDTH, printable, shortened

if TYPE_CHECKING:
    from shared.reconcile.apply.executor import Outcome
    from shared.reconcile.report.run_report import Report

_DONE = frozenset({Status.CREATED, Status.UPDATED, Status.DELETED, Status.ADOPTED, Status.UNCHANGED})
_NAMES, _REASONS = 5, 10


def every(report: Report) -> list[str]:
    """A line for each automation that was attempted."""
    lines = []
    for outcome in report.outcomes:
        reason = f": {outcome.reason}" if outcome.reason else ""
        status = outcome.status.value.replace("_", " ")
        lines.append(printable(f"{status:12} {outcome.id} [{outcome.export}]{reason}"))
    return lines


def unfinished(report: Report) -> list[str]:
    """What was attempted and not done, equal reasons once, most first; no line is longer than `WIDTH`."""
    names = {one.id.lower(): one.name or one.id for one in report.subscriptions}
    found: dict[tuple[str, str, str], list[str]] = {}
    for outcome in report.outcomes:
        if outcome.status not in _DONE:
            name = names.get(outcome.id.key[0], outcome.id.subscription_id)
            found.setdefault((outcome.status.value, outcome.export, _general(outcome)), []).append(name)
    lines: list[str] = []
    ranked = sorted(found.items(), key=lambda pair: -len(pair[1]))
    for (status, export, reason), where in ranked[:_REASONS]:
        left = len(where) - _NAMES
        named = ", ".join(sorted(where)[:_NAMES]) + (f" and {left:,} more" if left > 0 else "")
        head = f"! {status.replace('_', ' ')} {export} in {len(where):,}: {named}"
        lines += textwrap.wrap(printable(head), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
        lines += textwrap.wrap(
            printable(shortened(reason)),
            WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
            break_on_hyphens=False,
            max_lines=4,
            placeholder=" ...",
        )
    if rest := ranked[_REASONS:]:
        lines.append(f"! {len(rest)} more reasons in {sum(len(where) for _, where in rest):,}; --full shows all")
    return lines


def _general(outcome: Outcome) -> str:
    """The reason without the subscription's own id, so that equal ones are one."""
    return re.sub(re.escape(outcome.id.subscription_id), "<subscription>", outcome.reason, flags=re.IGNORECASE)
