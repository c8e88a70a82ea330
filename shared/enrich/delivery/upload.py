"""Upload bodies until every row is accepted or finally refused: retry, renew, bisect, within a deadline."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Generic, Protocol, Self, TypeVar

from shared.clock import Clock, Deadline
from shared.enrich.delivery.bisection import Sent, StreamRecord, bisect
from shared.enrich.delivery.ingestion_status import NO_TOKEN, Answer, Verdict
from shared.enrich.delivery.logs_ingestion import Ingestion
from shared.enrich.delivery.upload_concurrency import Limiter
from shared.retry_after_header import capped

FIRST_DELAY = 0.5  # seconds; doubled by each try
LONGEST_DELAY = 30.0  # seconds between two tries when the service does not say
TOKEN_SECONDS = 60.0  # for which a batch waits for a token that can't be had; then its rows wait outside
UPLOAD_TIMEOUT = 30.0  # seconds for one request: a body is at most 1 MB


class Body(Protocol):
    """Rows of one stream, packed."""

    @property
    def stream(self) -> str:
        """The stream they go to."""

    @property
    def data(self) -> bytes:
        """The gzip bytes of a JSON array."""

    @property
    def size(self) -> int:
        """Bytes of that array before compression."""

    def __len__(self) -> int:
        """How many rows."""

    def part(self, start: int, stop: int) -> Self:
        """A body of some of the rows."""


B = TypeVar("B", bound=Body)


@dataclass(frozen=True, slots=True)
class Refusal(Generic[B]):
    """Rows that were not accepted; an outage says nothing about the rows themselves."""

    body: B
    answer: Answer
    tries: int
    outage: bool


@dataclass(slots=True)
class Report(Generic[B]):
    """What became of the bodies of one invocation; `days` counts accepted rows by stream and the day (UTC) of it."""

    accepted: list[B] = field(default_factory=list)
    days: Counter[tuple[str, date]] = field(default_factory=Counter)
    refused: list[Refusal[B]] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    bytes_sent: int = 0


class Delivering(Protocol):
    """What sends bodies until each row is accepted or refused."""

    async def deliver(self, bodies: Iterable[B], deadline: Deadline) -> Report[B]:
        """Send every body; return when each row is accepted or refused, at the deadline at the latest."""


class Deliverer:
    """Uploads bodies concurrently; one per process, so that invocations share its limiter."""

    def __init__(
        self,
        ingestion: Ingestion,
        concurrency: int,
        clock: Clock,
        chance: Callable[[float, float], float] = random.uniform,
        upload_timeout: float = UPLOAD_TIMEOUT,
    ) -> None:
        self._ingestion = ingestion
        self._clock = clock
        self._chance = chance
        self._upload_timeout = upload_timeout
        self._renewing = asyncio.Lock()
        self._renewed_at = float("-inf")
        self.limiter = Limiter(concurrency, clock)

    async def deliver(self, bodies: Iterable[B], deadline: Deadline) -> Report[B]:
        """Send every body; return when each row is accepted or refused, at the deadline at the latest."""
        report: Report[B] = Report()
        records: dict[str, StreamRecord] = defaultdict(StreamRecord)
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(self._deliver_one(body, deadline, report, records[body.stream]))
        return report

    async def _deliver_one(self, body: B, deadline: Deadline, report: Report[B], record: StreamRecord) -> None:
        last = Answer(0)

        async def send(part: B) -> Sent:
            nonlocal last
            if record.given_up:
                answer = replace(_most_refused(record, last), systematic=True)
                report.refused.append(Refusal(part, answer, 0, outage=True))
                return Sent.REFUSED
            answer, tries = await self._persist(part, deadline, report)
            if answer.verdict is Verdict.ACCEPTED:
                record.accepted = True
                report.accepted.append(part)
                report.days[part.stream, self._clock.now().date()] += len(part)
                return Sent.ACCEPTED
            outage = answer.verdict not in {Verdict.POISON, Verdict.TOO_LARGE}
            if outage or len(part) == 1:
                report.refused.append(Refusal(part, answer, tries, outage))
            if not outage:
                last = answer
                record.refused[answer.status, answer.code] += len(part) == 1
            return Sent.REFUSED if outage else Sent.ROW_REFUSED

        await bisect(body, send, record, self._chance)

    async def _persist(self, body: B, deadline: Deadline, report: Report[B]) -> tuple[Answer, int]:
        """Send one body until the answer is final or the deadline leaves no time for another try."""
        answer, tries, renewed = Answer(0, "DeadlinePassed", "no time left to send"), 0, False
        token_deadline = deadline.sooner(TOKEN_SECONDS)
        while True:
            try:
                async with self.limiter.slot(deadline):
                    sent_at = self._clock.monotonic()
                    answer = await self._ingestion.upload(
                        body.stream, body.data, min(self._upload_timeout, deadline.left)
                    )
            except TimeoutError:
                return (_PAUSED if tries == 0 and self.limiter.paused else answer), tries
            tries += 1
            report.requests += 1
            report.bytes_sent += len(body.data)
            delay = self._delay(answer, tries)
            if answer.throttled:
                report.throttled += 1
                self.limiter.throttled(sent_at, answer.retry_after or 0.0)
            if answer.verdict is Verdict.RENEW and not renewed:
                renewed = True
                await self._renew(sent_at, deadline)
            elif (
                answer.verdict is Verdict.RETRY
                and delay < (token_deadline if answer.code == NO_TOKEN else deadline).left
            ):
                await self._clock.sleep(delay)
            else:
                if answer.verdict is Verdict.ACCEPTED:
                    self.limiter.succeeded()
                return answer, tries
            report.retries += 1

    def _delay(self, answer: Answer, tries: int) -> float:
        """Seconds before the next try: what the service asks for and a little more, or exponential with full jitter."""
        if answer.retry_after is not None:
            return capped(answer.retry_after) + self._chance(0, FIRST_DELAY)
        return self._chance(0, min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(tries, 16)))

    async def _renew(self, sent_at: float, deadline: Deadline) -> None:
        """Renew the token once, however many uploads were refused with the old one; wait no longer than for an upload.

        Where that does not suffice, the next upload asks for a token itself, and says so.
        """
        try:
            async with asyncio.timeout(max(0.0, min(self._upload_timeout, deadline.left))), self._renewing:
                if self._renewed_at < sent_at:
                    await self._ingestion.renew_token()
                    self._renewed_at = self._clock.monotonic()
        except TimeoutError:
            return


_PAUSED = Answer(429, "Paused", "not sent: the service had asked all uploads to wait beyond the deadline")


def _most_refused(record: StreamRecord, last: Answer) -> Answer:
    """The answer to quote for rows that were not sent: of the body's own if it had one."""
    (status, code), _ = record.refused.most_common(1)[0]
    message = last.message if (last.status, last.code) == (status, code) else ""
    return Answer(status, code, message)
