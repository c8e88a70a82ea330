"""What the settings make wrong in a file of routes: places that lead back, or that nothing says how to reach."""

from __future__ import annotations

from shared.enrich.routing.route_model import HubPlace, Place, Routes, RulePlace
from shared.setting_values import connection_parts
from shared.settings import Settings


def conflicts(routes: Routes, settings: Settings) -> list[str]:
    """Sentences on places that no row may be sent to, for which the whole file is not taken."""
    found = []
    read = _hub(settings.event_hub_name, settings.event_hub_connection, settings.event_hub_namespace)
    own = (settings.forward_connection or settings.forward_namespace, settings.forward_connection)
    connection, namespace = (
        (settings.forward_connection, settings.forward_namespace)
        if own[0]
        else (settings.event_hub_connection, settings.event_hub_namespace)
    )
    forward = _hub(settings.forward_event_hub, connection, namespace)
    default = RulePlace("", settings.ingestion_endpoint, settings.ingestion_rule_id).address
    for place in routes.places:
        if isinstance(place, RulePlace):
            same = place.address == default
        else:
            where = _hub(place.hub, settings.route_connections.get(place.name, ""), place.namespace)
            if where == read:
                found.append(f"{place.name} is the hub that is read, so rows would come back")
            same = bool(settings.forward_event_hub) and where == forward and place.form == settings.forward_format
        if same:
            found.append(f"{place.name} is what the settings name: call it default")
    return found


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
