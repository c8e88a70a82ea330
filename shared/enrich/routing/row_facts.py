"""What rules may ask of a row: from the row itself, and from what Resource Graph said of its resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from shared.enrich.context.resource_context import Known, first_tag
from shared.enrich.records.model import Row
from shared.enrich.routing.route_model import Decision, Facts, Routes
from shared.exports.management_groups import names_above


class Lookup(Protocol):
    """What is known of resources."""

    def known_of(self, row: Row) -> tuple[Known | None, Known | None, Known | None]:
        """Of a row's subscription, resource group and resource; None for what was asked and not answered."""


class _Tenanted(msgspec.Struct):
    """The one column of a row that is read here."""

    tenant: str | None = msgspec.field(default=None, name="SourceTenantId")


_tenanted = msgspec.json.Decoder(_Tenanted).decode


class RowFacts:
    """Decides for the rows of one batch; rows that share what rules ask for are decided once."""

    def __init__(self, routes: Routes, lookup: Lookup, owner_tags: Sequence[str]) -> None:
        self._routes = routes
        self._lookup = lookup
        self._owner_tags = [name.lower() for name in owner_tags]
        self._decided: dict[tuple[str, ...], Decision | None] = {}

    def decide(self, row: Row) -> Decision | None:
        """Where a row goes; None where a rule asks for what is not known."""
        routes = self._routes
        said = _said_tenant(row) if routes.ask_tenant else ""
        key: tuple[str, ...] = (row.kind, row.subscription, said)
        if routes.ask_owner:
            key = (*key, row.group, row.resource)
        if key not in self._decided:
            self._decided[key] = routes.decide(self._facts(row, said))
        return self._decided[key]

    def _facts(self, row: Row, said_tenant: str) -> Facts:
        routes = self._routes
        if not (routes.ask_subscription or routes.ask_owner or (routes.ask_tenant and not said_tenant)):
            return Facts(row.kind, row.subscription, said_tenant)
        subscription, group, resource = self._lookup.known_of(row)
        owner: str | None = None
        if subscription is not None and group is not None and resource is not None:
            owner = first_tag(self._owner_tags, (resource.tags, group.tags, subscription.tags)).lower()
        if subscription is None:
            return Facts(row.kind, row.subscription, said_tenant or None, None, None, owner)
        return Facts(
            row.kind,
            row.subscription,
            said_tenant or subscription.tenant.lower(),
            frozenset(names_above(subscription.tenant, subscription.path.lower().split("/"))),
            {name.lower(): value for name, value in subscription.tags.items()},
            owner,
        )


def _said_tenant(row: Row) -> str:
    """The tenant that the record itself names, which is also what the row's column says."""
    if not row.tenanted:
        return ""
    try:
        return (_tenanted(row.json).tenant or "").lower()
    except msgspec.MsgspecError:
        return ""
