"""The sample runbooks: the Python one runs, and the requests of the others are ones that the API documents."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from local.app import ROOT
from shared.web.openapi import document
from tests.e2e.api import Api
from tests.e2e.easy_auth import easy_auth

pytestmark = pytest.mark.xdist_group("entra")
RUNBOOKS = ROOT / "docs" / "runbooks"
RESOURCE = "api://11111111-2222-4333-8444-555555555555"


class TestPython:
    def run(self, api: Api, folder: Path, text: str, role: str = "Exports.Write") -> tuple[int, str]:
        file = folder / "soc-alerts.yaml"
        file.write_text(text)
        with easy_auth(api.url, api.azure.tokens, RESOURCE, [role]) as url:
            done = subprocess.run(
                [sys.executable, str(RUNBOOKS / "reconcile.py"), url, RESOURCE, str(file)],
                env=os.environ | api.azure.app_settings(),
                capture_output=True, text=True, check=False, timeout=200,
            )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def scoped(self, api: Api, severity: str = "Medium", index: int = 0) -> str:
        subscription = list(api.azure.tenant.subscriptions.values())[index].id
        return api.export("soc-alerts", f"minimumSeverity: {severity}", f"subscriptions: [{subscription}]")

    def test_stores_the_export_and_ends_well_when_everything_is_as_declared(
        self, entra_api: Api, tmp_path: Path
    ) -> None:
        code, said = self.run(entra_api, tmp_path, self.scoped(entra_api))
        assert code == 0, said
        assert said.startswith("Succeeded: ")
        code, said = self.run(entra_api, tmp_path, self.scoped(entra_api, "High"))  # replaces it by its ETag
        assert code == 0, said

    def test_fails_with_the_findings_of_an_invalid_export(self, entra_api: Api, tmp_path: Path) -> None:
        code, said = self.run(entra_api, tmp_path, self.scoped(entra_api, "Severe"))
        assert code == 1
        assert "minimumSeverity" in said

    def test_fails_on_a_blocked_subscription_and_names_it(self, entra_api: Api, tmp_path: Path) -> None:
        tenant = entra_api.azure.tenant
        blocked = [
            index
            for index, each in enumerate(tenant.subscriptions.values())
            if each.state == "Enabled" and tenant.registration(each.id, "Microsoft.Security") != "Registered"
        ]
        code, said = self.run(entra_api, tmp_path, self.scoped(entra_api, index=blocked[0]))
        assert code == 1
        assert list(tenant.subscriptions.values())[blocked[0]].id in said

    def test_fails_without_the_role(self, entra_api: Api, tmp_path: Path) -> None:
        code, said = self.run(entra_api, tmp_path, self.scoped(entra_api), role="Exports.Read")
        assert code == 1
        assert "403" in said


def powershell() -> list[dict[str, Any]]:
    text = (RUNBOOKS / "reconcile.ps1").read_text().replace("`\n", " ")
    variables = {
        name: json.dumps({key: json.loads(value) for key, value in pairs(table)})
        for name, table in re.findall(r"^\$(\w+) = @\{ (.+) \} \| ConvertTo-Json -Compress$", text, re.MULTILINE)
    }
    found = []
    for call in re.findall(r"Invoke-RestMethod (.+)", text):
        body = re.search(r"-Body \$(\w+)", call)
        found.append(
            {
                "method": one(r"-Method (\w+)", call).lower(),
                "url": re.sub(r"\$\(([^)]*)\)", "X", one(r'-Uri "\$Url([^"]*)"', call)),
                "headers": dict(re.findall(r'"([\w-]+)" = "([^"]*)"', call)),
                "names": re.findall(r'"([\w-]+)" = ', call),
                "type": one(r'-ContentType "([^";]+)', call),
                "body": variables.get(body[1], "yaml") if body else "",
                "authorised": "@access" in call,
            }
        )
    return found


def pairs(table: str) -> list[tuple[str, str]]:
    """Names and values, as JSON, of a PowerShell hash table of strings and lists of one variable."""
    return [
        (name, re.sub(r"@\(\$\w+\)", '["any-name"]', value)) for name, value in re.findall(r"(\w+) = ([^;]+)", table)
    ]


def azure_cli() -> list[dict[str, Any]]:
    text = (RUNBOOKS / "reconcile.sh").read_text().replace("\\\n", " ")
    found = []
    for call in re.findall(r"az rest (.+)", text):
        pairs = re.findall(r'"([A-Z][\w-]+)=([^"]*)"', call)
        names = [name for name, _ in pairs] + (["If-Match", "If-None-Match"] if '"$condition"' in call else [])
        body = one(r'--body "(\{.*\})"', call).replace("\\", "").replace("$name", "any-name")
        found.append(
            {
                "method": one(r"--method (\w+)", call),
                "url": one(r'--url "\$URL([^"]*)"', call),
                "headers": {name: value for name, value in pairs if "$" not in value},
                "names": [name for name in names if name != "Content-Type"],
                "type": dict(pairs).get("Content-Type", ""),
                "body": body or ("yaml" if "--body" in call else ""),
                "authorised": '--resource "$RESOURCE"' in call,
            }
        )
    return found


def one(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


@pytest.mark.parametrize(
    "call", [*powershell(), *azure_cli()], ids=lambda call: f"{call['method']} {call['url'].partition('?')[0]}"
)
def test_each_request_of_the_other_samples_is_one_of_the_document(call: dict[str, Any]) -> None:
    described = document()
    path, _, query = call["url"].partition("?")
    template = next(each for each in described["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each), path))
    operation = described["paths"][template][call["method"]]
    assert call["authorised"]
    parameters = {each["name"]: each["schema"] for each in operation["parameters"]}
    for name, value in (pair.split("=") for pair in query.split("&") if pair):
        jsonschema.validate(int(value) if parameters[name]["type"] == "integer" else value, parameters[name])
    for name in call["names"]:
        assert name in parameters
    for name, value in call["headers"].items():
        if name in parameters:
            jsonschema.validate(value, parameters[name])
    contents = operation.get("requestBody", {}).get("content", {})
    assert bool(call["body"]) == bool(contents)
    if contents:
        assert call["type"] in contents
        if call["type"] == "application/json":
            schema = {**contents["application/json"]["schema"], "components": described["components"]}
            jsonschema.validate(json.loads(call["body"]), schema)


def test_every_sample_puts_starts_and_waits() -> None:
    for sample in (powershell(), azure_cli()):
        assert {(call["method"], call["url"].partition("?")[0].split("/")[2]) for call in sample} >= {
            ("put", "exports"), ("post", "jobs"), ("get", "jobs"),
        }  # fmt: skip


@pytest.mark.parametrize("name", ["reconcile.sh", "reconcile.ps1", "reconcile.py"])
def test_no_sample_reconciles_an_export_of_its_own_choosing(name: str) -> None:
    lines = (RUNBOOKS / name).read_text().splitlines()
    assert [line for line in lines if "soc-alerts" in line and not re.match(r"\s*(#|python)", line)] == []
    bodies = [call["body"] for call in (*powershell(), *azure_cli()) if call["method"] == "post"]
    assert [json.loads(body) for body in bodies] == [{"kind": "reconcile", "exports": ["any-name"]}] * 2
