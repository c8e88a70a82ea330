"""Ninety days of a tenant, known to the model below hour by hour, against the figures made from the rows."""

import random
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from local.stack import LocalAzure
from shared.azure.clients import Clients
from shared.settings import Settings
from shared.watch.freshness_outcome import Outcome
from shared.watch.freshness_verdicts import FRESH, QUIET, SILENT, Health
from shared.watch.trend_figures import Figure, Figures
from shared.watch.trend_rows import Silences, Standing, settle, trend_rows
from shared.watch.trends import TrendQueries
from tools import infra
from tools.workbook import queries, workbook

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAYS, SEED = 90, 31
NOW = datetime.now(UTC)
END = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
"""The model ends with yesterday."""
START = END - DAYS * DAY
INSTANCE = "it's \\ ours"
CIS = "cis-8.1.5.2"


@dataclass
class Model:
    """What really happens: hours are counted from the start."""

    chance: random.Random
    joins: dict[str, int] = field(default_factory=dict)
    leaves: dict[str, int] = field(default_factory=dict)
    silent: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """Silences of a subscription: due at the hour, mended at twenty minutes before the other."""
    down: tuple[tuple[int, int], ...] = ((20 * 24 + 5, 22 * 24 + 9), (47 * 24, 50 * 24), (70 * 24 + 3, 70 * 24 + 5))
    scores: dict[str, dict[int, tuple[float, int, int]]] = field(default_factory=dict)

    def fill(self) -> None:
        for number in range(14):
            name = f"{number:08x}-0000-4000-8000-000000000000"
            self.joins[name] = 0 if number < 10 else self.chance.randrange(DAYS * 12)
            self.leaves[name] = DAYS * 24 if number % 4 else self.chance.randrange(DAYS * 14, DAYS * 24)
            hour, self.silent[name] = self.joins[name], []
            while (hour := hour + self.chance.randrange(100, 600)) + 300 < self.leaves[name]:
                end = hour + self.chance.randrange(2, 200)
                self.silent[name].append((hour, end))
                hour = end
            day, self.scores[name] = self.joins[name] // 24, {}
            while day * 24 < self.leaves[name]:
                most = self.chance.choice((40, 58, 60))
                self.scores[name][day] = (self.chance.randrange(most * 10) / 10, most, self.chance.randrange(40))
                day += self.chance.choice((1, 3, 7, 7, 13))

    def up(self, hour: int) -> bool:
        return not any(since <= hour < until for since, until in self.down)

    def there(self, hour: int) -> list[str]:
        return [name for name in self.joins if self.joins[name] <= hour < self.leaves[name]]

    def is_silent(self, name: str, hour: int) -> bool:
        return any(since <= hour < until for since, until in self.silent[name])

    def met(self, name: str, day: int) -> bool:
        return (day // 9 + int(name[:8], 16)) % 3 > 0

    def health(self, hour: int) -> Iterator[Health]:
        for name in self.there(hour):
            past = [until for since, until in self.silent[name] if until <= hour]
            came = moment(max(past)) - timedelta(minutes=20) if past else None
            due = [since for since, until in self.silent[name] if since <= hour < until]
            verdict = SILENT if due else FRESH
            if due and hour % 17 == 0:
                verdict = QUIET  # Resource Graph did not answer this time
            since = moment(due[0]) if verdict == SILENT else came
            yield Health(name, "Assessments", "all", verdict, since, "", came, came, None)


def moment(hour: int) -> datetime:
    return START + hour * HOUR


@pytest.fixture(scope="module")
def model() -> Model:
    made = Model(random.Random(SEED))
    made.fill()
    return made


def health_rows(model: Model) -> list[dict[str, Any]]:
    """What the checks of the model's app leave behind."""
    rows: list[dict[str, Any]] = []
    silences = Silences()
    for hour in filter(model.up, range(DAYS * 24)):
        outcome = Outcome(moment(hour), list(model.health(hour)))
        silences = settle(silences.open, outcome.health, outcome.checked, complete=True)
        standings = []
        if hour % 24 in {3, 22, 23}:
            counts = coverage_counts(model, hour)
            standings = [Standing(CIS, "", counts, hour % 24 != 23 or hour // 24 % 5 > 0)]
        made = list(trend_rows(outcome, standings, silences, {}, INSTANCE))
        rows += made * (2 if hour % 50 == 0 else 1)  # sent again after a failure
    return rows


def coverage_counts(model: Model, hour: int) -> dict[str, int]:
    there = model.there(hour)
    met = sum(model.met(name, hour // 24) for name in there)
    odd = 0 if hour % 24 != 23 or hour // 24 % 5 else met  # an incomplete reading tells something else
    return {"met": met - odd, "not met": len(there) - met, "excepted": 0, "not judged": odd}


def score_rows(model: Model) -> Iterator[dict[str, Any]]:
    for name, taken in model.scores.items():
        last = moment(0)
        for day, (current, most, weight) in taken.items():
            for hours, part in ((2, 0.5), (9, 1.0)):  # the newest of a day counts
                last = moment(day * 24 + hours)
                yield score_row(name, last, current * part, most, weight)
        if model.leaves[name] < DAYS * 24 and int(name[:8], 16) % 8 == 0:
            yield {**score_row(name, moment(model.leaves[name]), 0, 60, 1), "Action": "Delete"}
        yield {**score_row(name, last + HOUR, 1, 1, 99), "ScoreName": "an-initiative"}


def score_row(name: str, at: datetime, current: float, most: int, weight: int) -> dict[str, Any]:
    text = at.isoformat()
    return {
        "SubscriptionId": name, "ScoreName": "ascScore", "TimeGenerated": text, "EventTime": text,
        "EnqueuedTime": text, "CurrentScore": current, "MaxScore": most, "Weight": weight, "Action": "Write",
    }  # fmt: skip


def true_score(model: Model, day: int) -> tuple[float, int] | None:
    """The score of a day by the model: the newest of nine days of whoever was not taken away."""
    found = []
    for name, taken in model.scores.items():
        gone = model.leaves[name] if model.leaves[name] < DAYS * 24 and int(name[:8], 16) % 8 == 0 else None
        days = [each for each in taken if each <= day < each + 9]
        if not days or taken[max(days)][2] == 0:
            continue
        # Taken away on this day or before; a score of the same day that came later would stand.
        if gone is not None and gone // 24 <= day and gone > max(days) * 24 + 9:
            continue
        found.append(taken[max(days)])
    weights = sum(weight for _, _, weight in found)
    return (
        (sum(current / most * weight for current, most, weight in found) / weights * 100, len(found)) if found else None
    )


def true_hours(model: Model, day: int) -> tuple[float, float]:
    """Hours silent and watched on a day: each check stands for an hour, and for one more where none follows."""
    silent = watched = 0.0
    for hour in filter(model.up, range(day * 24, day * 24 + 24)):
        ended = hour + 1 == DAYS * 24
        hours = 1 if ended or model.up(hour + 1) else 2
        said = list(model.health(hour))
        watched += hours * len(said)
        silent += hours * sum(each.verdict == SILENT for each in said)
    return silent, watched


def true_repairs(model: Model) -> list[tuple[datetime, float]]:
    """When each silence ended that any check saw, and after how many hours."""
    ended = []
    for name, silences in model.silent.items():
        for since, until in silences:
            seen = [hour for hour in range(since, until) if model.up(hour) and hour % 17]
            found = [hour for hour in range(until, model.leaves[name]) if model.up(hour)]
            if seen and found:
                ended.append((moment(until) - timedelta(minutes=20), until - since - 1 / 3))
    return ended


async def insert(azure: LocalAzure, table: str, rows: list[dict[str, Any]]) -> None:
    types = {column.name: column.type for column in azure.workspace.tables[table].columns}
    names = sorted({name for row in rows for name in row})
    duck = {"datetime": "TIMESTAMPTZ", "long": "BIGINT", "int": "INTEGER", "real": "DOUBLE", "dynamic": "JSON"}
    chosen = ", ".join(f"(row->>'{name}')::{duck.get(types[name], 'VARCHAR')} AS \"{name}\"" for name in names)
    for start in range(0, len(rows), 2000):
        text = orjson.dumps(rows[start : start + 2000]).decode()
        query = f"INSERT INTO {table} BY NAME SELECT {chosen} FROM (SELECT unnest(from_json(?, '[\"JSON\"]')) AS row)"
        await azure.workspace.sql(query, [text])


@pytest.fixture
async def figures(local_azure: LocalAzure, model: Model) -> AsyncIterator[Figures]:
    local_azure.workspace.functions = [
        f"function {query.name}({query.parameters}) {{ {query.text} }}" for query in infra.saved_functions()
    ]
    await insert(local_azure, "DefenderExportHealth_CL", health_rows(model))
    other = {"TimeGenerated": moment(9).isoformat(), "InstanceId": "another", "CheckName": "silence"}
    await insert(
        local_azure, "DefenderExportHealth_CL", [{**other, "Details": {"silent": 9, "watched": 9}}]
    )  # another deployment in the same workspace
    await insert(local_azure, "DefenderSecureScores_CL", list(score_rows(model)))
    clients = Clients(Settings.load())
    yield await TrendQueries(clients.logs_query, local_azure.workspace.workspace_id).figures(NOW, 5, INSTANCE)
    await clients.close()


def by_period(figures: list[Figure], measure: str) -> dict[str, Figure]:
    return {each.period: each for each in figures if each.measure == measure}


async def test_ninety_days_are_told_as_they_were(local_azure: LocalAzure, model: Model, figures: Figures) -> None:
    assert figures.problem == ""
    days = list(figures.days)
    for day in range(DAYS):
        text = f"{moment(day * 24):%Y-%m-%d}"
        score, true = by_period(days, "secure score")[text], true_score(model, day)
        if true is None:
            assert (score.value, score.days) == (None, 0), text
        else:
            assert score.value == pytest.approx(true[0], abs=0.0051), text
            assert score.over == true[1], text
        silent, watched = true_hours(model, day)
        told = by_period(days, "silent time")[text]
        if watched:
            assert (told.value, told.over) == (silent, watched), text
            assert by_period(days, "silent share")[text].value == pytest.approx(100 * silent / watched, abs=0.0051)
        else:
            assert (told.value, told.days) == (None, 0), text
        hours = [day * 24 + hour for hour in (3, 22, 23) if model.up(day * 24 + hour)]
        whole = [hour for hour in hours if hour % 24 != 23 or day % 5]
        covered = by_period(days, "coverage")[text]
        if whole:
            there = model.there(whole[-1])
            met = sum(model.met(name, day) for name in there)
            assert covered.value == pytest.approx(100 * met / len(there), abs=0.0051), text
            assert covered.over == len(there), text
        else:
            assert (covered.value, covered.days) == (None, 0), text
    assert [each for each in days if each.period > f"{END:%Y-%m-%d}"] == []
    months_are_told(model, figures)
    await workbook_says_the_same(local_azure, figures)


def months_are_told(model: Model, figures: Figures) -> None:
    ended = true_repairs(model)
    assert len(ended) > 40
    for month, figure in by_period(list(figures.months), "time to repair").items():
        hours = [took for at, took in ended if f"{at:%Y-%m}" == month]
        assert figure.over == len(hours)
        assert figure.value == (pytest.approx(sum(hours) / len(hours), abs=0.0051) if hours else None)
    for measure in ("coverage", "secure score"):
        for month, figure in by_period(list(figures.months), measure).items():
            known = [each for each in by_period(list(figures.days), measure).values() if each.value is not None]
            of_month = [each for each in known if each.period.startswith(month)]
            assert figure.days == len(of_month)
            assert figure.value == (of_month[-1].value if of_month else None)
    silent = by_period(list(figures.months), "silent time")
    assert sum(each.value or 0 for each in silent.values()) == sum(true_hours(model, day)[0] for day in range(DAYS))


async def workbook_says_the_same(azure: LocalAzure, figures: Figures) -> None:
    panels: Mapping[str, str] = dict(queries(workbook()))
    score = await azure.workspace.kql(panels["Secure score by day"].replace("ago(30d)", "ago(3650d)"))
    shown = {f"{day:%Y-%m-%d}": value for day, value in score.rows}
    told = {period: each.value for period, each in by_period(list(figures.days), "secure score").items()}
    assert len(shown) >= DAYS - 9
    assert {period: told[period] for period in shown if period in told} == {
        period: value for period, value in shown.items() if period in told
    }
    now = await azure.workspace.kql(panels["Secure score now, and of how many subscriptions"])
    assert now.rows[0][1] == told[f"{now.rows[0][0]:%Y-%m-%d}"]
    months = await azure.workspace.kql(panels["Every figure by month; what is missing is not known"])
    by_month = {
        (f"{row[0]:%Y-%m}", row[2], row[3]): (row[4], row[5], row[6]) for row in months.rows if row[1] != "another"
    }
    for each in figures.months:
        if each.days:
            assert by_month[each.period, each.measure, each.name] == (each.value, each.over, each.days)
    clients = Clients(Settings.load())
    metrics = await TrendQueries(clients.logs_query, azure.workspace.workspace_id).read(NOW, 1)
    await clients.close()
    assert {f"{each.day:%Y-%m-%d}": each.percentage for each in metrics.scores if f"{each.day:%Y-%m-%d}" in shown} == {
        period: value for period, value in shown.items() if period >= f"{metrics.scores[0].day:%Y-%m-%d}"
    }
