"""What the timer and the job do: compare slice by slice, write what follows, and go on where the last tick stopped."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.clock import Clock, Deadline
from shared.lifecycle.closing_guard import held_back
from shared.lifecycle.conclusions import conclusions
from shared.lifecycle.gone_pass import Pass
from shared.lifecycle.gone_rows import GONE_TABLE, PASSES_TABLE, gone_rows, pass_row
from shared.lifecycle.kept_state import KeptState
from shared.lifecycle.model import Action, Conclusion
from shared.lifecycle.open_in_tables import LEAST_SECONDS, OpenInTables, UnknownError
from shared.lifecycle.present_ids import PresentIds
from shared.lifecycle.slices import Slice, slices, smaller

if TYPE_CHECKING:
    from shared.reconcile.apply.run_lock import RunLease

log = logging.getLogger(__name__)

RowSink = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]
LATEST = "gone/pass.json"
ELSEWHERE = "gone/workspaces/{}.json"
"""The same of a further place's workspace, by its id."""
ROWS_A_SEND = 1000


@dataclass(frozen=True)
class _Compared:
    """One slice compared: how many records it has, what follows, and why less is known than there is."""

    records: int
    found: list[Conclusion]
    reasons: list[str]
    complete: bool


class GoneCheck:
    """Compares the tables with Resource Graph.

    Args:
        tables: what is open by the tables.
        present: what is there now.
        kept: where a pass is kept.
        rows: where rows of the app's own tables go.
        instance_id: of this deployment.
        every: a pass begins so long after the one before it.
        most_percent: of a kind's open records may end in one pass.
        seconds: that one tick may take.
        passes: where the rows about passes go; `rows` where nothing is said.
        place: of the file of routes whose workspace this is; empty for the default one.
    """

    def __init__(
        self,
        tables: OpenInTables,
        present: PresentIds,
        kept: KeptState[Pass],
        rows: RowSink,
        *,
        instance_id: str,
        every: timedelta,
        most_percent: float,
        seconds: float,
        passes: RowSink | None = None,
        place: str = "",
    ) -> None:
        self._passes = passes or rows
        self._place = place
        self._tables = tables
        self._present = present
        self._kept = kept
        self._rows = rows
        self._instance_id = instance_id
        self._every = every
        self._most_percent = most_percent
        self._seconds = seconds

    async def tick(self, now: datetime) -> Pass | None:
        """Go on with the pass under way, or begin one that is due; None where there is nothing to do yet.

        Raises:
            shared.lifecycle.open_in_tables.UnknownError: what there is to compare could not be counted.
            shared.reconcile.apply.run_lock.LeaseHeld: another worker compares now.
            shared.stored_format.KeptAsIs: a newer release's pass is under way.
        """
        deadline = self._deadline()
        state = await self.latest()
        if state is not None and state.ended is not None and now - state.began < self._every:
            return None
        async with self._kept.alone() as lease:
            state = await self.latest()  # by now another may have gone on with it
            if state is None or (state.ended is not None and now - state.began >= self._every):
                state = await self._begun(now, self._most_percent, deadline)
            return await self._go_on(state, now, deadline, lease)

    async def begin(self, now: datetime, most_percent: float | None = None) -> Pass:
        """Begin a pass in place of any other, with another limit of the guard where one is given.

        Raises as `tick` does.
        """
        deadline = self._deadline()
        percent = self._most_percent if most_percent is None else most_percent
        async with self._kept.alone() as lease:
            await self.latest()  # a newer release's pass is not replaced
            return await self._go_on(await self._begun(now, percent, deadline), now, deadline, lease)

    async def go_on(self, now: datetime) -> Pass | None:
        """Go on with the pass under way, by timer or job; the last one where it has ended, None where there is none.

        Raises as `tick` does.
        """
        deadline = self._deadline()
        async with self._kept.alone() as lease:
            state = await self.latest()
            return None if state is None else await self._go_on(state, now, deadline, lease)

    async def latest(self) -> Pass | None:
        """The pass that is under way or ended last; None before the first.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read.
        """
        return await self._kept.latest()

    def _deadline(self) -> Deadline:
        return Clock().deadline(self._seconds)

    async def _begun(self, now: datetime, most_percent: float, deadline: Deadline) -> Pass:
        survey = await self._tables.survey(now, deadline)
        held = held_back(survey.counts, most_percent)
        state = Pass(now, tuple(slices(survey.records)), survey.kinds, held)
        for why in state.held.values():
            log.warning("%s", why)
        await self._kept.keep(state)
        return state

    async def _go_on(self, state: Pass, now: datetime, deadline: Deadline, lease: RunLease) -> Pass:
        first = True
        while state.left and deadline.left >= LEAST_SECONDS and lease.valid():
            part = state.left[0]
            compared = await self._compare(part, state, now, deadline)
            if not compared.complete and deadline.left < LEAST_SECONDS:
                if first:  # it does not fit into a tick
                    state = replace(state, left=(*smaller(part), *state.left[1:]))
                    await self._kept.keep(state)
                break
            await self._send(compared.found, now)
            if compared.complete:
                state = state.compared(compared.records, compared.found, compared.reasons)
            else:
                log.warning("nothing is concluded for a slice: %s", "; ".join(compared.reasons))
                state = state.without_next(compared.reasons)
            await self._kept.keep(state)
            first = False
        if not state.left and state.ended is None:
            state = replace(state, ended=now)
            await self._passes(PASSES_TABLE, [pass_row(state.told(), self._instance_id, now, self._place)])
            await self._kept.keep(state)
            log.info("compared what is open with Resource Graph: %s", state.told())
        return state

    async def _compare(self, part: Slice, state: Pass, now: datetime, deadline: Deadline) -> _Compared:
        try:
            records = await self._tables.listed(part, state.kinds, now, deadline)
        except UnknownError as unknown:
            return _Compared(0, [], [str(unknown)], complete=False)
        present = await self._present.read(part, now, deadline)
        found = list(conclusions(records, present, state.held, began=state.began))
        places = {(each.record.subscription, each.record.kind) for each in found if each.action is not Action.BACK}
        unseen = await self._present.unseen(places, deadline)
        if unseen:
            seen = replace(present, unseen=frozenset(unseen))
            found = list(conclusions(records, seen, state.held, began=state.began))
        reasons = [*present.reasons, *unseen.values()]
        return _Compared(len(records), found, reasons, complete=present.complete)

    async def _send(self, found: Sequence[Conclusion], now: datetime) -> None:
        """Write the rows before the slice is done with: what is cut off between is written again."""
        for start in range(0, len(found), ROWS_A_SEND):
            await self._rows(GONE_TABLE, gone_rows(found[start : start + ROWS_A_SEND], self._instance_id, now))
