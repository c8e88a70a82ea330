"""The deployed app gets exactly the settings that it reads."""

import re

import pytest

from shared.settings import declarations
from tools.infra import DECIDED, HOST_PREFIXES, KEYED, NOT_DEPLOYED, ROOT, known_settings, settings_defaults
from tools.review import settings
from tools.snapshots import Snapshot, committed

MAIN = {name: one for name, one in committed().items() if not name.startswith("management-group")}
# Read by the host, the SDKs or telemetry, not by shared/settings.py.
PLATFORM = {
    "AZURE_CLIENT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "EventHubConnection__credential",
    "EventHubConnection__clientId",
    "APPLICATIONINSIGHTS_CONNECTION_STRING",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}
DISABLED = re.compile(r"AzureWebJobs\.(\w+)\.Disabled")


def declared() -> set[str]:
    return {declaration.name for declaration in declarations().values()}


def given(snapshot: Snapshot) -> dict[str, set[str]]:
    """Names of settings by app, without those that switch a function off."""
    return {
        app: {name for name in values if not DISABLED.fullmatch(name)} for app, values in settings(snapshot).items()
    }


@pytest.mark.parametrize("name", sorted(set(MAIN) - {"entra"}))
def test_a_deployment_gives_every_setting_that_the_app_reads_and_no_other(name: str) -> None:
    for names in given(MAIN[name]).values():
        assert names == (declared() - set(NOT_DEPLOYED)) | PLATFORM


def test_parameter_settings_comes_on_top() -> None:
    (names,) = given(MAIN["entra"]).values()
    assert names - declared() - PLATFORM == set()
    assert names & set(NOT_DEPLOYED) == {"CROSS_TENANT_CLIENT_SECRET"}
    (values,) = settings(MAIN["entra"]).values()
    assert values["CROSS_TENANT_CREDENTIAL"] == "secret"


def test_every_exception_is_a_setting_with_a_reason() -> None:
    assert set(NOT_DEPLOYED) <= declared()
    assert all(NOT_DEPLOYED.values())


def test_a_setting_that_the_deployment_decides_can_not_be_given_otherwise() -> None:
    (names,) = given(MAIN["small"]).values()
    ours = names - set(settings_defaults()) - PLATFORM
    assert ours <= set(DECIDED)
    assert set(DECIDED) <= names
    assert not (set(DECIDED) | KEYED | PLATFORM) & set(known_settings()["names"])
    assert not [name for name in {*DECIDED, *KEYED, *PLATFORM} if name.startswith(HOST_PREFIXES)]
    assert set(known_settings()["names"]) == declared() - set(DECIDED) - KEYED


def test_no_secret_has_a_default_in_the_template() -> None:
    secret = {declaration.name for declaration in declarations().values() if declaration.secret}
    assert not secret & set(settings_defaults())
    assert secret <= set(NOT_DEPLOYED)
    assert secret - KEYED == set(known_settings()["secrets"])


def test_a_missing_or_misspelt_setting_would_be_found() -> None:
    (names,) = given(MAIN["small"]).values()
    assert "WORKSPACE_ID" in names
    assert names - {"WORKSPACE_ID"} != (declared() - set(NOT_DEPLOYED)) | PLATFORM


def functions() -> set[str]:
    return set(re.findall(r'function_name\("(\w+)"\)', (ROOT / "function_app.py").read_text()))


def test_the_two_apps_share_out_every_function_but_the_probes() -> None:
    off = {
        app: {found[1] for name in values if (found := DISABLED.fullmatch(name))}
        for app, values in settings(MAIN["enterprise"]).items()
    }
    assert len(off) == 2
    control, data = (names for _, names in sorted(off.items(), reverse=True))
    assert control.isdisjoint(data)
    assert control | data | {"health", "ready"} == functions()


def test_one_app_alone_has_every_function_on() -> None:
    (values,) = settings(MAIN["small"]).values()
    assert not [name for name in values if DISABLED.fullmatch(name)]
