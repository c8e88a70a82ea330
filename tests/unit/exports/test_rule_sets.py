from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.exports.event_sources import EVENT_SOURCES
from shared.exports.rule_sets import (
    OPERATORS,
    TYPES,
    MalformedRules,
    Rule,
    Source,
    build_sources,
    normalise,
    parse_sources,
)
from tests.unit.exports.examples import rule

HIGH = rule("Severity", "High")
LIVE_RULE = {"propertyJPath": "Severity", "propertyType": "String", "expectedValue": "High", "operator": "Equals"}
LIVE = [{"eventSource": "Alerts", "ruleSets": [{"rules": [LIVE_RULE]}]}]


def recase(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {change(key): recase(inner, change) for key, inner in value.items()}
    return [recase(inner, change) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("change", [str, str.lower, str.upper, str.title])
@pytest.mark.parametrize("wrap", [list, lambda s: {"sources": s}, lambda s: {"properties": {"sources": s}}])
def test_sources_are_read_from_a_list_properties_or_a_body_in_any_casing(change: Any, wrap: Any) -> None:
    assert parse_sources(recase(wrap(LIVE), change)) == (Source("Alerts", ((HIGH,),)),)


def test_names_of_sources_types_and_operators_take_their_own_casing() -> None:
    live = {"propertyJPath": "a", "propertyType": "string", "expectedValue": "B", "operator": "equals"}
    parsed = parse_sources([{"eventSource": "ALERTS", "ruleSets": [{"rules": [live]}]}])
    assert parsed == (Source("Alerts", ((Rule("a", "String", "Equals", "B"),),)),)


@pytest.mark.parametrize("nothing", [None, [], {}, {"sources": None}, {"properties": {"sources": []}}])
def test_no_sources_are_no_sources_however_they_are_said(nothing: Any) -> None:
    assert parse_sources(nothing) == ()


@pytest.mark.parametrize("source", [{}, {"ruleSets": None}, {"ruleSets": []}])
def test_missing_null_and_empty_rule_sets_are_alike(source: dict[str, Any]) -> None:
    assert parse_sources([{"eventSource": "Alerts", **source}]) == (Source("Alerts"),)


@pytest.mark.parametrize("rule_set", [{}, {"rules": None}, {"rules": []}])
def test_a_rule_set_without_rules_stays_one(rule_set: dict[str, Any]) -> None:
    assert parse_sources([{"eventSource": "Alerts", "ruleSets": [rule_set]}]) == (Source("Alerts", ((),)),)


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (7, "7"), (0.5, "0.5"), (None, "")])
def test_expected_values_are_text(value: Any, text: str) -> None:
    live = LIVE_RULE | {"expectedValue": value}
    (source,) = parse_sources([{"eventSource": "Alerts", "ruleSets": [{"rules": [live]}]}])
    assert source.rule_sets[0][0].value == text


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ("text", "sources is not a list"),
        ({"sources": {}}, "sources is not a list"),
        ([7], "sources[0] is not an object"),
        ([{"eventSource": []}], "sources[0].eventSource is not text"),
        ([{"eventSource": "Alerts", "ruleSets": 7}], "sources[0].ruleSets is not a list"),
        ([{"eventSource": "Alerts", "ruleSets": [7]}], "sources[0].ruleSets[0] is not an object"),
        ([{"eventSource": "Alerts", "ruleSets": [{"rules": 7}]}], "sources[0].ruleSets[0].rules is not a list"),
        ([*LIVE, {"ruleSets": [{}, {"rules": [7]}]}], "sources[1].ruleSets[1].rules[0] is not an object"),
        (
            [{"ruleSets": [{"rules": [LIVE_RULE | {"expectedValue": {}}]}]}],
            "sources[0].ruleSets[0].rules[0].expectedValue is not text",
        ),
    ],
)
def test_what_has_another_shape_is_refused_by_its_place(body: Any, place: str) -> None:
    with pytest.raises(MalformedRules) as caught:
        parse_sources(body)
    assert str(caught.value) == place


@pytest.mark.parametrize("part", ["propertyJPath", "propertyType", "operator", "expectedValue"])
def test_each_part_of_a_rule_is_refused_by_its_name(part: str) -> None:
    with pytest.raises(MalformedRules) as caught:
        parse_sources([{"ruleSets": [{"rules": [LIVE_RULE | {part: {}}]}]}])
    assert str(caught.value) == f"sources[0].ruleSets[0].rules[0].{part} is not text"


