"""The Event Hubs broker: a namespace on loopback whose events end with it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

from local.eventhubs.connection import AmqpConnection, Namespace
from local.eventhubs.state import Hub

KEY_NAME = "RootManageSharedAccessKey"
DEFAULT_KEY = "SAS_KEY_VALUE"
# Event Hubs quotas: "Maximum size of Event Hubs publication", Standard tier.
MAX_MESSAGE_BYTES = 1024 * 1024


class EventHubsBroker:
    """A namespace with hubs of so many partitions each, as an async context manager.

    It keeps events in memory, for as long as the object lives: left and entered again it still has them, on
    the same port.  `consumer_groups` exist in every hub beside `$Default`.  A `key` of None takes any token.
    """

    def __init__(
        self,
        hubs: Mapping[str, int],
        *,
        key: str | None = DEFAULT_KEY,
        consumer_groups: Iterable[str] = (),
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        port: int = 0,
    ) -> None:
        groups = tuple(consumer_groups)
        self.hubs = {name: Hub(name, partitions, groups) for name, partitions in hubs.items()}
        self.port = port
        self._namespace = Namespace(self.hubs, key, max_message_bytes)
        self._server: asyncio.Server | None = None

    @property
    def connection_string(self) -> str:
        """The namespace's connection string, which clients take together with a hub's name."""
        return (
            f"Endpoint=sb://127.0.0.1:{self.port};SharedAccessKeyName={KEY_NAME};"
            f"SharedAccessKey={self._namespace.key or DEFAULT_KEY};UseDevelopmentEmulator=true;"
        )

    def count(self, hub: str) -> int:
        """How many events a hub holds."""
        return sum(len(partition.events) for partition in self.hubs[hub].partitions.values())

    def drop_connections(self) -> None:
        """Cut every client off, as a broken network does; they may come back at once."""
        for connection in list(self._namespace.connections):
            connection.abort()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: AmqpConnection(self._namespace), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.close()
            open_connections = list(self._namespace.connections)
            self.drop_connections()
            await asyncio.gather(*(connection.closed for connection in open_connections))
            await self._server.wait_closed()


async def _serve(arguments: argparse.Namespace) -> None:
    hubs = {name: int(partitions) for name, partitions in arguments.hub}
    async with EventHubsBroker(
        hubs, key=arguments.key or None, consumer_groups=arguments.consumer_group, port=arguments.port
    ) as broker:
        for hub in hubs:
            print(f"{broker.connection_string}EntityPath={hub}", flush=True)
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await stopped.wait()


def _hub(text: str) -> tuple[str, int]:
    name, _, partitions = text.partition(":")
    return name, int(partitions or 4)


def main(argv: Sequence[str]) -> int:
    """`python -m local eventhubs`: serve until interrupted, after a line with each hub's connection string."""
    parser = argparse.ArgumentParser(prog="local eventhubs", description=main.__doc__)
    parser.add_argument("--hub", action="append", type=_hub, metavar="NAME[:PARTITIONS]", help="default: hub:4")
    parser.add_argument("--consumer-group", action="append", default=[], help="beside $Default, in every hub")
    parser.add_argument("--key", default=DEFAULT_KEY, help="shared access key; empty takes any token")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    arguments = parser.parse_args(argv)
    arguments.hub = arguments.hub or [("hub", 4)]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(arguments))
    return 0
