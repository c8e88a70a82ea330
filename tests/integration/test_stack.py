"""The whole local Azure: the app's own clients reach every part, and `python -m local` leaves nothing behind."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.rest import HttpRequest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

from local.certs import Certificates
from local.running import PARTS
from local.stack import LocalAzure
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.logs_ingestion import LogsIngestion
from shared.enrich.tables import BY_KIND
from shared.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 60
STOP_SECONDS = 15


async def test_the_apps_own_clients_reach_every_part_with_nothing_but_settings(local_azure: LocalAzure) -> None:
    settings = Settings.load()
    clients = Clients(settings)
    try:
        containers = {container.name async for container in clients.blobs.list_containers()}
        assert containers >= {settings.exports_container, settings.reports_container}
        assert containers >= {settings.dead_letters_container, settings.oversize_container}
        assert [queue.name async for queue in clients.queues.list_queues()] == [settings.jobs_queue]
        tables = {table.name async for table in clients.tables.list_tables()}
        assert tables == {settings.jobs_table, settings.freshness_table}

        request = HttpRequest("GET", f"{clients.arm_endpoint}/subscriptions?api-version=2022-12-01")
        answer = await clients.arm.send_request(request)
        answer.raise_for_status()
        assert answer.json()["value"]

        body = gzip.compress(json.dumps([{"RecordKey": "k"}]).encode())
        answer = await LogsIngestion(settings, clients, Clock()).upload(BY_KIND["Other"].stream, body, 10)
        assert answer.status == 204
        stored = await clients.logs_query.query_workspace(
            settings.workspace_id, "DefenderOther_CL | count", timespan=None
        )
        assert stored.tables[0].rows[0][0] == 1  # type: ignore[union-attr] # a partial answer has none
    finally:
        await clients.close()
    assert not local_azure.ingestion.losses
    principals = {recorded.principal for recorded in local_azure.ingestion.requests + local_azure.logs_query.requests}
    assert len(principals) == 1


async def test_the_hub_takes_events_from_the_official_client(local_azure: LocalAzure) -> None:
    settings = Settings.load()
    producer = EventHubProducerClient.from_connection_string(
        settings.event_hub_connection, eventhub_name=settings.event_hub_name
    )
    async with producer:
        await producer.send_batch([EventData(b"{}") for _ in range(10)])
    assert local_azure.broker.count(settings.event_hub_name) == 10


async def test_a_part_alone_starts_with_the_identity_that_opens_it_and_nothing_else(
    local_certs: Certificates,
) -> None:
    azure = LocalAzure(parts=("ingestion",), certificates=local_certs)
    async with azure:
        assert set(azure.endpoints()) == {"identity", "ingestion", "query"}
        assert "ARM_ENDPOINT" not in azure.app_settings()
    assert not azure.folder.exists()


class Child:
    """`python -m local` as people run it."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}},
            "LOCAL_AZURE_STATE": str(folder / "running.json"),
            "TMPDIR": str(folder),
        }
        self.folder = folder
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "local", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_text(self, text: str) -> str:
        deadline = time.monotonic() + START_SECONDS
        while text not in (printed := self.output.read_text()):
            assert self.process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.05)
        return printed

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same tool, at the same time."""
        return subprocess.run(
            [sys.executable, "-m", "local", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def shell(self, *lines: str) -> str:
        return subprocess.run(
            ["bash", "-c", "\n".join(lines)],  # noqa: S607 - the developer's shell
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def left_behind(self) -> list[str]:
        """What outlives it: addresses that it printed and still answer, files, and processes of its group."""
        found = [path.name for path in self.folder.iterdir() if path != self.output]
        for host, port in re.findall(r"://([\w.]+):(\d+)", self.output.read_text()):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                found.append(f"{host}:{port}")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 0)
            found.append(f"process group {self.process.pid}")
        return found


@contextlib.contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Child]:
    child = Child(folder, *arguments)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def printed_calls(printed: str) -> tuple[list[str], dict[str, str]]:
    """The shell lines to run first, and the call printed below each endpoint."""
    preparation = re.findall(r"^  (export .*|token\(\) .*)$", printed, re.MULTILINE)
    calls = re.findall(r"^(\w+) +(?:https?|amqp)://\S+\n  (.*)$", printed, re.MULTILINE)
    return preparation, dict(calls)


def test_everything_comes_up_each_printed_call_works_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as child:
        preparation, calls = printed_calls(child.await_text("Ctrl-C ends it."))
        services = ["identity", "blob", "queue", "table", "eventhubs", "arm", "ingestion", "query", "app"]
        assert list(calls) == services
        answers = {service: child.shell(*preparation, calls[service]) for service in services}
        assert answers["identity"].count(".") == 2
        assert "<Name>export-configs</Name>" in answers["blob"]
        assert "<Name>jobs</Name>" in answers["queue"]
        assert {table["TableName"] for table in json.loads(answers["table"])["value"]} == {"jobs", "freshness"}
        assert answers["eventhubs"].startswith("AMQP")
        assert json.loads(answers["arm"])["value"]
        assert answers["ingestion"].strip() == "204"
        assert json.loads(answers["app"])["status"] == "alive"
        assert json.loads(answers["query"])["tables"][0]["rows"] == [[1]]

        asked = child.run("query", "SELECT RecordKey FROM DefenderOther_CL")
        assert (asked.returncode, asked.stdout) == (0, "RecordKey\nhello\n")
        assert child.run("query", "SELECT").returncode == 1

        assert child.run("faults", "ingestion", "throttle", "--times", "1", "--retry-after", "7").returncode == 0
        assert child.shell(*preparation, calls["ingestion"]).endswith("429\n")
        assert child.shell(*preparation, calls["ingestion"]).endswith("204\n")
        assert json.loads(child.run("faults", "ingestion").stdout)["fired"] == {"throttle": 1}

        exported = child.shell(f'eval "$({sys.executable} -m local env)"', "echo $ARM_ENDPOINT")
        assert exported.strip() in calls["arm"]

        os.killpg(child.process.pid, signal.SIGINT)  # what a terminal does
        assert child.process.wait(STOP_SECONDS) == 0
        assert child.left_behind() == []


@pytest.mark.parametrize("part", [part for part in PARTS if part != "eventhubs"])
def test_each_part_runs_alone_and_ends_on_sigterm(tmp_path: Path, part: str) -> None:
    with running(tmp_path, part) as child:
        preparation, calls = printed_calls(child.await_text("Ctrl-C ends it."))
        assert child.shell(*preparation, *calls.values())
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(STOP_SECONDS) == 0
        assert child.left_behind() == []


def test_the_broker_alone_prints_its_connection_string(tmp_path: Path) -> None:
    with running(tmp_path, "eventhubs", "--hub", "mine:2") as child:
        assert "UseDevelopmentEmulator=true;EntityPath=mine" in child.await_text("EntityPath")
        child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(STOP_SECONDS) == 0


def test_a_question_without_a_running_one_says_how_to_start_it(tmp_path: Path) -> None:
    with running(tmp_path, "query", "SELECT 1") as child:
        assert child.process.wait(STOP_SECONDS) == 1
    assert "python -m local" in child.output.read_text()
