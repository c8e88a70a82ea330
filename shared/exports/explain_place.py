"""Say in English which subscriptions an export covers, and where it sends to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.exports.model import Destination, ExportConfig, Scope


def explain_place(config: ExportConfig) -> list[str]:
    """Two sentences: of the scope, and of the destination."""
    off = "" if config.enabled else " (disabled: nothing is sent)"
    return [f"from {_scope(config.scope)}{off}", f"to {_destination(config.destination)}"]


def _scope(scope: Scope) -> str:
    parts = [f"{name} and all below it" for name in scope.management_groups] + list(scope.subscriptions)
    told = ", ".join(parts) if parts else "every subscription that the app can see"
    if scope.tags:
        told += f", with the tags {_tags(scope.tags)}"
    if scope.resource_groups:
        told += f", of the resource groups {', '.join(scope.resource_groups)} alone"
    out = [*scope.exclude.management_groups, *scope.exclude.subscriptions]
    out += [f"what is tagged {name}={value}" for name, value in scope.exclude.tags.items()]
    return f"{told}, without {', '.join(out)}" if out else told


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in tags.items())


def _destination(destination: Destination) -> str:
    tenant = f", in the tenant {destination.tenant_id}" if destination.tenant_id else ""
    tenant += "" if destination.verify else ", not verified"
    hub = destination.event_hub
    if hub is None:
        workspace = destination.log_analytics_workspace
        return f"the Log Analytics workspace {workspace.resource_id if workspace else ''}{tenant}"
    rule = hub.authorization_rule
    way = f"with the key of {rule}" if rule else "as a trusted service"
    return f"the event hub {hub.resource_id}, {way}{tenant}"
