"""A plan in the form that was asked for, of what is stored or of proposed files; for the command line and the API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.reconcile import plan_notes
from shared.reconcile.plan import plan_render
from shared.reconcile.plan.plan_rows import plan_csv
from shared.reconcile.plan.saved_plan import plan_as_dict
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.exports.proposal import Proposal
    from shared.reconcile.report.run_report import Report

OUTPUTS: Final = ("text", "json", "yaml", "csv", "markdown")
_WIDE = 1000
_LEAST_LINES = 10


@dataclass(frozen=True)
class Wish:
    """How a plan is to be shown.  A plan that is `narrowed` says nothing of exports without an item."""

    output: str = "text"
    full: bool = False
    colour: bool = False
    narrowed: bool = False


def document(report: Report, proposal: Proposal | None) -> dict[str, Any]:
    """The plan as JSON-ready data, with what the files change of the store."""
    files = {"files": proposal.as_dict()} if proposal else {}
    return plan_as_dict(report.plan, report.instance_id) | files


def formed(report: Report, proposal: Proposal | None, wish: Wish) -> str:
    """The plan in the form of `wish.output`, one of `OUTPUTS`."""
    if wish.output == "csv":
        return plan_csv(report.plan, report.subscriptions).rstrip()
    if wish.output == "json":
        return json.dumps(document(report, proposal), indent=1)
    if wish.output == "yaml":
        import yaml

        return yaml.safe_dump(document(report, proposal), sort_keys=False, width=_WIDE).rstrip()
    notes = plan_notes.notes(report, empty_scopes=not wish.narrowed)
    if wish.output == "markdown":
        page = plan_render.markdown(report.plan, report.subscriptions, everything=wish.full)
        return plan_notes.markdown(page, proposal, notes)
    above = plan_notes.above(proposal)
    if wish.full:
        plan = plan_render.full(report.plan, report.subscriptions, colour=wish.colour)
        below = [f"! {printable(note)}" for note in notes]
    else:
        below = plan_notes.below(notes)
        room = max(plan_render.MAX_LINES - len(above) - len(below), _LEAST_LINES)
        plan = plan_render.terminal(report.plan, report.subscriptions, colour=wish.colour, most=room)
    *body, last = plan.split("\n")
    return "\n".join([*above, *body, *below, last])
