"""A walk through the present records of many subscriptions that ends at any page and goes on from there.

Records come in one order, by id, some subscriptions at a time.  Where the walk was is kept as the id of the last record
and its place in the answer: a walk goes on by asking for the page at that place, and only where another record stands
there, because something before it came or went, are the pages before it read again.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from shared.watch.present_records import Found, Gaps, PresentRecords

SUBSCRIPTIONS_A_STEP = 20
REASONS_KEPT = 20
"""Why records may be missing: as many reasons as a job's state keeps."""
REASON_LENGTH = 1_000
"""Characters of each as JSON: all of them must fit into a property of Table Storage, which holds 32,768."""


def _cut(reason: str) -> str:
    while len(json.dumps(reason)) > REASON_LENGTH:
        reason = reason[: len(reason) * 9 // 10]
    return reason


class PresentWalk:
    """Pages of present records from a cursor on; `cursor` says where the page given last ends."""

    def __init__(
        self, present: PresentRecords, kinds: Sequence[str], subscriptions: Sequence[str], cursor: Mapping[str, Any]
    ) -> None:
        self._present = present
        self._kinds = kinds
        self._subscriptions = subscriptions  # sorted
        # `step` are the subscriptions in hand, of which everything up to the record `inside`, number `at`, is done.
        self._after: str = cursor.get("after", "")
        self._step: Sequence[str] = cursor.get("step", ())
        self._inside: str = cursor.get("inside", "")
        self._at: int = cursor.get("at", 0)
        self.reasons: list[str] = list(cursor.get("reasons", ()))

    @property
    def cursor(self) -> dict[str, Any]:
        """What a later walk goes on from."""
        place = {"after": self._after, "step": list(self._step), "inside": self._inside, "at": self._at}
        return {**place, "reasons": self.reasons}

    @property
    def left(self) -> int:
        """Subscriptions that come after those in hand."""
        return len(self._subscriptions) - self._next

    @property
    def _next(self) -> int:
        return bisect_right(self._subscriptions, self._step[-1] if self._step else self._after)

    async def pages(self) -> AsyncIterator[list[Found]]:
        """Pages, none of them empty; after the last one, the cursor is at the end."""
        while self._step or self.left:
            self._step = self._step or self._subscriptions[self._next : self._next + SUBSCRIPTIONS_A_STEP]
            gaps = Gaps()
            self._at = await self._done(gaps)
            async for page in self._pages(gaps, self._at):
                self._inside, self._at = page[-1].id, self._at + len(page)
                yield page
            self._after, self._step, self._inside, self._at = self._step[-1], (), "", 0
            self.reasons = sorted({*self.reasons, *map(_cut, gaps.said)})[:REASONS_KEPT]

    async def _done(self, gaps: Gaps) -> int:
        """How many records of the step are done: those up to `inside`; none where it is gone."""
        if not self._inside:
            return 0
        if self._at:
            async for page in self._pages(gaps, self._at - 1):
                if page[0].id == self._inside:
                    return self._at
                break
        done = 0
        async for page in self._pages(gaps, 0):
            for found in page:
                done += 1
                if found.id == self._inside:
                    return done
        return 0

    async def _pages(self, gaps: Gaps, skip: int) -> AsyncIterator[list[Found]]:
        async for page in self._present.pages(self._kinds, self._step, gaps, skip=skip):
            if page:
                yield page
