"""Delivery to one of several places: one that does not answer is left alone for a while, so that it holds up no other.

What is meant for it meanwhile is handed back as refused by an outage, and so waits as dead letters.  After the pause
the next rows find out within a few seconds whether it answers again.
"""

from __future__ import annotations

from collections.abc import Iterable

from shared.clock import Clock, Deadline
from shared.enrich.delivery.ingestion_status import Answer, Verdict
from shared.enrich.delivery.upload import B, Delivering, Refusal, Report

PATIENCE_SECONDS = 10.0
"""For one invocation's rows at a place that answered the last time."""
PROBE_SECONDS = 3.0
"""For those that find out, after a pause, whether it answers again."""
FIRST_PAUSE_SECONDS = 30.0
"""After a failure, in which nothing is sent; doubled by each that follows."""
LONGEST_PAUSE_SECONDS = 300.0


class GuardedDelivery:
    """One place's deliverer, with patience."""

    def __init__(self, deliverer: Delivering, clock: Clock, patience: float = PATIENCE_SECONDS) -> None:
        self._deliverer = deliverer
        self._clock = clock
        self._patience = patience
        self._why: Answer | None = None
        self._pause = FIRST_PAUSE_SECONDS
        self._resume_at = float("-inf")

    async def deliver(self, bodies: Iterable[B], deadline: Deadline) -> Report[B]:
        """Send every body, within the patience; return when each row is accepted or refused."""
        listed = list(bodies)
        if not listed:
            return Report()
        why = self._why
        if why is not None:
            if self._clock.monotonic() < self._resume_at:
                return Report(refused=[Refusal(body, why, 0, outage=True) for body in listed])
            self._resume_at = self._clock.monotonic() + self._pause  # one invocation finds out, the others go on
        report = await self._deliverer.deliver(listed, deadline.sooner(PROBE_SECONDS if why else self._patience))
        self._judge(report)
        return report

    def _judge(self, report: Report[B]) -> None:
        lasting = next((each.answer for each in report.refused if each.outage and _lasts(each.answer)), None)
        if lasting is None:
            self._why, self._pause = None, FIRST_PAUSE_SECONDS
            return
        again = self._why is not None and not report.accepted
        self._pause = min(LONGEST_PAUSE_SECONDS, self._pause * 2) if again else FIRST_PAUSE_SECONDS
        self._why = lasting
        self._resume_at = self._clock.monotonic() + self._pause


def _lasts(answer: Answer) -> bool:
    """Whether asking again takes time; a place that refuses outright does so at once, and costs no wait."""
    return answer.verdict is Verdict.RETRY
