"""The ids of the records that Resource Graph has now, of a slice, and where this app could have seen none."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.clock import Deadline
from shared.lifecycle.model import PresentNow
from shared.lifecycle.open_queries import SOURCE_OF_KIND
from shared.lifecycle.slices import Slice
from shared.watch.present_records import OPERATION_OF_KIND, TYPE_OF_KIND

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.azure.role_permissions import OwnPermissions

_ATTACK_PATHS = TYPE_OF_KIND["AttackPaths"]


def query(part: Slice) -> str:
    """The query for ids alone.  Attack paths are few, and known by an id of their own: a part has them all."""
    types = ", ".join(f"'{TYPE_OF_KIND[source]}'" for source in sorted(SOURCE_OF_KIND.values()))
    condition = part.condition("name")
    narrowed = f"\n| where type =~ '{_ATTACK_PATHS}' or {condition}" if condition else ""
    return f"""securityresources
| where type in~ ({types}){narrowed}
| project id, name, type, own = tostring(properties.attackPathId), other = tostring(properties.attackPathID)
| order by id asc"""


def record_ids(row: dict[str, Any]) -> Iterable[str]:
    """Under which ids the tables may have a row of Resource Graph; of an attack path each that it may be known by."""
    if str(row["type"]).lower() != _ATTACK_PATHS:
        return (str(row["id"]).lower(),)
    return (str(value).lower() for value in (row["id"], row["name"], row["own"], row["other"]) if value)


class PresentIds:
    """Asks Resource Graph page by page, within its quota, and for the app's own roles where something is missing."""

    def __init__(self, graph: Graph, permissions: OwnPermissions) -> None:
        self.graph = graph
        self._permissions = permissions

    async def read(self, part: Slice, asked: datetime, deadline: Deadline) -> PresentNow:
        """What is there of a slice."""
        found: set[str] = set()
        pages = self.graph.pages(query(part), subscriptions=part.subscriptions, deadline=deadline)
        async for page in pages:
            for row in page:
                found.update(record_ids(row))
        return PresentNow(found, asked, tuple(pages.reasons))

    async def unseen(self, places: Iterable[tuple[str, str]], deadline: Deadline) -> dict[tuple[str, str], str]:
        """Of some places, each a subscription and a kind, those where records could not be seen, with the reason."""
        from azure.core.exceptions import AzureError

        kinds: dict[str, list[str]] = {}
        for subscription, kind in places:
            kinds.setdefault(subscription, []).append(kind)
        found = {}
        for subscription, named in sorted(kinds.items()):
            operations = {kind: OPERATION_OF_KIND[SOURCE_OF_KIND[kind]] for kind in named}
            try:
                lacking = await self._permissions.lacking(subscription, operations.values(), deadline)
            except AzureError:
                why = f"what this app may read in {subscription} could not be asked"
                found.update({(subscription, kind): why for kind in named})
                continue
            for kind, operation in operations.items():
                if operation in lacking:
                    found[subscription, kind] = f"this app's roles in {subscription} lack {operation}"
        return found
