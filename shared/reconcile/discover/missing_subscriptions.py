"""Whether so many subscriptions are missing that discovery can't be trusted."""

from __future__ import annotations

from shared.reconcile.model import Inventory

# Fewer subscriptions than this share of the last complete run's means that rights were lost, not subscriptions.
SHARP_FALL = 0.8


def fallen(inventory: Inventory, seen_before: int) -> str:
    """Why the number of subscriptions makes discovery doubtful; empty when it does not."""
    seen = len(inventory.subscriptions)
    if seen >= seen_before * SHARP_FALL:
        return ""
    return (
        f"{seen} subscriptions are visible, {seen_before} were at the last complete run: rights may be lost; "
        "if they are really gone, run `apply --accept-fewer`"
    )
