"""A journal shows the past, up to an hour back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from local.tenant import Clock
from local.tenant.journal import REMEMBERED_SECONDS, Journal


def standing() -> Clock:
    return Clock(lambda: 1000.0)


def test_a_value_is_read_as_it_stood_some_seconds_ago() -> None:
    clock = standing()
    journal: Journal[str] = Journal(clock)
    journal.put("Key", "first")
    clock.advance(10)
    journal.put("kEY", "second")
    clock.advance(10)
    journal.delete("KEY")
    assert [journal.get("key", ago) for ago in (0, 5, 15, 25)] == [None, "second", "first", None]
    assert [list(journal.values(ago)) for ago in (0, 5, 15, 25)] == [[], ["second"], ["first"], []]


def test_what_was_seeded_has_always_been_there() -> None:
    journal: Journal[str] = Journal(standing())
    journal.seed("key", "value")
    assert journal.get("key", 3000) == "value"


def test_memory_of_old_changes_is_given_up() -> None:
    clock = standing()
    journal: Journal[int] = Journal(clock)
    for number in range(10_000):
        clock.advance(REMEMBERED_SECONDS / 100)
        journal.put("key", number)
    assert len(journal._times) < 500
    assert journal.get("key", REMEMBERED_SECONDS / 2) is not None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 5)), max_size=30
    ),
    st.integers(0, 60),
)
def test_every_past_view_equals_the_state_that_was(changes: list[tuple[str, int | None, int]], ago: int) -> None:
    clock = standing()
    journal: Journal[int] = Journal(clock)
    states: list[tuple[float, dict[str, int]]] = [(0.0, {})]
    for key, value, pause in changes:
        clock.advance(pause)
        if value is None:
            journal.delete(key)
        else:
            journal.put(key, value)
        states.append((clock(), dict(journal.current)))
    then = next(state for moment, state in reversed(states) if moment <= clock() - ago)
    assert sorted(journal.values(ago)) == sorted(then.values())
    assert {key: journal.get(key, ago) for key in "abc"} == {key: then.get(key) for key in "abc"}
