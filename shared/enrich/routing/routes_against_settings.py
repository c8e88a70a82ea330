"""What the settings make wrong in a file of routes: places that lead back, or that nothing says how to reach."""

from __future__ import annotations

from collections.abc import Iterator

from shared.enrich.routing.route_model import HubPlace, Place, Routes, RulePlace
from shared.setting_values import connection_parts
from shared.settings import Settings


def leads_back(routes: Routes, settings: Settings) -> list[str]:
    """Sentences on places that are the hub that is read: never in force, whatever else is."""
    read = _hub(settings.event_hub_name, settings.event_hub_connection, settings.event_hub_namespace)
    return [
        f"{place.name} is the hub that is read, so rows would come back"
        for place in routes.places
        if isinstance(place, HubPlace) and _hub_of(place, settings) == read
    ]


def conflicts(routes: Routes, settings: Settings) -> list[str]:
    """Sentences on places that no row may be sent to, for which the whole file is not taken."""
    return [*leads_back(routes, settings), *_doubled(routes, settings)]


def _doubled(routes: Routes, settings: Settings) -> Iterator[str]:
    """Places that are the default place or each other, which the file alone does not show of those by a connection."""
    connection, namespace = (
        (settings.forward_connection, settings.forward_namespace)
        if settings.forward_connection or settings.forward_namespace
        else (settings.event_hub_connection, settings.event_hub_namespace)
    )
    default = {RulePlace("", settings.ingestion_endpoint, settings.ingestion_rule_id).address}
    if settings.forward_event_hub:
        where = _hub(settings.forward_event_hub, connection, namespace)
        default.add(("hub", *where, settings.forward_format))
    before: dict[tuple[str, ...], str] = {}
    for place in routes.places:
        address = place.address
        if isinstance(place, HubPlace):
            address = ("hub", *_hub_of(place, settings), place.form)
        if address in default:
            yield f"{place.name} is what the settings name: call it default"
        same = before.setdefault(address, place.name)
        if same != place.name and address[1]:
            yield f"{place.name} is the same place as {same}: rows would arrive there twice"


def _hub_of(place: HubPlace, settings: Settings) -> tuple[str, str]:
    return _hub(place.hub, settings.route_connections.get(place.name, ""), place.namespace)


def fault_of(place: Place, settings: Settings) -> str:
    """Why a place can't be reached with these settings; empty where nothing speaks against it."""
    if place.tenant and place.tenant != settings.tenant_id.lower() and settings.cross_tenant_credential == "none":
        return f"{place.name} lies in another tenant, and CROSS_TENANT_CREDENTIAL is none"
    if isinstance(place, HubPlace):
        if "ROUTE_CONNECTIONS" in settings.problems:
            return settings.problems["ROUTE_CONNECTIONS"]
        if not place.namespace and place.name not in settings.route_connections:
            return f"{place.name} has no namespace in the file, and ROUTE_CONNECTIONS names no connection for it"
    return ""


def _hub(name: str, connection: str, namespace: str) -> tuple[str, str]:
    endpoint = connection_parts(connection).get("endpoint", "")
    host = endpoint.partition("//")[2] or namespace
    return host.rstrip("/.").lower(), name.lower()
