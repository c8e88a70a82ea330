"""Clients generated from the running app's own document read every answer that it gives."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic.alias_generators import to_snake

from shared.web.openapi_examples import EXAMPLES
from tests.e2e.api import Api
from tools.api_docs import calls

pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[2]
POWERSHELL = shutil.which("pwsh") or shutil.which("pwsh", path=ROOT.parents[1] / "shared" / "tools") or ""
NO_ID = "0000000000000-00000000"


@dataclass(frozen=True)
class World:
    """A running app with something of everything in it."""

    api: Api
    document: dict[str, Any]
    job: str
    queued: str
    run: str

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                yield method, path, operation

    def environment(self) -> dict[str, str]:
        told = {"APP": self.api.url, "KEY": self.api.key, "JOB": self.job, "QUEUED_JOB": self.queued, "RUN": self.run}
        return {**os.environ, **told}


@pytest.fixture(scope="module")
def world(api: Api) -> Iterator[World]:
    api.put("kept")
    api.put("read")
    job = api.job(kind="plan", exports=["kept"])
    document = api.call("GET", "/api/openapi.json").json()
    yield World(api, document, job["id"], api.quiet_job(), job["result"]["runId"])
    for name in ("kept", "read", "soc-alerts"):
        api.call("DELETE", f"/api/exports/{name}")


def answers(world: World) -> Iterator[tuple[str, str, int, str]]:
    """Requests to every operation that answers JSON, with an answer of 2xx and problems: method, path, status, body."""
    export = json.dumps(EXAMPLES["ExportConfig"])
    yield from (
        ("GET", "/api/health", 200, ""),
        ("GET", "/api/ready", 200, ""),
        ("GET", "/api/openapi.json", 200, ""),
        ("GET", "/api/exports?limit=1", 200, ""),
        ("GET", "/api/exports", 400, "?surprise=1"),
        ("GET", "/api/exports/kept", 200, ""),
        ("GET", "/api/exports/none", 404, ""),
        ("PUT", "/api/exports/soc-alerts", 201, export),
        ("PUT", "/api/exports/soc-alerts", 200, export),
        ("PUT", "/api/exports/soc-alerts?dryRun=true", 200, export),
        ("PUT", "/api/exports/soc-alerts", 422, "{}"),
        ("POST", "/api/exports/validate", 200, export),
        ("POST", "/api/exports/validate", 200, "{}"),
        ("POST", "/api/jobs", 202, json.dumps({"kind": "replay"})),
        ("POST", "/api/jobs?wait=60", 200, json.dumps({"kind": "preview", "export": "kept"})),
        ("POST", "/api/jobs", 404, json.dumps({"kind": "plan", "exports": ["none"]})),
        ("GET", f"/api/jobs/{world.job}", 200, ""),
        ("GET", f"/api/jobs/{NO_ID}", 404, ""),
        ("POST", f"/api/jobs/{world.queued}/cancel", 200, ""),
        ("POST", f"/api/jobs/{world.job}/cancel", 409, ""),
        ("GET", "/api/jobs?limit=2", 200, ""),
        ("GET", "/api/coverage?limit=3", 200, ""),
        ("GET", "/api/coverage?managementGroup=none", 404, ""),
        ("GET", "/api/status?limit=3", 200, ""),
        ("GET", "/api/freshness", 200, ""),
        ("GET", "/api/runs?limit=1", 200, ""),
        ("GET", f"/api/runs/{world.run}", 200, ""),
        ("GET", "/api/dead-letters", 200, ""),
        ("GET", "/api/metrics?hours=1", 200, ""),
    )


def described_path(document: dict[str, Any], path: str) -> str:
    """The path of the document that a request goes to."""
    plain = path.partition("?")[0]
    if plain in document["paths"]:
        return plain
    return next(str(each) for each in document["paths"] if re.fullmatch(re.sub("{[^}]+}", "[^/]+", each), plain))


@pytest.fixture(scope="module")
def told(world: World) -> list[tuple[str, str, int, Any]]:
    """What the app answers to each of these requests: method, described path, status and body."""
    found = []
    for method, path, status, body in answers(world):
        query, sent = (body, None) if body.startswith("?") else ("", body or None)
        answer = world.api.call(method, path + query, sent, content_type="application/json")
        assert answer.status == status, (path, answer.text)
        found.append((method.lower(), described_path(world.document, path), status, answer.json()))
    return found


@pytest.fixture(scope="module")
def python_client(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("python-client")
    (folder / "openapi.json").write_text(json.dumps(world.document))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--path", "openapi.json",
            "--meta", "none", "--output-path", "defender_export_client",
        ],
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("defender_export_client")
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.startswith("defender_export_client")]:
            del sys.modules[name]


def test_the_python_client_reads_every_answer(
    world: World, told: list[tuple[str, str, int, Any]], python_client: ModuleType
) -> None:
    import httpx

    client = python_client.Client(base_url=world.api.url)
    for method, path, status, body in told:
        operation = world.document["paths"][path][method]
        module = importlib.import_module(
            f"{python_client.__name__}.api.{to_snake(operation['tags'][0])}.{to_snake(operation['operationId'])}"
        )
        parsed = module._parse_response(client=client, response=httpx.Response(status, json=body))
        assert parsed is not None, (path, status)
        assert in_one_notation(parsed.to_dict()) == in_one_notation(body), (path, status)


def in_one_notation(value: Any) -> Any:
    """The value with each time in one notation: a client writes what it has read in its own."""
    if isinstance(value, dict):
        return {name: in_one_notation(each) for name, each in value.items()}
    if isinstance(value, list):
        return [in_one_notation(each) for each in value]
    if isinstance(value, str) and value[:2] == "20" and "T" in value[:11]:
        try:
            return datetime.fromisoformat(value).isoformat()
        except ValueError:
            return value
    return value


def test_the_python_client_asks_for_itself(world: World, python_client: ModuleType) -> None:
    models = importlib.import_module(f"{python_client.__name__}.models")
    client = python_client.AuthenticatedClient(
        base_url=world.api.url, token=world.api.key, prefix="", auth_header_name="x-functions-key"
    )
    refused = python_client.AuthenticatedClient(
        base_url=world.api.url, token="wrong", prefix="", auth_header_name="x-functions-key"
    )
    with client, refused:
        asks(world, client, refused, models)


def asks(world: World, client: Any, refused: Any, models: ModuleType) -> None:
    exports, jobs = (models.__name__.replace(".models", f".api.{tag}") for tag in ("exports", "jobs"))
    read = importlib.import_module(f"{exports}.get_export").sync(name="kept", client=client)
    assert isinstance(read, models.ExportConfig)
    read.description = "written back"
    put = importlib.import_module(f"{exports}.put_export").sync(name="kept", client=client, body=read)
    assert isinstance(put, models.ExportStored)
    assert put.dry_run is False
    job = importlib.import_module(f"{jobs}.get_job").sync(id=world.job, client=client)
    assert isinstance(job, models.Job)
    assert isinstance(job.started, datetime)
    first = importlib.import_module(f"{exports}.list_exports").sync(client=client, limit=1)
    rest = importlib.import_module(f"{exports}.list_exports").sync(client=client, continuation=first.continuation)
    assert {each.name for each in (*first.value, *rest.value)} >= {"kept", "read"}
    answer = importlib.import_module(f"{jobs}.get_job").sync_detailed(id=world.job, client=refused)
    assert (answer.status_code, answer.parsed) == (401, None)


def test_no_generated_type_is_empty(world: World, python_client: ModuleType) -> None:
    import attrs

    models = importlib.import_module(f"{python_client.__name__}.models")
    classes = [getattr(models, name) for name in models.__all__]
    empty = [
        each.__name__
        for each in classes
        if attrs.has(each)
        and {field.name for field in attrs.fields(each)} <= {"additional_properties"}
        and str(attrs.fields_dict(each)["additional_properties"].type) == "dict[str, Any]"
    ]
    assert empty == []


def test_the_typescript_types_fit_every_answer(
    world: World, told: list[tuple[str, str, int, Any]], tmp_path: Path
) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(world.document))
    programs = ROOT / "node_modules" / ".bin"
    subprocess.run(
        [str(programs / "openapi-typescript"), "openapi.json", "-o", "api.d.ts"],
        cwd=tmp_path, check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    lines = ['import type { components, paths } from "./api";']
    for number, (method, path, status, body) in enumerate(told):
        kind = "application/json" if status < 400 else "application/problem+json"
        wanted = f'paths["{path}"]["{method}"]["responses"][{status}]["content"]["{kind}"]'
        lines.append(f"export const answer{number}: {wanted} = {json.dumps(body)};")
    lines.append("// @ts-expect-error: a time is a text, and a check must be able to fail")
    lines.append('export const wrong: components["schemas"]["Job"]["created"] = 1;')
    (tmp_path / "answers.ts").write_text("\n".join(lines))
    done = subprocess.run(
        [str(programs / "tsc"), "--noEmit", "--strict", "--skipLibCheck", "false", "answers.ts"],
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[:4000]
    types = (tmp_path / "api.d.ts").read_text()
    schemas = types[types.index("export interface components") : types.index("export interface operations")]
    bare = [line for line in schemas.splitlines() if "Record<string, never>" in line]
    assert all(line.split(":")[0].strip().endswith("?") or "export" in line or "never;" in line for line in bare)
    assert "Record<string, never>;\n        /**" not in schemas


@pytest.mark.parametrize("language", ["sh", pytest.param("powershell", marks=pytest.mark.slow), "python"])
def test_the_documented_examples_run(world: World, tmp_path: Path, language: str) -> None:
    if language == "powershell" and not POWERSHELL:
        pytest.skip("PowerShell is not here")
    # What reads an export follows what stores it, and what deletes it comes last.
    order = {"put": 0, "get": 1, "post": 2, "delete": 3}
    operations = sorted(world.operations(), key=lambda each: order[each[0]])
    operations = [each for each in operations if "No function key bears it" not in each[2]["description"]]
    texts = [calls(method, path, operation)[language] for method, path, operation in operations]
    script = "\n".join(texts)
    command = {
        "sh": ["sh", "-exc", script.replace("curl -sS", "curl -sS --fail-with-body")],
        "powershell": [
            POWERSHELL,
            "-NoProfile",
            "-NonInteractive",
            "-Command",
            f"$ErrorActionPreference='Stop'\n{script}",
        ],
        "python": [sys.executable, "-c", script],
    }[language]
    done = subprocess.run(
        command, cwd=tmp_path, env=world.environment(), check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, (done.stdout[-500:], done.stderr[-1500:])
    assert world.api.call("GET", "/api/exports/soc-alerts").status == 404  # stored by one of them, deleted by another
