"""The API against its own OpenAPI document, by schemathesis: no 5xx, nothing undocumented, no bad data accepted."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.api import Api

pytestmark = pytest.mark.timeout(600)
# Every check but these: the Functions host answers other methods with 404 before the app runs, and what keeps to the
# schema (a name, an id, a continuation) need not exist.
EXCLUDED = ("unsupported_method", "allow_header_conformance", "positive_data_acceptance")
SHARE_OF_PUTS = 1 / 3
PAST_PRECONDITIONS = {200, 201, 422}


def probe(api: Api, folder: Path, phases: str, examples: int) -> None:
    document = api.call("GET", "/api/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():  # waiting would be most of the time; it has tests of its own
            operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "wait"]
    (folder / "openapi.json").write_text(json.dumps(document))
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(folder / "openapi.json"),
        "--url", api.url, "--header", f"x-functions-key: {api.key}", "--checks", "all",
        "--exclude-checks", ",".join(EXCLUDED),
        "--phases", phases, "--max-examples", str(examples), "--seed", "1", "--generation-deterministic",
        "--suppress-health-check", "all", "--request-timeout", "60", "--continue-on-failure", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


def puts(api: Api) -> list[int]:
    """How each put of an export was answered, by the app's own log."""
    deeds = (json.loads(found) for found in re.findall(r'\{"event": "put_export".*\}$', api.log, re.MULTILINE))
    return [deed["status"] for deed in deeds]


def keep(api: Api) -> None:
    """An export over one subscription, which no other test looks at: a reconcile may be among what is sent."""
    last = max(each.id for each in api.azure.tenant.subscriptions.values())
    api.put("kept", api.export("kept", scope=f"subscriptions: [{last}]"))


def test_every_operation_keeps_to_the_document(api: Api, tmp_path: Path) -> None:
    keep(api)
    before = len(puts(api))
    probe(api, tmp_path, "examples,fuzzing", examples=6)
    assert sum(status in PAST_PRECONDITIONS for status in puts(api)[before:]) >= SHARE_OF_PUTS * len(puts(api)[before:])
    api.call("DELETE", "/api/exports/kept")
    api.without_requirements()
    api.without_notify()


VALUES = (
    "", "true", "True", "TRUE", "yes", "1", "0", "-1", "null", "9" * 30, "%00", "%0d%0aX:1", "%ff",
    "../x", "*", "'", '"',
    "x" * 3_000, "2026-13-40", "2026-02-30", "%F0%9F%92%A5", "{}", "[]", "NaN", "1e3", "%201", "true%20",
)  # fmt: skip


def misspelt(random_: random.Random, name: str) -> str:
    """A parameter's name as somebody may get it wrong: never the name itself."""
    at = random_.randrange(len(name))
    wrong = [
        name.upper(), name.capitalize(), name.lower() + "s", name[:at] + name[at + 1 :], name + "[]", f"{name}%20",
        name[:at] + name[at].swapcase() + name[at + 1 :], name.replace("-", "_") + "_", name[::-1] + "x", f"${name}",
    ]  # fmt: skip
    return random_.choice([each for each in wrong if each and each != name])


def queries(random_: random.Random, names: list[str]) -> str:
    """One to three parameters, known or nearly so, with values that they may not take."""
    pairs = []
    for name in random_.sample(names, min(len(names), random_.randint(1, 3))):
        given = misspelt(random_, name) if random_.random() < 0.6 else name
        pairs.append(f"{given}={random_.choice(VALUES)}")
    return "&".join(pairs + pairs[:1] * (random_.random() < 0.1))


def fuzz(api: Api, rounds: int) -> None:
    """Requests with wrong names, casings and values: refused as documented, and what is refused changes nothing."""
    random_ = random.Random(28)
    paths = api.call("GET", "/api/openapi.json").json()["paths"]
    bodies = {"put": api.export("fuzzed"), "post": json.dumps({"kind": "replay"})}
    api.call("DELETE", "/api/exports/fuzzed")
    before = state(api)
    done = 0
    for _ in range(rounds):
        for path, operations in paths.items():
            for method, operation in operations.items():
                names = [
                    one["name"] for one in operation["parameters"] if one["in"] == "query" and one["name"] != "wait"
                ]
                if not names:
                    continue
                address = f"{path.format(name='fuzzed', id='none')}?{queries(random_, names)}"
                kind: dict[str, Any] = {"content_type": "application/json" if method == "post" else "application/yaml"}
                answer = api.call(method.upper(), address, bodies.get(method), **kind)
                assert str(answer.status) in operation["responses"], (address, answer.text)
                media = operation["responses"][str(answer.status)].get("content", {})
                assert answer.headers.get("content-type", "").partition(";")[0] in media or not media, address
                assert answer.status < 500 or path == "/api/ready", (address, answer.text)
                if method != "get" and answer.status >= 400:
                    assert state(api) == before, address
                elif method != "get":
                    api.call("DELETE", "/api/exports/fuzzed")
                    before = state(api)
                done += answer.status >= 400
    assert done > rounds * len(paths) / 2


def state(api: Api) -> tuple[list[tuple[str, str]], list[str]]:
    """What a write could change: the stored exports by ETag, and the jobs."""
    exports = api.call("GET", "/api/exports").json()["value"]
    return [(one["name"], one["etag"]) for one in exports], [one["id"] for one in jobs(api)]


def jobs(api: Api) -> list[dict[str, str]]:
    found: list[dict[str, str]] = api.call("GET", "/api/jobs?limit=200").json()["value"]
    return found


def test_wrong_names_casings_and_values_are_refused_and_change_nothing(api: Api) -> None:
    fuzz(api, rounds=2)


@pytest.mark.soak
def test_wrong_names_casings_and_values_are_refused_and_change_nothing_at_length(api: Api) -> None:
    fuzz(api, rounds=60)


@pytest.mark.soak
def test_every_operation_keeps_to_the_document_at_length(api: Api, tmp_path: Path) -> None:
    keep(api)
    probe(api, tmp_path, "examples,coverage,fuzzing,stateful", examples=100)
    api.call("DELETE", "/api/exports/kept")
    api.without_requirements()
    api.without_notify()
