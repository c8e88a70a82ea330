"""A local Azure with something to see: exports in force, some broken, others made by strangers, and records flowing."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from local.app import App
from local.certs import Certificates
from local.records import generate
from local.stack import LocalAzure
from local.story import Story
from local.tenant import Tenant, synthetic_tenant
from local.tenant.destinations import destinations
from shared.web.authorization import PRINCIPAL_HEADER, READ, WRITE

PATIENCE_SECONDS = 240


def principal(*roles: str, name: str = "44444444-4444-4444-8444-444444444444") -> dict[str, str]:
    """The header that Easy Auth would add for a person with these app roles."""
    claims = [{"typ": "oid", "val": name}, *({"typ": "roles", "val": role} for role in roles)]
    return {PRINCIPAL_HEADER: base64.b64encode(json.dumps({"claims": claims}).encode()).decode()}


class Scene:
    """A running app that signs people in by their principal header, and the steps that give it something to show."""

    def __init__(self, azure: LocalAzure, story: Story, web: aiohttp.ClientSession) -> None:
        self.azure = azure
        self.story = story
        self.web = web
        app = azure.app
        assert app is not None  # noqa: S101 - a scene always runs the app
        self.app = app

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        """Call the API as a caller who may write."""
        headers = {**principal(READ, WRITE), "x-functions-key": self.app.master_key, **options.pop("headers", {})}
        async with self.web.request(method, f"{self.app.url}{path}", headers=headers, **options) as answer:
            answer.raise_for_status()
            return await answer.json() if answer.content_type == "application/json" else await answer.text()

    async def until(self, done: Callable[[], Any]) -> Any:
        """Wait for something to become true.

        Raises:
            TimeoutError: it does not within four minutes, which ten thousand subscriptions can take on a busy machine.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := await done()):
            if time.monotonic() > deadline:
                raise TimeoutError(done)
            await asyncio.sleep(0.2)
        return found

    async def apply(self, only: Collection[str] = ()) -> None:
        """Store the sample files, or some of them, and bring the tenant in line, as far as it lets itself be.

        Raises:
            RuntimeError: the reconcile job did not end well.
        """
        self.story.write_exports()
        files = sorted((self.story.folder / "exports").iterdir())
        for file in [file for file in files if not only or file.stem in only]:
            await self.ask(
                "PUT",
                f"/api/exports/{file.stem}",
                data=file.read_bytes(),
                headers={"Content-Type": "application/yaml"},
            )
        job = await self.ask("POST", "/api/jobs?wait=120", json={"kind": "reconcile"})
        while job["state"] in {"queued", "running"}:
            job = await self.ask("GET", f"/api/jobs/{job['id']}?wait=120")
        if job["state"] != "succeeded":
            raise RuntimeError(job)

    async def drift(self) -> None:
        """Disable, empty and delete an automation without the app; the next run, in mode plan, sees it."""
        tenant = self.azure.tenant
        mine = [each for each in tenant.all_automations() if each["tags"].get("managed-by") == "defender-export"]
        disabled, emptied, deleted = mine[1], mine[len(mine) // 2], mine[-1]
        tenant.set_automation({**disabled, "properties": {**disabled["properties"], "isEnabled": False}})
        tenant.set_automation({**emptied, "properties": {**emptied["properties"], "sources": []}})
        tenant.delete_automation(deleted["id"])
        await self.fire("reconcile_exports")

    async def fire(self, timer: str, app: App | None = None) -> None:
        """Let a timer of the app, or of another one beside it, fire, and wait for the end of a reconcile."""
        before = (await self.ask("GET", "/api/runs?limit=1"))["value"]
        app = app or self.app
        headers = {"x-functions-key": app.master_key}
        async with self.web.post(f"{app.url}/admin/functions/{timer}", json={}, headers=headers) as answer:
            answer.raise_for_status()
        if timer != "reconcile_exports":
            return

        async def reported() -> bool:
            newest = (await self.ask("GET", "/api/runs?limit=1"))["value"]
            is_new = [run["runId"] for run in newest] != [run["runId"] for run in before]
            return is_new and newest[0]["outcome"] != "Running"

        await self.until(reported)

    async def check(self) -> None:
        """Let the app look at what flows."""
        await self.fire("check_freshness")

        async def checked() -> Any:
            return (await self.ask("GET", "/api/freshness"))["checked"]

        await self.until(checked)

    async def send(self, count: int) -> None:
        """Export records of every kind, and wait until each has a row or is kept as a dead letter."""
        subscriptions = [each.id for each in self.azure.tenant.subscriptions.values()][1:]
        start = datetime.now(UTC) - timedelta(minutes=10)
        bodies = [event.body for event in generate(7, subscriptions, count, start=start)]
        await asyncio.to_thread(self.story._send, bodies)  # noqa: SLF001 - the story's own way to send

        async def arrived() -> bool:
            kept = sum(letter["records"] for letter in (await self.ask("GET", "/api/dead-letters"))["value"])
            return bool(await self.story._events_stored() + kept >= count)  # noqa: SLF001 - as above

        await self.until(arrived)


@asynccontextmanager
async def scene(
    folder: Path | None = None,
    certificates: Certificates | None = None,
    tenant: Tenant | None = None,
    /,
    **settings: str,
) -> AsyncIterator[Scene]:
    """Start everything, in mode plan and with sign-ins by Entra unless `settings` say otherwise."""
    tenant = tenant or synthetic_tenant()
    chosen = {
        "AUTH_MODE": "entra",
        "WEBSITE_AUTH_ENABLED": "true",
        "RECONCILE_MODE": "plan",
        "RECONCILE_SCHEDULE": "0 0 3 1 1 *",  # no run but those that the scene is told to make
        "EVENT_HUB_RESOURCE_ID": destinations(tenant).event_hub,
        **settings,
    }
    with contextlib.ExitStack() as closing:
        place = folder or Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="defender-export-")))
        azure = LocalAzure(place / "azure", app=True, tenant=tenant, settings=chosen, certificates=certificates)
        async with azure, aiohttp.ClientSession() as web:
            story = Story(azure, place, web)
            yield Scene(azure, story, web)
