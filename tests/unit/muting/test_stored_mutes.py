"""The mutes of a stored text: read once for as long as it stays, and an empty file is none that mutes nothing."""

from typing import Any

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.muting.stored_mutes import StoredMutes

ONE = b"""version: 1
mutes:
- {name: %s, export: soc, owner: Team, reason: Move, from: 2026-12-01T06:00Z, until: 2026-12-03T18:00Z}
"""
NOWHERE: Any = None  # of the container and the trail, nothing is asked here


async def test_a_text_is_read_again_when_it_changes_and_not_before() -> None:
    stored = StoredMutes(NOWHERE, NOWHERE)
    first = await stored.mutes_of(ONE % b"a")
    assert await stored.mutes_of(ONE % b"a") is first
    assert [mute.name for mute in await stored.mutes_of(ONE % b"b")] == ["b"]
    assert [mute.name for mute in await stored.mutes_of(ONE % b"a")] == ["a"]


@pytest.mark.parametrize("text", [b"", b" \n", b"[]", b"version: 2\nmutes: []\n", b"\xff"])
async def test_what_is_no_file_of_mutes_is_refused_each_time_also_after_one_that_was(text: bytes) -> None:
    stored = StoredMutes(NOWHERE, NOWHERE)
    for before in (None, ONE % b"a"):
        if before:
            await stored.mutes_of(before)
        for _ in range(2):
            with pytest.raises(InvalidExport):
                await stored.mutes_of(text)
