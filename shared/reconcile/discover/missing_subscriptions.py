"""Whether so much is missing that discovery can't be trusted."""

from __future__ import annotations

from shared.exports.ownership import owned
from shared.reconcile.model import Inventory

# Fewer subscriptions than this share of the last complete run's means that rights were lost, not subscriptions.
SHARP_FALL = 0.8


def hidden(inventory: Inventory, instance_id: str) -> list[str]:
    """Why discovery is doubtful where an automation of ours lies in a subscription that it does not show."""
    shown = {subscription.id.lower() for subscription in inventory.subscriptions}
    mine = {live.id.key[0] for live in inventory.automations if owned(live.tags, instance_id)}
    return [
        f"the subscription {one} holds automations of ours and is not shown, so others may be missing"
        for one in sorted(mine - shown)[:1]
    ]


def fallen(inventory: Inventory, seen_before: int) -> str:
    """Why the number of subscriptions makes discovery doubtful; empty when it does not."""
    seen = len(inventory.subscriptions)
    if seen >= seen_before * SHARP_FALL:
        return ""
    return (
        f"{seen} subscriptions are visible, {seen_before} were at the last complete run: rights may be lost; "
        "if they are really gone, run `apply --accept-fewer`"
    )
