"""Subscriptions where Microsoft.Security is not registered, so that no automation can be written there.

Resource Graph does not tell.  Only subscriptions without any automation are asked, so that a tenant in force costs no
request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from shared.reconcile.arm.arm_client import Arm, ArmError
from shared.reconcile.model import Desired, Inventory, Subscription


def not_registered(subscription_id: str) -> str:
    """The sentence for a subscription where Microsoft.Security is not registered, with what mends it."""
    return (
        "Microsoft.Security is not registered in the subscription: run `az provider register --namespace "
        f"Microsoft.Security --subscription {subscription_id}`, or set REGISTER_PROVIDER to true"
    )


def without_automations(inventory: Inventory) -> list[Subscription]:
    """The subscriptions that may not be registered: whatever is there proves that the others are."""
    known = {automation.id.key[0] for automation in inventory.automations}
    return [one for one in inventory.subscriptions if one.writable and one.id.lower() not in known]


async def unregistered(arm: Arm, subscription_ids: Collection[str], concurrency: int) -> dict[str, str]:
    """Why nothing can be written, by the subscription's id in lower case; what can't be asked is left to the write."""
    turns = asyncio.Semaphore(concurrency)

    async def ask(subscription_id: str) -> bool:
        async with turns:
            try:
                return await arm.registered(subscription_id)
            except ArmError:
                return True

    answers = await asyncio.gather(*map(ask, subscription_ids))
    asked = zip(subscription_ids, answers, strict=True)
    return {each.lower(): not_registered(each) for each, there in asked if not there}


def closed(desired: Iterable[Desired], reasons: Mapping[str, str]) -> Iterator[Desired]:
    """The same automations, those in these subscriptions blocked."""
    for each in desired:
        reason = reasons.get(each.id.key[0], "")
        yield replace(each, blocked=each.blocked or reason) if reason else each
