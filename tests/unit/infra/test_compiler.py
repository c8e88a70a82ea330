"""The genuine compiler over `infra/`: nothing to say of it, snapshots current, combinations right or refused."""

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import review
from tools.compiler import Compiler, CompilerError, find
from tools.snapshots import INFRA, TEMPLATES, Snapshot, committed, differences, parameter_files, parse, path_of, written

pytestmark = pytest.mark.slow  # starts the compiler

SOURCES = sorted(path.relative_to(INFRA) for path in INFRA.rglob("*.bicep"))
PARAMETERS = [path.relative_to(INFRA) for path in (INFRA / "main.bicepparam", *parameter_files())]
WORKSPACE = (
    "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-other"
    "/providers/Microsoft.OperationalInsights/workspaces/log-other"
)
SOMEONE = "99999999-9999-9999-9999-999999999999"
# Six switches; the last puts everything on at once that needs a value.
SWITCHES: tuple[dict[str, Any], ...] = (
    {"forwardRows": True},
    {"privateNetworking": True},
    {"separateDataPlane": True},
    {"allowEventHubKeys": True},
    {"workspaceResourceId": WORKSPACE},
    {
        "operatorPrincipalId": SOMEONE,
        "securityProviderPrincipalId": SOMEONE,
        "alertEmails": ["a@example.com"],
        "authMode": "entra",
        "authClientId": SOMEONE,
        "tablePlan": "Basic",
    },
)
COMBINATIONS = list(itertools.product((False, True), repeat=len(SWITCHES)))
# Of each two switches, every combination of on and off is among these (an orthogonal array of strength two).
PAIRWISE = [(a, b, c, a ^ b, a ^ c, b ^ c) for a, b, c in itertools.product((False, True), repeat=3)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(INFRA, tmp_path_factory.mktemp("copy") / "infra"))


def literal(value: Any) -> str:
    """A value as Bicep writes it."""
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    if isinstance(value, list):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def evaluated(compiler: Compiler, copy: Path, **given: Any) -> Snapshot:
    values = {"environmentName": "test", "location": "westeurope"} | given
    lines = ["using 'main.bicep'", *(f"param {name} = {literal(value)}" for name, value in values.items())]
    path = copy / "case.bicepparam"
    path.write_text("\n".join(lines) + "\n")
    try:
        return parse("case", compiler.snapshot(path))
    finally:
        path.unlink()


def test_a_compiler_that_does_not_start_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bicep"
    broken.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(CompilerError, match="does not start"):
        Compiler(str(broken))
    broken.chmod(0o755)
    with pytest.raises(CompilerError, match="ended"):
        Compiler(str(broken))
    monkeypatch.setenv("BICEP", str(tmp_path / "nothing"))
    with pytest.raises(CompilerError, match="no file"):
        find()


def test_build_and_lint_find_nothing(compiler: Compiler) -> None:
    # A template's diagnostics include those of its modules; parameter files are compiled for their snapshots.
    assert [str(one) for name in TEMPLATES for one in compiler.compile(INFRA / f"{name}.bicep").diagnostics] == []


def test_what_the_linter_says_of_a_module_is_seen(compiler: Compiler, copy: Path) -> None:
    module = copy / "modules" / "identity.bicep"
    text = module.read_text()
    module.write_text(text + "\nvar unused = 1\n")
    try:
        codes = {(one.file, one.code) for one in compiler.compile(copy / "main.bicep").diagnostics}
    finally:
        module.write_text(text)
    assert codes == {("identity.bicep", "no-unused-vars")}


def test_every_rule_of_the_linter_is_on_or_has_its_reason() -> None:
    text = (INFRA / "bicepconfig.json").read_text()
    rules = re.findall(r'"([\w-]+)": \{ "level": "(\w+)"', text)
    assert len(rules) >= 40
    off = [name for name, level in rules if level != "warning"]
    assert off == re.findall(r'// Off: .+\n\s+"([\w-]+)"', text)


