"""One pass over all open records, which takes as many ticks as it needs: where it is, and what came of it so far."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared import stored_format
from shared.clock import utc_moment, utc_text
from shared.lifecycle.model import Action, Conclusion
from shared.lifecycle.slices import Slice, as_lists, from_lists

KIND = "gone pass"
REASONS_KEPT = 20


@dataclass(frozen=True)
class Pass:
    """A pass: the slices and kinds that are left, what the guard holds back, what was concluded, what is not known.

    `seen` counts the records compared, `left_out` the slices of which nothing is known.
    """

    began: datetime
    left: tuple[Slice, ...] = ()
    kinds: tuple[str, ...] = ()
    held: Mapping[tuple[str, Action], str] = field(default_factory=dict)
    concluded: Mapping[str, int] = field(default_factory=dict)
    seen: int = 0
    left_out: int = 0
    reasons: tuple[str, ...] = ()
    ended: datetime | None = None

    def compared(self, seen: int, found: Iterable[Conclusion], reasons: Iterable[str]) -> Pass:
        """After the next slice was compared."""
        counts = Counter(self.concluded)
        counts.update(each.action.value for each in found)
        return replace(
            self, left=self.left[1:], concluded=dict(counts), seen=self.seen + seen, reasons=self._with(reasons)
        )

    def without_next(self, reasons: Iterable[str]) -> Pass:
        """After the next slice was left out: nothing is known of it in this pass."""
        return replace(self, left=self.left[1:], left_out=self.left_out + 1, reasons=self._with(reasons))

    def _with(self, reasons: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.reasons, *reasons]))[:REASONS_KEPT]

    def told(self) -> dict[str, Any]:
        """What people see of it."""
        return {
            "began": utc_text(self.began),
            "ended": utc_text(self.ended) if self.ended else None,
            "slicesLeft": len(self.left),
            "recordsCompared": self.seen,
            "slicesLeftOut": self.left_out,
            "concluded": dict(self.concluded),
            "heldBack": sorted(self.held.values()),
            "reasons": list(self.reasons),
        }


def dumped(state: Pass) -> str:
    """A pass as it is stored."""
    held = [[kind, action.value, why] for (kind, action), why in state.held.items()]
    own = {"left": as_lists(state.left), "kinds": list(state.kinds), "held": held}
    return json.dumps({**stored_format.stamp(KIND), **state.told(), **own})


def loaded(data: bytes) -> Pass:
    """A pass from what was stored.

    Raises:
        shared.stored_format.KeptAsIs: a newer release stored it, or it can't be read.
    """
    document = stored_format.read_object(KIND, data)
    try:
        return Pass(
            utc_moment(document["began"]),
            tuple(from_lists(document["left"])),
            _texts(document["kinds"]),
            {(kind, Action(action)): why for kind, action, why in document["held"]},
            {str(name): int(count) for name, count in document["concluded"].items()},
            int(document["recordsCompared"]),
            int(document["slicesLeftOut"]),
            _texts(document["reasons"]),
            utc_moment(document["ended"]) if document["ended"] else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise stored_format.KeptAsIs(f"this {KIND} can't be read: remove it, and a new one begins") from None


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)
