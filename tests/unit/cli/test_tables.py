"""Tables keep to the width, and lose nothing by it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.cli.argument_parser import WIDTH
from shared.cli.tables import table

WORDS = st.lists(st.text("abcé-/.", min_size=1, max_size=30), max_size=40).map(" ".join)


def test_a_small_table_is_as_it_is() -> None:
    rows = [("soc", "2026-11-26T08:00:00Z", "in force"), ("a", "", "")]
    assert list(table(("export", "modified", "state"), rows)) == [
        "export  modified              state",
        "soc     2026-11-26T08:00:00Z  in force",
        "a",
    ]


def test_the_last_cell_is_wrapped_below_itself() -> None:
    reason = "nothing ever arrived, though 10 present records should have been sent by the automation that is there"
    head, first, second = table(("subscription", "reason"), [("sub-prod-00004", reason)])
    assert head == "subscription    reason"
    assert first.startswith("sub-prod-00004  nothing ever arrived")
    assert second == " " * 16 + "automation that is there"


def test_a_row_with_long_names_takes_two_lines() -> None:
    name = "2026-11-26/unavailable/DefenderRegulatoryCompliance_CL/0-12345-0123456789abcdef0123456789abcdef.ndjson.gz"
    assert list(table(("name", "records", "state"), [(name, "5,000", "waits for an outage to end")])) == [
        "name", "    records  state", name, "    5,000    waits for an outage to end",
    ]  # fmt: skip


def test_a_line_belongs_to_the_row_above() -> None:
    *_, last = table(("a", "b"), [("x", "y"), "Alerts: all -> hub"])
    assert last == "    Alerts: all -> hub"


def test_others_text_does_not_steer_a_terminal() -> None:
    assert "\033" not in "".join(table(("a", "b"), [("\033[2J", "\033[1m"), "\033[2J"]))


@given(st.lists(st.tuples(WORDS, st.text("xyz", max_size=20), WORDS), min_size=1, max_size=5))
def test_nothing_is_lost_and_only_a_long_word_is_wide(rows: list[tuple[str, str, str]]) -> None:
    lines = list(table(("one", "two", "three"), rows))
    told = " ".join(lines)
    for _, second, third in rows:
        assert second in told
        assert set(third.split()) <= set(told.split())
    alone = {row[0] for row in rows}
    assert all(len(line) <= WIDTH for line in lines if line not in alone)
