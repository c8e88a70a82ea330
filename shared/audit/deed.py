"""What a deed is, and from where it was done."""

from __future__ import annotations

import hashlib
import platform
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from shared import __version__, stored_format
from shared.clock import utc_moment, utc_text

AUDIT_TABLE: Final = "DefenderExportAudit_CL"
KIND: Final = "audit note"
PUT, DELETE, END = "PutExport", "DeleteExport", "EndExport"
APPROVE, LIFT, ACCEPT, CLAIM = "ApprovePlan", "LiftGuard", "AcceptStore", "ClaimAutomations"
CANCEL: Final = "CancelJob"
LOOK, DISCARD, REQUIRE = "LookAtDeadLetter", "DiscardDeadLetter", "PutRequirements"
NOTIFY, MUTE = "PutNotify", "PutMutes"
INTENDED, DONE, UNKNOWN = "Intended", "Done", "Unknown"
_TEXTS = ("id", "deed", "target", "actor", "channel", "address", "agent", "before", "after", "outcome", "reason")


@dataclass(frozen=True)
class Origin:
    """From where a person works: through the API or directly on the storage, and the address or host of it.

    `agent` is what the caller's program calls itself, which anyone can claim.
    """

    channel: str
    address: str
    agent: str = ""


_ORIGIN: ContextVar[Origin | None] = ContextVar("origin", default=None)


@contextmanager
def working_from(origin: Origin) -> Iterator[None]:
    """Let deeds within be noted as done from there."""
    token = _ORIGIN.set(origin)
    try:
        yield
    finally:
        _ORIGIN.reset(token)


def origin() -> Origin:
    """From where the deeds of this task are done; this host, where nothing else is said."""
    return _ORIGIN.get() or Origin("direct", platform.node(), f"defender-export/{__version__}")


@dataclass(frozen=True)
class Deed:
    """One deed.

    `before` and `after` are digests (SHA-256) of its target's contents, empty where there are none.  `marks` are what
    its target shows once it is done, by which a deed that was cut off is judged; `details` are for people.
    """

    deed: str
    target: str
    actor: str
    at: datetime
    before: str = ""
    after: str = ""
    id: str = ""
    outcome: str = INTENDED
    reason: str = ""
    marks: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    channel: str = ""
    address: str = ""
    agent: str = ""

    @classmethod
    def now(cls, deed: str, target: str, actor: str, **more: Any) -> Deed:
        """A deed of this moment, done from where this task works; its id sorts by time unless one is given."""
        at, where = datetime.now(UTC), origin()
        more.setdefault("id", f"{at:%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}")
        return cls(deed, target, actor, at, channel=where.channel, address=where.address, agent=where.agent, **more)

    def as_document(self) -> dict[str, Any]:
        """The deed as it is noted."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        about = {"marks": dict(self.marks), "details": dict(self.details)}
        return {**stored_format.stamp(KIND), "at": utc_text(self.at), **texts, **about}

    def as_row(self, instance_id: str, sent: datetime) -> dict[str, Any]:
        """Its row of DefenderExportAudit_CL."""
        return {
            "TimeGenerated": sent.isoformat(),
            "DeedTime": self.at.isoformat(),
            "DeedId": self.id,
            "InstanceId": instance_id,
            "Deed": self.deed,
            "Target": self.target,
            "Actor": self.actor,
            "Channel": self.channel,
            "Address": self.address,
            "Agent": self.agent,
            "DigestBefore": self.before,
            "DigestAfter": self.after,
            "Outcome": self.outcome,
            "Reason": self.reason,
            "Details": dict(self.details),
            "Release": __version__,
        }


def read_deed(data: bytes) -> Deed:
    """A deed as it was noted.

    Raises:
        stored_format.KeptAsIs: it can't be read by this release.
    """
    document = stored_format.read_object(KIND, data)
    texts = {name: document.get(name, "") for name in _TEXTS}
    about = {name: document.get(name, {}) for name in ("marks", "details")}
    at = document.get("at")
    if not all(isinstance(text, str) for text in (*texts.values(), at)) or not texts["id"]:
        raise stored_format.KeptAsIs("this audit note lacks what every note has: nothing is done with it")
    if not all(isinstance(each, dict) for each in about.values()):
        raise stored_format.KeptAsIs("this audit note holds no marks: nothing is done with it")
    try:
        moment = utc_moment(str(at))
    except ValueError:
        raise stored_format.KeptAsIs("this audit note names no time: nothing is done with it") from None
    return Deed(at=moment, **texts, **about)


def digest(data: bytes | str | None) -> str:
    """The digest of contents as deeds name it; empty for none."""
    if data is None:
        return ""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()
