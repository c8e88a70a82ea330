"""The tenant's subscriptions as the app sees them: names where people read, ids where the API asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.exports.management_groups import GroupNames, lies_below
from shared.exports.suggestions import suggest
from shared.reconcile.discover.subscription_names import named
from shared.reconcile.model import Subscription

if TYPE_CHECKING:
    from shared.cli.api_client import ApiClient


async def subscriptions(api: ApiClient) -> list[Subscription]:
    """Every subscription that the app sees."""
    rows = await api.pages("status", limit="1000")
    return [
        Subscription(
            row["subscriptionId"],
            row["subscription"],
            row["tenantId"],
            ancestors=tuple(group.lower() for group in reversed(row["managementGroups"])),
        )
        for row in rows
    ]


async def ids_of(asked: Sequence[str], api: ApiClient) -> list[str]:
    """The ids of the subscriptions asked for by id or name.

    Raises:
        ValueError: the app sees none of that id or name, or several of that name.
    """
    seen = await subscriptions(api)
    ids = {one.id.lower() for one in seen}
    found = named(asked, seen)
    for given, one in zip(asked, found, strict=True):
        if one.lower() not in ids:
            near = suggest(given, [each.name for each in seen if each.name])
            raise ValueError(f"the app sees no subscription {given}. {near}".strip())
    return found


async def places(asked: Sequence[str], groups: Sequence[str], api: ApiClient) -> set[str] | None:
    """The lower-case ids of what is asked for, by id, name or a management group above; None for all.

    Raises:
        ValueError: as `ids_of`, or there is no such management group, or several tenants have one of that name.
    """
    if not asked and not groups:
        return None
    seen = await subscriptions(api)
    known = GroupNames.of(seen)
    for group in groups:
        if several := known.several(group):
            raise ValueError(several)
        if group not in known:
            raise ValueError(f"the app sees no management group {group}. {suggest(group, known.written)}".strip())
    chosen = {one.lower() for one in await ids_of(asked, api)} if asked else set()
    return chosen | {one.id.lower() for one in seen if lies_below(one, groups)}
