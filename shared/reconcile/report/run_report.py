"""The report that every run leaves: what it saw, planned and did, for people and for the next run."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from shared import __version__, stored_format
from shared.clock import utc_text
from shared.muting.mutes import NOTHING, Muting
from shared.reconcile.apply.executor import Outcome, Status
from shared.reconcile.model import Subscription
from shared.reconcile.plan.model import Action, Plan
from shared.reconcile.plan.saved_plan import fingerprint, item_as_dict
from shared.reconcile.report.in_force import InForce, in_force
from shared.reconcile.report.muted_problems import MutedInRun

NO_PLAN = Plan(())
RUNS_TABLE = "DefenderExportRuns_CL"
_PLANNED = {
    "Created": Action.CREATE,
    "Updated": Action.UPDATE,
    "Deleted": Action.DELETE,
    "Adopted": Action.ADOPT,
}
# A value of a row may have 64 KB; the report in Blob Storage has them all.
MAX_PROBLEMS = 100
_LEFT = {
    "Failed": "failed",
    "Unconfirmed": "not yet visible",
    "NotReached": "left for the next run",
    "Blocked": "blocked",
    "Leaving": "out of scope and still there",
}
_COUNTED = frozenset({Action.UNCHANGED, Action.FOREIGN})
# What was blocked in the plan was known before; what is refused when it is written was not.
_INCOMPLETE = (Status.FAILED, Status.NOT_REACHED, Status.UNCONFIRMED, Status.BLOCKED)


@dataclass(frozen=True)
class Caller:
    """Who asked for a run, and how: `trigger` is timer, http, job or cli; `actor` identifies, it never holds a key."""

    trigger: str
    actor: str


@dataclass(frozen=True)
class Report:
    """One run.  `failure` is the sentence of what stopped it, `skipped` why it did not begin; else both are empty.

    `known` are the states of subscriptions that the next run has to find again.
    `running` until it ends: a report that stays so is of a run that was killed.  `saw_all` says that discovery was
    complete, `unread` that of subscriptions or of automations nothing was seen.  `store_number` is the number of the
    store that was read, `writer` names who writes for this instance here.
    `asked` is what the run was narrowed to and let through, JSON-ready, so that a plan that is approved can be made
    again.  `waiting` says that its changes wait for an approval; `approved_by` and `approved_at` tell of the one that
    this run carries out.
    `muting` is what is muted when it ends: only its row says so.
    `identity` is whose eyes the tenant was seen with, `scope` what the run was narrowed to, empty for the whole tenant.
    """

    run_id: str
    instance_id: str
    caller: Caller
    mode: str
    started: datetime
    ended: datetime
    plan: Plan = NO_PLAN
    outcomes: Sequence[Outcome] = ()
    subscriptions: Sequence[Subscription] = ()
    exports: Sequence[str] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""
    skipped: str = ""
    running: bool = False
    saw_all: bool = False
    unread: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    store_number: int = 0
    writer: str = ""
    identity: str = ""
    scope: Mapping[str, Sequence[str]] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)
    waiting: bool = False
    approved_by: str = ""
    approved_at: datetime | None = None
    muting: Muting = NOTHING

    @property
    def name(self) -> str:
        """The report's blob: ordered by time, one folder a day."""
        return f"{self.started:%Y/%m/%d}/{self.run_id}.json"

    @property
    def counts(self) -> dict[str, int]:
        """Automations by what was, or in mode plan would be, done with them; named as in the table of runs."""
        planned = self.plan.counts
        ended = Counter(outcome.status for outcome in self.outcomes)
        done = {
            name: ended[Status(name.lower())] if self.mode == "apply" else planned[action]
            for name, action in _PLANNED.items()
        }
        return done | {
            "Unchanged": planned[Action.UNCHANGED] + ended[Status.UNCHANGED],
            "Foreign": planned[Action.FOREIGN] + ended[Status.FOREIGN],
            "Blocked": planned[Action.BLOCKED] + ended[Status.BLOCKED],
            "Skipped": planned[Action.SKIPPED] + ended[Status.SKIPPED],
            "Leaving": planned[Action.LEAVING],
            "Failed": ended[Status.FAILED],
            "Unconfirmed": ended[Status.UNCONFIRMED],
            "NotReached": ended[Status.NOT_REACHED],
        }

    @cached_property
    def in_force(self) -> tuple[InForce, ...]:
        """For each export of the scope, where it is in force, and why not where it is not."""
        return in_force(self.plan, self.outcomes, self._exports_in_scope, self._unreadable_in_scope)

    @property
    def _exports_in_scope(self) -> Sequence[str]:
        return [name for name in self.exports if name in self.scope.get("exports", (name,))]

    @property
    def _unreadable_in_scope(self) -> Mapping[str, str]:
        return {name: why for name, why in self.unreadable.items() if name in self.scope.get("exports", (name,))}

    @property
    def in_doubt(self) -> bool:
        """Whether anything was incomplete, blocked, unreadable, unknown or not judged: more than changes to come."""
        counts = self.counts
        told = any(counts[name] for name in ("Blocked", "Failed", "Unconfirmed", "NotReached"))
        foreign = any(item.declared and item.action is Action.FOREIGN for item in self.plan.items)
        doubted = not self.plan.doubted.keys().isdisjoint(item.export for item in self.plan.declared)
        stopped = self.failure or self.skipped or self.unreadable or doubted
        return bool(stopped or told or foreign or self.plan.reasons or self.plan.guards or self.plan.findings)

    @property
    def outcome(self) -> str:
        """Succeeded, Partial, Failed, Blocked or Skipped; Running until the run has ended.

        It succeeded when all that is declared in its scope is in force and nothing else of ours is left.
        """
        if self.running:
            return "Running"
        if self.skipped:
            return "Skipped"
        if self.failure:
            return "Failed"
        if self.waiting:
            return "Partial"
        doubts = self.unreadable or self.plan.reasons or self.plan.findings
        if doubts or any(outcome.status in _INCOMPLETE for outcome in self.outcomes):
            return "Partial"
        if self.plan.guards:
            return "Blocked"
        returned = any(item.stripped and not item.declared for item in self.plan.items)
        still = self.plan.counts[Action.LEAVING] or returned or (self.mode == "plan" and self.plan.writes)
        return "Partial" if self.in_doubt or still or not all(each.whole for each in self.in_force) else "Succeeded"

    @property
    def reason(self) -> str:
        """Why the outcome is not Succeeded."""
        if stopped := self.skipped or self.failure:
            return stopped
        counts = self.counts
        left = [f"{counts[name]} {words}" for name, words in _LEFT.items() if counts[name]]
        files = [f"{name}: {why}" for name, why in self.unreadable.items()]
        if self.running:
            return "it has not ended; a run that was killed stays so"
        if self.outcome == "Succeeded":
            return ""
        missing = [str(each) for each in self.in_force if not each.whole and each.export not in self.unreadable]
        if again := sum(item.stripped and not item.declared for item in self.plan.items):
            left.append(f"{again} without tags, which no export declares")
        if self.mode == "plan" and self.plan.writes:
            left.append(f"{len(self.plan.writes)} to write")
        told = [
            f"{len(self.plan.writes)} changes wait for approval: `defender-export approve {self.run_id}`"
        ] * self.waiting
        return "; ".join([*told, *self.plan.guards, *self.plan.reasons, *self.plan.findings, *files, *left, *missing])

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready data."""
        return {**self.summary(), "items": list(self.items())}

    def items(self) -> Iterator[dict[str, Any]]:
        """Its automations as JSON-ready data; those that need nothing, and others', are only counted."""
        statuses = {outcome.id.key: outcome for outcome in self.outcomes}
        for item in self.plan.items:
            if item.action in _COUNTED and not item.reason:
                continue
            entry = item_as_dict(item)
            entry.pop("digest", None)  # one for each subscription; the fingerprint stands for them all
            if outcome := statuses.get(item.id.key):
                entry |= {"outcome": outcome.status.value, "outcomeReason": outcome.reason}
            yield entry

    def summary(self) -> dict[str, Any]:
        """The report without its automations, as JSON-ready data."""
        return {
            **stored_format.stamp("run report"),
            "writer": self.writer,
            "storeNumber": self.store_number,
            "runId": self.run_id,
            "instanceId": self.instance_id,
            "trigger": self.caller.trigger,
            "actor": self.caller.actor,
            "mode": self.mode,
            "started": utc_text(self.started),
            "ended": utc_text(self.ended),
            "seconds": (self.ended - self.started).total_seconds(),
            "outcome": self.outcome,
            "reason": self.reason,
            "scope": {name: list(given) for name, given in self.scope.items()},
            "identity": self.identity,
            "inForce": [each.as_dict() for each in self.in_force],
            "complete": not self.plan.reasons,
            "incompleteBecause": list(self.plan.reasons),
            "guards": list(self.plan.guards),
            "findings": list(self.plan.findings),
            "warnings": list(self.plan.warnings),
            "destinations": [each.as_dict() for each in self.plan.destinations],
            "exports": list(self.exports),
            "unreadable": dict(self.unreadable),
            "subscriptions": len(self.subscriptions),
            "tenants": self._tenants(),
            "counts": self.counts,
            "requests": dict(self.requests),
            "asked": dict(self.asked),
            "fingerprint": fingerprint(self.plan) if self.plan.writes else "",
            "waiting": self.waiting,
            "approvedBy": self.approved_by,
            "approvedAt": utc_text(self.approved_at) if self.approved_at else "",
            "written": [words._asdict() for words in self.plan.written],
        }

    def row(self) -> dict[str, Any]:
        """The run as a row of `DefenderExportRuns_CL`."""
        problems = [
            {"id": str(outcome.id), "export": outcome.export, "status": outcome.status.value, "reason": outcome.reason}
            for outcome in self.outcomes
            if outcome.status in _INCOMPLETE or (outcome.reason and outcome.status is Status.CREATED)
        ]
        problems += [
            {"id": str(item.id), "export": item.export, "status": "blocked", "reason": item.reason}
            for item in self.plan.items
            if item.action is Action.BLOCKED and not item.waits
        ]
        problems += [{"export": name, "status": "unreadable", "reason": why} for name, why in self.unreadable.items()]
        # What is wrong with the files or their scopes can't be muted, and comes first, where nothing is cut off.
        wrong = (finding for finding in self.plan.findings if finding not in self.plan.under_way)
        findings = [{"status": "finding", "reason": finding} for finding in wrong]
        muted = MutedInRun(self.muting, self.plan.destinations, self.ended)
        muted_until = muted.repairs(self.outcomes)
        return {
            "TimeGenerated": self.ended.isoformat(),
            "RunId": self.run_id,
            "InstanceId": self.instance_id,
            "Trigger": self.caller.trigger,
            "Actor": self.caller.actor,
            "Mode": self.mode,
            "StartTime": self.started.isoformat(),
            "EndTime": self.ended.isoformat(),
            "DurationSeconds": (self.ended - self.started).total_seconds(),
            "Outcome": self.outcome,
            "Reason": self.reason,
            "Complete": not self.plan.reasons,
            "Tenants": sorted(self._tenants()),
            "Exports": len(self.exports),
            "Subscriptions": len(self.subscriptions),
            **self.counts,
            "Scope": {name: list(given) for name, given in self.scope.items()},
            "Identity": self.identity,
            "Declared": sum(each.declared for each in self.in_force),
            "InForce": sum(each.in_force for each in self.in_force),
            "Requests": sum(self.requests.values()),
            "Guard": "; ".join(self.plan.guards),
            "Problems": [*findings, *muted.problems(problems)][:MAX_PROBLEMS],
            "ReportName": self.name,
            "ApprovedBy": self.approved_by,
            "ApprovedTime": self.approved_at.isoformat() if self.approved_at else None,
            "MutedUntil": utc_text(muted_until) if muted_until else None,
            "Release": __version__,
        }

    def _tenants(self) -> dict[str, Any]:
        """Subscriptions and actions by tenant: with Lighthouse a run spans several."""
        tenant_of = {subscription.id.lower(): subscription.tenant_id for subscription in self.subscriptions}
        sizes = Counter(tenant_of.values())
        actions = Counter((tenant_of.get(item.id.key[0], ""), item.action.value) for item in self.plan.items)
        return {
            tenant: {"subscriptions": size, **{action: n for (of, action), n in actions.items() if of == tenant}}
            for tenant, size in sorted(sizes.items())
        }


def new_run_id(now: datetime) -> str:
    """An id that sorts by time and is unique."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"
