"""What became of each automation of a run, as lines: all of them, or what was not done, by reason."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.cli.command_services import moment_text
from shared.reconcile.apply.executor import Status
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.plan_render import WIDTH, shortened
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.reconcile.apply.executor import Outcome
    from shared.reconcile.report.run_report import Report

_DONE = frozenset({Status.CREATED, Status.UPDATED, Status.DELETED, Status.ADOPTED, Status.UNCHANGED})
_NAMES, _REASONS = 5, 10
NO_RUNS = "no run yet: the app's timer makes one each 15 minutes, and `plan` makes one now"


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
        lines += _sentence(reason)
    if rest := ranked[_REASONS:]:
        lines.append(f"! {len(rest)} more reasons in {sum(len(where) for _, where in rest):,}; --full shows all")
    return lines


def not_in_force(report: Report) -> list[str]:
    """Where each export is in force, of those that are not in force everywhere."""
    return [
        line
        for each in report.in_force
        if not each.whole
        for line in textwrap.wrap(
            printable(shortened(str(each))), WIDTH, subsequent_indent="    ", break_on_hyphens=False
        )
    ]


def listed(report: Mapping[str, Any]) -> list[str]:
    """One kept report among others: when, which, and how it ended."""
    did = "planned" if report["mode"] == "plan" else "applied"
    counts = _counts(report["counts"], planned=report["mode"] == "plan")
    line = f"{moment_text(report['started'])}  {report['runId']}  {did} {report['outcome']}: {counts}"
    lines = textwrap.wrap(printable(line), WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return [*lines, *_sentence(report["reason"])] if report["reason"] else lines


def told(report: Mapping[str, Any], *, everything: bool = False) -> list[str]:
    """One kept report: how it ended, by whom, and what became of its automations, equal reasons once.

    With `everything` each automation has a line of its own.
    """
    lines = [*listed(report), f"    by {report['trigger']} {report['actor']}, {report['seconds']:.0f} s"]
    if everything:
        return [*map(_item, report["items"]), *lines]
    found: dict[tuple[str, str, str], int] = {}
    for item in report["items"]:
        what = str(item.get("outcome") or item["action"]).replace("_", " ")
        reason = str(item.get("outcomeReason") or item.get("reason") or "")
        if what == "foreign" and not reason:
            continue  # of others, and in the way of nothing
        parts = ResourceId.parse(item["id"])
        reason = re.sub(re.escape(parts.subscription_id), "<subscription>", reason, flags=re.IGNORECASE)
        key = what, item.get("export") or "(no export)", reason
        found[key] = found.get(key, 0) + 1
    ranked = sorted(found.items(), key=lambda pair: -pair[1])
    for (what, export, reason), number in ranked[:_REASONS]:
        lines.append(f"{what} {export}: {number:,}")
        lines += _sentence(reason) if reason else []
    left = ranked[_REASONS:]
    return [*lines, f"and {len(left)} more like these; --json has every automation"] if left else lines


def _item(item: Mapping[str, Any]) -> str:
    what = str(item.get("outcome") or item["action"]).replace("_", " ")
    reason = item.get("outcomeReason") or item.get("reason") or ""
    return printable(f"{what:12} {item['id']} [{item.get('export', '')}]{f': {reason}' if reason else ''}")


def _counts(counts: Mapping[str, int], *, planned: bool) -> str:
    """The counts of a report in words: of a plan what would be done, of an apply what was."""
    verbs = {"Created": "to create", "Updated": "to update", "Adopted": "to adopt", "Deleted": "to delete"}
    words = {name: verbs.get(name, name.lower()) if planned else name.lower() for name in counts}
    return ", ".join(f"{number:,} {words[name]}" for name, number in counts.items() if number) or "nothing to do"


def _sentence(text: str) -> list[str]:
    return textwrap.wrap(
        printable(shortened(text)),
        WIDTH,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        max_lines=4,
        placeholder=" ...",
    )


def _general(outcome: Outcome) -> str:
    """The reason without the subscription's own id, so that equal ones are one."""
    return re.sub(re.escape(outcome.id.subscription_id), "<subscription>", outcome.reason, flags=re.IGNORECASE)
