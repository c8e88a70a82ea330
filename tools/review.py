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


# Settings and properties that a Flex Consumption app must not have (Azure Functions, app settings reference: "Flex
# Consumption plan deprecations").
FLEX_SETTINGS = {
    "ENABLE_ORYX_BUILD", "FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_WORKER_RUNTIME_VERSION",
    "FUNCTIONS_MAX_HTTP_CONCURRENCY", "FUNCTIONS_WORKER_PROCESS_COUNT", "FUNCTIONS_WORKER_DYNAMIC_CONCURRENCY_ENABLED",
    "SCM_DO_BUILD_DURING_DEPLOYMENT", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_CONTENTOVERVNET",
    "WEBSITE_CONTENTSHARE", "WEBSITE_DNS_SERVER", "WEBSITE_MAX_DYNAMIC_APPLICATION_SCALE_OUT",
    "WEBSITE_NODE_DEFAULT_VERSION", "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_SKIP_CONTENTSHARE_VALIDATION",
    "WEBSITE_VNET_ROUTE_ALL",
}  # fmt: skip
FLEX_PROPERTIES = {
    "properties.containerSize", "properties.isReserved", "properties.siteConfig.alwaysOn",
    "properties.siteConfig.functionAppScaleLimit", "properties.siteConfig.javaVersion",
    "properties.siteConfig.linuxFxVersion", "properties.siteConfig.minimumElasticInstanceCount",
    "properties.siteConfig.netFrameworkVersion", "properties.siteConfig.preWarmedInstanceCount",
    "properties.siteConfig.use32BitWorkerProcess", "properties.siteConfig.vnetRouteAllEnabled",
    "properties.siteConfig.windowsFxVersion", "properties.vnetRouteAllEnabled",
}  # fmt: skip


def forbidden_on_flex(snapshot: Snapshot) -> list[str]:
    """Settings and properties that Flex Consumption refuses or leaves aside."""
    given = sorted({name for values in settings(snapshot).values() for name in FLEX_SETTINGS & set(values)})
    sites = snapshot.of_type("Microsoft.Web/sites")
    return given + sorted({path for one in sites for path in FLEX_PROPERTIES if has(one, path)})


def has(resource: Any, path: str) -> bool:
    """Whether a resource has a property, named by its path."""
    name, _, rest = path.partition(".")
    if not isinstance(resource, dict) or name not in resource:
        return False
    return has(resource[name], rest) if rest else True


# The first API version that knows a property which the deployment relies on (Azure/bicep-types-az).
SINCE = {
    ("Microsoft.Web/sites", "properties.functionAppConfig"): "2023-12-01",
    ("Microsoft.Web/sites", "properties.functionAppConfig.siteUpdateStrategy"): "2024-11-01",
    ("Microsoft.OperationalInsights/workspaces/tables", "properties.totalRetentionInDays"): "2022-10-01",
    ("Microsoft.Insights/dataCollectionRules", "kind"): "2021-04-01",
    ("Microsoft.Storage/storageAccounts", "properties.allowSharedKeyAccess"): "2019-06-01",
    ("Microsoft.Storage/storageAccounts", "properties.defaultToOAuthAuthentication"): "2021-04-01",
    ("Microsoft.EventHub/namespaces", "properties.disableLocalAuth"): "2022-01-01-preview",
    ("Microsoft.EventHub/namespaces", "properties.minimumTlsVersion"): "2022-01-01-preview",
    ("Microsoft.Insights/scheduledQueryRules", "properties.autoMitigate"): "2021-02-01-preview",
}


def older_than_a_property(snapshot: Snapshot) -> list[str]:
    """Resources whose API version does not know a property that they give."""
    return [
        f"{one['type']}@{one['apiVersion']} has no {path} before {since}"
        for (kind, path), since in SINCE.items()
        for one in snapshot.of_type(kind)
        if has(one, path) and one["apiVersion"] < since
    ]


def second_deployment(template: Mapping[str, Any]) -> list[str]:
    """What in a compiled template a second deployment, or one beside it, would meet: refusals and other names.

    Saved searches need an etag; what the workspace takes one at a time must not run side by side; a name made of the
    time or of chance is another each time; a role assignment's name must not depend on what only a run knows, or a new
    identity would ask to change the old assignment; deployments in a group of others need names of their own.
    """
    found = []
    for name, one, above in _all(template, ()):
        kind = one["type"]
        if kind.endswith("/savedSearches") and one["properties"].get("etag") != "*":
            found.append(f"{name}: 409, its etag is missing")
        if kind.endswith(("/savedSearches", "workspaces/tables")) and one.get("copy", {}).get("batchSize") != 1:
            found.append(f"{name}: written side by side")
        if kind.endswith("/roleAssignments") and ("reference(" in one["name"] or "guid(" not in one["name"]):
            found.append(f"{name}: its name is not the same each time")
        if kind.endswith("/roleAssignments") and "principalType" not in one["properties"]:
            found.append(f"{name}: its principal may not be found yet")
        if kind == "Microsoft.Resources/deployments" and not above and "workspace" in one.get("resourceGroup", ""):
            found += [] if "token" in one["name"] else [f"{name}: a deployment of another may have this name"]
    text = str(template)
    found += [f"{function}() is another each time" for function in ("newGuid", "utcNow") if f"{function}(" in text]
    token = template.get("variables", {}).get("token", "")
    return found + ([] if not token or "parameters('location')" in token else ["names of two regions are the same"])


def _all(template: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    resources = template["resources"]  # a list, where a module has no symbols
    for name, one in resources.items() if isinstance(resources, dict) else ((one["name"], one) for one in resources):
        if one.get("existing"):
            continue
        yield "/".join((*above, name)), one, above
        if one["type"] == "Microsoft.Resources/deployments":
            yield from _all(one["properties"]["template"], (*above, name))
