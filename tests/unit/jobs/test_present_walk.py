"""What a walk through present records keeps of why some may be missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from shared.jobs.present_walk import REASONS_KEPT, PresentWalk

HELD = 32_768  # characters of a property of Table Storage


class Present:
    """A fake that has no records, and a long reason of its own for each of many."""

    def __init__(self, letter: str) -> None:
        self._letter = letter

    async def pages(self, _: Sequence[str], step: Sequence[str], gaps: Any, *, skip: int) -> AsyncIterator[list[Any]]:
        assert skip == 0
        gaps.reasons += [f"{name} {number} {self._letter * 4_000}" for name in step for number in range(50)]
        nothing: list[Any]
        for nothing in ():
            yield nothing


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\U0001f600", '"', "\x00"])
async def test_reasons_fit_into_a_jobs_state_however_many_and_long_they_are(letter: str) -> None:
    subscriptions = [f"{number:08}-1111-4111-8111-111111111111" for number in range(60)]
    walk = PresentWalk(Present(letter), ["Alerts"], subscriptions, {})  # type: ignore[arg-type] # a fake
    assert [page async for page in walk.pages()] == []
    assert len(walk.reasons) == REASONS_KEPT
    assert len(json.dumps(walk.cursor)) < HELD
    assert all(reason.startswith("000000") for reason in walk.reasons)
