"""What a reconcile run knows about the tenant and about the declaration, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Any, NamedTuple

import orjson

# PastDue subscriptions still take writes; Warned and Disabled ones are read-only, Deleted ones about to be removed.
WRITABLE_STATES = frozenset({"enabled", "pastdue"})


class ResourceId(NamedTuple):
    """Where an automation lives; `key` is the same for every spelling of it."""

    subscription_id: str
    resource_group: str
    name: str

    def __str__(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Security/automations/{self.name}"
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """The id without regard to case."""
        return (self.subscription_id.lower(), intern(self.resource_group.lower()), intern(self.name.lower()))

    @classmethod
    def parse(cls, text: str) -> ResourceId:
        """Read an ARM id in any casing.

        Raises:
            ValueError: the text is no id of an automation.
        """
        parts = text.strip("/").split("/")
        if len(parts) != 8 or parts[0].lower() != "subscriptions" or parts[6].lower() != "automations":  # noqa: PLR2004
            raise ValueError(f"not the id of an automation: {text!r}")
        return cls(parts[1], intern(parts[3]), intern(parts[7]))  # a tenant has few groups and names


def read_tags(tags: Any) -> dict[str, str]:
    """Tags as an answer of Azure has them; what is no tag counts as none."""
    if not isinstance(tags, Mapping):
        return {}
    return {intern(str(name)): intern("" if value is None else str(value)) for name, value in tags.items()}


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as discovery saw it; `ancestors` are its management groups in lower case, nearest first.

    `placed` says that those are known: an answer without them is no evidence that it lies below none.
    """

    id: str
    name: str = ""
    tenant_id: str = ""
    state: str = "Enabled"
    tags: Mapping[str, str] = field(default_factory=dict)
    ancestors: tuple[str, ...] = ()
    placed: bool = True

    @property
    def writable(self) -> bool:
        """Whether its state lets resources be written."""
        return self.state.lower() in WRITABLE_STATES


@dataclass(frozen=True, slots=True)
class Live:
    """An automation as it is; its properties stay encoded until they are read, since most runs compare 10,000s."""

    id: ResourceId
    location: str
    tags: Mapping[str, str]
    encoded: bytes
    etag: str = ""

    @property
    def properties(self) -> dict[str, Any]:
        """The automation's properties, decoded anew at each call."""
        decoded: dict[str, Any] = orjson.loads(self.encoded)
        return decoded

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Live:
        """An automation from an ARM answer or a Resource Graph row.

        Raises:
            ValueError: the body carries no automation's id.
        """
        properties = body.get("properties")
        return cls(
            ResourceId.parse(str(body.get("id", ""))),
            intern(str(body.get("location") or "")),
            read_tags(body.get("tags")),
            orjson.dumps(properties if isinstance(properties, Mapping) else {}),
            str(body.get("etag") or ""),
        )

    def body(self) -> dict[str, Any]:
        """The automation as a request body."""
        return {"location": self.location, "tags": dict(self.tags), "properties": self.properties}


@dataclass(frozen=True, slots=True)
class Desired:
    """An automation as an export declares it; `body` holds no secret, destinations add theirs at write time.

    `blocked` is the sentence that says why it can't be written, `tenant_id` the destination's tenant where that is
    another.  `number` is the store's number when the file's version was put.  `partial` bodies hold what is live where
    a new release would write something else.  `together` is the automation of several scopes that an earlier release
    made in place of this one and its siblings.  With `key_unknown` it is not seen if the
    key behind it is renewed.
    """

    export: str
    id: ResourceId
    body: Mapping[str, Any]
    adopt: bool = False
    enabled: bool = True
    create_group: bool = True
    group_tags: Mapping[str, str] = field(default_factory=dict)
    blocked: str = ""
    tenant_id: str = ""
    number: int = 0
    partial: bool = False
    together: Desired | None = None
    key_unknown: bool = False


@dataclass(frozen=True)
class Inventory:
    """What discovery saw. `reasons` say why it may be incomplete; then nothing is deleted.

    `unread`: of subscriptions or of automations nothing was seen, and not because there is none.
    """

    subscriptions: Sequence[Subscription]
    automations: Sequence[Live]
    reasons: tuple[str, ...] = ()
    unread: bool = False

    @property
    def complete(self) -> bool:
        """Whether everything there is was seen."""
        return not self.reasons
