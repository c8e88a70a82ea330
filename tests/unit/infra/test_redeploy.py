"""What Azure refuses at the first deployment and at the second, in what is compiled; each found in a broken copy."""

import json
from copy import deepcopy
from typing import Any

import pytest

from tools import review
from tools.compiler import Compiler
from tools.snapshots import INFRA, TEMPLATES, Snapshot, committed

pytestmark = pytest.mark.slow  # starts the compiler

ALL = committed()
MAIN = {name: snapshot for name, snapshot in ALL.items() if not name.startswith("management-group")}
COMPILED = {name: json.loads((INFRA / f"{name}.json").read_text()) for name in TEMPLATES}


def inner(template: dict[str, Any], *names: str) -> Any:
    """A resource of a compiled template, or of the modules in it."""
    for name in names[:-1]:
        template = template["resources"][name]["properties"]["template"]
    return template["resources"][names[-1]]


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_second_deployment_meets_nothing_that_azure_refuses(name: str) -> None:
    assert review.second_deployment(COMPILED[name]) == []


def no_etag(main: dict[str, Any]) -> None:
    del inner(main, "queries", "savedFunction")["properties"]["etag"]


def side_by_side(main: dict[str, Any]) -> None:
    del inner(main, "tables", "table")["copy"]["batchSize"]


def named_by_the_principal(main: dict[str, Any]) -> None:
    role = inner(main, "roles", "queueContributor")
    role["name"] = "[guid(reference('identity').principalId)]"


def no_principal_type(main: dict[str, Any]) -> None:
    del inner(main, "roles", "blobOwner")["properties"]["principalType"]


def name_of_anybody(main: dict[str, Any]) -> None:
    inner(main, "queries")["name"] = "queries"


def a_new_name_each_time(main: dict[str, Any]) -> None:
    main["parameters"]["seed"] = {"type": "string", "defaultValue": "[newGuid()]"}


def same_in_every_region(main: dict[str, Any]) -> None:
    main["variables"]["token"] = main["variables"]["token"].replace(", parameters('location')", "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_etag, "queries/savedFunction: 409, its etag is missing"),
        (side_by_side, "tables/table: written side by side"),
        (named_by_the_principal, "roles/queueContributor: its name is not the same each time"),
        (no_principal_type, "roles/blobOwner: its principal may not be found yet"),
        (name_of_anybody, "queries: a deployment of another may have this name"),
        (a_new_name_each_time, "newGuid() is another each time"),
        (same_in_every_region, "names of two regions are the same"),
    ],
)
def test_what_a_second_deployment_would_meet_is_found(change: Any, said: str) -> None:
    copy = deepcopy(COMPILED["main"])
    change(copy)
    assert review.second_deployment(copy) == [said]


@pytest.mark.parametrize("name", MAIN)
def test_nothing_is_given_that_flex_consumption_refuses(name: str) -> None:
    assert review.forbidden_on_flex(MAIN[name]) == []


@pytest.mark.parametrize("setting", ["FUNCTIONS_WORKER_RUNTIME", "WEBSITE_RUN_FROM_PACKAGE", "ENABLE_ORYX_BUILD"])
def test_a_forbidden_setting_is_found(setting: str) -> None:
    copy = deepcopy(ALL["small"])
    next(iter(review.settings(copy).values()))[setting] = "1"
    assert review.forbidden_on_flex(copy) == [setting]


@pytest.mark.parametrize("name", ["alwaysOn", "linuxFxVersion", "functionAppScaleLimit"])
def test_a_forbidden_property_is_found(name: str) -> None:
    copy = deepcopy(ALL["small"])
    (site,) = copy.of_type("Microsoft.Web/sites")
    site["properties"]["siteConfig"][name] = "x"
    assert review.forbidden_on_flex(copy) == [f"properties.siteConfig.{name}"]


def test_the_parameter_settings_takes_no_forbidden_one() -> None:
    known = json.loads((INFRA / "generated" / "known-settings.json").read_text())
    assert not [
        name for name in review.FLEX_SETTINGS if name in known["names"] or name.startswith(tuple(known["prefixes"]))
    ]


@pytest.mark.parametrize("name", MAIN)
def test_every_api_version_knows_what_it_is_given(name: str) -> None:
    assert review.older_than_a_property(MAIN[name]) == []


@pytest.mark.parametrize(("kind", "path"), review.SINCE)
def test_a_version_without_the_property_is_found(kind: str, path: str) -> None:
    copy = deepcopy(ALL["small"])
    for one in copy.of_type(kind):
        one["apiVersion"] = "2018-01-01"
    said = review.older_than_a_property(copy)
    assert [line for line in said if line.startswith(f"{kind}@2018-01-01 has no {path} before")]


def test_the_compiler_says_so_as_well(compiler: Compiler, tmp_path: Any) -> None:
    text = (INFRA / "modules" / "storage.bicep").read_text()
    (tmp_path / "types.bicep").write_text((INFRA / "types.bicep").read_text())
    (tmp_path / "modules").mkdir()
    old = tmp_path / "modules" / "storage.bicep"
    old.write_text(text.replace("storageAccounts@2026-06-01", "storageAccounts@2018-11-01"))
    said = [one for one in compiler.compile(old).diagnostics if one.code in {"BCP037", "BCP036"}]
    assert any("allowSharedKeyAccess" in str(one) for one in said)


def test_two_regions_share_no_name_of_the_world(compiler: Compiler, tmp_path: Any) -> None:
    """Names of storage, hub and app are the whole world's; the rest lies in a group of its own."""
    import shutil

    from tools.snapshots import parse

    copy = shutil.copytree(INFRA, tmp_path / "infra")
    found: list[Snapshot] = []
    for location in ("westeurope", "northeurope"):
        path = copy / f"{location}.bicepparam"
        path.write_text(f"using 'main.bicep'\nparam environmentName = 'prod'\nparam location = '{location}'\n")
        found.append(parse(location, compiler.snapshot(path)))
    first, second = (set(one.resources) for one in found)
    assert first & second == set()
    names = [{one["name"] for one in snapshot.of_type("Microsoft.Storage/storageAccounts")} for snapshot in found]
    assert names[0] & names[1] == set()
    instances = [{values["INSTANCE_ID"] for values in review.settings(one).values()} for one in found]
    assert instances == [{"prod"}, {"prod"}]


def test_a_deployment_that_leaves_the_tables_to_another_writes_none(compiler: Compiler, tmp_path: Any) -> None:
    import shutil

    from tools.snapshots import parse

    copy = shutil.copytree(INFRA, tmp_path / "infra")
    path = copy / "second.bicepparam"
    shared = (INFRA / "parameters" / "existing-workspace.bicepparam").read_text().replace("../main", "main")
    path.write_text(shared + "\nparam writeTables = false\n")
    kinds = {one["type"] for one in parse("second", compiler.snapshot(path)).resources.values()}
    assert not [kind for kind in kinds if kind.endswith(("workspaces/tables", "/savedSearches"))]
    assert "Microsoft.Insights/dataCollectionRules" in kinds
