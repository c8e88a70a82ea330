"""The workspaces of further places, asked as the default one is: joins the file of routes with what looks at tables.

Loaded only where there is a file of routes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from shared.azure.blob_container import StoreError
from shared.canary.stored_alerts import StoredAlerts, UnreadableError
from shared.enrich.routing.place_workspaces import PlaceWorkspace, PlaceWorkspaces, place_workspaces, sent_away
from shared.enrich.tables import BY_KIND, RECORD_TABLES
from shared.lifecycle.open_in_tables import OpenInTables
from shared.lifecycle.open_queries import WATCHED
from shared.settings import Settings, SettingsError
from shared.watch.freshness_outcome import StoredDay
from shared.watch.stored_rows import StoredRows

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

    from shared.azure.clients import Clients
    from shared.enrich.invocation.routed_delivery import RoutedDelivery


_RECORDS = frozenset(table.name for table in RECORD_TABLES)


@dataclass(frozen=True)
class Asked:
    """A workspace of further places with the client that asks it; `unseen` says why there is none."""

    workspace: PlaceWorkspace
    client: LogsQueryClient | None
    unseen: str = ""


class RoutedWorkspaces:
    """Where the rows of further places lie."""

    def __init__(self, settings: Settings, clients: Clients, routed: RoutedDelivery) -> None:
        self._settings = settings
        self._clients = clients
        self._routed = routed

    async def known(self) -> PlaceWorkspaces:
        """The workspaces that the routes in force name.

        Raises:
            shared.azure.blob_container.StoreError: it is not known which routes are in force.
        """
        return place_workspaces((await self._routed.load()).routes, self._settings.workspace_id)

    def asked(self, one: PlaceWorkspace) -> Asked:
        """A workspace with its client."""
        try:
            return Asked(one, self._clients.logs_query_in(one.tenant))
        except SettingsError as error:
            return Asked(one, None, f"not known for place {one.name}: {error}")

    async def takes_alerts(self) -> bool:
        """Whether a route may send alerts to other places alone; where that is not known, it may."""
        try:
            routes = (await self._routed.load()).routes
        except StoreError:
            return True
        return bool(sent_away(routes, "Alert"))

    async def alerts_at(self, place: str) -> StoredAlerts:
        """The alerts stored for a place.

        Raises:
            shared.canary.stored_alerts.UnreadableError: that can't be known.
        """
        table = BY_KIND["Alert"].name
        try:
            known = await self.known()
        except StoreError:
            raise UnreadableError(f"not known for place {place}: the routes in force are not known") from None
        if place in known.with_default:
            return StoredAlerts(self._clients.logs_query, self._settings.workspace_id, table)
        one = known.of(place)
        if one is None:
            why = known.unseen.get(place, f"not known for place {place}: the routes in force do not name it")
            raise UnreadableError(why)
        if table in one.renamed:
            raise UnreadableError(f"not known for place {place}: its table of alerts has another name")
        asked = self.asked(one)
        if asked.client is None:
            raise UnreadableError(asked.unseen)
        return StoredAlerts(asked.client, one.workspace_id, table, f"not known for place {place}: ")

    async def open_in_tables(self) -> tuple[list[tuple[PlaceWorkspace, OpenInTables]], tuple[str, ...]]:
        """What asks each further workspace which records are open there; and why others can't be asked.

        Only kinds that a rule sends there are asked for: the place need not have the tables of the others.
        """
        try:
            known = await self.known()
        except StoreError:
            return [], ("not known for places: it is not known which routes are in force",)
        found, unseen = [], list(known.unseen.values())
        for one in known.further:
            watched = [kind for kind in WATCHED if one.has(kind.name, BY_KIND[kind.name].name)]
            named = sorted({BY_KIND[kind.name].name for kind in WATCHED} & one.renamed)
            unseen += [f"not known for place {one.name}: {table} has another name there" for table in named]
            asked = self.asked(one)
            if asked.client is None:
                unseen.append(asked.unseen)
            elif watched:
                found.append((one, OpenInTables(asked.client, one.workspace_id, watched)))
        return found, tuple(unseen)

    async def scores(self) -> tuple[Mapping[str, tuple[LogsQueryClient, str]], Sequence[str]]:
        """By place, who asks which workspace for scores that routes send there; and why others can't be asked."""
        kind, table = "SecureScore", BY_KIND["SecureScore"].name
        try:
            routes = (await self._routed.load()).routes
        except StoreError:
            return {}, ["not known for places: it is not known which routes are in force"]
        known = place_workspaces(routes, self._settings.workspace_id)
        found, unseen = {}, []
        for place in sent_away(routes, kind):
            one = known.of(place)
            if place in known.with_default:
                continue
            if one is None or table in one.renamed:
                unseen.append(known.unseen.get(place, f"not known for place {place}: its table has another name"))
            elif (asked := self.asked(one)).client is None:
                unseen.append(asked.unseen)
            else:
                found[one.name] = (asked.client, one.workspace_id)
        return found, unseen

    async def not_counted(self) -> Sequence[str]:
        """A sentence on rows that are not among arrivals and open records, where there are any."""
        try:
            routes = (await self._routed.load()).routes
        except StoreError:
            return ["it is not known which routes are in force, and so not which rows lie in other workspaces"]
        known = place_workspaces(routes, self._settings.workspace_id)
        away = dict.fromkeys(place for kind in BY_KIND for place in sent_away(routes, kind))
        names = [place for place in away if place not in known.with_default]
        return (
            [f"without the arrivals and open records of what routes send to {', '.join(names)} alone"] if names else []
        )

    async def with_stored(self, default: StoredDay, day: date, uploaded: Mapping[str, int]) -> StoredDay:
        """What the default workspace holds of a day, with what each further one does of what was uploaded there."""
        try:
            known = await self.known()
        except StoreError:
            return default  # of every place it is said that the routes in force do not name it
        held = await asyncio.gather(*(self._stored(self.asked(one), day, uploaded) for one in known.further))
        elsewhere = {one.places: found for one, found in zip(known.further, held, strict=True)}
        elsewhere |= {(place,): StoredDay(trouble=why) for place, why in known.unseen.items()}
        return replace(default, elsewhere=elsewhere, with_default=known.with_default)

    async def _stored(self, asked: Asked, day: date, uploaded: Mapping[str, int]) -> StoredDay:
        if asked.client is None:
            return StoredDay(trouble=asked.unseen)
        sent = (name.partition(".") for name in uploaded)
        tables = {table for place, _, table in sent if place in asked.workspace.places} & _RECORDS
        renamed = asked.workspace.renamed
        there = tuple(sorted(tables - renamed))  # a place need not have the others
        if not there:
            return StoredDay(renamed=renamed)
        ask = StoredRows(asked.client, asked.workspace.workspace_id, there, self._settings.late_after)
        found = await ask(day)
        trouble = f"not known for place {asked.workspace.name}: {found.trouble}" if found.trouble else ""
        return replace(found, trouble=trouble, renamed=renamed)
