"""Whether so much is missing that discovery can't be trusted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from shared.exports.ownership import owned
from shared.reconcile.model import WRITABLE_STATES, Inventory, Subscription

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


def remembered(inventory: Inventory, before: Mapping[str, str]) -> dict[str, str]:
    """The states of the subscriptions that are seen, and of those that vanished for no reason that was seen, by id.

    One that was seen disabled or deleted may go.  One that took writes when it was last seen still counts, so that
    rights that are lost step by step are noticed as well as those that are lost at once.
    """
    lost = {name: before[name] for name in hidden_now(inventory.subscriptions, before)}
    return lost | {one.id.lower(): one.state for one in inventory.subscriptions}


def hidden_now(subscriptions: Iterable[Subscription], before: Mapping[str, str]) -> set[str]:
    """The lower-case ids of subscriptions that took writes when they were last seen, and are not shown any more."""
    seen = {one.id.lower() for one in subscriptions}
    return {name for name, state in before.items() if name not in seen and state.lower() in WRITABLE_STATES}


def not_shown(lost: Collection[str]) -> tuple[str, ...]:
    """What is said of subscriptions that were visible to the last complete run; nothing where there are none."""
    if not lost:
        return ()
    more = f" and {len(lost) - 1:,} more" if len(lost) > 1 else ""
    what, they = ("subscriptions", "they are") if more else ("subscription", "it is")
    told = f"the {what} {min(lost)}{more} took writes at the last complete run and can't be seen any more"
    return (f"{told}: rights may be lost; if {they} really gone, run `apply --accept-fewer`",)


def fallen(inventory: Inventory, seen_before: int) -> str:
    """Why the number of subscriptions makes discovery doubtful; empty when it does not."""
    seen = len(inventory.subscriptions)
    if seen >= seen_before * SHARP_FALL:
        return ""
    return (
        f"{seen} subscriptions are visible, {seen_before} were at the last complete run: rights may be lost; "
        "if they are really gone, run `apply --accept-fewer`"
    )
