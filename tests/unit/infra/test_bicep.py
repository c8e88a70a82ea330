"""Every reference in the Bicep resolves, and a broken copy does not."""

import json
import shutil
from pathlib import Path

import pytest

from tools.bicep import check_folder, check_parameter_file
from tools.infra import INFRA

PARAMETER_FILES = {
    "main.parameters.json": "main.bicep",
    "parameters/small.json": "main.bicep",
    "parameters/enterprise.json": "main.bicep",
    "parameters/management-group.json": "management-group.bicep",
}


def test_every_reference_resolves() -> None:
    assert check_folder(INFRA) == []


def test_there_is_something_to_check() -> None:
    assert {path.stem for path in INFRA.rglob("*.bicep")} >= {"main", "management-group", "app", "roles", "ingestion"}


@pytest.mark.parametrize(("parameters", "template"), PARAMETER_FILES.items())
def test_parameter_files_give_what_their_template_takes(parameters: str, template: str) -> None:
    assert check_parameter_file(INFRA / parameters, INFRA / template) == []


def test_every_parameter_file_is_checked() -> None:
    found = {
        str(path.relative_to(INFRA))
        for path in INFRA.rglob("*.json")
        if "deploymentParameters" in path.read_text()[:200]
    }
    assert found == set(PARAMETER_FILES)


BROKEN = {
    "an undeclared symbol": ("modules/app.bicep", "serverFarmId: plan.id", "serverFarmId: farm.id", "'farm'"),
    "an undeclared symbol in a string": ("modules/app.bicep", "'plan-${name}'", "'plan-${nome}'", "'nome'"),
    "an undeclared symbol in a loop": ("modules/tables.bicep", "name: item.name", "name: itm.name", "'itm'"),
    "a wrong module parameter": (
        "main.bicep",
        "    plan: tablePlan\n",
        "    plann: tablePlan\n",
        "no parameter 'plann'",
    ),
    "a missing module parameter": ("main.bicep", "    plan: tablePlan\n", "", "needs parameter 'plan'"),
    "a module that does not exist": ("main.bicep", "modules/alerts.bicep", "modules/alarms.bicep", "alarms.bicep"),
    "an output that does not exist": ("main.bicep", "tables.outputs.customerId", "tables.outputs.custId", "'custId'"),
    "a module without its scope": (
        "main.bicep",
        "  name: 'identity'\n  scope: group\n",
        "  name: 'identity'\n",
        "needs a scope",
    ),
    "a file that does not exist": ("modules/workbook.bicep", "workbook.json", "workbok.json", "workbok.json"),
    "a key that a loaded file lacks": ("modules/tables.bicep", "schemas.tables", "schemas.table", "'table'"),
    "a function that does not exist": ("modules/roles.bicep", "name: guid(rule.id", "name: guidd(rule.id", "guidd()"),
    "a parameter without a description": ("modules/storage.bicep", "@description('Azure region.')\n", "", "'location'"),
    "a parameter that nothing uses": ("modules/workspace.bicep", "max(30, retentionInDays)", "30", "never used"),
    "a symbol declared twice": ("modules/auth.bicep", "param clientId", "param appName", "declared twice"),
    "a syntax error": ("modules/auth.bicep", "properties: {", "properties {", "Unexpected"),
}


@pytest.mark.parametrize(("file", "right", "wrong", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_copy_is_found(tmp_path: Path, file: str, right: str, wrong: str, said: str) -> None:
    copy = Path(shutil.copytree(INFRA, tmp_path / "infra"))
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    found = check_folder(copy)
    assert any(said in finding.message for finding in found), found


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"location": None}, "'location' is missing"),
        ({"regoin": {"value": "westeurope"}}, "no parameter 'regoin'"),
        ({"partitionCount": {"value": "8"}}, "must be of type int"),
        ({"reconcileMode": {"value": "aply"}}, "must be one of plan, apply"),
    ],
)
def test_a_broken_parameter_file_is_found(tmp_path: Path, edit: dict[str, dict[str, str] | None], said: str) -> None:
    document = json.loads((INFRA / "parameters/small.json").read_text())
    for name, value in edit.items():
        document["parameters"].pop(name, None)
        if value is not None:
            document["parameters"][name] = value
    broken = tmp_path / "small.json"
    broken.write_text(json.dumps(document))
    assert said in check_parameter_file(broken, INFRA / "main.bicep")[0].message
