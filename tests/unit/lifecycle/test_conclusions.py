from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.lifecycle.closing_guard import ALWAYS, OpenCount, held_back
from shared.lifecycle.conclusions import APART, SETTLES, conclusions
from shared.lifecycle.gone_rows import gone_rows
from shared.lifecycle.model import ENDS, Action, Conclusion, KnownRecord, Mark, PresentNow
from shared.lifecycle.slices import MOST_RECORDS, MOST_SUBSCRIPTIONS, Slice, as_lists, from_lists, slices

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RECORD = KnownRecord("/s/a/1", "Assessment", "s", NOW - timedelta(days=9), NOW - timedelta(days=2))


def answered(
    *ids: str, at: datetime = NOW, why: str = "", unseen: frozenset[tuple[str, str]] = frozenset()
) -> PresentNow:
    return PresentNow(frozenset(ids), at, (why,) if why else (), unseen)


def said(record: KnownRecord, present: PresentNow) -> list[Action]:
    return [each.action for each in conclusions([record], present)]


def marked(action: Action, ago: timedelta, record: KnownRecord = RECORD) -> KnownRecord:
    return replace(record, mark=Mark(action, NOW - ago, NOW - ago))


class TestConclusions:
    def test_what_is_there_stays_open(self) -> None:
        assert said(RECORD, answered(RECORD.record_id)) == []

    def test_what_is_missing_once_is_noted(self) -> None:
        (found,) = conclusions([RECORD], answered("/s/a/2"))
        assert (found.action, found.gone) == (Action.MISSING, NOW)

    def test_what_is_missing_twice_is_gone_since_the_first_answer_without_it(self) -> None:
        noted = marked(Action.MISSING, timedelta(hours=6))
        (found,) = conclusions([noted], answered())
        assert (found.action, found.gone) == (Action.GONE, NOW - timedelta(hours=6))

    def test_what_is_of_the_retired_model_is_retired_and_not_gone(self) -> None:
        noted = replace(marked(Action.MISSING, timedelta(hours=6)), retired_model=True)
        assert said(noted, answered()) == [Action.RETIRED]

    @pytest.mark.parametrize("end", sorted(ENDS))
    def test_an_end_is_said_once(self, end: Action) -> None:
        assert said(marked(end, timedelta(hours=6)), answered()) == []

    @pytest.mark.parametrize("action", [Action.MISSING, Action.GONE, Action.RETIRED])
    def test_what_comes_back_is_open_again(self, action: Action) -> None:
        assert said(marked(action, timedelta(hours=6)), answered(RECORD.record_id)) == [Action.BACK]

    def test_what_came_back_needs_two_answers_again(self) -> None:
        assert said(marked(Action.BACK, timedelta(hours=6)), answered()) == [Action.MISSING]

    def test_an_export_takes_a_mark_back(self) -> None:
        noted = replace(marked(Action.MISSING, timedelta(hours=6)), last_seen=NOW - timedelta(hours=3))
        assert said(noted, answered()) == [Action.MISSING]

    def test_two_answers_close_together_count_as_one(self) -> None:
        assert said(marked(Action.MISSING, APART - timedelta(seconds=1)), answered()) == []
        assert said(marked(Action.MISSING, APART), answered()) == [Action.GONE]

    def test_a_pass_ends_nothing_that_it_noted_itself_before_it_was_killed(self) -> None:
        noted = marked(Action.MISSING, timedelta(hours=3))
        began = NOW - timedelta(hours=3)
        assert list(conclusions([noted], answered(), began=began)) == []
        (found,) = conclusions([noted], answered(), began=began + timedelta(seconds=1))
        assert found.action is Action.GONE

    def test_resource_graph_may_not_yet_have_what_was_just_exported(self) -> None:
        assert said(replace(RECORD, last_seen=NOW - SETTLES + timedelta(seconds=1)), answered()) == []
        assert said(replace(RECORD, last_seen=NOW + timedelta(days=1)), answered()) == [], "a clock that is ahead"

    def test_where_nothing_could_be_seen_nothing_is_missing(self) -> None:
        blind = frozenset({("s", "Assessment")})
        assert said(RECORD, answered(unseen=blind)) == []
        assert said(replace(RECORD, kind="AttackPath"), answered(unseen=blind)) == [Action.MISSING]

    def test_what_the_guard_holds_back_is_still_noted(self) -> None:
        held = {("Assessment", Action.GONE)}
        assert list(conclusions([marked(Action.MISSING, timedelta(hours=6))], answered(), held)) == []
        assert [each.action for each in conclusions([RECORD], answered(), held)] == [Action.MISSING]
        retired = replace(marked(Action.MISSING, timedelta(hours=6)), retired_model=True)
        assert [each.action for each in conclusions([retired], answered(), held)] == [Action.RETIRED]


STEPS = st.lists(
    st.tuples(st.sampled_from(["there", "missing", "incomplete", "blind", "exported"]), st.integers(1, 300)),
    max_size=30,
)


