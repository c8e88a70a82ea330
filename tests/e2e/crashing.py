"""A delivery that is really killed: a warm process forks a child per order, and the child may shoot itself.

Reads one order a line on standard input, answers each with the child's exit code (-9 when it was killed).  An order:
`{"do": "run" | "replay", "settings": {...}, "events": [[body, sequence], ...], "kill_at": "point:when", "nth": 1}`.
Forking spares each child the two seconds of importing the clients.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import azure.eventhub.aio
import azure.identity.aio
import azure.monitor.ingestion.aio
import azure.storage.blob.aio  # noqa: F401 - these four are imported for the children

from shared.azure.clients import Clients
from shared.enrich.context.resource_context import Counts
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.enrich.records.model import Event
from shared.fail_points import listen
from shared.settings import Settings


def kill_at(point: str, nth: int) -> None:
    """Die by SIGKILL when a fail point is reached for the nth time."""
    left = nth

    def listener(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    listen(listener)


class NoContext:
    """Looks nothing up."""

    counts = Counts()

    async def enrich(self, rows: Any) -> None:
        """Leave the rows as they are."""

    def known_of(self, row: Any) -> tuple[None, None, None]:
        """Nothing."""
        return None, None, None


async def note_nothing(*_: Any) -> None:
    """An observer that is deaf."""


async def carry_out(order: dict[str, Any]) -> None:
    os.environ.update(order["settings"])
    settings = Settings.load()
    clients = Clients(settings)
    delivery = pipeline(settings, clients, {}, make_context=NoContext, observer=note_nothing)
    if order.get("kill_at"):
        kill_at(order["kill_at"], order.get("nth", 1))
    if order["do"] == "run":
        now = datetime.now(UTC)
        await delivery.run([Event(body.encode(), now, "0", number) for body, number in order["events"]])
    else:
        await delivery.replay(LetterFilter(due_only=False))
    await clients.close()


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(carry_out(json.loads(line)))
                code = 0
            except BaseException:  # noqa: BLE001 - the parent wants to know that, and why
                traceback.print_exc()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
