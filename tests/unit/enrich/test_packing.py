"""Bodies are byte-exact: never over the limit, in order, as full as their order allows, nothing cut unnamed."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.enrich.delivery.packing import BODY_LIMIT, Body, pack
from shared.enrich.delivery.truncation import VALUE_LIMIT, shorten
from shared.enrich.records.model import Row
from tests.unit.enrich.builders import NOW, alert, assessment, event, parse


def made(text: bytes, table: str = "DefenderAlerts_CL") -> Row:
    """A row of exactly these bytes."""
    return Row(table, "Alert", "k", "r", "", "", "", False, False, NOW, False, text, event(b"e"), b"whole")


def sized(size: int) -> Row:
    return made(b'{"A":"' + b"x" * (size - 8) + b'"}')


def text_of(body: Body) -> bytes:
    return gzip.decompress(body.data)


def test_a_body_is_a_json_array_of_its_rows_in_order() -> None:
    rows = [made(json.dumps({"N": number}).encode()) for number in range(5)]
    (body,) = pack(rows).bodies
    assert json.loads(text_of(body)) == [{"N": number} for number in range(5)]
    assert list(body.rows) == rows
    assert (len(body), body.size, body.stream) == (5, len(text_of(body)), "Custom-DefenderAlerts_CL")


def test_a_body_may_fill_the_limit_to_the_byte() -> None:
    exact = pack([sized(498), sized(499)], limit=1000).bodies
    assert [body.size for body in exact] == [1000]
    over = pack([sized(499), sized(499)], limit=1000).bodies
    assert [body.size for body in over] == [501, 501]


def test_tables_do_not_mix() -> None:
    rows = [made(b"{}", "A_CL"), made(b"{}", "B_CL"), made(b"{}", "A_CL")]
    assert [(body.stream, len(body)) for body in pack(rows).bodies] == [("Custom-A_CL", 2), ("Custom-B_CL", 1)]


def test_nothing_gives_no_body() -> None:
    assert pack([]).bodies == []


def test_a_part_has_the_same_rows_without_encoding_again() -> None:
    rows = [made(json.dumps({"N": number}).encode()) for number in range(10)]
    (body,) = pack(rows).bodies
    part = body.part(4, 8).part(1, 3)
    assert json.loads(text_of(part)) == [{"N": 5}, {"N": 6}]
    assert list(part.rows) == rows[5:7]
    assert len(part) == 2


def test_what_gzip_makes_larger_is_halved() -> None:
    rows = [made(b'"%d"' % number) for number in range(4)]
    bodies = pack(rows, limit=29).bodies
    assert max(len(body.data) for body in bodies) <= 29 or all(len(body) == 1 for body in bodies)
    assert [row for body in bodies for row in body.rows] == rows


@given(st.lists(st.integers(10, 700), max_size=60), st.integers(710, 2000))
def test_bodies_are_within_the_limit_in_order_and_full(sizes: list[int], limit: int) -> None:
    rows = [sized(size) for size in sizes]
    bodies = pack(rows, limit).bodies
    assert [row for body in bodies for row in body.rows] == rows
    for body in bodies:
        assert body.size == len(text_of(body)) <= limit
        assert isinstance(json.loads(text_of(body)), list)
    for body, following in pairwise(bodies):
        assert body.size + 1 + len(following.rows[0].json) > limit


def test_a_value_at_the_limit_is_left_alone_and_one_byte_more_is_cut() -> None:
    packed = pack(parse(alert(Description="x" * VALUE_LIMIT)).rows)
    assert packed.oversize == []
    record = alert(Description="x" * (VALUE_LIMIT + 1))
    packed = pack(parse(record).rows)
    (row,) = orjson.loads(text_of(packed.bodies[0]))
    assert row["Description"] == "x" * VALUE_LIMIT
    assert row["TruncatedColumns"] == ["Description"]
    assert json.loads(packed.oversize[0].whole) == record


@pytest.mark.parametrize("text", ["x" * 40_000, '"' * 40_000, "é" * 20_000])
def test_a_long_row_of_shorter_values_is_left_as_it_is(text: str) -> None:
    row = made(orjson.dumps({"A": text, "B": ["x" * 40_000], "C": None}))
    written = row.json
    assert pack([row]).oversize == []
    assert row.json is written


def test_text_is_counted_in_bytes_and_cut_between_characters() -> None:
    (row,) = orjson.loads(text_of(pack(parse(alert(Description="é" * VALUE_LIMIT)).rows).bodies[0]))
    assert row["Description"] == "é" * (VALUE_LIMIT // 2)
    assert shorten("aé", 2) == "a"


def test_a_dynamic_value_keeps_its_type_and_its_first_elements() -> None:
    entities = [{"$id": str(number), "Text": "x" * 100} for number in range(2000)]
    (row,) = orjson.loads(text_of(pack(parse(alert(Entities=entities)).rows).bodies[0]))
    kept = row["Entities"]
    assert kept == entities[: len(kept)]
    assert VALUE_LIMIT - 200 < len(orjson.dumps(kept)) <= VALUE_LIMIT
    assert row["TruncatedColumns"] == ["Entities"]


@pytest.mark.parametrize("value", [["x" * 50, "y"], {"a": "x" * 50, "b": "y"}, "x" * 50])
@pytest.mark.parametrize("bound", [0, 2, 5, 10, 60])
def test_shortened_values_take_at_most_their_bound(value: object, bound: int) -> None:
    short = shorten(value, bound)
    assert type(short) is type(value)
    assert isinstance(short, str) or len(orjson.dumps(short)) <= max(bound, 2)
    assert not isinstance(short, str) or len(short.encode()) <= bound


@pytest.mark.parametrize("value", [["a", {}, 3, "b"], {"a": 1, "b": "x", "c": [], "d": None}])
def test_shortened_values_are_as_long_as_their_bound_allows(value: Any) -> None:
    whole = len(orjson.dumps(value))
    assert shorten(value, whole) == value
    assert len(shorten(value, whole - 1)) == len(value) - 1
    assert all(len(orjson.dumps(shorten(value, bound))) <= bound for bound in range(2, whole))


def test_a_row_of_many_long_values_still_fits_one_body() -> None:
    properties = {f"Novelty{number}": "\u0001" * 60_000 for number in range(3)}
    long = "\u0001" * 60_000  # six bytes each as JSON
    record = alert(Description=long, AlertDisplayName=long, CompromisedEntity=long, AlertType=long, VendorName=long)
    packed = pack(parse(record | properties).rows)
    (body,) = packed.bodies
    assert body.size <= BODY_LIMIT
    (row,) = orjson.loads(text_of(body))
    assert {"Description", "VendorName", "Raw"} <= set(row["TruncatedColumns"])
    assert row["RecordKey"] == packed.oversize[0].record_key


def test_a_string_of_five_megabytes_is_cut() -> None:
    packed = pack(parse(assessment(displayName="ß" * 2_500_000)).rows)
    assert all(len(text_of(body)) <= BODY_LIMIT for body in packed.bodies)
    assert len(packed.oversize) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(100, 90_000), min_size=20, max_size=80))
def test_bodies_are_nine_tenths_full_where_rows_allow(sizes: list[int]) -> None:
    bodies = pack([sized(size) for size in sizes]).bodies
    assert all(body.size > 0.9 * BODY_LIMIT for body in bodies[:-1])
