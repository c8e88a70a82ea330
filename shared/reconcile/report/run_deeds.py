"""Approvals, and guards that are lifted from a terminal, as deeds for the audit trail.

Guards that a job lifts are noted with the job, and those of a plan that was approved with the approval.
"""

from __future__ import annotations

from shared.audit.deed import APPROVE, CLAIM, DONE, LIFT, Deed
from shared.reconcile.report.approvals import Approval
from shared.reconcile.report.run_report import Report

_NARROWS = frozenset({"subscriptions", "managementGroups", "exports"})


def approve_deed(approval: Approval) -> Deed:
    """The deed of letting a plan through."""
    marks = {"at": approval.at.isoformat()}
    details = {"run": approval.reviewed_run, **approval.asked}
    return Deed.now(
        APPROVE, approval.fingerprint, approval.by, after=approval.fingerprint, marks=marks, details=details
    )


def lifting_deed(report: Report) -> Deed | None:
    """The deed of lifting guards for a run that is about to write; None where it lifts none, or a job was noted."""
    lifted = {name: value for name, value in report.asked.items() if value and name not in _NARROWS}
    # A limit of zero is one that was set.
    lifted |= {name: report.asked[name] for name in ("max_deletes", "max_change_percent") if name in report.asked}
    if report.caller.trigger != "cli" or not lifted:
        return None
    kind = CLAIM if report.asked.get("claim") else LIFT
    actor = f"cli:{report.caller.actor.removeprefix('cli ')}"
    return Deed.now(kind, f"run {report.run_id}", actor, id=f"run-{report.run_id}", outcome=DONE, details=report.asked)
