"""What the pages tell people to type exists."""

import json
import re
from pathlib import Path

import pytest

from shared.settings import declarations
from tests.unit.infra.command_reference import code, commands
from tools.infra import INFRA, ROOT
from tools.roles import BUILT_IN
from tools.snapshots import committed

PAGES = [ROOT / "docs" / name for name in ("deploy.md", "operate.md", "fidelity.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = set(
        re.findall(r"\b((?:infra|exports|docs)/[\w./-]+\.(?:bicepparam|bicep|json|md|kql|yaml))", page.read_text())
    )
    assert [
        name
        for name in named
        if not (ROOT / name).is_file() and name not in {"docs/cross-tenant.md", "infra/parameters/mine.bicepparam"}
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


PLATFORM_MARKERS = {"WEBSITE_AUTH_ENABLED"}  # set by the platform, never by a person


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_a_page_names_are_read_by_the_app(page: Path) -> None:
    known = {declaration.name for declaration in declarations().values()}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", page.read_text()))
    assert named - known - PLATFORM_MARKERS == set()


NAMED_ROLES = {
    "92aaf0da-9dab-42b6-94a3-d43ce8d16293": "Log Analytics Contributor",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "fb1c8493-542b-48eb-b624-b4c8fea62acd": "Security Admin",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d02": "Exports.Write",
    "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d03": "user_impersonation, of the registration's own choosing",
    "04b07795-8ddb-461a-bbee-02f9e1bf7b46": "the Azure CLI",
}


@pytest.mark.parametrize("page", ["deploy.md", "cross-tenant.md", "security.md", "operate.md"])
def test_every_id_of_a_role_is_that_of_a_role(page: str) -> None:
    known = {*NAMED_ROLES, *BUILT_IN}
    named = re.findall(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", (ROOT / "docs" / page).read_text())
    assert set(named) - known == set()


def declared_parameters(template: str) -> set[str]:
    return set(json.loads((INFRA / f"{template}.json").read_text())["parameters"])


def options() -> dict[str, list[str]]:
    """The cells of each row of the table of options, by parameter."""
    page = (ROOT / "docs" / "deploy.md").read_text()
    section = page.split("\n## Every option\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    return {name: cells.split(" | ") for name, cells in rows}


def test_every_option_is_walked_through() -> None:
    assert set(options()) == declared_parameters("main")
    assert all(len(cells) == 4 and all(cell.strip() for cell in cells) for cells in options().values())


def test_every_pair_that_excludes_each_other_is_in_the_table() -> None:
    parameters = declared_parameters("main")
    text = (INFRA / "main.bicep").read_text()
    for sentence in re.findall(r"^    sentence: '(.+)'$", text, re.MULTILINE):
        named = [name for name in parameters if re.search(rf"\b{name}\b", sentence)]
        assert named or "malformedIds" in sentence, sentence
        for name in named:
            others = [other for other in named if other != name]
            cells = " ".join(options()[name])
            assert not others or any(f"`{other}`" in cells for other in others), (name, others)


def test_parameters_that_the_pages_give_are_declared() -> None:
    parameters = {name for template in ("main", "management-group") for name in declared_parameters(template)}
    text = (ROOT / "docs" / "deploy.md").read_text()
    given = set(re.findall(r"(?:--parameters |@my\.parameters\.json \\\n {2}|principalId=\S+ )(\w+)=", text))
    given |= set(re.findall(r"\| `(\w+)` \((?:true|false)\) \|", text))
    assert {"environmentName", "securityProviderPrincipalId", "allowWrites"} <= given <= parameters


def test_environment_of_azd_is_what_its_parameters_read() -> None:
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))
    told = set(re.findall(r"azd env set (\w+)", (ROOT / "docs" / "deploy.md").read_text()))
    assert told <= read


def test_what_was_not_seen_on_azure_says_how_it_would_be() -> None:
    page = (ROOT / "docs" / "fidelity.md").read_text()
    section = page.split("\n## Deployment\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    assert all(len(cells) == 2 and all(cells) for cells in rows)
    told = ("Identity", "Logs Ingestion", "Workspace and queries", "The platform", "Automations")
    for name in (*told, "Disasters that are not played here"):
        assert "\nSeen there by: " in page.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]


# Placeholders of commands that are no output and no parameter, and where the page says what they are.
NAMED = {
    "object id of step 1": "the sender's, printed by step 1",
    "object id": "of the identity that the sentence is about",
    "resource id": "of the existing workspace",
    "region": "one of those that step 1 lists",
    "id": "of the management group, subscription or resource that the sentence is about",
    "group": "the resource group of what the command names",
    "name": "of what the sentence is about",
    "namespace": "the destination's, where it is not the deployment's",
    "hub": "the destination's",
    "rule": "the export file's authorizationRule",
    "workspace": "its name, the end of workspaceResourceId",
    "workspace's group": "in workspaceResourceId",
    "version": "of the release, in its files' names",
    "appId": "printed by infra/entra.py or az ad app create",
    "home tenant": "the tenant of the deployment",
    "partner tenant": "the tenant of the destination",
    "workspace id": "the partner's",
    "its resource group": "the partner's",
    "event hub id": "the partner's",
    "namespace id": "the partner's",
}


def placeholders(page: Path) -> set[str]:
    """What a reader puts into the commands of a page."""
    return {
        name for piece in code(page) for name in re.findall(r"<([A-Za-z][^<>\n=]*)>", piece) if any(commands(piece))
    }


def outputs() -> set[str]:
    return {
        name
        for template in ("main", "management-group")
        for name in json.loads((INFRA / f"{template}.json").read_text())["outputs"]
    }


@pytest.mark.parametrize("page", ["deploy.md", "operate.md", "cross-tenant.md", "security.md"])
def test_each_value_that_a_command_needs_is_an_output_a_parameter_or_named(page: str) -> None:
    known = outputs() | declared_parameters("main") | set(NAMED)
    assert placeholders(ROOT / "docs" / page) - known == set()


def test_the_names_of_values_are_all_in_use() -> None:
    used = {name for page in (ROOT / "docs").glob("*.md") for name in placeholders(page)}
    assert set(NAMED) - used == set()
    assert len(used & outputs()) > 5


def tear_down() -> str:
    return (ROOT / "docs" / "deploy.md").read_text().split("\n## Tear down\n", 1)[1]


def test_a_tear_down_takes_back_every_right_over_the_management_group() -> None:
    for snapshot in committed().values():
        for role in snapshot.of_type("Microsoft.Authorization/roleDefinitions"):
            name = role["properties"]["roleName"]
            assert re.sub(r"\(.*\)", "(<environmentName>)", name) in tear_down()
    text = (INFRA / "management-group.bicep").read_text()
    for principal in re.findall(r"^param (\w*[pP]rincipalId) ", text, re.MULTILINE):
        assert f"<{principal}>" in tear_down()


def test_a_tear_down_names_what_lies_outside_the_group_of_the_deployment() -> None:
    """What a deletion of the group leaves: in another team's workspace, in the tenant, and locks that stop it."""
    shown = committed()["existing-workspace"]
    (group,) = {one["name"] for one in shown.of_type("Microsoft.Resources/resourceGroups")}
    outside = {one["type"] for one in shown.resources.values() if f"/resourceGroups/{group}/" not in one["id"]}
    said = {
        "Microsoft.Resources/resourceGroups": "az group delete",
        "Microsoft.Authorization/roleAssignments": "*Log Analytics Data Reader*",
        "Microsoft.OperationalInsights/queryPacks": "`defender-export-<environmentName>`",
        "Microsoft.OperationalInsights/workspaces/tables": "az monitor log-analytics workspace table delete",
        "Microsoft.OperationalInsights/workspaces/savedSearches": "saved searches of the category",
        "Microsoft.OperationalInsights/queryPacks/queries": "`defender-export-<environmentName>`",
    }
    assert outside - {"Microsoft.Resources/deployments"} <= set(said)
    for kind in outside & set(said):
        assert said[kind] in tear_down(), kind
    for made in ("az ad app delete", "az lock delete", "az ad sp delete"):
        assert made in tear_down()


def test_throughput_units_that_grew_have_their_price_and_their_way_back() -> None:
    """Auto-inflate never scales down (learn.microsoft.com/azure/event-hubs/event-hubs-auto-inflate)."""
    (namespace,) = committed()["enterprise"].of_type("Microsoft.EventHub/namespaces")
    properties = namespace["properties"]
    assert properties["isAutoInflateEnabled"] is True
    assert properties["maximumThroughputUnits"] > namespace["sku"]["capacity"]
    page = (ROOT / "docs" / "operate.md").read_text()
    section = page.split("\n### Throughput units\n", 1)[1].split("\n#", 1)[0]
    given = {" ".join(command.words[:3]): command.words for piece in [section] for command in commands(piece)}
    assert "sku.capacity" in given["eventhubs namespace show"]
    small = committed()["small"].of_type("Microsoft.EventHub/namespaces")[0]["sku"]["capacity"]
    assert (
        str(small) == given["eventhubs namespace update"][given["eventhubs namespace update"].index("--capacity") + 1]
    )
    assert "never lowers them" in section
    assert "[below](#throughput-units)" in page
