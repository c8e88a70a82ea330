from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.lifecycle.open_counts import Counts, dumped, loaded
from shared.stored_format import KeptAsIs

NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    "counts",
    [Counts(NOW, 5, 4, 3, 2, 1, NOW - timedelta(days=90)), Counts(NOW), Counts(NOW, problem="no answer")],
)
def test_counts_are_read_as_they_were_kept(counts: Counts) -> None:
    assert loaded(dumped(counts).encode()) == counts


@pytest.mark.parametrize("kept", [b"{}", b"[]", b"\xff", b'{"format": 9}', b'{"format": 1, "open": "many"}'])
def test_what_is_no_counts_is_left_as_it_is(kept: bytes) -> None:
    with pytest.raises(KeptAsIs):
        loaded(kept)
