"""Roles, operations and ids are those that Microsoft publishes, as far as `published.json` says where they were read.

Azure refuses a role as a whole when it names one operation that its provider has not registered
(`InvalidActionOrNotAction`), so a name made from a REST path or a Resource Graph type is not enough.
"""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import pytest

from shared.watch.present_records import OPERATION_OF_KIND, TYPE_OF_KIND
from tools.infra import INFRA, ROOT
from tools.roles import BUILT_IN
from tools.snapshots import committed

PUBLISHED = json.loads((ROOT / "tests/unit/infra/published.json").read_text())
OPERATIONS = {
    *(f"{space}/{name}".lower() for space, found in PUBLISHED["operations"].items() for name in found["names"]),
    *(name.lower() for name in PUBLISHED["namedByRoles"]["names"]),
}
WILDCARDS = [name.lower() for name in PUBLISHED["wildcards"]["names"]]
ROLES_OF_AZURE = PUBLISHED["roles"]["definitions"]
_GUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
# Ids that stand for the reader's own: one digit, or the pattern of a version 4 id of one digit.
_EXAMPLE = re.compile(r"(.)\1{7}-\1{4}-(?:4|\1)\1{3}-(?:8|\1)\1{3}-\1{12}")
_OPERATION = re.compile(r"\bMicrosoft\.[A-Za-z]+/(?:[A-Za-z]+/)*(?:read|write|delete|\w+/action)\b")
# Our own, chosen once: ids of app roles and of the scope, an example's caller.
OWN = {
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d01",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d02",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d03",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d04",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d05",
    "6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
}
PAGES = ("deploy.md", "cross-tenant.md", "operate.md", "security.md", "exports.md", "reconcile.md", "watch.md")


def known_wildcard(action: str) -> bool:
    """Whether a role of Microsoft's own has this wildcard, or one around it, and it covers something published."""
    around = any(action == one or (one.endswith("/*") and fnmatchcase(action, one)) for one in WILDCARDS)
    return "*" in action and around and any(fnmatchcase(name, action) for name in OPERATIONS)


def unknown(actions: Iterable[str]) -> list[str]:
    """Actions that are neither published nor wildcards as Microsoft's own roles have them."""
    return [one for one in actions if one.lower() not in OPERATIONS and not known_wildcard(one.lower())]


def unknown_ids(text: str) -> list[str]:
    """Ids that are neither a published role or application, nor ours, nor an example's."""
    known = {*ROLES_OF_AZURE, *PUBLISHED["applications"]["names"], *OWN}
    return [one for one in _GUID.findall(text) if one.lower() not in known and not _EXAMPLE.fullmatch(one.lower())]


def actions_of(snapshot: Any) -> list[str]:
    """Every action of every custom role of a snapshot."""
    return [
        action
        for role in snapshot.of_type("Microsoft.Authorization/roleDefinitions")
        for permission in role["properties"]["permissions"]
        for action in (*permission["actions"], *permission["dataActions"])
    ]


ROLES = {name: actions_of(snapshot) for name, snapshot in committed().items() if name.startswith("management-group")}


@pytest.mark.parametrize("name", ROLES)
def test_every_action_of_every_role_is_published(name: str) -> None:
    assert len(ROLES[name]) > 10
    assert unknown(ROLES[name]) == []


@pytest.mark.parametrize(
    "invented",
    [
        "Microsoft.Security/regulatoryComplianceStandards/read",
        "Microsoft.Security/attackPaths/read",
        "Microsoft.OperationsManagement/solutions/action",
        "Microsoft.Security/automations/validate",
        "Microsoft.Security/automation/read",
        "Microsoft.EventHub/namespaces/eventhub/read",
        "Microsoft.Security/*/write",
        "Microsoft.Security/*",
        "Microsoft.OperationsManagement/solution/*",
        "Microsoft.EventHub/*",
        "*/read",
        "",
    ],
)
def test_an_operation_that_nobody_published_is_found(invented: str) -> None:
    assert unknown([*ROLES["management-group"], invented]) == [invented]


