"""How much arrived when, how late, and how the secure score went: asked of Log Analytics, for plots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from shared.azure.log_analytics import whole_answer
from shared.watch import scores_of_places, trend_functions
from shared.watch.scores_of_places import DayScore
from shared.watch.trend_figures import Figures, days_filled, first_month, months_filled

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

log = logging.getLogger(__name__)

# Rows by the time when Event Hubs took them; lag is seconds from there to the workspace.  A backfill has no event.
ARRIVALS = """
union DefenderAlerts_CL, DefenderAssessments_CL, DefenderSubAssessments_CL, DefenderSecureScores_CL,
    DefenderSecureScoreControls_CL, DefenderRegulatoryCompliance_CL, DefenderAttackPaths_CL, DefenderOther_CL
| where EnqueuedTime >= datetime({since}) and EnqueuedTime < datetime({until}) and Action != 'Backfill'
| where AlertType !startswith 'SIMULATED_'
| extend Lag = (_TimeReceived - EnqueuedTime) / 1s
| summarize Records = count(), Lag = percentile(Lag, 95) by Time = bin(EnqueuedTime, {minutes}m), RecordKind
| order by Time asc
"""

SCORE_DAYS = 90
# TimeGenerated may lie two days before and one after the time of arrival (Azure's window).
_EARLIER, _LATER = timedelta(days=3), timedelta(days=1)
_PATIENCE_SECONDS = 30
_MOST_POINTS = 60
_BINS = (1, 2, 5, 10, 30, 60, 180)


class Arrival(NamedTuple):
    """Rows of one kind in one bin; `lag` is the 95th percentile in seconds, None when unknown."""

    time: datetime
    kind: str
    records: int
    lag: float | None


class Score(NamedTuple):
    """The tenant's secure score on a day, in percent, over as many subscriptions as had one."""

    day: datetime
    percentage: float
    subscriptions: int


@dataclass(frozen=True)
class Trends:
    """What the plots show; `problem` says in a sentence why they show nothing, `not_counted` what they leave out."""

    since: datetime
    until: datetime
    minutes: int
    arrivals: Sequence[Arrival] = ()
    scores: Sequence[Score] = ()
    problem: str = ""
    not_counted: Sequence[str] = ()

    @property
    def times(self) -> list[datetime]:
        """Every bin of the window, empty ones too."""
        step = timedelta(minutes=self.minutes)
        return [self.since + step * number for number in range(int((self.until - self.since) / step))]

    def records_a_minute(self) -> dict[str, list[float]]:
        """By kind, one value for each of `times`."""
        place = {time: index for index, time in enumerate(self.times)}
        found: dict[str, list[float]] = {}
        for arrival in self.arrivals:
            if arrival.time in place:
                row = found.setdefault(arrival.kind, [0.0] * len(place))
                row[place[arrival.time]] += arrival.records / self.minutes
        return dict(sorted(found.items()))

    def lag_seconds(self) -> list[float | None]:
        """The slowest kind's lag, one value for each of `times`; None where nothing arrived."""
        slowest: dict[datetime, float] = {}
        for arrival in self.arrivals:
            if arrival.lag is not None:
                slowest[arrival.time] = max(arrival.lag, slowest.get(arrival.time, 0.0))
        return [slowest.get(time) for time in self.times]


