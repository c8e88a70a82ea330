"""The sample runbooks, run against the local app with files that are not the example's."""

import http.client
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.app import ROOT
from local.tenant import APP
from tests.e2e.api import Api
from tests.e2e.easy_auth import easy_auth

RUNBOOKS = ROOT / "docs" / "runbooks"
RESOURCE = "api://11111111-2222-4333-8444-555555555555"
PWSH = os.environ.get("PWSH") or shutil.which("pwsh")
# What stands in for the two tools' sign-in: a token of the managed identity, from the endpoint that they ask as well.
AZ = """#!{python}
import os, sys
from azure.identity import ManagedIdentityCredential
if sys.argv[1:3] == ["account", "get-access-token"]:
    resource = sys.argv[sys.argv.index("--resource") + 1]
    credential = ManagedIdentityCredential(client_id=os.environ["AZURE_CLIENT_ID"])
    print(credential.get_token(resource + "/.default").token)
else:
    assert sys.argv[1:3] == ["login", "--identity"], sys.argv
"""
AZ_MODULE = """
function Connect-AzAccount([switch] $Identity, [string] $AccountId) {}
function Get-AzAccessToken([string] $ResourceUrl, [switch] $AsSecureString) {
    @{ Token = ConvertTo-SecureString (az account get-access-token --resource $ResourceUrl) -AsPlainText }
}
"""
Runs = Callable[[str, Path, dict[str, str]], list[str]]


def python(url: str, file: Path, _: dict[str, str]) -> list[str]:
    return [sys.executable, str(RUNBOOKS / "reconcile.py"), url, RESOURCE, str(file)]


def shell(url: str, file: Path, environment: dict[str, str]) -> list[str]:
    environment |= {"URL": url, "RESOURCE": RESOURCE, "CURL_CA_BUNDLE": environment["SSL_CERT_FILE"]}
    return ["bash", str(RUNBOOKS / "reconcile.sh"), str(file)]


def powershell(url: str, file: Path, environment: dict[str, str]) -> list[str]:
    assert PWSH
    script = file.parent / "run.ps1"
    call = f"& '{RUNBOOKS / 'reconcile.ps1'}' -Url {url} -Resource {RESOURCE} -Name {file.stem} -Yaml $yaml"
    client = environment["AZURE_CLIENT_ID"]
    script.write_text(f"{AZ_MODULE}\n$yaml = Get-Content -Raw '{file}'\n{call} -ClientId {client}\n")
    return [PWSH, "-NoProfile", "-NonInteractive", "-File", str(script)]


RUNNERS = [
    pytest.param(python, id="python"),
    pytest.param(
        shell,
        id="shell",
        marks=pytest.mark.skipif(not (shutil.which("jq") and shutil.which("curl")), reason="no curl or no jq on PATH"),
    ),
    pytest.param(
        powershell,
        id="powershell",
        marks=pytest.mark.skipif(not PWSH, reason="no PowerShell 7: neither in PWSH nor on PATH"),
    ),
]


def run(
    runs: Runs,
    api: Api,
    folder: Path,
    text: str,
    *,
    name: str = "prod-findings",
    role: str = "Exports.Write",
    before_put: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """Exit code and all that a runbook said about a file of this text."""
    file = folder / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    az = folder / "az"
    az.write_text(AZ.format(python=sys.executable))
    az.chmod(0o755)
    tls = api.azure.certificates.server_context()
    with easy_auth(api.url, api.azure.tokens, RESOURCE, [role], tls=tls, before_put=before_put) as url:
        environment = os.environ | api.azure.app_settings() | {"PATH": f"{folder}:{os.environ['PATH']}"}
        command = runs(url, file, environment)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=200)
    return done.returncode, re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)


def scoped(api: Api, *indices: int, severity: str = "Medium", name: str = "prod-findings") -> str:
    subscriptions = [list(api.azure.tenant.subscriptions.values())[index].id for index in indices]
    return api.export(name, f"minimumSeverity: {severity}", f"subscriptions: [{', '.join(subscriptions)}]")


def unregistered(api: Api) -> int:
    tenant = api.azure.tenant
    return next(
        index
        for index, each in enumerate(tenant.subscriptions.values())
        if each.state == "Enabled" and tenant.registration(each.id, "Microsoft.Security") != "Registered"
    )


@pytest.fixture(params=RUNNERS)
def runs(request: pytest.FixtureRequest, entra_api: Api) -> Runs:
    chosen: Runs = request.param
    return chosen


def put_by_another(api: Api, name: str, text: str) -> None:
    with easy_auth(api.url, api.azure.tokens, RESOURCE, ["Exports.Write"]) as url:
        token, _ = api.azure.tokens.mint(APP, RESOURCE)
        headers = {"Content-Type": "application/yaml", "Authorization": f"Bearer {token}"}
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.request("PUT", f"/api/exports/{name}", text, headers)
        assert connection.getresponse().status in {200, 201}
        connection.close()


def test_creates_an_export_replaces_it_and_ends_well(runs: Runs, entra_api: Api, tmp_path: Path) -> None:
    code, said = run(runs, entra_api, tmp_path, scoped(entra_api, 0) + "description: für alle\n")
    assert code == 0, said
    assert "Succeeded: " in said
    code, said = run(runs, entra_api, tmp_path, scoped(entra_api, 0, severity="High"))  # replaces it by its ETag
    assert code == 0, said


def test_prints_the_findings_of_a_refused_export(runs: Runs, entra_api: Api, tmp_path: Path) -> None:
    code, said = run(runs, entra_api, tmp_path, scoped(entra_api, 0, severity="Severe"))
    assert code == 1
    assert "export.alerts.minimumSeverity" in said
    assert "The export is not valid" in said


def test_a_change_by_another_meanwhile_is_kept_and_named(runs: Runs, entra_api: Api, tmp_path: Path) -> None:
    name = f"contested-{tmp_path.name.strip('_').replace('_', '-').lower()}"[:40].rstrip("-")
    theirs = scoped(entra_api, 0, severity="High", name=name)
    once = [lambda: put_by_another(entra_api, name, theirs)]
    mine = scoped(entra_api, 0, severity="Low", name=name)
    code, said = run(runs, entra_api, tmp_path, mine, name=name, before_put=lambda: once.pop()() if once else None)
    assert code == 1, said
    assert "It has changed since it was read" in said
    assert "Succeeded" not in said


def test_names_the_subscription_that_can_t_have_it_and_does_the_other(
    runs: Runs, entra_api: Api, tmp_path: Path
) -> None:
    code, said = run(runs, entra_api, tmp_path, scoped(entra_api, 0, unregistered(entra_api)))
    assert code == 1, said
    (line,) = {each for each in said.splitlines() if each.startswith("/subscriptions/")}
    assert list(entra_api.azure.tenant.subscriptions.values())[unregistered(entra_api)].id in line
    assert "Microsoft.Security" in line
    assert "missingdrift" not in line
    assert '"Blocked":1' in said.replace(" ", "").replace("'", '"')


def test_fails_without_the_role(entra_api: Api, tmp_path: Path) -> None:
    code, said = run(python, entra_api, tmp_path, scoped(entra_api, 0), role="Exports.Read")
    assert code == 1
    assert "403" in said or "Forbidden" in said or "role" in said


@pytest.mark.parametrize("name", ["reconcile.sh", "reconcile.ps1", "reconcile.py"])
def test_no_sample_reconciles_an_export_of_its_own_choosing(name: str) -> None:
    lines = (RUNBOOKS / name).read_text().splitlines()
    assert [line for line in lines if "soc-alerts" in line and not re.match(r"\s*(#|python)", line)] == []
