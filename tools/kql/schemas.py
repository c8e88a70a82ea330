"""The schemas that KQL is bound against: the workspace's tables and Resource Graph's."""

from __future__ import annotations

from shared.enrich.tables import TABLES
from tools.kql.binder import Database, Function

_KQL_TYPES = {"boolean": "bool"}  # the one type whose name differs from a data collection rule's


def _columns(text: str) -> dict[str, str]:
    return {name: kind for name, _, kind in (column.partition(":") for column in text.split())}


# Azure's own tables, with the columns that the shipped KQL may use (Azure Monitor table reference).
_AZURE_TABLES = {
    "AppMetrics": _columns(
        "TimeGenerated:datetime Name:string Sum:real Min:real Max:real ItemCount:int Properties:dynamic"
        " AppRoleName:string AppRoleInstance:string OperationName:string _ResourceId:string"
    ),
    "AppTraces": _columns(
        "TimeGenerated:datetime Message:string SeverityLevel:int Properties:dynamic OperationId:string"
        " OperationName:string AppRoleName:string AppRoleInstance:string _ResourceId:string"
    ),
    "AppRequests": _columns(
        "TimeGenerated:datetime Id:string Name:string Success:bool ResultCode:string DurationMs:real"
        " Properties:dynamic OperationId:string OperationName:string AppRoleName:string _ResourceId:string"
    ),
    "AppExceptions": _columns(
        "TimeGenerated:datetime ProblemId:string ExceptionType:string OuterMessage:string InnermostMessage:string"
        " SeverityLevel:int Properties:dynamic OperationId:string OperationName:string AppRoleName:string"
        " _ResourceId:string"
    ),
    "AzureMetrics": _columns(
        "TimeGenerated:datetime MetricName:string ResourceProvider:string Resource:string ResourceId:string"
        " Total:real Count:real Minimum:real Maximum:real Average:real TimeGrain:string UnitName:string"
        " _ResourceId:string"
    ),
    "DCRLogErrors": _columns(
        "TimeGenerated:datetime InputStreamId:string Message:string OperationName:string _ResourceId:string"
    ),
    "_LogOperation": _columns(
        "TimeGenerated:datetime Category:string Operation:string Level:string Detail:string _ResourceId:string"
    ),
    "Usage": _columns(
        "TimeGenerated:datetime DataType:string Quantity:real QuantityUnit:string IsBillable:bool StartTime:datetime"
        " EndTime:datetime Solution:string"
    ),
}

_STANDARD = {
    "Type": "string",
    "TenantId": "string",
    "_ResourceId": "string",
    "_SubscriptionId": "string",
    "_TimeReceived": "datetime",
}

# Resource Graph's tables share one shape (Azure Resource Graph table and resource type reference).
_GRAPH_COLUMNS = _columns(
    "id:string name:string type:string tenantId:string kind:string location:string resourceGroup:string"
    " subscriptionId:string managedBy:string sku:dynamic plan:dynamic properties:dynamic tags:dynamic"
    " identity:dynamic zones:dynamic extendedLocation:dynamic"
)


def workspace(functions: tuple[Function, ...] = ()) -> Database:
    """The Log Analytics workspace: our tables, Azure's tables that we ask, and saved functions."""
    ours = {
        table.name: {name: _KQL_TYPES.get(kind, kind) for name, kind in table.types.items()} | _STANDARD
        for table in TABLES
    }
    return Database(_AZURE_TABLES | ours, functions)


def resource_graph() -> Database:
    """The three Resource Graph tables that the app asks."""
    return Database(dict.fromkeys(("resources", "resourcecontainers", "securityresources"), _GRAPH_COLUMNS))
