"""Which jobs are deeds for the audit trail when they are started: those that lift a guard."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.audit.deed import ACCEPT, CLAIM, LIFT, Deed, Origin
from shared.jobs.arguments import LIMITS
from shared.jobs.model import Job

_LIFTING: Final = frozenset({*LIMITS, "causes"})
_WHOLE: Final = MappingProxyType({"accept": ACCEPT, "claim": CLAIM})


def deed_of(job: Job) -> Deed | None:
    """The deed of starting a job; None where that lifts no guard."""
    lifted: Mapping[str, Any] = {name: value for name, value in job.arguments.items() if name in _LIFTING}
    kind = LIFT if job.kind == "reconcile" and lifted else _WHOLE.get(job.kind)
    if kind is None:
        return None
    marks, details = {"job": job.id}, {"job": job.id, **job.arguments}
    return Deed.now(kind, f"job {job.id}", job.actor, id=f"job-{job.id}", marks=marks, details=details)


def origin_of(job: Job) -> Origin:
    """From where a job was asked for; of one that an earlier release wrote that is not known."""
    told = {name: str(job.origin.get(name, "")) for name in ("channel", "address", "agent")}
    return Origin(**told)
