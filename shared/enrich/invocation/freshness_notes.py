"""What arrived, reported to the observer (freshness) beside the path of delivery.

The observer is optional for delivery: an invocation waits a second for it while it answers, and not at all while it
does not.  Nothing is forgotten meanwhile: it is reported together the next time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime

from shared.clock import Clock
from shared.enrich.invocation.delivery_summary import Observer, Sightings, Uploads
from shared.fail_points import touching

logger = logging.getLogger("defender_export.enrich")

PATIENCE_SECONDS = 1.0
"""For which an invocation waits for an observer that answered the last time."""
LIMIT_SECONDS = 20.0
"""After which an observer is given up."""
PAUSE_SECONDS = 30.0
"""After a failure, in which the observer is left alone."""


class FreshnessNotes:
    """Collects what invocations saw and reports it to the observer; one per process."""

    def __init__(self, observer: Observer, clock: Clock) -> None:
        self._observer = observer
        self._clock = clock
        self._sightings: Sightings = {}
        self._uploads: Uploads = Counter()
        self._telling: asyncio.Task[None] | None = None
        self._resume_at = float("-inf")
        self._answers = True

    async def note(
        self, sightings: Mapping[tuple[str, str, bool], datetime], uploads: Mapping[tuple[str, date], int]
    ) -> None:
        """Take note of one invocation; never raises, and returns within a second."""
        self._take(sightings)
        self._uploads.update(uploads)
        if self._clock.monotonic() < self._resume_at:
            return
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())
        if self._answers:
            _, waiting = await asyncio.wait([self._telling], timeout=PATIENCE_SECONDS)
            self._answers = not waiting

    def _take(self, sightings: Mapping[tuple[str, str, bool], datetime]) -> None:
        for key, seen in sightings.items():
            known = self._sightings.get(key)
            if known is None or seen > known:
                self._sightings[key] = seen

    async def _tell(self) -> None:
        sightings, uploads = self._sightings, self._uploads
        self._sightings, self._uploads = {}, Counter()
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                with touching("freshness.note"):
                    await self._observer(sightings, uploads, self._clock.now())
            self._answers = True
        except Exception as error:  # noqa: BLE001 # it is reported again; the observer itself keeps the uploads that it was given
            logger.warning("could not note what arrived: %s", type(error).__name__)
            self._take(sightings)
            self._resume_at = self._clock.monotonic() + PAUSE_SECONDS
