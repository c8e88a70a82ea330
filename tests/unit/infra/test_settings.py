"""The deployed app gets exactly the settings that it reads."""

import re
from pathlib import Path

import pytest

from shared.settings import declarations
from tools.bicep import parse
from tools.bicep.document import object_keys, object_pairs
from tools.infra import INFRA, NOT_DEPLOYED, ROOT, settings_defaults

APP = INFRA / "modules" / "app.bicep"
# Read by the host, the SDKs or telemetry, not by shared/settings.py.
PLATFORM = {
    "AZURE_CLIENT_ID",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "EventHubConnection__credential",
    "EventHubConnection__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}


def declared() -> set[str]:
    return {declaration.name for declaration in declarations().values()}


def differences(app: Path) -> tuple[set[str], set[str]]:
    """Settings that the app reads and Bicep does not give, and the other way round."""
    document = parse(app)
    given = set(settings_defaults()) | set(object_pairs(document.variables["deployed"]))
    return declared() - given - set(NOT_DEPLOYED), given - declared()


def test_bicep_gives_every_setting_that_the_app_reads_and_no_other() -> None:
    assert differences(APP) == (set(), set())


def test_every_exception_is_a_setting_with_a_reason() -> None:
    assert set(NOT_DEPLOYED) <= declared()
    assert all(NOT_DEPLOYED.values())


def test_platform_settings_are_the_known_ones() -> None:
    assert set(object_pairs(parse(APP).variables["platform"])) == PLATFORM


def test_all_of_them_reach_the_app() -> None:
    text = parse(APP).resources["appSettings"].body["properties"]
    assert text == "union(defaults, deployed, platform, disabledByRole[role], settings)"


def test_no_secret_has_a_default_in_the_template() -> None:
    secret = {declaration.name for declaration in declarations().values() if declaration.secret}
    assert not secret & set(settings_defaults())
    assert secret <= set(NOT_DEPLOYED)


@pytest.mark.parametrize(
    ("right", "wrong", "missing", "unread"),
    [
        ("  WORKSPACE_ID: workspaceId\n", "", {"WORKSPACE_ID"}, set()),
        ("WORKSPACE_ID: workspaceId", "WORKSPAC_ID: workspaceId", {"WORKSPACE_ID"}, {"WORKSPAC_ID"}),
    ],
)
def test_a_missing_or_misspelt_setting_is_found(
    tmp_path: Path, right: str, wrong: str, missing: set[str], unread: set[str]
) -> None:
    broken = tmp_path / "app.bicep"
    assert right in APP.read_text()
    broken.write_text(APP.read_text().replace(right, wrong))
    assert differences(broken) == (missing, unread)


def functions() -> set[str]:
    return set(re.findall(r'function_name\("(\w+)"\)', (ROOT / "function_app.py").read_text()))


def test_the_two_apps_share_out_every_function_but_the_probes() -> None:
    roles = object_pairs(parse(APP).variables["disabledByRole"])
    off = {
        role: {key.split(".")[1] for key in object_keys(text) if key.startswith("AzureWebJobs.")}
        for role, text in roles.items()
    }
    assert off["all"] == set()
    assert off["control"].isdisjoint(off["data"])
    assert off["control"] | off["data"] | {"health", "ready"} == functions()