class TestAnyStory:
    @given(STEPS, st.booleans())
    def test_an_end_has_two_complete_answers_in_a_row_without_the_record(
        self, steps: list[tuple[str, int]], retired: bool
    ) -> None:
        record, now = replace(RECORD, retired_model=retired), NOW
        lacking: list[datetime] = []  # complete answers without it, since it was last there or exported
        open_now = True
        for step, minutes in steps:
            now += timedelta(minutes=minutes)
            if step == "exported":
                record, lacking, open_now = replace(record, last_seen=now), [], True
                continue
            why = "throttled" if step == "incomplete" else ""
            blind = frozenset({("s", "Assessment")} if step == "blind" else ())
            ids = [record.record_id] if step == "there" else []
            found = list(conclusions([record], answered(*ids, at=now, why=why, unseen=blind)))
            if step in {"incomplete", "blind"}:
                assert found == []
                continue
            if step == "there":
                assert [each.action for each in found] in ([], [Action.BACK])
                lacking, open_now = [], True
            else:
                lacking.append(now)
            for each in found:
                record = replace(record, mark=Mark(each.action, each.gone or now, now))
                if each.action in ENDS:
                    assert open_now, "an end is said once"
                    assert each.action is (Action.RETIRED if retired else Action.GONE)
                    assert len(lacking) >= 2
                    assert now - lacking[0] >= APART
                    assert each.gone in lacking
                    assert each.gone is not None
                    assert each.gone > record.last_seen
                    open_now = False
            assert (record.standing is not None and record.standing.action in ENDS) is not open_now

    @given(st.lists(st.integers(61, 3_000), min_size=2, max_size=6))
    def test_two_complete_answers_without_it_end_a_record(self, minutes: list[int]) -> None:
        record, now, actions = RECORD, NOW, []
        for each in minutes:
            now += timedelta(minutes=each)
            for found in conclusions([record], answered(at=now)):
                actions.append(found.action)
                record = replace(record, mark=Mark(found.action, found.gone or now, now))
        assert actions == [Action.MISSING, Action.GONE]


class TestGuard:
    def test_a_share_of_a_kind_holds_its_ends_back_with_the_reason(self) -> None:
        held = held_back([OpenCount("Assessment", False, 1_000, 201), OpenCount("AttackPath", False, 1_000, 200)], 20)
        assert list(held) == [("Assessment", Action.GONE)]
        assert "201 of 1,000" in held["Assessment", Action.GONE]
        assert "20 %" in held["Assessment", Action.GONE]

    def test_a_few_may_always_end(self) -> None:
        assert held_back([OpenCount("Assessment", False, ALWAYS, ALWAYS)], 0) == {}
        assert held_back([OpenCount("Assessment", False, ALWAYS + 1, ALWAYS + 1)], 0) != {}

    def test_a_hundred_percent_lets_everything_through(self) -> None:
        assert held_back([OpenCount("Assessment", False, 5_000, 5_000)], 100) == {}

    def test_the_retired_model_is_no_share_of_anything(self) -> None:
        assert (
            held_back([OpenCount("SubAssessment", True, 9_000, 9_000), OpenCount("Assessment", False, 0, 0)], 5) == {}
        )


COUNTS = st.dictionaries(
    st.uuids().map(str), st.one_of(st.integers(0, 300), st.integers(0, 9 * MOST_RECORDS)), max_size=300
)
NAMES = st.one_of(st.uuids().map(str), st.text(max_size=5), st.sampled_from(["", "ABC", "a-b", "f", "sqlva2054"]))


class TestSlices:
    @given(COUNTS)
    def test_each_subscription_is_in_slices_that_can_be_answered(self, counts: dict[str, int]) -> None:
        found = slices(counts)
        whole = [each for part in found if not part.digits for each in part.subscriptions]
        parted = {each for part in found if part.digits for each in part.subscriptions}
        assert sorted([*whole, *parted]) == sorted(counts)
        for part in found:
            assert 1 <= len(part.subscriptions) <= MOST_SUBSCRIPTIONS
            if not part.digits:
                assert sum(counts[each] for each in part.subscriptions) <= MOST_RECORDS
            else:
                assert counts[part.subscriptions[0]] / 16**part.digits <= MOST_RECORDS / 2
        assert from_lists(as_lists(found)) == found

    @given(NAMES, st.integers(1, 3))
    def test_every_name_lies_in_one_part(self, name: str, digits: int) -> None:
        import re

        parts = [part for part in slices({"s": MOST_RECORDS * 16 ** (digits - 1) // 2 + MOST_RECORDS}) if part.digits]
        digits = parts[0].digits
        match = re.search(f"^[0-9a-f]{{{digits}}}", name.lower())
        begins = match[0] if match else ""
        holding = [part for part in parts if part.condition("Name").endswith(f"== '{begins}'")]
        assert len(holding) == 1

    def test_a_million_records_of_one_subscription_are_parts_of_a_size(self) -> None:
        found = slices({"s": 1_000_000})
        assert len(found) == 257
        assert found[1].condition("name") == "extract('^[0-9a-f]{2}', 0, tolower(name)) == '00'"

    @pytest.mark.parametrize("stored", [[["s", 1, "a"]], [[["s"], "1", "a"]], [[["s"], 1]], [3]])
    def test_what_is_no_slice_is_refused(self, stored: object) -> None:
        with pytest.raises((ValueError, TypeError)):
            from_lists(stored)  # type: ignore[arg-type] # as it might be stored


def test_a_row_says_when_it_ended_and_how_long_it_was_open() -> None:
    ended = Conclusion(RECORD, Action.GONE, NOW - timedelta(days=1))
    noted = Conclusion(RECORD, Action.MISSING, NOW)
    first, second = gone_rows([ended, noted], "local", NOW)
    assert (first["Action"], first["GoneTime"], first["DaysOpen"]) == ("Gone", NOW - timedelta(days=1), 8.0)
    assert (second["Action"], second["DaysOpen"]) == ("Missing", None)
    assert Slice(("s",)).condition("name") == ""
