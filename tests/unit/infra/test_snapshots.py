"""What Azure will get, read from the committed snapshots: no compiler is needed."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from shared.enrich.tables import TABLES
from shared.settings import declarations
from tools import infra, review, roles
from tools.snapshots import INFRA, PARAMETERS, Snapshot, committed, differences, parameter_files, path_of
from tools.workbook import queries, workbook

ALL = committed()
MAIN = {name: snapshot for name, snapshot in ALL.items() if not name.startswith("management-group")}
TEMPLATE = json.loads((INFRA / "main.json").read_text())


def broken(name: str, kind: str, change: Any) -> Snapshot:
    """A copy of a snapshot in which every resource of one type was changed."""
    copy = deepcopy(ALL[name])
    for one in copy.of_type(kind):
        change(one)
    return copy


def test_every_parameter_file_has_its_snapshot() -> None:
    beside = {path.name for path in PARAMETERS.glob("*.snapshot.json") if not path.name.startswith("mine")}
    assert {path_of(path).name for path in parameter_files()} == beside
    assert len(MAIN) >= 6
    assert len(ALL) - len(MAIN) >= 8


def test_everyone_who_holds_a_right_is_known() -> None:
    held = {right.principal for snapshot in ALL.values() for right in roles.rights(snapshot)}
    assert held == set(roles._PRINCIPALS.values())


def test_the_table_of_rights_is_what_the_snapshots_grant() -> None:
    text = roles.PAGE.read_text()
    assert roles.page(text, ALL) == text, "out of date: run make snapshots and review the difference"


APART = [name for name, one in MAIN.items() if len(one.of_type("Microsoft.Web/sites")) == 2]


def holder(assignment: dict[str, Any]) -> str:
    """Which of the two identities an assignment is to; empty for others."""
    whose = assignment["properties"]["principalId"]
    return next((name for part, name in roles._PRINCIPALS.items() if part in whose and part.startswith("id-")), "")


def reach(snapshot: Snapshot, who: str) -> list[str]:
    """Storage accounts in which an identity holds any right to data."""
    held = [one["id"] for one in snapshot.of_type(roles._ASSIGNMENT) if holder(one) == who]
    return sorted({scope.split("/storageAccounts/")[1].split("/")[0] for scope in held if "/storageAccounts/" in scope})


def crossings(snapshot: Snapshot) -> list[str]:
    """What each identity of two apps reaches of the other's.

    Export files, the messages that start jobs, their state, the package of the app that writes exports, and what its
    host believes are all in the account that its settings name; so no right to data there may be the data plane's.
    """
    settings = {"data" if "defender-data" in app else "app": one for app, one in review.settings(snapshot).items()}
    control = str(settings["app"]["AzureWebJobsStorage__blobServiceUri"])
    found = [f"the data plane reaches {account}" for account in reach(snapshot, "the data plane") if account in control]
    packages = {
        one["properties"]["functionAppConfig"]["deployment"]["storage"]["value"]
        for one in snapshot.of_type("Microsoft.Web/sites")
    }
    found += ["both apps run one package"] if len(packages) == 1 else []
    return found + [
        f"{right.principal} is {right.role}"
        for right in roles.rights(snapshot)
        if (right.principal, right.role) == ("the app", "Azure Event Hubs Data Receiver")
    ]


@pytest.mark.parametrize("name", APART)
def test_what_reads_the_hub_reaches_nothing_that_leads_to_exports(name: str) -> None:
    snapshot = ALL[name]
    assert crossings(snapshot) == []
    assert len(reach(snapshot, "the data plane")) == 1
    assert len(reach(snapshot, "the app")) == 2


def test_a_data_plane_with_a_right_in_the_other_account_is_found() -> None:
    copy = deepcopy(ALL["enterprise"])
    (control,) = set(reach(copy, "the app")) - set(reach(copy, "the data plane"))
    given = next(one for one in copy.of_type(roles._ASSIGNMENT) if f"/storageAccounts/{control}/" in one["id"])
    other = next(one for one in copy.of_type(roles._ASSIGNMENT) if holder(one) == "the data plane")
    given["properties"]["principalId"] = other["properties"]["principalId"]
    assert crossings(copy) == [f"the data plane reaches {control}"]


def test_two_apps_that_share_a_package_or_the_hub_are_found() -> None:
    copy = deepcopy(ALL["enterprise"])
    first, second = (one["properties"]["functionAppConfig"] for one in copy.of_type("Microsoft.Web/sites"))
    second["deployment"] = first["deployment"]
    receives = next(one for one in copy.of_type(roles._ASSIGNMENT) if "a638d3c7" in str(one["properties"]))
    app = next(one for one in copy.of_type(roles._ASSIGNMENT) if holder(one) == "the app")
    receives["properties"]["principalId"] = app["properties"]["principalId"]
    assert crossings(copy) == ["both apps run one package", "the app is Azure Event Hubs Data Receiver"]


def test_a_right_beyond_the_table_is_found() -> None:
    text = roles.PAGE.read_text()
    more = deepcopy(ALL["small"])
    given = next(iter(more.of_type(roles._ASSIGNMENT)))
    wider = {**given, "id": given["id"].replace("/providers/Microsoft.Storage/", "/providers/Microsoft.KeyVault/")}
    assert roles.page(text, ALL | {"small": Snapshot("small", {**more.resources, "x": wider})}) != text
    owner = deepcopy(wider)
    owner["properties"]["roleDefinitionId"] = "/x/8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    with pytest.raises(KeyError, match="8e3af657"):
        roles.rights(Snapshot("small", {"x": owner}))


@pytest.mark.parametrize("snapshot", MAIN.values(), ids=MAIN)
def test_names_are_what_azure_takes(snapshot: Snapshot) -> None:
    assert review.names(snapshot) == []


def test_a_name_too_long_is_found() -> None:
    def longer(one: dict[str, Any]) -> None:
        one["name"] += "0000"

    assert review.names(broken("small", "Microsoft.Storage/storageAccounts", longer))
    assert review.names(broken("data-plane-apart", "Microsoft.Web/sites", lambda one: one.update(name="a" * 33)))


def test_the_private_profile_has_no_public_endpoint_but_the_api() -> None:
    apps = [f"Microsoft.Web/sites/{one['name']}" for one in ALL["enterprise"].of_type("Microsoft.Web/sites")]
    assert review.public(ALL["enterprise"]) == sorted(apps)
    assert len(review.public(ALL["small"])) > len(apps)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("Microsoft.Storage/storageAccounts", {"publicNetworkAccess": "Enabled"}),
        ("Microsoft.Storage/storageAccounts", {"networkAcls": {"defaultAction": "Allow"}}),
        ("Microsoft.EventHub/namespaces", {"publicNetworkAccess": "Enabled"}),
        ("Microsoft.EventHub/namespaces/networkRuleSets", {"defaultAction": "Allow"}),
    ],
)
def test_a_public_endpoint_in_the_private_profile_is_found(kind: str, change: dict[str, Any]) -> None:
    opened = broken("enterprise", kind, lambda one: one["properties"].update(change))
    assert [one for one in review.public(opened) if one.startswith(f"{kind}/")]


class TestPlans:
    @pytest.mark.parametrize("snapshot", MAIN.values(), ids=MAIN)
    def test_every_alert_function_and_query_can_read_its_tables(self, snapshot: Snapshot) -> None:
        assert review.unreadable(snapshot) == []

    @pytest.mark.parametrize("snapshot", MAIN.values(), ids=MAIN)
    def test_the_tables_about_the_app_itself_are_analytics(self, snapshot: Snapshot) -> None:
        plans = review.plans(snapshot)
        assert set(plans) == {table.name for table in TABLES}
        assert {plans[table.name] for table in TABLES if not table.holds_records} == {"Analytics"}

    def test_an_alert_over_a_table_that_no_alert_reads_is_found(self) -> None:
        def cheaper(one: dict[str, Any]) -> None:
            one["properties"]["plan"] = "Basic"

        wrong = review.unreadable(broken("small", "Microsoft.OperationalInsights/workspaces/tables", cheaper))
        assert "alert defender-export-small-silent-export over DefenderExportHealth_CL (Basic)" in wrong
        asking = [alert for alert in infra.alerts() if infra.tables_read(alert.text)]
        assert sum(line.startswith("alert ") for line in wrong) == len(asking) >= 6

    def test_what_a_basic_table_goes_without_is_listed(self) -> None:
        lost = infra.lost_on_basic()
        assert set(lost) == {table.name for table in TABLES if table.holds_records}
        everything = {line for lines in lost.values() for line in lines}
        kept = {name.split("/")[-1] for name in ALL["everything-off"].resources}
        for function in infra.saved_functions():
            assert (f"function {function.name}" in everything) == (function.name not in kept)
        for alert in infra.alerts():
            assert (f"alert {alert.title}" in everything) == (f"defender-export-least-{alert.name}" not in kept)
        panels = {title for title, text in queries(workbook()) if set(infra.tables_read(text)) & set(lost)}
        assert {line.removeprefix("panel ") for line in everything if line.startswith("panel ")} == panels
        assert len(panels) >= 10

    def test_a_typed_plan_exists_for_every_table_of_records(self) -> None:
        typed = TEMPLATE["definitions"]["TablePlans"]["properties"]
        assert set(typed) == {table.name for table in TABLES if table.holds_records}
        assert TEMPLATE["definitions"]["TablePlan"]["allowedValues"] == ["Analytics", "Basic"]


def test_easy_auth_is_on_before_the_settings_rely_on_it() -> None:
    assert review.easy_auth_order(TEMPLATE) == []


@pytest.mark.parametrize(("symbol", "other"), [("appSettings", "authOn"), ("authOff", "appSettings")])
def test_an_app_that_gets_its_entra_mode_before_easy_auth_is_found(symbol: str, other: str) -> None:
    copy = deepcopy(TEMPLATE)
    copy["resources"]["app"]["properties"]["template"]["resources"][symbol]["dependsOn"].remove(other)
    assert len(review.easy_auth_order(copy)) == 1


@pytest.mark.parametrize("snapshot", MAIN.values(), ids=MAIN)
def test_easy_auth_is_deployed_on_or_off_with_the_mode(snapshot: Snapshot) -> None:
    modes = {app: values["AUTH_MODE"] for app, values in review.settings(snapshot).items()}
    found = {
        one["name"].split("/")[0]: one["properties"]["platform"]["enabled"]
        for one in snapshot.of_type("Microsoft.Web/sites/config")
        if one["name"].endswith("/authsettingsV2")
    }
    assert found == {app: mode == "entra" for app, mode in modes.items()}


@pytest.mark.parametrize("snapshot", MAIN.values(), ids=MAIN)
def test_what_can_be_tagged_is_tagged(snapshot: Snapshot) -> None:
    located = [one for one in snapshot.resources.values() if "location" in one]
    assert {one["id"] for one in located if one.get("tags", {}).get("application") != "defender-export"} == set()


def test_what_holds_data_is_locked_where_that_is_asked_for() -> None:
    locks = ALL["data-plane-apart"].of_type("Microsoft.Authorization/locks")
    assert {one["id"].split("/providers/")[-2].split("/")[1] for one in locks} == {
        "storageAccounts",
        "namespaces",
        "workspaces",
    }
    assert {one["properties"]["level"] for one in locks} == {"CanNotDelete"}
    assert ALL["small"].of_type("Microsoft.Authorization/locks") == []


@pytest.mark.parametrize(
    ("name", "interactive", "total"),
    [("small", 30, 90), ("enterprise", 180, 730), ("existing-workspace", 90, 365), ("everything-off", 4, 4)],
)
def test_retention_is_what_was_asked_for(name: str, interactive: int, total: int) -> None:
    for table in ALL[name].of_type("Microsoft.OperationalInsights/workspaces/tables"):
        properties = table["properties"]
        assert properties["totalRetentionInDays"] == total
        assert properties.get("retentionInDays") == (interactive if properties["plan"] == "Analytics" else None)


@pytest.mark.parametrize(
    ("name", "apps", "units", "ready", "endpoints"),
    [("small", 1, (1, 4), 0, 0), ("enterprise", 2, (2, 20), 2, 7), ("data-plane-apart", 2, (1, 10), 2, 0)],
)
def test_what_costs_is_what_was_asked_for(
    name: str, apps: int, units: tuple[int, int], ready: int, endpoints: int
) -> None:
    snapshot = ALL[name]
    (namespace,) = snapshot.of_type("Microsoft.EventHub/namespaces")
    sites = snapshot.of_type("Microsoft.Web/sites")
    scale = [one["properties"]["functionAppConfig"]["scaleAndConcurrency"] for one in sites]
    assert len(sites) == apps
    assert (namespace["sku"]["capacity"], namespace["properties"]["maximumThroughputUnits"]) == units
    assert sum(group["instanceCount"] for one in scale for group in one["alwaysReady"]) == ready
    assert len(snapshot.of_type("Microsoft.Network/privateEndpoints")) == endpoints


def test_always_ready_groups_go_to_the_app_that_runs_them() -> None:
    sites = ALL["data-plane-apart"].of_type("Microsoft.Web/sites")
    groups = {
        one["tags"]["azd-service-name"]: [
            group["name"] for group in one["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
        ]
        for one in sites
    }
    assert groups == {"app": ["http"], "data": ["function:enrich_records"]}


def test_two_deployments_in_one_workspace_share_no_name_and_ask_about_their_own() -> None:
    for name, snapshot in MAIN.items():
        for rule in snapshot.of_type("Microsoft.Insights/scheduledQueryRules"):
            (criterion,) = rule["properties"]["criteria"]["allOf"]
            assert not re.search(r"\{\w+\}", criterion["query"]), rule["name"]
            instance = next(iter(review.settings(snapshot).values()))["INSTANCE_ID"]
            if "DefenderExportRuns_CL" in criterion["query"] or "DefenderExportHealth_Latest" in criterion["query"]:
                assert f"InstanceId == '{instance}'" in criterion["query"], name


def test_a_difference_names_the_resource_and_the_property() -> None:
    path = PARAMETERS / "small.snapshot.json"
    changed = path.read_text().replace('"minimumTlsVersion": "TLS1_2"', '"minimumTlsVersion": "TLS1_0"')
    (line,) = differences(path.read_text(), changed)
    assert re.fullmatch(r'~ /subscriptions/\S+/stdefexp\w+ properties\.minimumTlsVersion: "TLS1_2" -> "TLS1_0"', line)


def test_settings_that_a_snapshot_gives_are_documented() -> None:
    page = (infra.ROOT / "docs" / "settings.md").read_text()
    known = {one.name for one in declarations().values()}
    for snapshot in MAIN.values():
        for given in review.settings(snapshot).values():
            assert {name for name in given if name in known and f"`{name}`" not in page} == set()