def test_every_suppression_gives_its_reason() -> None:
    for source in SOURCES:
        for line in (INFRA / source).read_text().splitlines():
            if "#disable" in line:
                assert re.search(r"#disable-next-line [\w-]+ // .{20,}", line), f"{source}: {line}"


def test_format_would_change_nothing(compiler: Compiler) -> None:
    for path in (*SOURCES, *PARAMETERS):
        assert compiler.format(INFRA / path) == (INFRA / path).read_text(), f"run bicep format infra/{path}"


def test_snapshots_and_templates_are_current(compiler: Compiler) -> None:
    stale = {
        path.name: found
        for path, text in written(compiler)
        if (found := differences(path.read_text() if path.is_file() else "{}", text))
    }
    assert stale == {}, f"run make snapshots and review the difference (compiler {compiler.version})"


def test_the_parameters_of_azd_compile_from_its_environment(compiler: Compiler) -> None:
    given, said = compiler.compile_parameters(INFRA / "main.bicepparam")
    assert said == ()
    assert (given["environmentName"]["value"], given["operatorPrincipalType"]["value"]) == ("prod", "User")


def combined(on: tuple[bool, ...]) -> dict[str, Any]:
    return {
        name: value for switch, wanted in zip(SWITCHES, on, strict=True) if wanted for name, value in switch.items()
    }


def judge(compiler: Compiler, copy: Path, on: tuple[bool, ...]) -> bool:
    """Whether a combination was evaluated, with nothing wrong about it; else it was refused by parameter."""
    given = combined(on)
    if "privateNetworking" in given and "allowEventHubKeys" in given:
        with pytest.raises(CompilerError, match="privateNetworking excludes allowEventHubKeys"):
            evaluated(compiler, copy, **given)
        return False
    snapshot = evaluated(compiler, copy, **given)
    assert review.names(snapshot) == review.unreadable(snapshot) == []
    assert len(snapshot.resources) > 60
    return True


@pytest.mark.parametrize("on", PAIRWISE, ids=lambda on: "".join("-+"[one] for one in on))
def test_each_pair_of_options_is_right_or_refused(compiler: Compiler, copy: Path, on: tuple[bool, ...]) -> None:
    judge(compiler, copy, on)


