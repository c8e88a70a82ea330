"""The two request-response nodes of a namespace: `$cbs` takes tokens, `$management` tells what there is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote, urlparse

from proton import UNDESCRIBED, Array, Data, Message, int32, timestamp

from local.eventhubs.state import NONE_YET, Hub, Partition

CBS, MANAGEMENT = "$cbs", "$management"
HUB_TYPE, PARTITION_TYPE = "com.microsoft:eventhub", "com.microsoft:partition"


@dataclass(frozen=True)
class Answer:
    """What a node answers: an HTTP-like status, its description and a body."""

    status: int
    description: str
    body: Any = None

    def encoded(self, request: Message) -> bytes:
        """The answer as an AMQP message that the asker can match to its request."""
        properties = {"status-code": int32(self.status), "status-description": self.description}
        if self.status == 404:  # noqa: PLR2004 - not found
            properties["error-condition"] = "amqp:not-found"
        reply: bytes = Message(body=self.body, correlation_id=request.id, properties=properties).encode()
        return reply


def entity_path(address: str) -> str:
    """The path of a link's address, which clients write as a URL or bare."""
    return unquote(urlparse(address).path if "://" in address else address).strip("/")


class Authorizer:
    """Which entities a connection may open, by the shared access signatures it has put to `$cbs`.

    A `key` of None takes every token and asks for none.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._granted: dict[str, int] = {}

    def put_token(self, token: str) -> Answer:
        """Check a token and keep what it grants."""
        if self._key is None:
            return Answer(200, "OK")
        fields = {name: values[0] for name, values in parse_qs(token.removeprefix("SharedAccessSignature ")).items()}
        try:
            resource, signature, expires = fields["sr"], fields["sig"], int(fields["se"])
        except (KeyError, ValueError):
            return Answer(401, "MalformedToken: The token is malformed.")
        signed = hmac.new(self._key.encode(), f"{quote_plus(resource)}\n{expires}".encode(), hashlib.sha256).digest()
        if not hmac.compare_digest(base64.b64encode(signed).decode(), signature):
            return Answer(401, "InvalidSignature: The token has an invalid signature.")
        if expires <= time.time():
            return Answer(401, "ExpiredToken: The token is expired.")
        self._granted[entity_path(resource).lower()] = expires
        return Answer(200, "OK")

    def allows(self, path: str) -> bool:
        """Whether a token that is still good covers this entity path."""
        if self._key is None:
            return True
        path = path.lower()
        return any(
            expires > time.time() and (not granted or path == granted or path.startswith(granted + "/"))
            for granted, expires in self._granted.items()
        )


def describe(hubs: Mapping[str, Hub], asked: Mapping[str, Any]) -> Answer:
    """The properties of a hub or of one partition, as `READ` of `$management` gives them."""
    hub = hubs.get(str(asked.get("name")))
    if hub is None:
        return Answer(404, f"The messaging entity '{asked.get('name')}' could not be found.")
    if asked.get("type") == HUB_TYPE:
        return Answer(200, "OK", _hub(hub))
    partition = hub.partitions.get(str(asked.get("partition")))
    if asked.get("type") != PARTITION_TYPE or partition is None:
        return Answer(404, f"The messaging entity '{hub.name}/{asked.get('partition')}' could not be found.")
    return Answer(200, "OK", _partition(hub, partition))


def _hub(hub: Hub) -> dict[str, Any]:
    return {
        "name": hub.name,
        "type": HUB_TYPE,
        "created_at": timestamp(hub.created_ms),
        "partition_count": int32(len(hub.partitions)),
        "partition_ids": Array(UNDESCRIBED, Data.STRING, *hub.partitions),  # type: ignore[arg-type]  # proton types it too narrowly
    }


def _partition(hub: Hub, partition: Partition) -> dict[str, Any]:
    last = partition.placed[-1] if partition.placed else None
    return {
        "name": hub.name,
        "type": PARTITION_TYPE,
        "partition": partition.id,
        "begin_sequence_number": 0,
        "last_enqueued_sequence_number": len(partition.events) - 1,
        "last_enqueued_offset": str(last.offset if last else NONE_YET),
        "last_enqueued_time_utc": timestamp(last.enqueued_ms if last else 0),
        "is_partition_empty": last is None,
    }
