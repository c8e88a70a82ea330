import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.host.functions import load
from local.worker_environment import ROOT, find_python, prepare
from shared import __version__

PYTHON = find_python()
pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="azure-functions-runtime needs Python 3.13, and none was found"),
    pytest.mark.timeout(600),
]
SAMPLE = ROOT / "tests" / "apps"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    assert PYTHON
    return prepare(PYTHON)


def drive(interpreter: Path, folder: Path, invocations: list[dict[str, Any]], **settings: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(interpreter), "-P", str(ROOT / "local" / "worker.py"), str(folder)],
        input=json.dumps(invocations),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=folder,
        env={**os.environ, **settings, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def trigger(bindings: list[dict[str, Any]]) -> dict[str, Any]:
    return next(binding for binding in bindings if binding["type"].endswith("Trigger"))


def test_the_worker_indexes_the_app_as_the_local_host_does_and_answers_health(interpreter: Path) -> None:
    seen = drive(interpreter, ROOT, [{"function": "health", "parameter": "req", "url": "http://x/api/health"}])

    local = {function.name: function for function in load(ROOT / "function_app.py", {})}
    assert seen["functions"].keys() == local.keys()
    for name, bindings in seen["functions"].items():
        found = {key: value for key, value in trigger(bindings).items() if value is not None}
        expected = {key: value for key, value in local[name].trigger.items() if value is not None}
        assert found.items() >= expected.items()
    assert seen["results"][0]["error"] == ""
    assert seen["results"][0]["status"] == 200
    assert json.loads(seen["results"][0]["body"]) == {"status": "alive", "version": __version__, "commit": ""}


def test_the_worker_gives_a_handler_the_events_that_the_local_host_gives(interpreter: Path, tmp_path: Path) -> None:
    system = [
        {
            "SequenceNumber": 5 + n,
            "Offset": str(100 * n),
            "PartitionKey": "k",
            "EnqueuedTimeUtc": "2026-11-22T10:00:00Z",
        }
        for n in range(2)
    ]
    metadata = {
        "SystemPropertiesArray": system,
        "PartitionContext": {"PartitionId": "3", "ConsumerGroup": "$Default", "EventHubName": "events"},
    }
    asked = {"function": "plain_events", "parameter": "events", "events": ["one", "two"], "metadata": metadata}
    record = tmp_path / "calls.jsonl"

    seen = drive(interpreter, SAMPLE, [asked], RECORD_FILE=str(record))

    assert seen["results"][0]["error"] == ""
    call = json.loads(record.read_text())
    assert (call["bodies"], call["sequence_numbers"], call["keys"]) == (["one", "two"], [5, 6], ["k", "k"])
    assert (call["partition"], call["group"], call["timed"]) == ("3", "$Default", True)


DEFERRED = """
import json, os, sys, typing
sys.path.insert(0, os.environ["APP_ROOT"])
import azure.functions as func
from shared.enrich.invocation import trigger_decoding
from shared.enrich.invocation.trigger_events import from_trigger

trigger_decoding.install()
app = func.FunctionApp()

@app.function_name("take")
@app.event_hub_message_trigger("events", event_hub_name="h", connection="C", cardinality=func.Cardinality.MANY,
                               data_type=func.DataType.BINARY)
def take(events: typing.List[func.EventHubEvent]) -> None:
    seen = [[type(event).__name__, event.offset, event.partition_key] for event in events]
    read = [[each.body.decode(), each.enqueued.isoformat(), each.partition, each.sequence]
            for each in from_trigger(events)]
    with open(os.environ["RECORD_FILE"], "w") as file:
        json.dump([seen, read], file)
"""


def test_the_worker_hands_over_events_whose_properties_are_decoded_when_read(interpreter: Path, tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text(DEFERRED)
    system = [{"SequenceNumber": 5, "Offset": "100", "PartitionKey": "k", "EnqueuedTimeUtc": "2026-11-22T10:00:00.992"}]
    metadata = {"SystemPropertiesArray": system, "PartitionContext": {"PartitionId": "3"}}
    asked = {"function": "take", "parameter": "events", "events": ["one"], "metadata": metadata}
    record = tmp_path / "seen.json"

    seen = drive(interpreter, tmp_path, [asked], RECORD_FILE=str(record), APP_ROOT=str(ROOT))

    assert seen["results"][0]["error"] == ""
    events, read = json.loads(record.read_text())
    assert events[0][0] == "DeferredEvent"
    assert [str(each) for each in events[0][1:]] == ["100", "k"]
    assert read == [["one", "2026-11-22T10:00:00.992000+00:00", "3", 5]]