def window(now: datetime, hours: int) -> Trends:
    """An empty answer over the `hours` up to `now`, in bins that make at most 60 points."""
    minutes = next((size for size in _BINS if hours * 60 / size <= _MOST_POINTS), _BINS[-1])
    size = minutes * 60
    until = datetime.fromtimestamp((now.timestamp() // size + 1) * size, UTC)
    return Trends(until - timedelta(hours=hours), until, minutes)


class Elsewhere(Protocol):
    """Where rows lie that routes send to other places alone."""

    async def scores(self) -> tuple[Mapping[str, tuple[LogsQueryClient, str]], Sequence[str]]:
        """By place, who asks which workspace for scores; and why others can't be asked."""

    async def not_counted(self) -> Sequence[str]:
        """Sentences on rows that are not among arrivals and open records."""


class TrendQueries:
    """Asks the workspace; a failure becomes the answer's `problem`.

    Scores that routes send to the workspaces of `elsewhere` are asked for there.
    """

    def __init__(self, client: LogsQueryClient, workspace_id: str, elsewhere: Elsewhere | None = None) -> None:
        self._client = client
        self._workspace_id = workspace_id
        self._elsewhere = elsewhere

    async def read(self, now: datetime, hours: int) -> Trends:
        """Arrivals of the last `hours`, and the scores of the last 90 days."""
        from azure.core.exceptions import AzureError

        empty = window(now, hours)
        left_out: Sequence[str] = ()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                arrivals, (scores, unknown) = await asyncio.gather(
                    self._ask(ARRIVALS, empty.since, empty.until, minutes=empty.minutes), self._scores(SCORE_DAYS)
                )
                if self._elsewhere is not None:
                    left_out = [*await self._elsewhere.not_counted(), *unknown]
        except (AzureError, TimeoutError) as error:
            log.warning("trends can't be read: %s", type(error).__name__)
            return Trends(empty.since, empty.until, empty.minutes, problem=_problem(error))
        return Trends(
            empty.since,
            empty.until,
            empty.minutes,
            [Arrival(row["Time"], row["RecordKind"], int(row["Records"]), _number(row["Lag"])) for row in arrivals],
            scores,
            not_counted=left_out,
        )

    async def figures(
        self, now: datetime, months: int, instance_id: str, seconds: float = _PATIENCE_SECONDS, *, by_day: bool = True
    ) -> Figures:
        """Every figure of a deployment by month, and by day, over so many months up to `now`, the current one included.

        What is not known has no value.
        """
        from azure.core.exceptions import AzureError

        first = first_month(now, months)
        back = (now - first).days
        unknown: Sequence[str] = ()
        try:
            async with asyncio.timeout(seconds):
                names = ("DefenderExportTrend_ByMonth", "DefenderExportTrend_ByDay")[: 1 + by_day]
                found = await asyncio.gather(*(self._figures(name, back, instance_id) for name in names))
                if self._elsewhere is not None:
                    days, unknown = await self._scores_everywhere(self._elsewhere, back)
                    found[0] = scores_of_places.in_months(found[0], days)
                    found[1:] = [scores_of_places.in_days(each, days) for each in found[1:]]
        except (AzureError, TimeoutError) as error:
            log.warning("figures over time can't be read: %s", type(error).__name__)
            return Figures(first, now, problem=_problem(error))
        by_days = days_filled(found[1], first, now) if by_day else ()
        return Figures(first, now, months_filled(found[0], first, months), by_days, not_counted=unknown)

    async def _scores(self, days: int) -> tuple[list[Score], Sequence[str]]:
        """The scores of so many days, and what they leave out."""
        if self._elsewhere is not None:
            found, unknown = await self._scores_everywhere(self._elsewhere, days)
            return [Score(*each) for each in found], unknown
        rows = await self._figures("DefenderSecureScores_ByDay", days)
        return [Score(row["Day"], float(row["Percentage"]), int(row["Subscriptions"])) for row in rows], ()

    async def _scores_everywhere(self, elsewhere: Elsewhere, days: int) -> tuple[list[DayScore], Sequence[str]]:
        """The scores from every workspace that has some; a further one that does not answer is named."""
        from azure.core.exceptions import AzureError

        sources, unseen = await elsewhere.scores()
        text, unknown = trend_functions.asked_scores(days), list(unseen)
        standing = [await whole_answer(self._client, self._workspace_id, text, None, seconds=_PATIENCE_SECONDS)]
        for place, (client, workspace_id) in sources.items():
            try:
                standing.append(await whole_answer(client, workspace_id, text, None, seconds=_PATIENCE_SECONDS))
            except AzureError as error:
                unknown.append(f"not known for place {place}: {_problem(error)}")
        return scores_of_places.by_day(standing), [f"secure score: {each}" for each in unknown]

    async def _figures(self, name: str, days: int, instance_id: str | None = None) -> Sequence[Mapping[str, Any]]:
        text = trend_functions.asked(name, days)
        if instance_id is not None:
            text += f"\n| where InstanceId in ('', {_quoted(instance_id)})"
        return await whole_answer(self._client, self._workspace_id, text, None, seconds=_PATIENCE_SECONDS)

    async def _ask(self, query: str, since: datetime, until: datetime, **more: int) -> Sequence[Mapping[str, Any]]:
        text = query.format(since=since.isoformat(), until=until.isoformat(), **more)
        timespan = (since - _EARLIER, until + _LATER)
        return await whole_answer(self._client, self._workspace_id, text, timespan, seconds=_PATIENCE_SECONDS)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _problem(error: Exception) -> str:
    status = getattr(error, "status_code", None)
    if status in {401, 403}:
        return "Log Analytics refuses the app: give its identity the role Log Analytics Data Reader on the workspace."
    if status == 404:  # noqa: PLR2004 - HTTP
        return "There is no workspace with the id in WORKSPACE_ID: set it to the workspace's own id (a GUID)."
    return "Log Analytics did not answer; nothing is lost, and the page asks again by itself."
