"""Renders the operations page over a local Azure: light, dark, a subscription and a phone into `docs/images`.

`--states FOLDER` renders what one looks at before a release instead: a tenant of `--subscriptions`, also on paper,
without a sign-in, without storage, without its hub, and with nothing stored yet.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import sys
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright, expect

from local.app import App
from local.tenant import synthetic_tenant
from local.tenant.destinations import destinations
from shared.web.authorization import APPROVE, READ, RECORDS, WRITE
from tools.scene import Scene, principal, scene

FOLDER = Path(__file__).parents[1] / "docs" / "images"
EVENTS, FEW_EVENTS = 4_000, 400
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDE, PHONE, PAPER = (1440, 1000), (390, 844), (1000, 1400)
MANY = 1_000
PATIENCE_MS = 240_000
# Of a tenant of thousands one export is enough.
ONE_EXPORT = frozenset({"everything"})
# The day that the local Azure has not lived through: arrivals spread over it, scores over two months.
_DAY = """
UPDATE {table} SET EnqueuedTime = moment, TimeGenerated = moment, EventTime = moment,
    _TimeReceived = moment + to_seconds(4 + hash(RecordKey) % 9)
FROM (SELECT RecordKey AS one, now()::TIMESTAMP - to_seconds((hash(RecordKey, 1) % 42000 + hash(RecordKey, 2) % 42000))
    AS moment FROM {table}) WHERE RecordKey = one
"""
_MONTHS = """
UPDATE DefenderSecureScores_CL SET EventTime = now()::TIMESTAMP - to_days((hash(RecordKey, 3) % 60)::INT),
    CurrentScore = MaxScore * (0.68 - 0.003 * (hash(RecordKey, 3) % 60) + 0.0004 * (hash(SubscriptionId) % 50)),
    ScoreName = 'ascScore'
"""


async def live_through_a_day(running: Scene) -> None:
    """Spread what has arrived over the time that the plots show."""
    workspace = running.azure.workspace
    for table in workspace.tables.values():
        if table.holds_records:
            await workspace.sql(_DAY.format(table=table.name))
    await workspace.sql(_MONTHS)


@dataclass(frozen=True)
class Shot:
    """One picture: its name, the page's size, and what is special about the visitor.

    `part` is what is in view alone, rather than the whole page; `roles` are None without a sign-in.
    """

    name: str
    size: tuple[int, int] = WIDE
    dark: bool = False
    paper: bool = False
    part: str = ""
    hash: str = ""
    roles: tuple[str, ...] | None = (READ, WRITE)


EVERYTHING = (READ, WRITE, APPROVE, RECORDS)
PICTURES = (Shot("operations-light"), Shot("operations-dark", dark=True), Shot("operations-phone", PHONE))
LOOKS = (Shot("light"), Shot("dark", dark=True), Shot("phone", PHONE), Shot("print", PAPER, paper=True))


async def shoot(browser: Browser, app: App, shot: Shot, folder: Path) -> None:
    """Take one picture, once everything on the page has arrived or failed."""
    context = await browser.new_context(
        viewport={"width": shot.size[0], "height": shot.size[1]},
        color_scheme="dark" if shot.dark else "light",
        reduced_motion="reduce",
        extra_http_headers={"accept": "text/html"} if shot.roles is None else principal(*shot.roles),
    )
    page = await context.new_page()
    await page.goto(f"{app.url}/api/operations{shot.hash}")
    if shot.roles is not None:
        await _arrived(page)
    if shot.part:
        await page.locator(shot.part).first.wait_for()
    if shot.paper:
        await page.emulate_media(media="print")
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
    await page.wait_for_timeout(500)
    await page.screenshot(
        path=folder / f"{shot.name}.png", full_page=not (shot.part or shot.paper), timeout=PATIENCE_MS
    )
    await context.close()


async def _arrived(page: Page) -> None:
    await expect(page.locator("main")).not_to_contain_text("Loading…", timeout=PATIENCE_MS)
    await expect(page.locator("#refresh")).not_to_have_attribute("aria-busy", "true", timeout=PATIENCE_MS)


async def prepare(running: Scene, events: int, only: Collection[str] = ()) -> None:
    """Give the page something to show."""
    await running.apply(only)
    await running.send(events)
    await running.drift()
    await running.check()
    await live_through_a_day(running)


async def pictures(browser: Browser) -> None:
    """Those of the documentation."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with scene() as running:
        await prepare(running, EVENTS)
        rows = (await running.ask("GET", "/api/status"))["value"]
        drifted = next(row["subscriptionId"] for row in rows if "drifted" in row["states"].values())
        one = Shot("operations-subscription", part="#drawer h3", hash=f"#state=drifted&sub={drifted}")
        for shot in (*PICTURES, one):
            await shoot(browser, running.app, shot, FOLDER)


async def states(browser: Browser, folder: Path, subscriptions: int) -> None:
    """Those that one looks at before a release."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    many = subscriptions > MANY
    tenant = synthetic_tenant(0, subscriptions, resources=0 if many else 4)
    async with scene(None, None, tenant) as running:
        await prepare(running, FEW_EVENTS, ONE_EXPORT if many else ())
        for shot in LOOKS:
            await shoot(browser, running.app, _named(shot, f"{subscriptions}-{shot.name}"), folder)
        if many:
            return
        await shoot(browser, running.app, Shot("every-role", roles=EVERYTHING), folder)
        await shoot(browser, running.app, Shot("by-owner", hash="#by=owner", part=".line"), folder)
        await shoot(browser, running.app, Shot("signed-out", roles=None, part="a"), folder)
        await _without_storage(browser, running, folder)
        tenant.delete_resource(destinations(tenant).event_hub)
        await running.fire("reconcile_exports")
        await shoot(browser, running.app, Shot("hub-gone"), folder)
    async with scene() as running:
        await shoot(browser, running.app, Shot("empty"), folder)


def _named(shot: Shot, name: str) -> Shot:
    return Shot(name, shot.size, dark=shot.dark, paper=shot.paper)


async def _without_storage(browser: Browser, running: Scene, folder: Path) -> None:
    with socket.socket() as taken, tempfile.TemporaryDirectory() as place:
        taken.bind(("127.0.0.1", 0))  # a port without a listener
        gone = f"https://127.0.0.1:{taken.getsockname()[1]}/devstoreaccount1"
        lost = {f"AzureWebJobsStorage__{one}ServiceUri": gone for one in ("blob", "queue", "table")}
        deaf = {f"AzureWebJobs.{name}.Disabled": "true" for name in ("enrich_records", "run_job")}
        async with App({**running.app.settings, **lost, **deaf}, Path(place) / "app.log", timers=False) as app:
            await shoot(browser, app, Shot("storage-down", part="#attention-list .state-blocked"), folder)


async def main(arguments: list[str]) -> int:
    """Set the scene and take the pictures; 1 where there is no Chromium."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--states", type=Path, metavar="FOLDER", help="those of a release, into this folder")
    parser.add_argument("--subscriptions", type=int, default=640, metavar="N", help="how many; 640 by default")
    wanted = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("Chromium is needed, and none was found on PATH (apt-get install chromium).", file=sys.stderr)
        return 1
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        if wanted.states:
            await states(browser, wanted.states, wanted.subscriptions)
        else:
            await pictures(browser)
        await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
