"""The guard against closing by mistake: where too much of a kind would end at once, none of it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.lifecycle.model import Action

ALWAYS = 25
"""So many records of a kind may end whatever their share: a small tenant mends half of what it has in a day."""


@dataclass(frozen=True)
class OpenCount:
    """Of one kind and model: how many records are open, and how many of those one answer has already lacked."""

    kind: str
    retired_model: bool
    open: int
    missing: int


def held_back(counts: Iterable[OpenCount], most_percent: float) -> dict[tuple[str, Action], str]:
    """The ends that are held back, with the reason.

    Records of the retired model are counted for themselves and never held back: they all end on one day, and are not
    called fixed.
    """
    held = {}
    for each in counts:
        if each.retired_model or each.missing <= ALWAYS or each.missing * 100 <= each.open * most_percent:
            continue
        share = each.missing / each.open
        held[each.kind, Action.GONE] = (
            f"{each.missing:,} of {each.open:,} open records of kind {each.kind} ({share:.0%}) are no longer in "
            f"Resource Graph, more than {most_percent:g} %: none is closed. Look at what happened to them; if they "
            "have ended, start a gone job with maxChangePercent, or raise GONE_MAX_PERCENT"
        )
    return held
