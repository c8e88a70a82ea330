"""The registration behind Easy Auth: made once, unchanged by a second run, and what Easy Auth and the clients need."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.web.routing import OPERATIONS
from tests.unit.infra.directory import Directory, served
from tools.infra import INFRA, ROOT

pytestmark = pytest.mark.slow  # each test starts the script
AZ = """#!{python}
import sys
if sys.argv[1:3] == ["cloud", "show"]:
    print("AzureCloud")
else:
    assert sys.argv[1:5] == ["account", "get-access-token", "--resource-type", "ms-graph"], sys.argv
    print("graph-token")
"""
URL = "https://func-defender-export-abc.azurewebsites.net"
RUNBOOK = "99999999-9999-9999-9999-999999999999"
ROLES = [one["value"] for one in json.loads((INFRA / "app-roles.json").read_text())]
SCOPE = "8d2f4a52-6c4e-4bb0-9f0e-3f2a2a5f4d03"


def test_each_role_is_asked_for_by_a_route_and_has_its_words_in_the_documents() -> None:
    assert sorted(ROLES) == sorted({operation.role for operation in OPERATIONS.values()})
    for page in ("deploy.md", "security.md"):
        text = (INFRA.parent / "docs" / page).read_text()
        assert [role for role in ROLES if f"`{role}`" not in text] == []


@pytest.fixture
def directory() -> Directory:
    return Directory()


def run(directory: Directory, folder: Path, *arguments: str, url: str = URL) -> tuple[int, str, str]:
    az = folder / "az"
    az.write_text(AZ.format(python=sys.executable))
    az.chmod(0o755)
    with served(directory) as address:
        done = subprocess.run(
            [sys.executable, str(INFRA / "entra.py"), "--url", url, "--graph", address, *arguments],
            env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def writes(directory: Directory) -> list[str]:
    return [method for method, _, _ in directory.requests if method != "GET"]


def test_twice_is_once(directory: Directory, tmp_path: Path) -> None:
    arguments = ("--assign", f"{RUNBOOK}=Exports.Write", "--assign", f"{RUNBOOK}=Exports.Read")
    code, said, error = run(directory, tmp_path, *arguments)
    assert code == 0, error
    assert writes(directory) == ["POST", "PATCH", "PATCH", "POST", "POST", "POST"]
    before = json.dumps([directory.applications, directory.principals, directory.assignments])
    directory.requests.clear()
    code, again, error = run(directory, tmp_path, *arguments)
    assert code == 0, error
    assert writes(directory) == []
    assert json.dumps([directory.applications, directory.principals, directory.assignments]) == before
    assert again.splitlines() == said.splitlines()[-1:]


def test_the_registration_is_what_easy_auth_and_the_clients_need(directory: Directory, tmp_path: Path) -> None:
    code, said, _ = run(directory, tmp_path, url=f"{URL}/")
    assert code == 0
    (made,) = directory.applications.values()
    assert f"authClientId={made['appId']} " in said
    assert made["signInAudience"] == "AzureADMyOrg"
    # infra/modules/auth.bicep checks an issuer that ends in /v2.0, which tokens of version 1 do not have.
    assert "/v2.0'" in (INFRA / "modules" / "auth.bicep").read_text()
    assert made["api"]["requestedAccessTokenVersion"] == 2
    assert made["web"]["redirectUris"] == [f"{URL}/.auth/login/aad/callback"]
    assert made["web"]["implicitGrantSettings"]["enableIdTokenIssuance"] is True
    assert made["identifierUris"] == [f"api://{made['appId']}"]
    assert made["appRoles"] == json.loads((INFRA / "app-roles.json").read_text())
    assert made["api"]["preAuthorizedApplications"] == [
        {"appId": "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "delegatedPermissionIds": [SCOPE]}
    ]
    assert len(directory.principals) == 1


def test_what_others_put_there_stays(directory: Directory, tmp_path: Path) -> None:
    run(directory, tmp_path)
    (made,) = directory.applications.values()
    made["web"]["redirectUris"].append("https://other.example/callback")
    made["appRoles"].append({"id": "x", "value": "Theirs", "isEnabled": True})
    made["appRoles"][0]["displayName"] = "changed by hand"
    made["api"]["preAuthorizedApplications"].append({"appId": "theirs", "delegatedPermissionIds": [SCOPE]})
    made["api"]["requestedAccessTokenVersion"] = 1
    code, _, error = run(directory, tmp_path, url="https://second.example")
    assert code == 0, error
    assert [one["value"] for one in made["appRoles"]] == [*ROLES, "Theirs"]
    assert made["appRoles"][0]["displayName"] == "Read exports"
    assert made["web"]["redirectUris"] == [
        f"{URL}/.auth/login/aad/callback",
        "https://other.example/callback",
        "https://second.example/.auth/login/aad/callback",
    ]
    assert "theirs" in {one["appId"] for one in made["api"]["preAuthorizedApplications"]}
    assert made["api"]["requestedAccessTokenVersion"] == 2


def test_a_refusal_is_told_and_ends_it(directory: Directory, tmp_path: Path) -> None:
    directory.token = "another"
    code, _, error = run(directory, tmp_path)
    assert code == 1
    assert "401" in error
    assert "Access token is missing or wrong" in error
    assert len(directory.requests) == 1


def test_two_registrations_of_one_name_are_not_guessed_between(directory: Directory, tmp_path: Path) -> None:
    run(directory, tmp_path, "--name", "O'Neill & Söhne")
    (made,) = directory.applications.values()
    directory.applications["copy"] = dict(made)
    code, _, error = run(directory, tmp_path, "--name", "O'Neill & Söhne")
    assert code == 1
    assert "2 registrations are named" in error


@pytest.mark.parametrize("arguments", [("--assign", f"{RUNBOOK}=Exports.Everything"), ("--assign", RUNBOOK)])
def test_a_role_that_is_none_of_the_app_s_is_refused_first(
    directory: Directory, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert run(directory, tmp_path, *arguments)[0] == 2
    assert run(directory, tmp_path, url="http://plain.example")[0] == 2
    assert directory.requests == []


def readers(folder: Path, *names: str) -> tuple[str, str]:
    group = "managementGroups: [unit]"
    file = folder / "readers.yaml"
    file.write_text("version: 1\nreaders:\n" + "".join(f"  - {{role: {name}, {group}}}\n" for name in names))
    return "--readers", str(file)


def test_each_role_of_a_file_of_readers_is_made_once_and_can_be_assigned(directory: Directory, tmp_path: Path) -> None:
    run(directory, tmp_path)
    (made,) = directory.applications.values()
    by_hand = {"id": "11111111-1111-4111-8111-111111111111", "value": "Exports.Read.Hand", "isEnabled": True}
    made["appRoles"].append(by_hand)
    names = ("Exports.Read.Contoso", "Exports.Read.Hand", "Exports.Read.contoso-2")
    assigned = ("--assign", f"{RUNBOOK}=Exports.Read.Hand", "--assign", f"{RUNBOOK}=Exports.Read.Contoso")
    for _ in range(2):
        code, _, error = run(directory, tmp_path, *readers(tmp_path, *names), *assigned)
        assert code == 0, error
        roles = {one["value"]: one for one in made["appRoles"]}
        assert list(roles) == [*ROLES, "Exports.Read.Hand", "Exports.Read.Contoso", "Exports.Read.contoso-2"]
        assert len(made["appRoles"]) == len({one["id"] for one in made["appRoles"]}) == len(roles)
        assert roles["Exports.Read.Hand"] == by_hand
        assert roles["Exports.Read.Contoso"]["allowedMemberTypes"] == ["User", "Application"]
        given = {one["appRoleId"] for one in directory.assignments}
        assert given == {by_hand["id"], roles["Exports.Read.Contoso"]["id"]}
        writes_first = len(writes(directory))
    directory.requests.clear()
    # Without the file, or with one that names fewer, no role goes: somebody may have it.
    assert run(directory, tmp_path, *readers(tmp_path, names[0]))[0] == 0
    assert run(directory, tmp_path)[0] == 0
    assert writes(directory) == []
    assert writes_first == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nreaders: [{role: Exports.Write, managementGroups: [a]}]\n", "no role of a limited reader"),
        ("version: 1\n", "'readers' must be a list"),
        (None, "can't be read"),
    ],
)
def test_a_file_that_is_none_of_readers_is_refused_first(
    directory: Directory, tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "readers.yaml"
    if text is not None:
        file.write_text(text)
    code, _, error = run(directory, tmp_path, "--readers", str(file))
    assert code == 2
    assert said in error
    assert directory.requests == []
    unnamed = (*readers(tmp_path, "Exports.Read.A"), "--assign", f"{RUNBOOK}=Exports.Read.B")
    assert run(directory, tmp_path, *unnamed)[0] == 2
    assert directory.requests == []


def test_a_client_that_is_allowed_a_scope_in_the_request_that_makes_it_is_refused(
    directory: Directory, tmp_path: Path
) -> None:
    """The directory refuses what Graph refuses: the order of the requests matters."""
    run(directory, tmp_path)
    first = next(body for method, _, body in directory.requests if method == "PATCH")
    second = [body for method, _, body in directory.requests if method == "PATCH"][1]
    fresh = Directory()
    _, made = fresh.handle("POST", "/v1.0/applications", {"displayName": "x"}, "Bearer graph-token")
    both = {**first, "api": {**first["api"], **second["api"]}}
    with pytest.raises(Exception, match="permission that cannot be found"):
        fresh.handle("PATCH", f"/v1.0/applications/{made['id']}", both, "Bearer graph-token")


def test_the_page_gives_the_step_in_its_order() -> None:
    page = (ROOT / "docs" / "deploy.md").read_text()
    section = page.split("\n## Entra instead of keys\n", 1)[1].split("\n## ", 1)[0]
    steps = ["python infra/entra.py --url <functionAppUrl>", "authMode=entra authClientId=", "restart the app"]
    assert sorted(steps, key=section.index) == steps
    for who in ("browser", "command line", "runbook", "pipeline"):
        assert any(line.startswith("|") and who in line for line in section.splitlines()), who
