"""One client's connection: its links attached or refused, what it sends stored, what it reads sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from proton import Condition, Data, Delivery, Event, Message

from local.eventhubs import messages
from local.eventhubs.engine import Engine
from local.eventhubs.nodes import CBS, MANAGEMENT, Answer, Authorizer, describe, entity_path
from local.eventhubs.state import Entity, Hub, Partition, RefusedError, find

SENDER_CREDIT = 300
NODE_CREDIT = 100
SELECTOR_FILTER = "apache.org:selector-filter:string"
EPOCH = "com.microsoft:epoch"


@dataclass
class Namespace:
    """What all connections of a broker share."""

    hubs: dict[str, Hub]
    key: str | None
    max_message_bytes: int
    connections: set[AmqpConnection] = field(default_factory=set)


class LinkReader:
    """A consumer's link and how far it has read; pre-settled, as the client never acknowledges."""

    def __init__(
        self, connection: AmqpConnection, link: Any, partition: Partition, group: str, epoch: int | None
    ) -> None:
        self.link = link
        self.partition = partition
        self.group = group
        self.epoch = epoch
        self.position = 0
        self._connection = connection

    def notify(self) -> None:
        """Send what came, soon."""
        self._connection.wake(self)

    def evict(self, reason: str) -> None:
        """Close the link in favour of another reader."""
        self._connection.close_link(self.link, "amqp:link:stolen", reason)

    def send_available(self) -> None:
        """Send as many events as the client has given credit for."""
        events = self.partition.events
        while self.position < len(events) and self.link.credit > 0:
            delivery = self.link.delivery(b"\x00")
            self.link.stream(events[self.position])
            self.link.advance()
            delivery.settle()
            self.position += 1


