"""One step of a release in a process of its own: `python release_driver.py STEP [ARGUMENT]`.

Settings come from the environment; it writes what it did as JSON.  `shared` is whichever comes first on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from shared import __version__
from shared.bootstrap import Services
from shared.enrich.dead_letters.dead_letter_store import LetterFilter
from shared.enrich.records.model import Event
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.settings import Settings

EVERY = LetterFilter(parked=None, due_only=False)


def event(number: int) -> Event:
    """An assessment, whose number is its name."""
    subscription = "11111111-1111-1111-1111-111111111111"
    now = datetime.now(UTC)
    record = {
        "type": "Microsoft.Security/assessments",
        "id": f"/subscriptions/{subscription}/providers/Microsoft.Security/assessments/a{number}",
        "name": f"a{number}",
        "properties": {"displayName": "x", "status": {"code": "Unhealthy", "statusChangeDate": "2026-11-01T00:00:00Z"}},
    }
    return Event(json.dumps(record).encode(), now, "0", number)


async def step(services: Services, name: str, argument: str) -> Any:
    """Carry out one step and say what came of it."""
    if name == "events":
        first, number = map(int, argument.split("-"))
        summary = await services.pipeline.run([event(each) for each in range(first, first + number)])
        return summary.log()
    if name == "replay":
        replay = await services.pipeline.replay(EVERY)
        return {"delivered": replay.delivered, "unreadable": replay.unreadable, "skipped": replay.skipped}
    if name == "letters":
        return {one.name: one.trouble async for one in services.pipeline.dead_letters.find(EVERY)}
    if name == "submit":
        return (await services.jobs.submit(argument, {}, "driver", now=datetime.now(UTC))).id
    if name == "work":
        await services.job_worker.run(argument)
        return None
    if name == "jobs":
        return {job.id: [job.state, job.trouble] for job in (await services.jobs.page(datetime.now(UTC))).jobs}
    if name == "runs":
        reports = services.reconciler.reports
        found = [await reports.read(one) for one in await reports.recent(datetime.now(UTC))]
        return {one["runId"]: [one["outcome"], one["reason"]] for one in found if one}
    report = await services.reconciler.apply(Request(Caller("cli", "driver")))
    return {"run": report.run_id, "outcome": report.outcome, "reason": report.reason}


async def main(name: str, argument: str = "") -> None:
    services = Services(Settings.load())
    try:
        done = await step(services, name, argument)
    finally:
        await services.close()
    sys.stdout.write(json.dumps({"release": __version__, "done": done}) + "\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
