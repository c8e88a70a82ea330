"""What can be said of a snapshot without a compiler: names, reach, plans, settings, each as a list of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tools.infra import tables_read
from tools.snapshots import Snapshot

# Azure's naming rules by type: the last part of the name (Azure naming rules and restrictions for resources).
NAMES = {
    "Microsoft.Resources/resourceGroups": r"[\w().-]{0,89}[\w()-]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[a-zA-Z0-9][\w-]{2,127}",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/blobServices/containers": r"[a-z0-9](-?[a-z0-9]){2,62}",
    "Microsoft.Storage/storageAccounts/queueServices/queues": r"[a-z0-9](-?[a-z0-9]){2,62}",
    "Microsoft.Storage/storageAccounts/tableServices/tables": r"[a-zA-Z][a-zA-Z0-9]{2,62}",
    "Microsoft.EventHub/namespaces": r"[a-zA-Z][a-zA-Z0-9-]{4,48}[a-zA-Z0-9]",
    "Microsoft.EventHub/namespaces/eventhubs": r"[a-zA-Z0-9][\w.-]{0,254}[a-zA-Z0-9]",
    "Microsoft.EventHub/namespaces/eventhubs/consumergroups": r"[a-zA-Z0-9][\w.-]{0,48}[a-zA-Z0-9]",
    "Microsoft.EventHub/namespaces/eventhubs/authorizationRules": r"[a-zA-Z0-9][\w.-]{0,48}[a-zA-Z0-9]",
    "Microsoft.OperationalInsights/workspaces": r"[a-zA-Z0-9][a-zA-Z0-9-]{2,61}[a-zA-Z0-9]",
    "Microsoft.OperationalInsights/workspaces/tables": r"[a-zA-Z]\w{0,58}_CL",
    "Microsoft.OperationalInsights/workspaces/savedSearches": r"[\w-]{1,63}",
    "Microsoft.OperationalInsights/queryPacks": r"[\w.()-]{1,128}",
    "Microsoft.Insights/components": r"[^%&\\?/]{0,259}[^%&\\?/. ]",
    "Microsoft.Insights/dataCollectionRules": r"[a-zA-Z0-9][\w.-]{0,62}[a-zA-Z0-9]",
    "Microsoft.Insights/scheduledQueryRules": r"[^*<>%:?/\\{}#@&+]{0,259}[^*<>%:?/\\{}#@&+. ]",
    "Microsoft.Insights/actionGroups": r"[^/&%\\?]{0,259}[^/&%\\?. ]",
    "Microsoft.Web/serverfarms": r"[\w-]{1,60}",
    "Microsoft.Web/sites": r"[a-zA-Z0-9][a-zA-Z0-9-]{0,58}[a-zA-Z0-9]",
    "Microsoft.Network/virtualNetworks": r"[a-zA-Z0-9][\w.-]{0,62}\w",
    "Microsoft.Network/networkSecurityGroups": r"[a-zA-Z0-9][\w.-]{0,78}\w",
    "Microsoft.Network/privateEndpoints": r"[a-zA-Z0-9][\w.-]{0,62}\w",
}
_SHORT_NAME = 12  # groupShortName of an action group
_HOST_ID = 32  # The Functions host tells apps apart by this many characters of their names


def names(snapshot: Snapshot) -> list[str]:
    """Resources whose name Azure refuses, and apps that the host can't tell apart."""
    wrong = [
        f"{one['type']} {name!r}"
        for one in snapshot.resources.values()
        if (rule := NAMES.get(one["type"])) and not re.fullmatch(rule, name := one["name"].split("/")[-1])
    ]
    apps = [one["name"] for one in snapshot.of_type("Microsoft.Web/sites")]
    if len({name[:_HOST_ID] for name in apps}) < len(apps):
        wrong.append(f"host ids of {', '.join(apps)}")
    short = [one["properties"]["groupShortName"] for one in snapshot.of_type("Microsoft.Insights/actionGroups")]
    return wrong + [f"groupShortName {name!r}" for name in short if not 1 <= len(name) <= _SHORT_NAME]


def public(snapshot: Snapshot) -> list[str]:
    """Resources that answer on a public endpoint, by id without subscription."""
    open_ = (one for one in snapshot.resources.values() if _is_public(one.get("properties", {})))
    return sorted(f"{one['type']}/{one['name']}" for one in open_)


def _is_public(properties: Mapping[str, Any]) -> bool:
    rules = properties.get("networkAcls", properties)
    return properties.get("publicNetworkAccess") == "Enabled" or rules.get("defaultAction") == "Allow"


def plans(snapshot: Snapshot) -> dict[str, str]:
    """Plan by table."""
    found = snapshot.of_type("Microsoft.OperationalInsights/workspaces/tables")
    return {one["properties"]["schema"]["name"]: one["properties"]["plan"] for one in found}


def unreadable(snapshot: Snapshot) -> list[str]:
    """Alerts, functions and queries over a table whose plan none of them can read, or that isn't there."""
    have = plans(snapshot)
    return [
        f"{what} over {table} ({have.get(table, 'missing')})"
        for what, text in _texts(snapshot)
        for table in tables_read(text)
        if have.get(table) != "Analytics"
    ]


def _texts(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for rule in snapshot.of_type("Microsoft.Insights/scheduledQueryRules"):
        for criterion in rule["properties"]["criteria"]["allOf"]:
            yield f"alert {rule['name']}", criterion["query"]
    for function in snapshot.of_type("Microsoft.OperationalInsights/workspaces/savedSearches"):
        yield f"function {function['name'].split('/')[-1]}", function["properties"]["query"]
    for query in snapshot.of_type("Microsoft.OperationalInsights/queryPacks/queries"):
        yield f"query {query['properties']['displayName']}", query["properties"]["body"]


def easy_auth_order(template: Mapping[str, Any]) -> list[str]:
    """What in a compiled main.json lets an app rely on Easy Auth while it is off: the order of its resources."""
    wrong = []
    for symbol in ("app", "dataApp"):
        resources = template["resources"][symbol]["properties"]["template"]["resources"]
        if "authOn" not in resources["appSettings"].get("dependsOn", ()):
            wrong.append(f"{symbol}: the settings do not wait for Easy Auth to be on")
        if "appSettings" not in resources["authOff"].get("dependsOn", ()):
            wrong.append(f"{symbol}: Easy Auth goes off before the settings say so")
    return wrong


def settings(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """App settings by app."""
    found = snapshot.of_type("Microsoft.Web/sites/config")
    return {one["name"].split("/")[0]: one["properties"] for one in found if one["name"].endswith("/appsettings")}
