"""What the pages tell people to type exists."""

import json
import re
from pathlib import Path

import pytest

from shared.settings import declarations
from tools.infra import INFRA, ROOT
from tools.roles import BUILT_IN

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
