"""`make run`: what the app does, told on the local Azure from nothing to rows in tables.

Every step uses what a user would use: the command line, the app's own triggers and HTTP API, and queries.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from local import running
from local.app import ROOT
from local.console import introduction
from local.ocsf_receiver import OcsfReceiver
from local.records import KINDS, Generator, generate
from local.stack import FORWARD_HUB, LocalAzure
from local.tenant import destinations, synthetic_tenant
from shared.enrich.ocsf.attribute_mapping import PROFILES, VERSION
from shared.enrich.tables import RECORD_TABLES

EVENTS = 5_000
SPILLED = 200
QUESTIONS = ("open-high-recommendations-by-owner", "alerts-by-tactic", "most-widespread-cves")
DUE = timedelta(days=9)
SAMPLES = (
    "high-alerts-to-event-hub",
    "everything",
    "secure-score-to-workspace",
    "chosen-recommendations-to-workspace",
)
_SAMPLE_GROUP = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc/providers/"
_SAMPLE_HUB = f"{_SAMPLE_GROUP}Microsoft.EventHub/namespaces/contoso-soc/eventhubs/defender-export"
_SAMPLE_WORKSPACE = f"{_SAMPLE_GROUP}Microsoft.OperationalInsights/workspaces/contoso-soc"
_PATIENCE_SECONDS = 180
_SHOWN_LINES = 6
_WHOLE_PLAN = 60


class StoryError(Exception):
    """A step did not end as it should; the message says which and what was seen."""


class Story:
    """The steps, in order; each prints what it saw and raises `StoryError` when that is not as it should be."""

    def __init__(self, azure: LocalAzure, folder: Path, web: aiohttp.ClientSession) -> None:
        self.azure = azure
        self.folder = folder
        self.web = web
        self.began = time.monotonic()
        self.expected = datetime.now(UTC)
        self.silent = ""
        self._kept = 0
        self.stays = False
        self.settings = azure.app_settings()

    def title(self, text: str) -> None:
        """Begin a step."""
        print(f"\n[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    async def command(self, *arguments: str, expect: int = 0, lines: int = _SHOWN_LINES) -> str:
        """Run `defender-export` as a user would, show the end of what it prints, and give it all."""
        print(f"  $ defender-export {' '.join(arguments)}", flush=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "shared.cli",
            *arguments,
            cwd=self.folder,
            env=os.environ
            | self.settings
            | {"PYTHONPATH": str(ROOT), "DEFENDER_EXPORT_CONFIG": str(self.folder / "app")},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (text.decode() for text in await process.communicate())
        shown = out.splitlines()
        for line in [*(["..."] if len(shown) > lines else []), *shown[-lines:]]:
            print(f"    {line}")
        if process.returncode != expect:
            raise StoryError(f"`defender-export {arguments[0]}` ended with {process.returncode}:\n{out}\n{err}")
        return out

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Call the app's HTTP API."""
        app = self.azure.app
        assert app is not None  # noqa: S101 - the story always runs the app
        headers = {"x-functions-key": app.master_key}
        async with self.web.request(method, f"{app.url}{path}", headers=headers, **options) as answer:
            text = await answer.text()
            if answer.status >= 400:  # noqa: PLR2004 - HTTP
                raise StoryError(f"{method} {path} answered {answer.status}: {text}")
            return json.loads(text) if text.startswith(("{", "[")) else text

    async def fire(self, function: str) -> None:
        """Let a timer fire now, by the host's admin route."""
        await self.ask("POST", f"/admin/functions/{function}", json={})

    async def until(self, what: str, done: Callable[[], Any]) -> Any:
        """Wait for something to become true."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not (found := await done()):
            if time.monotonic() > deadline:
                raise StoryError(f"{what}: not within {_PATIENCE_SECONDS} s")
            await asyncio.sleep(0.2)
        return found

    def write_exports(self) -> None:
        """The sample files, with this tenant's own hub and workspace."""
        own = destinations(self.azure.tenant)
        (self.folder / "exports").mkdir()
        for name in SAMPLES:
            text = (ROOT / "exports" / f"{name}.yaml").read_text()
            text = text.replace(_SAMPLE_HUB, own.event_hub).replace(_SAMPLE_WORKSPACE, own.workspace)
            (self.folder / "exports" / f"{name}.yaml").write_text(text)

    async def declare(self) -> None:
        """Check the files, and put them into the store."""
        self.title("Four export files are checked, tested by their own tests, and pushed to the store")
        self.write_exports()
        await self.command("validate", "exports")
        await self.command("test", "exports")
        await self.command("push", "exports")

    async def converge(self) -> None:
        """Plan, apply, and plan again."""
        self.title("The plan: what would change in the tenant, before anything does")
        await self.command("plan", "exports", "--no-color", "--detailed-exitcode", expect=2, lines=_WHOLE_PLAN)
        self.title("Apply")
        await self.command("apply", "--yes", "--no-color", lines=1)
        self.title("A second plan has nothing to do")
        await self.command("plan", "--no-color", "--detailed-exitcode", lines=1)

    async def expect(self) -> None:
        """Note from when on records are waited for."""
        self.title("From now on it is known who should be sending what; nothing has arrived yet")
        await self.command("freshness", "--now")
        self.expected = datetime.now(UTC)

    async def drift(self) -> None:
        """Break three automations without the app and let the timer repair them."""
        self.title("Someone disables, empties and deletes an export by hand; the timer repairs all three")
        tenant = self.azure.tenant
        mine = [each for each in tenant.all_automations() if each["tags"].get("managed-by") == "defender-export"]
        disabled, emptied, deleted = mine[0], mine[len(mine) // 2], mine[-1]
        tenant.set_automation({**disabled, "properties": {**disabled["properties"], "isEnabled": False}})
        tenant.set_automation({**emptied, "properties": {**emptied["properties"], "sources": []}})
        tenant.delete_automation(deleted["id"])
        before = len((await self.ask("GET", "/api/runs"))["value"])
        await self.fire("reconcile_exports")

        async def reported() -> Any:
            runs = (await self.ask("GET", "/api/runs"))["value"]
            return runs[0] if len(runs) > before and runs[0]["outcome"] != "Running" else None

        run = await self.until("the timer's run", reported)
        report = await self.ask("GET", f"/api/runs/{run['runId']}")
        for item in report["items"]:
            if item["action"] in {"create", "update"}:
                subscription = item["id"].split("/")[2]
                print(f"    {item['action']} {item['export']} in {subscription}: {item.get('outcome', 'planned')}")
                for change in item.get("changes", ()):
                    print(f"        {change['path']}: {change['old']} -> {change['new']}")
        counts = run["counts"]
        if counts["Created"] + counts["Updated"] != 3:  # noqa: PLR2004 - as broken above
            raise StoryError(f"three automations were broken, and the run reports {counts}")

    async def stream(self) -> None:
        """Send records while the ingestion misbehaves; each arrives or is kept and replayed."""
        self.title(f"{EVENTS:,} exported records of every kind arrive, while Logs Ingestion misbehaves")
        faults = self.azure.ingestion.faults
        faults.reseed(7)
        faults.add("throttle_bare", rate=0.1)
        faults.add("error", rate=0.1, status=503)
        faults.add("drop_after", rate=0.1)
        everyone = sorted(each.id for each in self.azure.tenant.subscriptions.values())
        self.silent = next(each for each in everyone if each in self._exporting("everything"))
        sending = [each for each in everyone if each != self.silent]
        start = datetime.now(UTC) - timedelta(minutes=10)
        snapshots = [
            json.dumps(Generator(7, [subscription]).make(kind, start, snapshot=True)).encode()
            for subscription in sending
            for kind in KINDS
        ]
        bodies = [event.body for event in generate(7, sending, EVENTS - len(snapshots), start=start)] + snapshots
        sent = time.monotonic()
        await asyncio.to_thread(self._send, bodies)
        print(f"    sent in {time.monotonic() - sent:.1f} s")

        async def arrived() -> bool:
            self._kept = await self._letters()
            return await self._events_stored() + self._kept == EVENTS

        await self.until("the records", arrived)
        faults.clear()
        print(f"    faults met by the app: {dict(faults.fired)}")
        await self._tables()
        stored = EVENTS - self._kept
        print(f"    {EVENTS:,} events: {stored:,} have a row; {self._kept} are unreadable, kept as dead letters")

    async def outage(self) -> None:
        """Take the app's right to upload away for a while: records are kept, and replayed on demand."""
        self.title(f"The app loses its role on the data collection rule; {SPILLED} records arrive meanwhile")
        publishers = set(self.azure.ingestion.publishers)
        self.azure.ingestion.publishers.clear()
        sending = sorted(self._exporting("everything") - {self.silent})
        start = datetime.now(UTC) - timedelta(minutes=1)
        events = generate(8, sending, SPILLED, start=start, bad=0, duplicates=0)
        await asyncio.to_thread(self._send, [event.body for event in events])

        async def kept() -> bool:
            # More than were sent when an upload that was being tried again met the outage too.
            return await self._letters() >= self._kept + SPILLED

        await self.until("the dead letters of the outage", kept)
        print(f"    {SPILLED} records are dead letters; the role comes back, and a runbook starts a replay")
        self.azure.ingestion.publishers |= publishers
        job = await self.ask("POST", "/api/jobs?wait=60", json={"kind": "replay"})
        left = await self._letters()
        print(f"    job {job['state']}: {job['result']['delivered']} delivered, {left} unreadable ones left")
        if left != self._kept or await self._events_stored() != EVENTS + SPILLED - self._kept:
            raise StoryError(f"the replay left {left} dead letters, {self._kept} can't be read")

    async def _letters(self) -> int:
        return sum(letter["records"] for letter in (await self.ask("GET", "/api/dead-letters"))["value"])

    def _exporting(self, export: str) -> set[str]:
        """The subscriptions that have an automation of this export."""
        return {
            each["id"].split("/")[2].lower()
            for each in self.azure.tenant.all_automations()
            if each["tags"].get("defender-export-name") == export
        }

    def _send(self, bodies: list[bytes]) -> None:
        from azure.eventhub import EventData, EventHubProducerClient

        hub = self.settings["EVENT_HUB_NAME"]
        with EventHubProducerClient.from_connection_string(
            self.settings["EventHubConnection"], eventhub_name=hub
        ) as producer:
            batch = producer.create_batch()
            for body in bodies:
                try:
                    batch.add(EventData(body))
                except ValueError:
                    producer.send_batch(batch)
                    batch = producer.create_batch()
                    batch.add(EventData(body))
            producer.send_batch(batch)

    async def _events_stored(self) -> int:
        """How many different events have a row."""
        await self.azure.workspace.flush()
        places = " UNION ".join(f"SELECT PartitionId, SequenceNumber FROM {table}" for table in self._record_tables)  # noqa: S608 - names from the schema
        return int((await self.azure.workspace.sql(f"SELECT count(*) FROM ({places})")).rows[0][0])  # noqa: S608 - as above

    @property
    def _record_tables(self) -> list[str]:
        return [table.name for table in RECORD_TABLES]

    async def _tables(self) -> None:
        print(f"    {'table':34} {'rows':>6} {'distinct':>9}")
        for table in self._record_tables:
            query = f"SELECT count(*), count(DISTINCT RecordKey) FROM {table}"  # noqa: S608 - names from the schema
            rows, distinct = (await self.azure.workspace.sql(query)).rows[0]
            print(f"    {table:34} {rows:6,} {distinct:9,}")

    async def listen(self) -> None:
        """Read the output hub as a SIEM next door does."""
        self.title(f"A receiver downstream reads the output hub: events of OCSF {VERSION}")
        await self.azure.workspace.flush()
        rows = " UNION ".join(f"SELECT RecordKey FROM {table}" for table in self._record_tables)  # noqa: S608 - names from the schema
        keys = {key for (key,) in (await self.azure.workspace.sql(rows)).rows}
        receiver = OcsfReceiver(VERSION, PROFILES)
        await receiver.receive(self.settings["EventHubConnection"], FORWARD_HUB, len(keys), _PATIENCE_SECONDS)
        for name, records in sorted(receiver.classes.items()):
            print(f"    {name:34} {records:6,}")
        events = receiver.records.total()
        print(f"    {events:,} events, valid by the official schema; each record counted once by its key")
        if receiver.problems or receiver.records.keys() != keys:
            missing = len(keys ^ receiver.records.keys())
            raise StoryError(f"the receiver found {dict(receiver.problems)} and differs from the tables in {missing}")

    async def watch(self) -> None:
        """Name the subscription that never sent, and say who meets the CIS requirement."""
        self.title("Nine days on, with the same data: who is silent?")
        as_of = (self.expected + DUE + timedelta(seconds=1)).isoformat()
        text = await self.command("freshness", "--as-of", as_of, "--verdict", "silent")
        name = self.azure.tenant.subscription(self.silent).name
        if name not in text:
            raise StoryError(f"subscription {name} never sent anything, and is not named as silent")
        self.title("Who exports alerts of High and Medium severity somewhere live (CIS 8.1.5.2)?")
        await self.command("coverage")

    async def ask_questions(self) -> None:
        """Answer questions with the queries that the deployment ships."""
        for name in QUESTIONS:
            text = (ROOT / "infra" / "queries" / f"{name}.kql").read_text()
            self.title(f"{text.splitlines()[0].removeprefix('// ')}? (infra/queries/{name}.kql)")
            answer = await self.azure.workspace.kql(text)
            print(f"    {'  '.join(answer.columns)}")
            for row in answer.rows[:3]:
                print(f"    {'  '.join(str(value) for value in row)}")
            if not answer.rows:
                raise StoryError(f"{name} has no answer")

    async def summary(self) -> None:
        """Say where everything went."""
        self.title("Done")
        print(f"    {len(self.azure.arm.requests):,} requests reached Azure Resource Manager and Resource Graph")
        if not self.stays:
            print("    Next: `make up` does the same and goes on; docs/deploy.md leads to a real tenant")


async def tell(*, stay: bool = False) -> None:
    """Run the whole story; with `stay`, all goes on until Ctrl-C or SIGTERM.

    Raises:
        StoryError: a step did not end as it should.
    """
    began = time.monotonic()
    print("Defender Export on a local Azure: a tenant of 40 subscriptions, some with exports that others made")
    tenant = synthetic_tenant()
    settings = {
        "RECONCILE_MODE": "apply",
        "RECONCILE_SCHEDULE": "0 0 3 1 1 *",  # a tick amid the story would hold the lease that its `apply` needs
        "REGISTER_PROVIDER": "true",
        "EVENT_HUB_RESOURCE_ID": destinations(tenant).event_hub,
        "FORWARD_EVENT_HUB": FORWARD_HUB,
        "FORWARD_FORMAT": "ocsf",
    }
    with tempfile.TemporaryDirectory(prefix="defender-export-") as folder:
        async with LocalAzure(app=True, settings=settings, tenant=tenant) as azure, aiohttp.ClientSession() as web:
            story = Story(azure, Path(folder), web)
            story.began = began
            story.stays = stay
            print(f"    up: {', '.join(azure.endpoints())}")
            steps = (
                story.declare,
                story.converge,
                story.expect,
                story.drift,
                story.stream,
                story.outage,
                story.listen,
                story.watch,
                story.ask_questions,
                story.summary,
            )
            for step in steps:
                await step()
            if stay:
                await _stay(azure)


async def _stay(azure: LocalAzure) -> None:
    """Say where everything is, and wait to be ended."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    running.write(running.state_of(azure))
    try:
        print("\n".join(["", *introduction(azure)]), flush=True)
        await stopped.wait()
    finally:
        running.forget()


def main(*, stay: bool = False) -> int:
    """Tell the story; 0 when every step ended as it should."""
    try:
        asyncio.run(tell(stay=stay))
    except StoryError as error:
        print(f"\nThe run failed: {error}", file=sys.stderr)
        return 1
    return 0