def test_building_writes_the_names_of_the_api() -> None:
    assert build_sources([Source("Alerts", ((HIGH,),))]) == LIVE
    assert build_sources([Source("SecureScores")]) == [{"eventSource": "SecureScores", "ruleSets": []}]


rules = st.builds(Rule, st.text(), st.sampled_from(TYPES), st.sampled_from(OPERATORS), st.text())
sources = st.builds(
    Source,
    st.sampled_from(EVENT_SOURCES),
    st.lists(st.lists(rules, max_size=3).map(tuple), max_size=3).map(tuple),
)


@given(st.lists(sources, max_size=4).map(tuple))
def test_what_was_built_reads_back_equal(listed: tuple[Source, ...]) -> None:
    assert parse_sources(build_sources(listed)) == listed


@given(st.lists(sources, max_size=4).map(tuple))
def test_the_normal_form_is_its_own_normal_form(listed: tuple[Source, ...]) -> None:
    once = normalise(listed)
    assert normalise(once) == once


@given(st.lists(sources, max_size=4), st.randoms())
def test_order_and_repeats_don_t_change_the_normal_form(listed: list[Source], chance: Any) -> None:
    def shuffled_source(source: Source) -> Source:
        rule_sets = chance.sample(source.rule_sets, len(source.rule_sets))
        return Source(source.event_source, tuple(tuple(chance.sample(rs * 2, len(rs) * 2)) for rs in rule_sets))

    shuffled = [shuffled_source(source) for source in chance.sample(listed, len(listed))]
    assert normalise(shuffled) == normalise(listed)


@pytest.mark.parametrize(
    "same",
    [
        rule("SEVERITY", "High"),
        rule("$.Severity", "High"),
        rule("Severity", "hIGH"),
        Rule("Severity", "string", "equals", "High"),
    ],
)
def test_case_and_the_dollar_sign_make_no_difference(same: Rule) -> None:
    assert normalise([Source("alerts", ((same,),))]) == (Source("Alerts", ((rule("severity", "high"),),)),)


@pytest.mark.parametrize(
    "other",
    [
        rule("Status", "High"),
        rule("Severity", "Low"),
        rule("Severity", "High", "Contains"),
        rule("Severity", "High", kind="Boolean"),
    ],
)
def test_another_path_value_operator_or_type_makes_a_difference(other: Rule) -> None:
    assert normalise([Source("Alerts", ((other,),))]) != normalise([Source("Alerts", ((HIGH,),))])


@pytest.mark.parametrize("spelling", ["0.5", ".5", "0.50", "5e-1", "+0.5", " 0.5 "])
def test_a_number_is_the_same_however_it_is_spelt(spelling: str) -> None:
    spelt = normalise([Source("SecureScores", ((rule("x", spelling, "GreaterThan", "Number"),),))])
    assert spelt[0].rule_sets[0][0].value == "0.5"


@pytest.mark.parametrize(("spelling", "plain"), [("100", "100"), ("1e2", "100"), ("100.0", "100"), ("-7", "-7")])
def test_whole_numbers_keep_their_zeros(spelling: str, plain: str) -> None:
    spelt = normalise([Source("SecureScores", ((rule("x", spelling, kind="Integer"),),))])
    assert spelt[0].rule_sets[0][0].value == plain


def test_entries_of_one_event_source_are_merged() -> None:
    low = rule("Severity", "Low")
    apart = [Source("Alerts", ((HIGH,),)), Source("Alerts", ((low,),))]
    assert normalise(apart) == normalise([Source("Alerts", ((low,), (HIGH,)))])


@pytest.mark.parametrize(
    "everything",
    [
        [Source("Alerts", ((HIGH,), ()))],
        [Source("Alerts"), Source("Alerts", ((HIGH,),))],
        [Source("Alerts", ((HIGH,),)), Source("Alerts")],
        [Source("Alerts", ((HIGH,),)), Source("Alerts", ((),)), Source("Alerts", ((HIGH,),))],
    ],
)
def test_one_entry_that_lets_everything_through_is_everything(everything: list[Source]) -> None:
    assert normalise(everything) == (Source("Alerts"),)


def test_the_normal_form_is_sorted_by_event_source() -> None:
    assert [s.event_source for s in normalise([Source("SecureScores"), Source("Alerts")])] == ["Alerts", "SecureScores"]


def test_a_rule_reads_as_path_operator_value() -> None:
    assert str(HIGH) == "Severity Equals 'High'"
