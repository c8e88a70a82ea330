"""Days of a tenant: what is open by the tables is what Resource Graph has, two complete answers after each change.

The right answers are kept beside it: of each record, since when it is open, when it ended, and how many complete
answers in a row have lacked it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from shared.lifecycle.open_in_tables import UnknownError
from tests.integration.lifecycle.life import DAY, Life, Record

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 1 / 24
ANSWERS = ("whole", "cut", "throttled", "whole", "a part", "throttled a little", "whole", "whole", "throttled", "whole")
WHOLE = frozenset({"whole", "throttled a little"})
A_PART = 14
"""Rows of an answer: enough to count what there is, and too few to list it."""
ALL_THAT_HAPPENS = 15
ENDS_AFTER = 2
End = tuple[str, str, float]


@dataclass
class Known:
    """One record as it is: open since when, exported last when, whether it is there, and answers that lacked it."""

    row: Record
    since: float
    exported: float = -1.0
    there: bool = True
    seen: bool = False  # by Resource Graph, which lags
    healthy: bool = False
    lacking: list[float] = field(default_factory=list)
    counted: float = 0.0  # since when by the tables: `since`, or the answer that had it again where no export told them
    told: bool = False  # whether an export told them
    vanished: float = 0.0

    @property
    def ended(self) -> bool:
        return len(self.lacking) >= ENDS_AFTER


class Story:
    """Draws what happens, lets it happen, and knows what the tables have to say."""

    def __init__(self, life: Life, days: int) -> None:
        self.life = life
        self.chance = random.Random(32)
        self.images_last = days / 6
        self.known: dict[str, Known] = {}
        self.waiting: list[tuple[float, Callable[[], None]]] = []
        self.ends: list[End] = []
        self.happened: Counter[str] = Counter()
        self.whole: list[float] = []

    @property
    def open(self) -> set[str]:
        """What the tables have to hold as open now."""
        return {name for name, each in self.known.items() if each.exported > 0 and not each.ended and not each.healthy}

    @property
    def truth(self) -> set[str]:
        return {name for name, each in self.known.items() if each.there and not each.healthy}

    def some(self, share: float, where: Callable[[Known], bool] = lambda _: True) -> list[Known]:
        """Some of what is there, of those for which something holds."""
        there = (each for each in self.known.values() if each.there and not each.healthy and where(each))
        return [each for each in there if self.chance.random() < share]

    async def appears(self, day: float, row: Record, *, since: float | None = None, exported: bool = True) -> Known:
        (name,) = self.life.ids([row])
        each = self.known[name] = Known(row, day if since is None else since)
        self._in_graph(day, each)
        if exported:
            await self.exports(day, each)
        return each

    async def exports(self, day: float, *known: Known) -> None:
        await self.life.export(day, [each.row for each in known])
        for each in known:
            each.exported, each.lacking, each.told, each.counted = day, [], True, each.since

    def vanishes(self, day: float, each: Known) -> None:
        each.there, each.vanished = False, day
        self.waiting.append((day + HOUR, lambda: self._out_of_graph(each)))

    async def returns(self, day: float, each: Known, *, exported: bool) -> None:
        """The same record again, of a later state, which the tables hear of or not."""
        each.there, each.since, each.told = True, day, False
        status = {**each.row["properties"].get("status", {}), "statusChangeDate": self.at(day)}
        each.row = {**each.row, "properties": {**each.row["properties"], "status": status}}
        self._in_graph(day, each)
        if exported:
            await self.exports(day, each)

    async def turns(self, day: float, each: Known, code: str) -> None:
        """A misconfiguration is mended or not: Resource Graph goes on having it, and the change is exported."""
        if code == "Healthy":
            (name,) = self.life.ids([each.row])
            self.ends.append((name, "Healthy", day - each.since))
        each.since, each.healthy = day, code == "Healthy"
        status = {"code": code, "statusChangeDate": self.at(day)}
        each.row = {**each.row, "properties": {**each.row["properties"], "status": status}}
        await self.exports(day, each)

    def at(self, day: float) -> str:
        return (self.life.start + day * DAY).isoformat()

    def _in_graph(self, day: float, each: Known) -> None:
        def seen() -> None:
            self.life.security.add(each.row["subscriptionId"], each.row)
            each.seen = True

        self.waiting.append((day + HOUR, seen))

    def _out_of_graph(self, each: Known) -> None:
        self.life.security.take_away(each.row["subscriptionId"], each.row["id"])
        each.seen = False

    def moment(self, start: float, until: float = 0.499) -> float:
        """Any time in half a day."""
        return start + self.chance.uniform(0.001, until)

    async def half_a_day(self, start: float) -> None:
        """What happens in half a day, at any time in it, up to its last minute."""
        await self._comes(start)
        for each in self.some(0.06, lambda each: each.since < start):
            self.happened["fixed"] += 1
            self.vanishes(self.moment(start), each)
        self._machines(start)
        await self._renames(start)
        await self._returns(start)
        await self._misconfigurations(start)
        if int(start * 2) % 14 == 5:  # the weekly snapshot
            self.happened["snapshot"] += 1
            await self.exports(start + 0.495, *self.some(1))

    async def _comes(self, start: float) -> None:
        life, chance = self.life, self.chance
        for _ in range(chance.randrange(4)):
            day, machine = self.moment(start), f"vm{chance.randrange(9)}"
            await self.appears(day, life.package(chance.choice(life.subscriptions), day, machine))
        if chance.random() < 0.3:
            day = self.moment(start)
            for _ in range(3):  # the packages of one image
                await self.appears(day, life.package(life.subscriptions[0], day, f"image-{start}"))
        if chance.random() < 0.2:
            await self.appears(self.moment(start), life.path(chance.choice(life.subscriptions)))

    def _machines(self, start: float) -> None:
        """A machine is deleted, and what was found on it is gone; images are no longer scanned after a while."""
        machines = {machine_of(each) for each in self.some(1) if machine_of(each).startswith("vm")}
        if machines and self.chance.random() < 0.15:
            machine, day = self.chance.choice(sorted(machines)), self.moment(start)
            for each in self.some(1, lambda each: machine_of(each) == machine and each.since < start):
                self.happened["machine deleted"] += 1
                self.vanishes(day, each)
        for each in self.some(1, lambda each: machine_of(each).startswith("image")):
            if start > float(machine_of(each).removeprefix("image-")) + self.images_last:
                self.happened["image aged out"] += 1
                self.vanishes(start + 0.1, each)

    async def _misconfigurations(self, start: float) -> None:
        mendable = self.some(0.03, lambda each: machine_of(each).startswith("vm") and each.since < start)
        for each in (one for one in mendable if one.told and one.seen):
            self.happened["healthy"] += 1
            await self.turns(self.moment(start), each, "Healthy")
        mended = [each for each in self.known.values() if each.healthy and each.since < start]
        for each in (one for one in mended if self.chance.random() < 0.1):
            self.happened["unhealthy again"] += 1
            await self.turns(self.moment(start), each, "Unhealthy")

    async def _renames(self, start: float) -> None:
        """A recommendation gets another title, and goes on; or another id, and the one of before vanishes."""
        for each in self.some(0.03, lambda each: machine_of(each).startswith("vm") and each.since < start):
            day = self.moment(start, 0.4)
            if self.chance.random() < 0.5:
                self.happened["renamed"] += 1
                each.row = {**each.row, "properties": {**each.row["properties"], "displayName": f"Update at {start}"}}
                await self.exports(day, each)
            else:
                self.happened["renamed, with another id"] += 1
                self.vanishes(day, each)
                row = self.life.package(each.row["subscriptionId"], each.since, machine_of(each))
                await self.appears(day, row, since=each.since)

    async def _returns(self, start: float) -> None:
        """Of what has ended, some comes back; one in two without an export."""
        gone = [each for each in self.known.values() if each.ended and start - each.lacking[-1] < 20]
        for each in (one for one in gone if machine_of(one).startswith("vm") and self.chance.random() < 0.04):
            exported = self.chance.random() < 0.5
            self.happened["back, exported" if exported else "back"] += 1
            await self.returns(start + self.chance.uniform(0.02, 0.4), each, exported=exported)

    def let_pass(self, day: float) -> None:
        """Resource Graph comes to know what happened an hour before this."""
        due = sorted((each for each in self.waiting if each[0] <= day), key=lambda each: each[0])
        self.waiting = [each for each in self.waiting if each[0] > day]
        for _, change in due:
            change()

    def answered(self, day: float) -> None:
        """A complete answer: what follows for each record."""
        self.whole.append(day)
        for name, each in self.known.items():
            if each.exported <= 0 or each.healthy or (each.seen and not each.lacking):
                continue
            if each.seen:
                if each.ended:
                    each.counted = day
                each.lacking = []
            elif not each.ended and each.exported <= day - HOUR:
                each.lacking.append(day)
                if len(each.lacking) >= ENDS_AFTER:
                    how = "Retired" if "/subassessments/" in name else "Gone"
                    self.ends.append((name, how, each.lacking[0] - each.counted))
                    first = max(each.vanished + HOUR, each.exported + HOUR)
                    assert each.lacking[0] == min(q for q in self.whole if q >= first), "by the first that lacked it"


def machine_of(each: Known) -> str:
    return str(each.row["properties"].get("resourceDetails", {}).get("ResourceName", "path"))


async def compare(story: Story, day: float, answer: str) -> None:
    """One pass on a day, with an answer of a kind; what is incomplete leaves no row."""
    life, arm, limits = story.life, story.life.azure.arm, story.life.azure.logs_query.limits
    before = await life.rows("DefenderGone_CL | count")
    life.day = day
    if answer == "throttled":
        arm.faults.add("throttle", matching="ResourceGraph", retry_after=30)
        with suppress(UnknownError):
            for _ in range(2):
                state = await life.check(seconds=2, percent=100).begin(life.now)
                assert state.ended is None or state.left_out  # as much of its time was left or not
    else:
        arm.graph.subscription_limit = 0 if answer == "cut" else 10_000
        limits.rows = A_PART if answer == "a part" else 500_000
        if answer == "throttled a little":
            arm.faults.add("throttle", matching="ResourceGraph", retry_after=1, times=2)
        done = await life.compare(day, percent=100)  # the guard is another test's matter
        assert done.held == {}
        assert (done.left_out == 0) is (answer in WHOLE), done.reasons
    arm.faults.clear()
    arm.graph.subscription_limit, limits.rows = 10_000, 500_000
    if answer in WHOLE:
        story.answered(day)
    else:
        assert await life.rows("DefenderGone_CL | count") == before, f"nothing follows from an answer that is {answer}"
    story.happened[answer] += 1
    assert await life.open_now() == story.open, (day, answer)


@pytest.mark.parametrize("days", [3, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(7_200)])])
async def test_open_now_and_time_to_fix_are_what_happened(life: Life, days: int) -> None:
    story = Story(life, days)
    for number in range(18):
        row = life.package(life.subscriptions[number % 3], 0.01, f"vm{number % 6}")
        await story.appears(0.01, row)
    old = [await story.appears(0.01, life.finding(life.subscriptions[0])) for _ in range(12)]
    for half in range(days * 2):
        start = half * 0.5 + 0.02
        await story.half_a_day(start)
        if half == days:  # what was of the retired model vanishes in one moment
            for each in old:
                if each.there:
                    story.vanishes(start + 0.1, each)
        story.let_pass(start + 0.5)
        await compare(story, start + 0.5, ANSWERS[half % len(ANSWERS)])
    for later in (1, 1.5):
        story.let_pass(days + later)
        await compare(story, days + later, "whole")
    assert await life.open_now() == story.truth
    ended = await life.rows("DefenderRecords_Ended() | project RecordId, EndedAs, DaysOpen")
    said, happened = sorted(ended), sorted(story.ends)
    assert [each[:2] for each in said] == [each[:2] for each in happened]
    assert [each[2] for each in said] == pytest.approx([each[2] for each in happened], abs=0.002)
    print(len(story.known), "records,", len(ended), "ends:", dict(story.happened))  # noqa: T201 - what was looked at
    if days == 60:
        assert len(story.happened) == ALL_THAT_HAPPENS
        assert {how for _, how, _ in ended} == {"Gone", "Healthy", "Retired"}
