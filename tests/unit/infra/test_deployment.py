"""The writes that Azure gets, and whether the roles that docs/deploy.md asks for hold what each needs."""

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

import pytest

from tools.deployment import LINKED, PAGE, Request, operations, page, requests
from tools.infra import ROOT
from tools.snapshots import committed

ROLES = json.loads((ROOT / "tests/unit/infra/published.json").read_text())["roles"]["definitions"]
BY_NAME = {role["name"]: role for role in ROLES.values()}
FULL = ("Owner",)
LESS = ("Contributor", "Role Based Access Control Administrator")
MORE = ("Contributor", "User Access Administrator")
# Where a deployment writes, and the roles that the page asks for there.
ASKED = {
    ("small", "the subscription"): (FULL, LESS),
    ("small", "the deployment's group"): (FULL, LESS),
    ("existing-workspace", "the subscription"): (FULL, LESS),
    ("existing-workspace", "the deployment's group"): (FULL, LESS),
    ("existing-workspace", "the workspace's group"): (
        ("Log Analytics Contributor", "Role Based Access Control Administrator"),
    ),
    ("sentinel", "the subscription"): (FULL, LESS),
    ("sentinel", "the deployment's group"): (FULL, LESS),
    ("sentinel", "the workspace's group"): (
        ("Log Analytics Contributor", "Role Based Access Control Administrator", "Microsoft Sentinel Contributor"),
    ),
    ("data-plane-apart", "the deployment's group"): (FULL, MORE),
    ("enterprise", "the deployment's group"): (FULL, LESS),
    ("management-group", "the management group"): (FULL, MORE),
}


def allowed(operation: str, roles: Iterable[str]) -> bool:
    """Whether one of the roles, less what it takes back, has an operation."""

    def within(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(operation.lower(), pattern.lower()) for pattern in patterns)

    return any(within(BY_NAME[role]["actions"]) and not within(BY_NAME[role].get("notActions", ())) for role in roles)


@pytest.mark.parametrize(("name", "scope"), ASKED)
def test_the_roles_that_the_page_asks_for_hold_every_operation(name: str, scope: str) -> None:
    needed = operations(committed()[name])[scope]
    for roles in ASKED[name, scope]:
        assert [operation for operation in needed if not allowed(operation, roles)] == [], roles


@pytest.mark.parametrize("name", ["small", "existing-workspace", "sentinel", "management-group"])
def test_every_scope_that_is_written_in_is_asked_for(name: str) -> None:
    assert {(name, scope) for scope in operations(committed()[name])} == {key for key in ASKED if key[0] == name}


@pytest.mark.parametrize(
    ("name", "scope", "roles", "missing"),
    [
        ("small", "the deployment's group", ("Contributor",), "Microsoft.Authorization/roleAssignments/write"),
        (
            "existing-workspace",
            "the workspace's group",
            ("Log Analytics Contributor",),
            "Microsoft.Authorization/roleAssignments/write",
        ),
        (
            "existing-workspace",
            "the workspace's group",
            ("Role Based Access Control Administrator",),
            "Microsoft.Resources/deployments/write",
        ),
        (
            "sentinel",
            "the workspace's group",
            ("Log Analytics Contributor", "Role Based Access Control Administrator"),
            "Microsoft.SecurityInsights/alertRules/write",
        ),
        ("data-plane-apart", "the deployment's group", LESS, "Microsoft.Authorization/locks/write"),
        ("management-group", "the management group", LESS, "Microsoft.Authorization/roleDefinitions/write"),
        (
            "management-group",
            "the management group",
            ("User Access Administrator",),
            "Microsoft.Resources/deployments/write",
        ),
    ],
)
def test_one_role_less_is_found(name: str, scope: str, roles: tuple[str, ...], missing: str) -> None:
    assert missing in [one for one in operations(committed()[name])[scope] if not allowed(one, roles)]


def test_roles_are_assigned_on_the_workspace_and_not_on_its_group() -> None:
    """So that the right to assign them is asked for on the workspace alone."""
    there = [
        one.name
        for one in requests(committed()["existing-workspace"])
        if (one.scope, one.operation) == ("the workspace's group", "Microsoft.Authorization/roleAssignments/write")
    ]
    assert there
    assert all("/Microsoft.OperationalInsights/workspaces/" in name for name in there)


def test_the_page_of_requests_is_current() -> None:
    assert PAGE.read_text() == page(), "out of date: run python -m tools.deployment"


def test_the_table_of_rights_asks_for_these_roles() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text()
    section = text.split("\n## Rights\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in section.splitlines() if re.match(r"\| [12345]", line)]
    assert [" and ".join(LESS) in row for row in rows] == [True, False, False, False, False, False]
    assert [" and ".join(MORE) in row for row in rows] == [False, True, False, False, False, True]
    assert "| its resource group | Log Analytics Contributor" in section
    assert "| the workspace's resource group | Microsoft Sentinel Contributor" in section
    assert "| the workspace | Role Based Access Control Administrator" in section


def test_what_a_resource_refers_to_is_checked_too() -> None:
    found = requests(committed()["existing-workspace"])
    for operation, _ in LINKED.values():
        assert [one for one in found if one.operation == operation]
    assert Request("the workspace's group", LINKED["Microsoft.Insights/diagnosticSettings"][0], found[0].name).scope
