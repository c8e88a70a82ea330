"""Log Analytics workspaces and the solutions that make Defender's tables visible on them."""

from __future__ import annotations

from local.arm.calls import Operation
from local.arm.stored import many, one

WORKSPACE_VERSIONS = ("2025-07-01", "2025-02-01", "2023-09-01", "2022-10-01", "2021-06-01", "2020-08-01")
SOLUTION_VERSIONS = ("2015-11-01-preview",)
WORKSPACES = "Microsoft.OperationalInsights/workspaces"
SOLUTIONS = "Microsoft.OperationsManagement/solutions"

_SUB = "/subscriptions/{sub}/providers/"
_GROUP = "/subscriptions/{sub}/resourceGroups/{group}/providers/"

OPERATIONS = tuple(
    Operation("GET", template, f"{kind}/read", versions, handler)
    for kind, versions in ((WORKSPACES, WORKSPACE_VERSIONS), (SOLUTIONS, SOLUTION_VERSIONS))
    for template, handler in (
        (_SUB + kind, many(kind)),
        (_GROUP + kind, many(kind)),
        (_GROUP + kind + "/{name}", one(kind)),
    )
)