@pytest.mark.soak
def test_all_combinations_are_right_or_refused(compiler: Compiler, copy: Path) -> None:
    outcomes = [judge(compiler, copy, on) for on in COMBINATIONS]
    assert (outcomes.count(True), outcomes.count(False)) == (48, 16)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a blank in the name": ({"environmentName": "Bad Name_"}, "environmentName 'Bad Name_' must"),
    "letters of another script": ({"environmentName": "\u00fcn\u00ef"}, "environmentName"),
    "capitals": ({"environmentName": "UPPER"}, "environmentName"),
    "a hyphen at the end": ({"environmentName": "prod-"}, "environmentName"),
    "a group's name": ({"resourceGroupName": "rg/prod"}, "resourceGroupName"),
    "a workspace's name for its id": ({"workspaceResourceId": "log-other"}, "workspaceResourceId must read"),
    "another resource's id": (
        {"workspaceResourceId": WORKSPACE.replace("OperationalInsights/workspaces", "Storage/storageAccounts")},
        "workspaceResourceId must read",
    ),
    "less in all than interactively": (
        {"retentionInDays": 400, "totalRetentionInDays": 365},
        r"totalRetentionInDays \(365\) can not be less",
    ),
    "days between the years": ({"totalRetentionInDays": 800}, "totalRetentionInDays .* must be 4 to 730, or one of"),
    "more units than the maximum": ({"throughputUnits": 20}, "can not exceed maximumThroughputUnits"),
    "a group of functions twice": (
        {"alwaysReady": [{"name": "http", "instanceCount": 1}, {"name": "http", "instanceCount": 2}]},
        "alwaysReady names a group twice",
    ),
    "more ready than allowed": (
        {"alwaysReady": [{"name": "http", "instanceCount": 41}]},
        "alwaysReady asks for 41 instances, more than maximumInstanceCount",
    ),
    "an unknown group of functions": ({"alwaysReady": [{"name": "function:enrich", "instanceCount": 1}]}, "BCP036"),
    "zones over storage in one zone": ({"zoneRedundant": True, "storageSku": "Standard_GRS"}, "zoneRedundant needs"),
    "keys where only trusted services come in": (
        {"privateNetworking": True, "allowEventHubKeys": True},
        "privateNetworking excludes allowEventHubKeys",
    ),
    "entra without a client": ({"authMode": "entra"}, "authMode entra needs authClientId"),
    "a client of zeros": (
        {"authMode": "entra", "authClientId": "00000000-0000-0000-0000-000000000000"},
        "authClientId must be",
    ),
    "a name for an object id": (
        {"securityProviderPrincipalId": "Windows Azure Security Resource Provider"},
        "securityProviderPrincipalId must be",
    ),
    "a mail address that is none": ({"alertEmails": ["soc"]}, "alertEmails must hold plain mail addresses: soc"),
    "a mail address twice": ({"alertEmails": ["a@b.c", "A@b.c"]}, "alertEmails names an address twice"),
    "half an address": ({"alertEmails": ["soc@"]}, "alertEmails must hold plain mail addresses: soc@"),
    "an id out of order": (
        {
            "workspaceResourceId": (
                f"/subscriptions/{SOMEONE}/providers/Microsoft.OperationalInsights/workspaces/log/resourceGroups/rg"
            )
        },
        "workspaceResourceId must read",
    ),
    "an id without its group": (
        {"workspaceResourceId": WORKSPACE.replace("rg-other", "")},
        "workspaceResourceId must read",
    ),
    "a setting in other letters": ({"settings": {"max_deletes": "5"}}, "settings: max_deletes can not be given"),
    "an account's name for an identity": (
        {"settings": {"AzureWebJobsStorage__accountName": "x"}},
        "settings: AzureWebJobsStorage__accountName can not be given",
    ),
    "an instance in capitals": ({"instanceId": "Prod"}, "instanceId 'Prod' must consist"),
    "half a token": ({"nameToken": "abc123"}, "nameToken 'abc123' must be the thirteen"),
    "a token with a hyphen": ({"nameToken": "abcdefghijk-1"}, "nameToken"),
    "tables of nobody": (
        {"writeTables": False, "workspaceResourceId": ""},
        "writeTables can only be false with workspaceResourceId",
    ),
    "telemetry that takes the logs": (
        {"settings": {"PYTHON_ENABLE_OPENTELEMETRY": "true"}},
        "settings: PYTHON_ENABLE_OPENTELEMETRY can not be given",
    ),
    "a setting that Flex Consumption refuses": (
        {"settings": {"WEBSITE_RUN_FROM_PACKAGE": "1"}},
        "settings: WEBSITE_RUN_FROM_PACKAGE can not be given",
    ),
    "a full stop at the end": ({"resourceGroupName": "rg-prod."}, "resourceGroupName 'rg-prod.'"),
    "an action group's name": ({"actionGroupIds": ["ag-soc"]}, "actionGroupIds must hold resource ids"),
    "a setting that nobody reads": ({"settings": {"MAX_DELETE": "5"}}, "settings: MAX_DELETE can not be given"),
    "a setting that a parameter decides": ({"settings": {"AUTH_MODE": "entra"}}, "settings: AUTH_MODE can not be"),
    "a key for an identity": ({"settings": {"AzureWebJobsStorage": "x"}}, "settings: AzureWebJobsStorage can not be"),
    "a secret in plain": (
        {"settings": {"CROSS_TENANT_CLIENT_SECRET": "abc"}},
        "CROSS_TENANT_CLIENT_SECRET must be Key Vault references",
    ),
    "a tag of the deployment's own": ({"tags": {"application": "mine"}}, "tags: application is set by"),
    "a tag's name": ({"tags": {"cost/center": "1"}}, "tags: at most 47"),
    "a tag of the deployment's own in another casing": ({"tags": {"Application": "x"}}, "tags: application is set by"),
    "a tag that Azure reserves": ({"tags": {"Microsoft-cost": "1"}}, "tags: at most 47"),
    "a tag given twice": ({"tags": {"Team": "a", "team": "b"}}, "tags: at most 47"),
    "a critical value that all have": ({"sentinelCriticalValues": ["tier 0", " "]}, "sentinelCriticalValues must hold"),
    "an unknown table": ({"tablePlans": {"DefenderAlert_CL": "Basic"}}, "BCP089.*DefenderAlert_CL"),
    "the plan of our own table": ({"tablePlans": {"DefenderExportRuns_CL": "Basic"}}, "BCP037.*DefenderExportRuns"),
    "the plan Auxiliary": ({"tablePlan": "Auxiliary"}, "BCP036|BCP033"),
    "a name too short": ({"environmentName": "a"}, "BCP333"),
    "a name too long": ({"environmentName": "a" * 21}, "BCP332"),
    "two faults": ({"environmentName": "AB", "authMode": "entra"}, "environmentName.*authClientId"),
}


