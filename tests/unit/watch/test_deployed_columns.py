"""What the deployed tables lack is told table by table."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from shared.watch.deployed_columns import lacking

WANTED = {"A_CL": ["One", "Two", "Three", "Four", "Five"], "B_CL": ["One"]}


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (["One", "Two", "Three", "Four", "Five", "OfALaterRelease"], ["One"], []),
        (["One", "Two", "Four", "Five"], ["One"], ["A_CL lacks Three"]),
        ([], ["One"], ["A_CL lacks One, Two, Three and 2 more"]),
        (None, ["one"], ["the table A_CL is not there", "B_CL lacks One"]),
    ],
)
def test_each_table_is_named_with_what_it_lacks(
    a: Collection[str] | None, b: Collection[str] | None, told: list[str]
) -> None:
    assert lacking({"A_CL": a, "B_CL": b}, WANTED) == told
    assert lacking({}, WANTED) == ["the table A_CL is not there", "the table B_CL is not there"]