@pytest.mark.parametrize("page", PAGES)
def test_every_operation_that_a_page_names_is_published(page: str) -> None:
    named = _OPERATION.findall((ROOT / "docs" / page).read_text())
    assert unknown(named) == []


@pytest.mark.parametrize(
    "path",
    [
        *sorted(INFRA.glob("*.bicep")),
        *sorted(INFRA.glob("modules/*.bicep")),
        *sorted(INFRA.glob("parameters/*.bicepparam")),
        INFRA / "app-roles.json",
        *(ROOT / "docs" / page for page in PAGES),
        *sorted((ROOT / "docs" / "runbooks").iterdir()),
        *sorted((ROOT / "docs" / "pipelines").iterdir()),
    ],
    ids=lambda path: path.name,
)
def test_every_id_is_published_or_ours(path: Any) -> None:
    assert unknown_ids(path.read_text()) == []


@pytest.mark.parametrize("wrong", ["92aaf0da-9dab-42b6-94a9-d43ce8d16293", "acdd72a7-3385-48ef-bd42-f606fba81ae8"])
def test_an_id_with_one_wrong_digit_is_found(wrong: str) -> None:
    assert unknown_ids(f"Log Analytics Contributor ({wrong})") == [wrong]


def test_the_names_of_roles_in_the_table_of_rights_are_the_published_ones() -> None:
    named = {role: name for role, (name, _, _) in BUILT_IN.items()}
    assert named.items() <= {role: one["name"] for role, one in ROLES_OF_AZURE.items()}.items()


def within(patterns: Iterable[str], action: str) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


@pytest.mark.parametrize("role", BUILT_IN)
def test_what_the_table_says_of_a_built_in_role_is_what_azure_lists(role: str) -> None:
    _, actions, data_actions = BUILT_IN[role]
    listed = ROLES_OF_AZURE[role]
    assert [one for one in actions if not within(listed["actions"], one)] == []
    assert [one for one in data_actions if not within(listed["dataActions"], one)] == []


def test_the_published_sections_say_where_they_were_read() -> None:
    whole = [space for space, found in PUBLISHED["operations"].items() if found["whole"]]
    assert len(whole) >= 5
    for space in whole:
        found = PUBLISHED["operations"][space]
        assert found["page"]
        assert re.fullmatch(r"[0-9a-f]{40}", found["commit"])
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["dated"])
    assert len(PUBLISHED["operations"]["Microsoft.Security"]["names"]) > 150


# Resource Graph has types that are no operations of the provider: the wildcard alone reads them.
UNREGISTERED = {"RegulatoryComplianceAssessment", "AttackPaths"}


def test_each_kind_has_its_operation() -> None:
    assert set(OPERATION_OF_KIND) == set(TYPE_OF_KIND)
    for kind, operation in OPERATION_OF_KIND.items():
        assert operation.lower() == f"{TYPE_OF_KIND[kind]}/read".lower()
        assert (unknown([operation]) == []) == (kind not in UNREGISTERED)


@pytest.mark.parametrize("kind", OPERATION_OF_KIND)
@pytest.mark.parametrize("role", ROLES)
def test_each_deployed_role_permits_each_kind(role: str, kind: str) -> None:
    assert any(fnmatchcase(OPERATION_OF_KIND[kind].lower(), action.lower()) for action in ROLES[role])


def test_an_existing_workspace_takes_the_two_roles_that_the_page_asks_for() -> None:
    """A role assignment on the workspace, and deployments, tables and a query pack in its resource group."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| `workspaceResourceId` |"))
    assert "Log Analytics Contributor on its resource group" in row
    assert "Role Based Access Control Administrator on the workspace" in row
    there = {
        one["type"]
        for one in committed()["existing-workspace"].resources.values()
        if "44444444-4444-4444-4444-444444444444" in one["id"]
    }
    assert {
        "Microsoft.Authorization/roleAssignments",
        "Microsoft.OperationalInsights/workspaces/tables",
        "Microsoft.OperationalInsights/workspaces/savedSearches",
    } <= there