RUN_TIME = {name: case for name, case in REFUSED.items() if not case[1].startswith("BCP")}


def batches() -> Iterator[dict[str, dict[str, Any]]]:
    """The refused parameters by case, put together where none is given twice: all that is wrong is said at once."""
    rest = {name: given for name, (given, _) in RUN_TIME.items()}
    while rest:
        together: dict[str, dict[str, Any]] = {}
        for name, given in tuple(rest.items()):
            if not given.keys() & {key for other in together.values() for key in other}:
                together[name] = rest.pop(name)
        yield together


@pytest.fixture(scope="module")
def refusals(compiler: Compiler, copy: Path) -> dict[str, str]:
    """What was said to each case."""
    said: dict[str, str] = {}
    for together in batches():
        with pytest.raises(CompilerError) as refused:
            evaluated(compiler, copy, **{key: value for given in together.values() for key, value in given.items()})
        said |= dict.fromkeys(together, str(refused.value))
    return said


@pytest.mark.parametrize("name", RUN_TIME)
def test_what_can_not_work_is_refused_by_name(refusals: dict[str, str], name: str) -> None:
    assert re.search(RUN_TIME[name][1], refusals[name])


@pytest.mark.parametrize(
    ("given", "said"), [case for case in REFUSED.values() if case[1].startswith("BCP")], ids=lambda case: str(case)[:40]
)
def test_what_no_type_allows_is_refused(compiler: Compiler, copy: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(CompilerError, match=said):
        evaluated(compiler, copy, **given)


def test_what_lies_at_the_edge_is_taken(compiler: Compiler, copy: Path) -> None:
    edge = {
        "environmentName": "a1234567890-123456-z",
        "totalRetentionInDays": 4383,
        "retentionInDays": 730,
        "settings": {"AzureFunctionsJobHost__functionTimeout": "00:10:00", "DROP_COLUMNS": "a,b"},
        "alertEmails": ["a.b+c@example.co.uk"],
        "workspaceResourceId": WORKSPACE.replace("resourceGroups", "resourcegroups"),
        "tags": {"cost-center": "47 11"},
        "separateDataPlane": True,
        "privateNetworking": True,
        "instanceId": "ab",
        "nameToken": "0123456789abc",
        "lockData": True,
        "writeTables": False,
        "storageSku": "Standard_RAGZRS",
        "zoneRedundant": True,
    }
    snapshot = evaluated(compiler, copy, **edge)
    assert review.names(snapshot) == []
    assert {values["INSTANCE_ID"] for values in review.settings(snapshot).values()} == {"ab"}
    named = [one["name"] for one in snapshot.of_type("Microsoft.Storage/storageAccounts")]
    assert sorted(named) == ["stdefdat0123456789abc", "stdefexp0123456789abc"]


# One small change in each module: file, right, wrong, the snapshot that it shows in, the resource, the property.
CHANGES = {
    "main": ("main.bicep", "application: 'defender-export'", "application: 'other'", "small", "resourceGroups", "tags"),
    "management-group": (
        "management-group.bicep",
        "  'Microsoft.Security/automations/delete'\n",
        "",
        "management-group",
        "roleDefinitions",
        "actions",
    ),
    "types": ("types.bicep", "    '0-'\n", "    '03-'\n", "enterprise", "", "not valid"),
    "alerts": ("modules/alerts.bicep", "item.severity", "4", "small", "scheduledQueryRules", "severity"),
    "app": ("modules/app.bicep", "minTlsVersion: '1.2'", "minTlsVersion: '1.0'", "small", "sites", "minTlsVersion"),
    "auth": (
        "modules/auth.bicep",
        "requireHttps: true",
        "requireHttps: false",
        "small",
        "authsettingsV2",
        "requireHttps",
    ),
    "eventhubs": (
        "modules/eventhubs.bicep",
        "trustedServiceAccessEnabled: true",
        "trustedServiceAccessEnabled: false",
        "small",
        "networkRuleSets",
        "trustedServiceAccessEnabled",
    ),
    "identity": (
        "modules/identity.bicep",
        "location: location",
        "location: 'northeurope'",
        "small",
        "userAssignedIdentities",
        "location",
    ),
    "ingestion": (
        "modules/ingestion.bicep",
        "'source'",
        "'source | take 1'",
        "small",
        "dataCollectionRules",
        "transformKql",
    ),
    "insights": (
        "modules/insights.bicep",
        "DisableLocalAuth: true",
        "DisableLocalAuth: false",
        "small",
        "components",
        "DisableLocalAuth",
    ),
    "network": (
        "modules/network.bicep",
        "access: 'Deny'",
        "access: 'Allow'",
        "enterprise",
        "networkSecurityGroups",
        "access",
    ),
    "queries": ("modules/queries.bicep", "etag: '*'", "etag: 'x'", "small", "savedSearches", "etag"),
    "roles": (
        "modules/roles.bicep",
        "a638d3c7-ab3a-418d-83e6-5f17a39d4fde",
        "f526a384-b230-433a-b45c-95f59c4a2dec",
        "small",
        "roleAssignments",
        "",
    ),
    "storage": (
        "modules/storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "small",
        "storageAccounts",
        "allowSharedKeyAccess",
    ),
    "sentinel": (
        "modules/sentinel.bicep",
        "category: 'Hunting Queries'",
        "category: 'Hunting'",
        "sentinel",
        "savedSearches",
        "category",
    ),
    "tables": (
        "modules/tables.bicep",
        "totalRetentionInDays: totalRetentionInDays",
        "totalRetentionInDays: totalRetentionInDays + 1",
        "small",
        "tables",
        "totalRetentionInDays",
    ),
    "workbook": ("modules/workbook.bicep", "version: '1.0'", "version: '2.0'", "small", "workbooks", "version"),
    "workspace": (
        "modules/workspace.bicep",
        "disableLocalAuth: true",
        "disableLocalAuth: false",
        "small",
        "workspaces",
        "disableLocalAuth",
    ),
    "workspace-roles": (
        "modules/workspace-roles.bicep",
        "3b03c2da-16b3-4a49-8834-0f8130efdd3b",
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        "small",
        "roleAssignments",
        "",
    ),
}


def test_there_is_a_change_for_every_file() -> None:
    assert {str(source) for source in SOURCES} == {change[0] for change in CHANGES.values()}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_shows_in_a_snapshot(compiler: Compiler, copy: Path, change: tuple[str, ...]) -> None:
    file, right, wrong, name, resource, value = change
    text = (copy / file).read_text()
    assert right in text
    (copy / file).write_text(text.replace(right, wrong))
    parameters = copy / "parameters" / f"{name}.bicepparam"
    try:
        found = differences(path_of(parameters).read_text(), compiler.snapshot(parameters))
    except CompilerError as refused:
        found = [str(refused)]
    finally:
        (copy / file).write_text(text)
    assert [line for line in found if resource in line and value in line], found[:5]


def test_snapshots_exist_to_compare_with() -> None:
    assert {change[3] for change in CHANGES.values()} <= set(committed())