class AmqpConnection(Engine):
    """Serves one client; what outlives it is in the `Namespace`."""

    def __init__(self, namespace: Namespace) -> None:
        super().__init__()
        self._namespace = namespace
        self._authorizer = Authorizer(namespace.key)
        self._readers: dict[str, LinkReader] = {}
        self._senders: dict[str, Entity | str] = {}
        self._replies: dict[tuple[Any, str], Any] = {}
        self._woken: set[LinkReader] = set()
        self._scheduled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._namespace.connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, and its readers with it."""
        self._namespace.connections.discard(self)
        for reader in self._readers.values():
            reader.partition.dismiss(reader)
        self._readers.clear()
        super().connection_lost(exc)

    def catch_up(self) -> None:
        """Let every reader send on."""
        for reader in self._readers.values():
            self.wake(reader)

    def wake(self, reader: LinkReader) -> None:
        """Let a reader send on the next turn of the loop, together with others of this connection."""
        self._woken.add(reader)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._send_woken)

    def close_link(self, link: Any, condition: str, reason: str) -> None:
        """Close a link with an error, from outside this connection's own turn."""
        self._forget(link)
        # The client reads three fields of an error, so its info map is never left empty.
        link.condition = Condition(condition, reason, {"source": "local"})
        link.close()
        asyncio.get_running_loop().call_soon(self.flush)

    def _send_woken(self) -> None:
        self._scheduled = False
        if not self.is_writable:
            return
        for reader in self._woken:
            if reader.link.name in self._readers:
                reader.send_available()
        self._woken.clear()
        self.flush()

    def handle(self, event: Any) -> None:
        """Act on one engine event."""
        kind = event.type
        if kind == Event.CONNECTION_REMOTE_OPEN:
            self.connection.container = "local-eventhubs"
            self.connection.open()
        elif kind == Event.SESSION_REMOTE_OPEN:
            event.session.open()
        elif kind == Event.LINK_REMOTE_OPEN:
            self._attach(event.link)
        elif kind == Event.LINK_FLOW and event.link.name in self._readers:
            self.wake(self._readers[event.link.name])
        elif kind == Event.DELIVERY:
            self._receive(event.delivery)
        elif kind in (Event.LINK_REMOTE_CLOSE, Event.LINK_REMOTE_DETACH):
            self._forget(event.link)
            event.link.close()
        elif kind == Event.SESSION_REMOTE_CLOSE:
            for reader in [one for one in self._readers.values() if one.link.session == event.session]:
                self._forget(reader.link)
            event.session.close()
        elif kind == Event.CONNECTION_REMOTE_CLOSE:
            self.connection.close()

    def _forget(self, link: Any) -> None:
        self._senders.pop(link.name, None)
        if reader := self._readers.pop(link.name, None):
            reader.partition.dismiss(reader)

    def _attach(self, link: Any) -> None:
        # The client takes a null source or target in the answer for a refusal.
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        link.snd_settle_mode, link.rcv_settle_mode = link.remote_snd_settle_mode, link.remote_rcv_settle_mode
        link.max_message_size = self._namespace.max_message_bytes
        path = entity_path((link.remote_source if link.is_sender else link.remote_target).address or "")
        try:
            if path in (CBS, MANAGEMENT):
                self._attach_node(link, path)
            elif link.is_sender:
                self._attach_consumer(link, path)
            else:
                self._attach_producer(link, path)
        except RefusedError as refusal:
            link.open()
            self.close_link(link, refusal.condition, str(refusal))

    def _attach_node(self, link: Any, node: str) -> None:
        # A client opens a pair of links in one session: what it asks comes in on one, answers go out on the other.
        link.open()
        if link.is_sender:
            self._replies[link.session, node] = link
        else:
            self._senders[link.name] = node
            link.flow(NODE_CREDIT)

    def _attach_producer(self, link: Any, path: str) -> None:
        entity = self._entity(path, "Send")
        self._senders[link.name] = entity
        link.open()
        link.flow(SENDER_CREDIT)

    def _attach_consumer(self, link: Any, path: str) -> None:
        entity = self._entity(path, "Listen")
        if entity.partition is None or not entity.group:
            raise RefusedError("amqp:not-found", f"The messaging entity '{path}' could not be found.")
        selector = _mapping(link.remote_source.filter).get(SELECTOR_FILTER)
        position = entity.partition.position(getattr(selector, "value", selector))
        epoch = _mapping(link.remote_properties).get(EPOCH)
        reader = LinkReader(self, link, entity.partition, entity.group, None if epoch is None else int(epoch))
        reader.position = position
        entity.partition.admit(reader)
        self._readers[link.name] = reader
        link.open()

    def _entity(self, path: str, claim: str) -> Entity:
        if not self._authorizer.allows(path):
            raise RefusedError(
                "amqp:unauthorized-access",
                f"Unauthorized access. '{claim}' claim(s) are required to perform this operation.",
            )
        return find(self._namespace.hubs, path)

    def _receive(self, delivery: Any) -> None:
        link = delivery.link
        if not link.is_receiver:
            if delivery.settled:
                delivery.settle()
            return
        limit = self._namespace.max_message_bytes
        sender = self._senders.get(link.name)
        if sender is not None and delivery.pending > limit:
            reason = f"The received message (size: {delivery.pending} bytes) exceeds the limit ({limit} bytes)."
            self.close_link(link, "amqp:link:message-size-exceeded", reason)
            return
        if delivery.partial or not delivery.readable:
            return
        message = link.recv(delivery.pending)
        link.advance()
        if sender is not None:  # else it was sent before the client saw that its link is refused
            self._accept(link, delivery, sender, message)
            link.flow(1)
        delivery.settle()

    def _accept(self, link: Any, delivery: Any, sender: Entity | str, message: bytes) -> None:
        if isinstance(sender, str):
            self._answer(link, sender, message)
        else:
            try:
                events = messages.events_of(message, self.formats.latest)
                partition = sender.partition or sender.hub.choose(messages.partition_key(message))
            except ValueError as error:
                delivery.local.condition = Condition("amqp:decode-error", str(error), {"source": "local"})
                delivery.update(Delivery.REJECTED)
                return
            partition.append(events)
        delivery.update(Delivery.ACCEPTED)

    def _answer(self, link: Any, node: str, message: bytes) -> None:
        request = Message()
        request.decode(message)
        asked: dict[str, Any] = request.properties or {}
        if node == CBS:
            answer = self._authorizer.put_token(str(request.body))
        elif not self._authorizer.allows(str(asked.get("name", ""))):
            answer = Answer(401, "Unauthorized access.")
        else:
            answer = describe(self._namespace.hubs, asked)
        out = self._replies.get((link.session, node))
        if out is None:
            return
        delivery = out.delivery(b"\x00")
        out.stream(answer.encoded(request))
        out.advance()
        delivery.settle()


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, Data):
        value.rewind()
        value = value.get_object() if value.next() else {}
    return {str(key): item for key, item in (value or {}).items()}
