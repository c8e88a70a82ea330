"""The app on the local Azure, in a thread of its own, and a caller that sends exactly what it is told."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ResourceNotFoundError

from local.app import ROOT, App
from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import Tenant
from local.tenant.destinations import destinations
from shared.azure.blob_container import ChangedError
from shared.bootstrap import Services
from shared.settings import Settings
from shared.watch.stored_requirements import BLOB
from tests.e2e.dead_letters import keep, undeliverable

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float

    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def problem(self) -> str:
        """The slug of a problem's type; the answer must be a well-formed problem."""
        assert self.headers["content-type"] == "application/problem+json; charset=utf-8", self.text
        document = self.json()
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        return str(document["type"].removeprefix("urn:defender-export:problem:"))


class Caller:
    """Sends a running app exactly what it is told."""

    def __init__(self, app: App) -> None:
        self.app = app

    @property
    def url(self) -> str:
        return self.app.url

    @property
    def key(self) -> str:
        return self.app.host_key

    @property
    def log(self) -> str:
        return self.app.log.read_text()

    def call(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        *,
        key: bool = True,
        **headers: Any,
    ) -> Answer:
        """One request; header names have `_` for `-`, a mapping is sent as JSON, anything else as YAML."""
        content = json.dumps(body) if isinstance(body, Mapping) else body
        sent: dict[str, str | bytes] = {"x-functions-key": self.key} if key else {}
        if content is not None:
            sent["content-type"] = "application/json" if isinstance(body, Mapping) else "application/yaml"
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE_SECONDS)
        began = time.monotonic()
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            data = content.encode() if isinstance(content, str) else content
            if data is not None:
                sent["content-length"] = str(len(data))
            for name, value in sent.items():
                connection.putheader(name, value)
            connection.endheaders(data)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode(), time.monotonic() - began)
        finally:
            connection.close()


