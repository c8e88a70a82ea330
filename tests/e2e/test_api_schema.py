"""The API against its own OpenAPI document, by schemathesis: no 5xx, nothing undocumented, no bad data accepted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.api import Api

pytestmark = [pytest.mark.xdist_group("api"), pytest.mark.timeout(600)]
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
)


def probe(api: Api, folder: Path, phases: str, examples: int) -> None:
    document = api.call("GET", "/api/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():  # waiting would be most of the time; it has tests of its own
            operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "wait"]
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(folder / "openapi.json"),
        "--url", api.url, "--header", f"x-functions-key: {api.key}", "--checks", ",".join(CHECKS),
        "--phases", phases, "--max-examples", str(examples), "--seed", "1", "--generation-deterministic",
        "--suppress-health-check", "all", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def keep(api: Api) -> None:
    """An export over one subscription, which no other test looks at: a reconcile may be among what is sent."""
    last = max(each.id for each in api.azure.tenant.subscriptions.values())
    api.put("kept", api.export("kept", scope=f"subscriptions: [{last}]"))


def test_every_operation_keeps_to_the_document(api: Api, tmp_path: Path) -> None:
    keep(api)
    probe(api, tmp_path, "examples,fuzzing", examples=6)
    api.call("DELETE", "/api/exports/kept")


@pytest.mark.soak
def test_every_operation_keeps_to_the_document_at_length(api: Api, tmp_path: Path) -> None:
    keep(api)
    probe(api, tmp_path, "examples,coverage,fuzzing,stateful", examples=100)
    api.call("DELETE", "/api/exports/kept")
