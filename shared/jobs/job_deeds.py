"""What is a deed for the audit trail: to start a job that lifts a guard, and to cancel any."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.audit.deed import ACCEPT, CANCEL, CLAIM, LIFT, Deed, Origin, digest
from shared.jobs.arguments import LIMITS
from shared.jobs.model import Job

_GUARDED: Final = frozenset({"reconcile", "gone"})
_LIFTING: Final = frozenset({*LIMITS, "causes"})
_WHOLE: Final = MappingProxyType({"accept": ACCEPT, "claim": CLAIM})


def deed_of(job: Job) -> Deed | None:
    """The deed of starting a job; None where that lifts no guard."""
    lifted: Mapping[str, Any] = {name: value for name, value in job.arguments.items() if name in _LIFTING}
    kind = LIFT if job.kind in _GUARDED and lifted else _WHOLE.get(job.kind)
    if kind is None:
        return None
    marks, details = {"job": job.id}, {"job": job.id, **job.arguments}
    return Deed.now(kind, f"job {job.id}", job.actor, id=f"job-{job.id}", marks=marks, details=details)


def cancelling(job: Job, by: str) -> Deed:
    """The deed of cancelling a job; the same one where a person does it again because the first time was cut off."""
    details = {"job": job.id, "kind": job.kind, "state": job.state}
    name = f"cancel-{job.id}-{digest(by)[:8]}"
    return Deed.now(CANCEL, f"job {job.id}", by, id=name, marks={"job": job.id}, details=details)


def origin_of(job: Job) -> Origin:
    """From where a job was asked for; of one that an earlier release wrote that is not known."""
    told = {name: str(job.origin.get(name, "")) for name in ("channel", "address", "agent")}
    return Origin(**told)
