"""Discover the tenant: subscriptions with their management groups and tags, and every automation.

Both queries span everything the app may read, not only the scopes of today: what was exported yesterday and is no
longer selected must be found too.  Resource Graph lags behind ARM, so a run confirms by GET before it writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from shared.azure.resource_graph import NO_SUBSCRIPTION, REFUSED, Graph
from shared.reconcile.arm.arm_client import Arm, ArmError
from shared.reconcile.model import Inventory, Live, Subscription, read_tags

SUBSCRIPTIONS = """
resourcecontainers
| where type =~ 'microsoft.resources/subscriptions'
| extend state = tostring(properties.state), chain = properties.managementGroupAncestorsChain
| project id, subscriptionId, name, tenantId, tags, state, chain
| order by id asc
""".strip()
AUTOMATIONS = """
resources
| where type =~ 'microsoft.security/automations'
| project id, name, subscriptionId, resourceGroup, location, tags, properties
| order by id asc
""".strip()
SUBSCRIPTIONS_VERSION = "2022-12-01"
MANAGEMENT_GROUPS_VERSION = "2021-04-01"
AUTOMATIONS_VERSION = "2023-12-01-preview"


_LIST_INSTEAD = "set INVENTORY=list, so that each subscription is asked instead"
_GIVE_RIGHTS = "no subscription is visible: give the app Reader or Security Reader"


async def from_graph(graph: Graph) -> Inventory:
    """The tenant as Resource Graph shows it, in one request per 1,000 subscriptions or automations."""
    pages = graph.pages(SUBSCRIPTIONS)
    subscriptions = [_subscription(row) async for page in pages for row in page]
    reasons = list(pages.reasons)
    unread = bool(reasons) and not subscriptions
    pages = graph.pages(AUTOMATIONS)
    automations = [Live.from_body(row) async for page in pages for row in page]
    unread |= bool(pages.reasons) and not automations
    reasons += [reason for reason in pages.reasons if reason not in reasons]
    reasons = [f"{reason}: {_cure(reason)}" if reason.startswith(REFUSED) else reason for reason in reasons]
    if not subscriptions and not reasons:
        reasons.append(_GIVE_RIGHTS)
    return replace(_once_each(subscriptions, automations, reasons), unread=unread or not subscriptions)


def _cure(refusal: str) -> str:
    return _GIVE_RIGHTS if NO_SUBSCRIPTION in refusal else _LIST_INSTEAD


async def from_lists(arm: Arm, management_groups: Sequence[str], concurrency: int) -> Inventory:
    """The same by list calls, for tenants where Resource Graph is no option: one request per subscription at least."""
    reasons: list[str] = []
    refused: list[str] = []
    rows = [row async for row in _listed(arm, "list subscriptions", "/subscriptions", SUBSCRIPTIONS_VERSION, reasons)]
    if not rows and not reasons:
        reasons.append(_GIVE_RIGHTS)
    above: dict[str, list[str]] = {}
    # The list knows groups of the caller's own tenant alone, so a tenant before the name says nothing to it.
    for group in dict.fromkeys(name.rpartition("/")[2].lower() for name in management_groups):
        path = f"/providers/Microsoft.Management/managementGroups/{quote(group, safe='')}/descendants"
        async for row in _listed(arm, "list descendants", path, MANAGEMENT_GROUPS_VERSION, reasons):
            above.setdefault(str(row.get("name")).lower(), []).append(group)
    subscriptions = [
        Subscription(
            row["subscriptionId"],
            row.get("displayName") or "",
            row.get("tenantId") or "",
            row.get("state") or "Enabled",
            read_tags(row.get("tags")),
            tuple(above.get(row["subscriptionId"].lower(), ())),
        )
        for row in rows
    ]
    turns = asyncio.Semaphore(concurrency)

    async def automations(subscription: Subscription) -> list[Live]:
        path = f"/subscriptions/{subscription.id}/providers/Microsoft.Security/automations"
        async with turns:
            listing = _listed(arm, "list automations", path, AUTOMATIONS_VERSION, refused)
            return [Live.from_body(row) async for row in listing]

    found = await asyncio.gather(*map(automations, subscriptions))
    inventory = _once_each(subscriptions, [live for lives in found for live in lives], reasons + refused)
    # One that is refused may well be the exception; where all are, nothing is known.
    return replace(inventory, unread=len(refused) >= len(subscriptions))


def _once_each(subscriptions: Iterable[Subscription], automations: Iterable[Live], reasons: list[str]) -> Inventory:
    """What was found, each once: a row that comes twice has moved between pages, so another may have been missed."""
    by_id: dict[str, Subscription] = {}
    by_place: dict[tuple[str, str, str], Live] = {}
    twice = [one.id for one in subscriptions if by_id.setdefault(one.id.lower(), one) is not one]
    twice += [str(live.id) for live in automations if by_place.setdefault(live.id.key, live) is not live]
    if twice:
        more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
        reasons.append(f"{twice[0]}{more} came twice, so others may be missing: the next run looks again")
    return Inventory(list(by_id.values()), list(by_place.values()), tuple(reasons))


async def _listed(arm: Arm, kind: str, path: str, version: str, reasons: list[str]) -> AsyncIterator[dict[str, Any]]:
    """The entries of a list, page by page; a failure ends it and is a reason to call the list incomplete."""
    next_page = path
    while next_page:
        try:
            answer = await arm.send(kind, "GET", next_page, version)
        except ArmError as error:
            if not error.not_registered:
                reasons.append(f"{path} could not be listed: {error}")
            return
        if not isinstance(entries := answer.get("value"), list):
            reasons.append(f"{path} could not be listed: its answer holds no list")
            return
        for entry in entries:
            yield entry
        next_page = answer.get("nextLink") or ""


def _subscription(row: dict[str, Any]) -> Subscription:
    chain = row.get("chain")
    groups = chain if isinstance(chain, list) else []
    names = [str(group.get("name") or "").lower() if isinstance(group, dict) else "" for group in groups]
    return Subscription(
        row["subscriptionId"],
        row.get("name") or "",
        row.get("tenantId") or "",
        row.get("state") or "",
        read_tags(row.get("tags")),
        tuple(filter(None, names)),
        # Every subscription lies below the root group of its tenant at least.
        placed=bool(names) and all(names),
    )
