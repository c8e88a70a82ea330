"""Verdicts from evidence: silence is only called what it is when it can be known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.exports.rule_sets import Rule, Source
from shared.watch.coverage import Destination, cover
from shared.watch.expectations import Declared, Expectation, expect
from shared.watch.freshness_verdicts import (
    Evidence,
    Health,
    Present,
    judge,
    marks,
    suspects,
    unproven,
    with_nothing_to_send,
)
from shared.watch.last_arrival import Seen
from tests.unit.watch.builders import HUB, INSTANCE, LOG_ANALYTICS, WORKSPACE, automation, severities, source, sub

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DUE = 9 * DAY
ONE = sub(1)
BOTH = (Source("Assessments", ()), Source("AssessmentsSnapshot", ()))
SENDS = [source("Assessments"), source("AssessmentsSnapshot")]
KEY = ONE.id, "Assessments"


def declared(**changes: Any) -> Declared:
    return replace(Declared(ONE.id, "everything", BOTH, Destination("EventHub", HUB)), **changes)


def expected(*automations: Any, hub: str = HUB, complete: bool = True, **changes: Any) -> Expectation:
    live = automations or (automation(ONE, SENDS, export="everything"),)
    (found,) = expect([declared(**changes)], cover([ONE], live, INSTANCE), hub, complete=complete)
    return found


def verdict(
    expectation: Expectation, seen: Seen, present: Present | None = None, *, off: tuple[str, ...] = (), hub: bool = True
) -> Health:
    evidence = Evidence({KEY: seen}, {KEY: present} if present else {}, {ONE.id: frozenset(off)}, hub)
    (found,) = judge([replace(expectation, kind="Assessments")], evidence, NOW, DUE)
    return found


WAITED = Seen(expected=NOW - 10 * DAY)
SENT = Seen(streaming=NOW - 10 * DAY, snapshot=NOW - 10 * DAY, expected=NOW - 30 * DAY)
THERE = Present(5, 5, 5, 5)
MISSED = "no snapshot came, though 5 present records should have been in it"
NEWER = "2 present records should be sent, which are newer than the last snapshot"


class TestVerdicts:
    @pytest.mark.parametrize(
        ("seen", "present", "found"),
        [
            (Seen(snapshot=NOW - DAY, expected=NOW - 30 * DAY), None, ("fresh", "")),
            (Seen(snapshot=NOW - DUE, expected=NOW - 30 * DAY), None, ("fresh", "")),
            (Seen(streaming=NOW - DAY, expected=NOW - DAY), None, ("fresh", "")),
            (Seen(expected=NOW - DAY), None, ("quiet", "its first snapshot is not due yet")),
            (SENT, None, ("quiet", "what is present could not be read from Resource Graph")),
            (SENT, Present(), ("quiet", "there are no such records at present")),
            (SENT, Present(7), ("quiet", "none of the 7 present records passes the export's filter")),
            (SENT, Present(7, 2), ("quiet", NEWER)),
            (
                replace(SENT, idle=NOW - 8 * DAY),
                THERE,
                ("quiet", "5 present records should be sent, which were not there at the last snapshot"),
            ),
            (SENT, THERE, ("silent", MISSED)),
            (WAITED, THERE, ("silent", "nothing ever arrived, though 5 present records should have been sent")),
            (replace(SENT, streaming=NOW), THERE, ("silent", MISSED)),
        ],
    )  # fmt: skip
    def test_of_an_export_in_order(self, seen: Seen, present: Present | None, found: tuple[str, str]) -> None:
        health = verdict(expected(), seen, present)
        assert (health.verdict, health.reason) == found

    @pytest.mark.parametrize(
        ("automations", "reason"),
        [
            ([automation(sub(2), SENDS, export="everything")], "the automation is missing"),
            ([automation(ONE, SENDS)], "the automation is missing"),
            ([automation(ONE, SENDS, export="everything", enabled=False)], "the automation is disabled"),
            (
                [automation(ONE, SENDS, export="everything", actions=[LOG_ANALYTICS])],
                "the automation sends somewhere else",
            ),
            (
                [automation(ONE, SENDS[:1], export="everything")],
                "the automation no longer exports AssessmentsSnapshot",
            ),
            (
                [automation(ONE, [SENDS[0], source("AssessmentsSnapshot", severities([("Equals", "x")], path="name"))],
                            export="everything")],
                "the automation's filter was changed",
            ),
        ],
    )  # fmt: skip
    def test_name_what_happened_to_the_automation(self, automations: list[Any], reason: str) -> None:
        health = verdict(expected(*automations), SENT, THERE)
        assert (health.verdict, health.reason) == ("silent", reason)
        assert health.since == NOW - DAY
        assert verdict(expected(*automations), replace(SENT, snapshot=NOW)).reason == reason, "said before it is due"
        unsure = verdict(expected(*automations, complete=False), SENT, THERE)
        assert unsure.reason == MISSED

    def test_a_filter_in_another_spelling_is_the_same_filter(self) -> None:
        rules = (Source("Assessments", ((Rule("name", "String", "Equals", "a"),),)),)
        other = [source("assessments", severities([("equals", "A")], path="$.name"))]
        assert expected(automation(ONE, other, export="everything"), sources=rules).trouble == ""

    def test_streaming_alone_is_never_silent(self) -> None:
        live = automation(ONE, SENDS[:1], export="everything")
        expectation = expected(live, sources=BOTH[:1])
        assert suspects([expectation], {KEY: SENT}, NOW, DUE) == []
        health = verdict(expectation, SENT, THERE)
        assert (health.verdict, health.reason) == ("quiet", "only changes are exported, and nothing may have changed")

    def test_another_destination_is_not_observable(self) -> None:
        away = expected(destination=Destination("Workspace", WORKSPACE))
        assert verdict(away, SENT, THERE).verdict == "not observable"
        unset = verdict(expected(hub=""), SENT, THERE, hub=False)
        assert (unset.verdict, "EVENT_HUB_RESOURCE_ID" in unset.reason) == ("not observable", True)

    def test_a_subscription_that_is_disabled_is_not_waited_for(self) -> None:
        dormant = expected(dormant="the subscription is Disabled")
        assert not dormant.waits
        health = verdict(dormant, SENT, THERE)
        assert (health.verdict, health.reason) == ("quiet", "the subscription is Disabled")

    def test_attack_paths_come_and_go_so_only_a_broken_automation_makes_them_silent(self) -> None:
        key = ONE.id, "AttackPaths"
        sources = (Source("AttackPathsSnapshot", ()),)
        fine = expected(automation(ONE, [source("AttackPathsSnapshot")], export="everything"), sources=sources)
        evidence = Evidence({key: SENT}, {key: THERE})
        assert judge([fine], evidence, NOW, DUE)[0].verdict == "quiet"
        broken = expected(automation(sub(2), SENDS), sources=sources)
        assert judge([broken], evidence, NOW, DUE)[0].verdict == "silent"

    def test_plans_that_are_off_explain_quiet_kinds_that_they_feed(self) -> None:
        sources = (Source("Alerts", ()),)
        quiet = expected(automation(ONE, [source("Alerts")], export="everything"), sources=sources)
        evidence = Evidence({}, {}, {ONE.id: frozenset({"Arm", "CloudPosture"})})
        assert judge([quiet], evidence, NOW, DUE)[0].reason.endswith("; Defender plans that are off: Arm")


class TestWaiting:
    def test_begins_when_an_export_is_first_seen_and_ends_with_it(self) -> None:
        one = expected()
        assert marks([one], {}, NOW, complete=True) == {KEY: Seen(expected=NOW)}
        assert marks([one], {KEY: WAITED}, NOW, complete=True) == {}
        assert marks([], {KEY: WAITED}, NOW, complete=True) == {KEY: replace(WAITED, withdrawn=NOW)}
        assert marks([], {KEY: WAITED}, NOW, complete=False) == {}, "it may only have been overlooked"

    def test_begins_anew_when_an_export_comes_back(self) -> None:
        gone = replace(SENT, withdrawn=NOW - 5 * DAY)
        (back,) = marks([expected()], {KEY: gone}, NOW, complete=True).values()
        assert back.waiting_since(NOW) == NOW

    def test_starts_over_a_day_at_a_time_while_there_is_nothing_to_send(self) -> None:
        assert with_nothing_to_send({KEY: SENT}, {KEY: Present(3)}, NOW) == {KEY: replace(SENT, idle=NOW)}
        lately = replace(SENT, idle=NOW - DAY / 2)
        assert with_nothing_to_send({KEY: lately}, {KEY: Present(3)}, NOW) == {}
        assert with_nothing_to_send({KEY: SENT}, {KEY: THERE}, NOW) == {}


@pytest.mark.parametrize("kind", ["SecureScores", "SecureScoreControls", "RegulatoryComplianceAssessment"])
@pytest.mark.parametrize("first", [0.6, 2.9, 3.1, 6.9, 7.1, 8.0, 8.9, 12.0])
@pytest.mark.parametrize("snapshots", [0.5, 3.0, 7.0])
def test_sixty_days_of_a_kind_without_dates_that_begins_late_raise_no_false_alarm_and_name_a_true_silence(
    kind: str, first: float, snapshots: float
) -> None:
    """Hourly checks; snapshots come weekly until day 40, when the export breaks unnoticed."""
    key = ONE.id, kind
    one = replace(expected(), kind=kind)
    begun, broken = NOW, 40.0
    seen: dict[Any, Seen] = {}
    silent: list[float] = []
    for hour in range(60 * 24):
        day = hour / 24
        now = begun + hour * timedelta(hours=1)
        weeks = [snapshots + 7 * week for week in range(9)]
        arrived = [each for each in weeks if first <= each <= min(day, broken)]
        there = Present(5, 5, 5, 5) if day >= first else Present()
        known = replace(seen.get(key, Seen()), snapshot=begun + DAY * arrived[-1] if arrived else None)
        seen = {key: known} | marks([one], {key: known}, now, complete=True)
        asked = [*suspects([one], seen, now, DUE), *unproven([one], seen, now, DUE)]
        present = {each.key: there for each in asked}
        (found,) = judge([one], Evidence(seen, present), now, DUE)
        seen |= with_nothing_to_send(seen, present, now)
        if found.verdict == "silent":
            silent.append(day)
    last = max(each for each in [snapshots + 7 * week for week in range(9)] if each <= broken)
    assert silent, "the true silence is named"
    assert last + 9 < silent[0] <= last + 9.1, "and not before the snapshot is overdue"
    assert silent[-1] > 59.9


def test_exports_to_the_hub_outweigh_those_to_elsewhere() -> None:
    elsewhere = declared(export="law", destination=Destination("Workspace", WORKSPACE))
    off = declared(export="off", enabled=False)
    live = cover([ONE], [automation(ONE, SENDS, export="everything")], INSTANCE)
    (found,) = expect([elsewhere, declared(), off], live, HUB.upper())
    assert (found.export, found.observable, found.trouble) == ("everything", True, "")
