"""The subset of the query language: each operator and function on a few rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from local.arm.graph.plan import CONTAINER, Run
from local.arm.graph.query import compiled

Row = dict[str, Any]


def row(name: str, **members: Any) -> Row:
    blank: Row = {column: "" if kind == "string" else None for column, kind in CONTAINER.items()}
    return {**blank, "id": f"/{name}", "name": name, "type": "t", **members}


ROWS = [
    row("a", location="west", tags={"env": "prod"}, properties={"n": 3, "list": [{"k": "x"}, {"k": "y"}], "on": True}),
    row("b", location="north", tags={"env": "test", "my tag": "1"}, properties={"n": 1.5, "list": [], "on": False}),
    row("C", location="west", type="other", properties={"n": "7", "deep": {"er": ["zero", "one"]}}),
]


def answer(query: str) -> list[Row]:
    def table(_name: str, types: frozenset[str] | None) -> Iterable[Row]:
        return [one for one in ROWS if types is None or one["type"] in types]

    return compiled(query).rows(Run(table))


def names(query: str) -> list[str]:
    return [one["name"] for one in answer(query)]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("name == 'c'", []),
        ("name =~ 'c'", ["C"]),
        ("name != 'a'", ["b", "C"]),
        ("name !~ 'c'", ["a", "b"]),
        ("name in ('a', 'c')", ["a"]),
        ("name in~ ('a', 'c')", ["a", "C"]),
        ("name !in~ ('a', 'c')", ["b"]),
        ("location has 'WEST'", ["a", "C"]),
        ("location has 'wes'", []),
        ("location contains 'EST'", ["a", "C"]),
        ("location !contains 'est'", ["b"]),
        ("location startswith 'N'", ["b"]),
        ("location endswith 'TH'", ["b"]),
        ("type == 't' and location == 'west'", ["a"]),
        ("type == 'other' or location == 'north'", ["b", "C"]),
        ("type in~ ('OTHER')", ["C"]),
        ("not(type == 't')", ["C"]),
        ("properties.n > 2", ["a", "C"]),
        ("properties.n <= 1.5", ["b"]),
        ("toint(properties.n) == 7", ["C"]),
        ("properties.on == true", ["a"]),
        ("tags['my tag'] == '1'", ["b"]),
        ("tags.env =~ 'PROD'", ["a"]),
        ("tags.Env =~ 'prod'", []),
        ("isnotempty(tags.env)", ["a", "b"]),
        ("isempty(tags)", ["C"]),
        ("isnull(tags)", ["C"]),
        ("array_length(properties.list) == 2", ["a"]),
        ("tolower(name) == 'c'", ["C"]),
        ("properties.deep.er[1] == 'one'", ["C"]),
        ("strcat(name, '-', location) == 'b-north'", ["b"]),
        ("coalesce(tostring(tags.env), 'none') == 'none'", ["C"]),
        ("iff(type == 't', 'x', 'y') == 'y'", ["C"]),
        ("split(id, '/')[1] == 'b'", ["b"]),
        ("strlen(name) + 1 == 2", ["a", "b", "C"]),
    ],
)
def test_conditions(condition: str, expected: list[str]) -> None:
    assert names(f"resources | where {condition}") == expected


def test_order_is_descending_unless_said_otherwise_and_by_several_keys() -> None:
    assert names("resources | order by name") == ["b", "a", "C"]
    assert names("resources | order by location asc, name desc") == ["b", "a", "C"]
    assert names("resources | sort by location desc, name asc") == ["C", "a", "b"]
    assert names("resources | top 1 by name asc") == ["C"]


def test_projection_renames_computes_and_drops() -> None:
    assert answer("resources | take 1 | project name, env = tostring(tags.env), tags.env") == [
        {"name": "a", "env": "prod", "tags_env": "prod"}
    ]
    assert answer("resources | limit 1 | extend twice = properties.n * 2 | project twice") == [{"twice": 6}]
    assert set(answer("resources | project name, id | project-away id")[0]) == {"name"}


def test_mv_expand_makes_a_row_of_each_item_and_keeps_rows_without_items() -> None:
    rows = answer("resources | mv-expand one = properties.list | project name, k = tostring(one.k)")
    assert rows == [
        {"name": "a", "k": "x"},
        {"name": "a", "k": "y"},
        {"name": "b", "k": ""},
        {"name": "C", "k": ""},
    ]


def test_summarize_folds_and_names_as_kusto_does() -> None:
    assert answer("resources | summarize count() by location | order by location asc") == [
        {"location": "north", "count_": 1},
        {"location": "west", "count_": 2},
    ]
    assert answer("resources | summarize n = dcount(type), make_set(location), all = make_list(name)") == [
        {"n": 2, "set_location": ["west", "north"], "all": ["a", "b", "C"]}
    ]
    assert answer("resources | summarize most = max(toint(properties.n)), countif(type == 't')") == [
        {"most": 7, "countif_": 2}
    ]
    assert answer("resources | where type == 'none' | summarize count()") == [{"count_": 0}]
    assert answer("resources | count") == [{"Count": 3}]
    assert answer("resources | distinct location | order by location asc") == [
        {"location": "north"},
        {"location": "west"},
    ]


def test_joins_keep_or_drop_rows_without_a_partner() -> None:
    right = "(resourcecontainers | where name == 'a' | project location, other = name)"
    assert answer(f"resources | join kind=inner {right} on location | project name, other") == [
        {"name": "a", "other": "a"},
        {"name": "C", "other": "a"},
    ]
    assert answer(f"resources | join kind=leftouter {right} on $left.location == $right.location | count") == [
        {"Count": 3}
    ]
