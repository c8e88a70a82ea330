"""The job that proves the paths of some subscriptions' alerts, and the same for a person at a terminal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from shared.canary.canary_history import CanaryHistory
from shared.canary.canary_state import Canary, from_document, result
from shared.canary.hops import Hop, State
from shared.canary.pipeline_notes import PipelineNotes
from shared.canary.verdict import Outcome, Verdict
from shared.jobs.canary_run import CanaryRun
from shared.jobs.worker import JobRefusedError, WaitingError

if TYPE_CHECKING:
    from shared.jobs.heartbeat import Progress
    from shared.jobs.model import Job

log = logging.getLogger(__name__)

OFF: Final = "CANARY is off: set it to true, and give the right to simulate alerts (docs/canary.md)"
LOOK_EVERY_SECONDS: Final = 10.0
"""For who waits at a terminal; a job looks again after half a minute."""
_KEPT_TRIES = timedelta(minutes=5)
"""After its end, for which a canary's result is tried to be kept."""


@dataclass
class CanaryRunner:
    """Runs canaries; `run_for` makes the run of one job, by its id."""

    enabled: bool
    run_for: Callable[[str], CanaryRun]
    history: CanaryHistory
    notes: PipelineNotes
    retention: timedelta
    now: Callable[[], datetime]

    async def job(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Prove the paths that a job asks for; it goes on where it stopped.

        Raises:
            WaitingError: something may still arrive.
            JobRefusedError: canaries are off.
        """
        if not self.enabled:
            raise JobRefusedError(OFF)
        run, wanted = self.run_for(job.id), str(job.arguments.get("bundle", ""))
        ended: dict[str, Any] = dict(job.cursor.get("ended") or {})
        left = {each: _restored(each, job, self.now()) for each in job.arguments["subscriptions"] if each not in ended}

        def checkpoint() -> None:
            progress.checkpoint({"canaries": {each: left[each].as_document() for each in left}, "ended": ended})
            progress.say(
                f"{len(ended)} of {len(ended) + len(left)} ended; {said[-1]}" if said else "looking at the path"
            )

        async def further(subscription: str) -> None:
            canary = left[subscription]
            while True:
                before = canary
                canary, verdict = await run.step(before, wanted)
                left[subscription] = canary
                if verdict.outcome is not Outcome.RUNNING:
                    if await self._kept(canary, verdict, job.actor):
                        ended[subscription] = result(canary, verdict, self.now())
                        del left[subscription]
                    return
                said.append(f"{subscription}: {told(verdict)}")
                checkpoint()
                if before.asked or canary == before:  # where nothing came of it, asking again at once brings no more
                    return

        said: list[str] = []
        await asyncio.gather(*map(further, [*left]))
        checkpoint()
        if left:
            raise WaitingError
        return {"value": [ended[each] for each in job.arguments["subscriptions"]]}

    async def follow(
        self, subscriptions: Sequence[str], wanted: str, by: str, job_id: str, tell: Callable[[str], None]
    ) -> list[dict[str, Any]]:
        """The same for a person who waits, and is told how far it is.

        Raises:
            ValueError: canaries are off.
        """
        if not self.enabled:
            raise ValueError(OFF)
        run = self.run_for(job_id)

        async def one(subscription: str) -> dict[str, Any]:
            canary = Canary(subscription, self.now())
            while True:
                before = canary
                canary, verdict = await run.step(before, wanted)
                if verdict.outcome is not Outcome.RUNNING and await self._kept(canary, verdict, by):
                    return result(canary, verdict, self.now())
                tell(f"{subscription}: {told(verdict)}")
                if before.asked or canary == before:
                    await asyncio.sleep(LOOK_EVERY_SECONDS)

        return list(await asyncio.gather(*map(one, subscriptions)))

    async def _kept(self, canary: Canary, verdict: Verdict, by: str) -> bool:
        """Whether what it proved is in the history, or has been tried for long enough."""
        from azure.core.exceptions import AzureError

        now = self.now()
        try:
            await self.history.add(result(canary, verdict, now), by)
            await self.history.expire(now - self.retention)
            await self.notes.expire(now)
        except AzureError as error:
            log.warning("what a canary has proven could not be kept: %s", type(error).__name__)
            return now > (verdict.due or canary.begun) + _KEPT_TRIES
        return True


def told(verdict: Verdict) -> str:
    """How far a canary is, in words."""
    reached = [leg.hop.value for leg in verdict.legs if leg.state is State.REACHED]
    so_far = f"{', '.join(reached)} reached, " if reached else ""
    return f"{so_far}waiting for {(verdict.hop or Hop.SIMULATED).value}"


def _restored(subscription: str, job: Job, now: datetime) -> Canary:
    """How far a canary is by what an earlier attempt kept; a new one where nothing was kept."""
    new = Canary(subscription, now, resumed=job.attempt > 1)
    document = (job.cursor.get("canaries") or {}).get(subscription)
    if not isinstance(document, Mapping):
        return new
    try:
        return from_document(subscription, document)
    except (KeyError, TypeError, ValueError):
        return new
