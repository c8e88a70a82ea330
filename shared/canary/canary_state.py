"""How far a canary is, as a job keeps it between its attempts, and what it tells once it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from shared.canary.hops import Hop, Observation, Obstacle, Reached, Refused
from shared.canary.verdict import Leg, Verdict
from shared.clock import utc_moment, utc_text

_SKEW = timedelta(minutes=1)
"""By which the clock of another service may be behind."""


@dataclass(frozen=True)
class Canary:
    """A canary of one subscription.

    `alerts` are the ids that Defender for Cloud gave, `older` those that its list had before, `operation` where it says
    whether it is done, `checked` whether the path was looked at, `asked` whether the alert was asked for, `resumed`
    whether an earlier attempt may have asked for it without keeping that, `noted` whether the pipeline noted it, and
    `places` are those that it was routed to instead of the default one.
    """

    subscription: str
    begun: datetime
    bundle: str = ""
    location: str = ""
    operation: str = ""
    checked: bool = False
    asked: bool = False
    resumed: bool = False
    alerts: tuple[str, ...] = ()
    older: tuple[str, ...] = ()
    noted: bool = False
    places: tuple[str, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    seen: tuple[Observation, ...] = ()
    """What stays true: reached and refused; what could not be looked at is asked anew each time."""

    @property
    def since(self) -> datetime:
        """The earliest that another service may say of this canary's alert."""
        return self.begun - _SKEW

    def with_seen(self, *found: Observation) -> Canary:
        """The same, having observed more; each hop counts as it was first observed."""
        known = {(type(one), one.hop) for one in self.seen}
        new = [one for one in found if isinstance(one, Reached | Refused) and (type(one), one.hop) not in known]
        return replace(self, seen=(*self.seen, *new)) if new else self

    def as_document(self) -> dict[str, Any]:
        """As a job's cursor has it."""
        return {
            "begun": utc_text(self.begun),
            "bundle": self.bundle,
            "location": self.location,
            "operation": self.operation,
            "checked": self.checked,
            "asked": self.asked,
            "alerts": list(self.alerts),
            "older": list(self.older),
            "noted": self.noted,
            "places": list(self.places),
            "obstacles": [[each.hop, each.reason, each.mend, each.fault] for each in self.obstacles],
            "seen": [_told(one) for one in self.seen],
        }


def from_document(subscription: str, document: Mapping[str, Any]) -> Canary:
    """What `as_document` gave.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    return Canary(
        subscription,
        utc_moment(document["begun"]),
        str(document["bundle"]),
        str(document["location"]),
        str(document["operation"]),
        checked=bool(document["checked"]),
        asked=bool(document["asked"]),
        resumed=True,
        alerts=tuple(map(str, document["alerts"])),
        older=tuple(map(str, document["older"])),
        noted=bool(document.get("noted")),  # an earlier release kept neither
        places=tuple(map(str, document.get("places", ()))),
        obstacles=tuple(
            Obstacle(Hop(hop), str(reason), str(mend), fault=bool(fault))
            for hop, reason, mend, fault in document["obstacles"]
        ),
        seen=tuple(
            Reached(Hop(hop), utc_moment(said)) if kind == "reached" else Refused(Hop(hop), str(said))
            for kind, hop, said in document["seen"]
        ),
    )


def result(canary: Canary, verdict: Verdict, ended: datetime) -> dict[str, Any]:
    """What a canary that has ended tells."""
    return {
        "subscription": canary.subscription,
        "outcome": verdict.outcome.value,
        "hop": verdict.hop.value if verdict.hop else "",
        "reason": verdict.reason,
        "mend": verdict.mend,
        "bundle": canary.bundle,
        "begun": utc_text(canary.begun, "milliseconds"),
        "ended": utc_text(ended, "milliseconds"),
        "hops": [_leg(leg) for leg in verdict.legs],
    }


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "hop": leg.hop.value,
        "state": leg.state.value,
        "at": utc_text(leg.at, "milliseconds") if leg.at else None,
        "seconds": round(leg.latency.total_seconds(), 3) if leg.latency is not None else None,
        "reason": leg.reason,
    }


def _told(one: Observation) -> list[str]:
    if isinstance(one, Reached):
        return ["reached", one.hop.value, utc_text(one.at)]
    return ["refused", one.hop.value, one.reason]
