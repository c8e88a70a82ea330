"""Proton's AMQP engine, which does no input or output of its own, on an asyncio transport."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, cast

from proton import Collector, Connection, Transport

from local.eventhubs.framing import MessageFormats, fill_up, take_frames

MAX_FRAME_BYTES = 1024 * 1024


class Engine(asyncio.Protocol):
    """The wire side of one connection: bytes in, engine events to `handle`, bytes and heartbeats out."""

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()
        self.formats = MessageFormats()
        self.connection = Connection()
        self._engine, self._events = Transport(Transport.SERVER), Collector()
        self._input, self._output = bytearray(), bytearray()
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    @abstractmethod
    def handle(self, event: Any) -> None:
        """Act on one engine event."""

    @abstractmethod
    def catch_up(self) -> None:
        """The client reads again after a pause."""

    @property
    def is_writable(self) -> bool:
        """Whether the client is there and keeps up."""
        return not self._paused and not self._transport.is_closing()

    def abort(self) -> None:
        """Drop the connection without closing it, as a broken network does."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast("asyncio.Transport", transport)
        self.connection.collect(self._events)
        self._engine.max_frame_size = MAX_FRAME_BYTES
        self._engine.sasl().allowed_mechs("ANONYMOUS")
        self._engine.bind(self.connection)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it was lost does not matter
        """The client has gone."""
        if self._timer:
            self._timer.cancel()
        self._engine.close_tail()
        self._engine.close_head()
        self._handle_events()
        self._engine.unbind()
        self.closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Feed frames to the engine one by one, so that each delivery meets its own message-format."""
        self._input += data
        for frame in list(take_frames(self._input)):
            self.formats.observe(frame)
            rest = frame
            while rest:
                room = self._engine.capacity()
                if room <= 0:  # the engine has closed its end: a protocol error, or the client said goodbye
                    self.flush()
                    self._transport.close()
                    return
                self._engine.push(rest[:room])
                rest = rest[room:]
            self._handle_events()
        self.flush()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        self.catch_up()

    def flush(self) -> None:
        """Write what the engine has to say."""
        if self._transport.is_closing():
            return
        loop = asyncio.get_running_loop()
        due = self._engine.tick(loop.time())  # sends a heartbeat when the client asked for them
        if due and not self._timer:
            self._timer = loop.call_at(due, self._on_timer)
        while (pending := self._engine.pending()) > 0:
            self._output += self._engine.peek(pending) or b""
            self._engine.pop(pending)
            self._handle_events()
        if frames := [fill_up(frame) for frame in take_frames(self._output)]:
            self._transport.write(b"".join(frames))
        if self._engine.pending() < 0:
            self._transport.close()

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()

    def _handle_events(self) -> None:
        while event := self._events.peek():
            self.handle(event)
            self._events.pop()