class Api(Caller, AbstractContextManager["Api"]):
    """A running app with everything around it; `call` talks to it."""

    def __init__(
        self, folder: Path, certificates: Certificates, tenant: Tenant | None = None, /, **settings: str
    ) -> None:
        self._folder, self._certificates, self._settings = folder, certificates, settings
        self._tenant = tenant
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._letters = 0
        self.azure: LocalAzure

    def __enter__(self) -> Self:
        self._thread.start()
        self.on_loop(self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.on_loop(lambda: self.azure.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self.azure = LocalAzure(
            self._folder,
            app=True,
            tenant=self._tenant,
            certificates=self._certificates,
            partitions=2,
            settings=self._settings,
        )
        await self.azure.__aenter__()
        assert self.azure.app
        self.app = self.azure.app

    @contextmanager
    def beside(self, name: str, file: Path = ROOT / "function_app.py", /, **settings: str) -> Iterator[Caller]:
        """One more app on the same Azure, which only answers requests: jobs and events stay with the first."""
        deaf = {f"AzureWebJobs.{function}.Disabled": "true" for function in ("enrich_records", "run_job")}
        log = self._folder / f"{name}.log"
        app = App(self.azure.app_settings() | settings | deaf, log, file=file, timers=False)
        self.on_loop(app.__aenter__)
        try:
            yield Caller(app)
        finally:
            self.on_loop(lambda: app.__aexit__(None, None, None))

    def on_loop(self, work: Callable[[], Any]) -> Any:
        """The result of a coroutine on the loop that the local Azure runs on."""
        return asyncio.run_coroutine_threadsafe(work(), self._loop).result(PATIENCE_SECONDS)

    def put(self, name: str, text: str | None = None, **headers: Any) -> Answer:
        return self.call("PUT", f"/api/exports/{name}", text or self.export(name), **headers)

    def export(self, name: str, alerts: str = "minimumSeverity: Medium", scope: str = "") -> str:
        """A valid export to this tenant's own hub."""
        hub = destinations(self.azure.tenant).event_hub
        scope = scope or f"managementGroups: [{self.azure.tenant.home}]"
        return (
            f"version: 1\nname: {name}\nscope: {{{scope}}}\nautomation: {{location: westeurope}}\n"
            f"export: {{alerts: {{{alerts}}}}}\n"
            f"destination: {{eventHub: {{resourceId: {hub}, trustedService: true}}}}\n"
        )

    def dead_letter(self, count: int = 1, contents: bytes | None = None) -> tuple[str, list[dict[str, Any]]]:
        """A dead letter that no replay delivers, of rows or of these contents: its name, and its rows."""
        rows = [{"SubscriptionId": self.subscription, "Text": f"secret of a record {at}"} for at in range(count)]
        letters = undeliverable(rows, self._letters)
        self._letters += count

        async def write(services: Services) -> str:
            name = await keep(services, letters)
            if contents is not None:
                blobs = services.clients.data_blobs.get_container_client("dead-letters")
                await blobs.upload_blob(name, contents, overwrite=True)
            return name

        return self._with_services(write), rows

    def quiet_job(self, **members: Any) -> str:
        """The id of a job that no worker hears of: one that is queued, unless `members` say otherwise."""
        from shared.jobs.model import Job, new_id
        from shared.jobs.store import _entity

        now = datetime.now(UTC)
        job = Job(new_id(now), "plan", {}, "test", now, **members)
        self._with_services(lambda services: services.jobs._table.create_entity(_entity(job)))
        return job.id

    def discard(self, name: str) -> None:
        """Remove a dead letter, which other tests don't look for, once no retry has it."""

        async def discard(services: Services) -> None:
            for _ in range(PATIENCE_SECONDS):
                with suppress(ChangedError):
                    await services.pipeline.dead_letters.discard(name)
                    return
                await asyncio.sleep(0.5)
            raise TimeoutError(name)

        self._with_services(discard)

    def without_requirements(self) -> None:
        """Remove the file of requirements, which no other test looks for."""

        async def remove(services: Services) -> None:
            await services.clients.blobs.get_blob_client(services.settings.exports_container, BLOB).delete_blob()

        with suppress(ResourceNotFoundError):
            self._with_services(remove)

    def without_notify(self) -> None:
        """Remove the file of receivers and rules, likewise."""
        from shared.notify.stored_rules import BLOB as NOTIFY_BLOB

        async def remove(services: Services) -> None:
            blob = services.clients.blobs.get_blob_client(services.settings.exports_container, NOTIFY_BLOB)
            await blob.delete_blob()

        with suppress(ResourceNotFoundError):
            self._with_services(remove)

    def without_mutes(self) -> None:
        """Remove the file of mutes, likewise."""
        from shared.muting.stored_mutes import BLOB as MUTES_BLOB

        async def remove(services: Services) -> None:
            blob = services.clients.blobs.get_blob_client(services.settings.exports_container, MUTES_BLOB)
            await blob.delete_blob()

        with suppress(ResourceNotFoundError):
            self._with_services(remove)

    def crowded(self, name: str, jobs: int) -> dict[str, str]:
        """Settings of a table and a queue of this name, with as many jobs in them, which nobody works on."""
        settings = {"JOBS_TABLE": name, "JOBS_QUEUE": name}

        async def fill(services: Services) -> None:
            await services.clients.tables.create_table(name)
            await services.clients.queues.create_queue(name)
            now = datetime.now(UTC)
            await asyncio.gather(*(services.jobs.submit("replay", {}, "test", now=now) for _ in range(jobs)))

        self._with_services(fill, **settings)
        return settings

    def note_forced(self, readings: int, settings: Mapping[str, str]) -> None:
        """Have another instance with these settings force as many readings of the tenant."""

        async def note(services: Services) -> None:
            for _ in range(readings):
                await services.tenant_state.note_forced()

        self._with_services(note, **settings)

    def _with_services(self, work: Callable[[Services], Any], **settings: str) -> Any:
        async def run() -> Any:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in (self.azure.app_settings() | settings).items():
                    patch.setenv(name, value)
                services = Services(Settings.load())
                try:
                    return await work(services)
                finally:
                    await services.close()

        return self.on_loop(run)

    @property
    def subscription(self) -> str:
        """The id of a subscription of the tenant."""
        return min(each.id for each in self.azure.tenant.subscriptions.values())

    def job(self, wait: int = 60, **request: Any) -> dict[str, Any]:
        """A job that has ended."""
        answer = self.call("POST", f"/api/jobs?wait={wait}", request)
        assert answer.status == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def until(self, done: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := done()):
            assert time.monotonic() < deadline, "it did not become true"
            time.sleep(0.1)
        return found
