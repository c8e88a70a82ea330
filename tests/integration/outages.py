"""A door in front of each service that the app uses, which can be shut, silent, slow, or ask for a day's pause."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

MODES = ("silent", "refuses", "slow", "a day's pause")
SLOW_SECONDS = 4.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
PAUSE = b"HTTP/1.1 %s\r\nRetry-After: 86400\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Door:
    """Passes bytes on to a service that speaks TLS itself, and behaves as `mode` says."""

    host: str
    port: int
    tls: ssl.SSLContext
    mode: str = ""
    servers: list[asyncio.Server] = field(default_factory=list)
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def own_port(self) -> int:
        """Where it listens; nobody does where it refuses."""
        return (
            1 if self.mode == "refuses" else int(self.servers[self.mode == "a day's pause"].sockets[0].getsockname()[1])
        )

    async def open(self) -> None:
        """Listen: once for bytes to pass on, once for requests to be answered here."""
        self.servers.append(await asyncio.start_server(self._connected(self._pass), "127.0.0.1", 0))
        self.servers.append(await asyncio.start_server(self._connected(self._pause), "127.0.0.1", 0, ssl=self.tls))

    async def close(self) -> None:
        """Stop, with every connection."""
        for server in self.servers:
            server.close()
        await asyncio.sleep(0.05)  # what was accepted until now begins to be served, and so can be ended
        for task in list(self.connections):
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    def _connected(self, serve: Serve) -> Serve:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self.connections.add(task)
            try:
                with suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
                    await serve(reader, writer)
            finally:
                self.connections.discard(task)
                await closed(writer)

        return connected

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "silent":
            while await reader.read(65536):
                pass
            return
        theirs, to_them = await asyncio.open_connection(self.host, self.port)
        try:
            await asyncio.gather(copied(reader, to_them, 0), copied(theirs, writer, self._delay()))
        finally:
            await closed(to_them)

    def _delay(self) -> float:
        return SLOW_SECONDS if self.mode == "slow" else 0.0

    async def _pause(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(PAUSE % b"429 Too Many Requests")
        await writer.drain()


async def closed(writer: asyncio.StreamWriter) -> None:
    """Close a connection, whatever the other end has done to it."""
    writer.close()
    with suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def copied(source: asyncio.StreamReader, to: asyncio.StreamWriter, delay: float) -> None:
    """Bytes as they come, each piece a while later."""
    while piece := await source.read(65536):
        await asyncio.sleep(delay)
        to.write(piece)
        await to.drain()
    to.close()


@asynccontextmanager
async def behind_doors(settings: dict[str, str], tls: ssl.SSLContext, **troubles: str) -> AsyncIterator[dict[str, str]]:
    """The settings of an app whose services of these names (SERVICES) are in trouble."""
    changed = dict(settings)
    async with AsyncExitStack() as doors:
        for service, mode in troubles.items():
            for name in SERVICES[service]:
                whole = settings[name]
                address = next((part for part in whole.split(";") if "://" in part), whole).removeprefix("Endpoint=")
                parts = urlsplit(address)
                door = Door(parts.hostname or "", parts.port or 443, tls, mode)
                await door.open()
                doors.push_async_callback(door.close)
                changed[name] = whole.replace(
                    address, urlunsplit(parts._replace(netloc=f"{parts.hostname}:{door.own_port}"))
                )
        yield changed


SERVICES = {
    "table": ("AzureWebJobsStorage__tableServiceUri",),
    "queue": ("AzureWebJobsStorage__queueServiceUri",),
    "blob": ("AzureWebJobsStorage__blobServiceUri",),
    "graph": ("ARM_ENDPOINT",),
    "output_hub": ("ForwardConnection",),
    "identity": ("IDENTITY_ENDPOINT",),
    "ingestion": ("LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_OWN_ENDPOINT"),
    "logs_query": ("LOGS_QUERY_ENDPOINT",),
}

WORKSPACE, LETTERS, HUB = "in the workspace", "in dead letters", "in the hub: the batch comes again"
ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    "table": dict.fromkeys(MODES, (WORKSPACE,)),
    "queue": dict.fromkeys(MODES, (WORKSPACE,)),
    "blob": dict.fromkeys(MODES, (WORKSPACE, HUB)),  # the hub where the workspace or the output hub did not take all
    "graph": dict.fromkeys(MODES, (WORKSPACE,)),
    "output_hub": dict.fromkeys(MODES[:3], (WORKSPACE,)),
    "identity": dict.fromkeys(MODES, (HUB,)) | {"slow": (LETTERS, HUB)},
    # What was taken after the patience is in both, and counts once by its key.
    "ingestion": dict.fromkeys(MODES, (LETTERS,)) | {"slow": (LETTERS, WORKSPACE)},
    "logs_query": dict.fromkeys(MODES, (WORKSPACE,)),
}
"""Where the rows of a batch can be after one invocation, while a service is in trouble."""


def rows_table() -> str:
    """The same as docs/guarantees.md has it; a hub can't ask for a pause by an answer of HTTP."""
    lines = [f"| Service | {' | '.join(MODES)} |", f"| --- |{' --- |' * len(MODES)}"]
    lines += [
        f"| {TITLES[service]} | {' | '.join(', or '.join(places.get(mode, ())) for mode in MODES)} |"
        for service, places in ROWS.items()
    ]
    return "\n".join(lines)


TITLES = {
    "table": "table", "queue": "queue", "blob": "blob", "graph": "Resource Graph and Resource Manager",
    "output_hub": "output hub", "identity": "identity", "ingestion": "ingestion", "logs_query": "Log Analytics",
}  # fmt: skip

NEEDS = {
    "table": ("jobs list", "jobs show", "backfill", "dead-letters replay"),
    "queue": ("backfill --detach", "dead-letters replay", "accept --yes"),
    "blob": ("",),
    "graph": ("plan", "apply", "claim", "coverage", "freshness --now", "preview", "import", "accept"),
    "identity": ("",),
    "ingestion": ("accept --yes",),
    "logs_query": ("accept --yes",),
}
"""How direct commands begin that can't do their work without a service; all of them where it is empty."""


def needs_table() -> str:
    """The same as docs/guarantees.md has it."""
    lines = ["| Service | Direct commands that end with an error |", "| --- | --- |"]
    for service, commands in NEEDS.items():
        told = ", ".join(f"`{command}`" if command else "all" for command in commands) or "none"
        lines.append(f"| {TITLES[service]} | {told} |")
    return "\n".join(lines)
