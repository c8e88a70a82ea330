"""Renders the operations page over a local Azure into `docs/images`: light, dark, a subscription, and a phone."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from shared.web.authorization import READ, WRITE
from tools.scene import Scene, principal, scene

FOLDER = Path(__file__).parents[1] / "docs" / "images"
EVENTS = 4_000
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
WIDE, PHONE = (1440, 1000), (390, 844)
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


async def shoot(
    browser: Browser, address: str, name: str, size: tuple[int, int], *, dark: bool = False, whole: bool = True
) -> None:
    """One picture, once everything on the page has arrived."""
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        extra_http_headers=principal(READ, WRITE),
    )
    page = await context.new_page()
    await page.goto(address)
    await page.locator("#plot-score canvas").wait_for()
    await page.locator(".line").first.wait_for()
    if not whole:
        await page.locator("#drawer h3").first.wait_for()
    await page.get_by_text("Loading…").first.wait_for(state="hidden", timeout=60_000)
    await page.wait_for_timeout(500)
    await page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)
    await context.close()


async def main() -> int:
    """Set the scene and take the pictures; 1 where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        print("Chromium is needed, and none was found on PATH (apt-get install chromium).", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with scene() as running, async_playwright() as playwright:
        await running.apply()
        await running.send(EVENTS)
        await running.drift()
        await running.check()
        await live_through_a_day(running)
        rows = (await running.ask("GET", "/api/status"))["value"]
        drifted = next(row["subscriptionId"] for row in rows if "drifted" in row["states"].values())
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        address = f"{running.app.url}/api/operations"
        await shoot(browser, address, "operations-light", WIDE)
        await shoot(browser, address, "operations-dark", WIDE, dark=True)
        await shoot(browser, address, "operations-phone", PHONE)
        await shoot(browser, f"{address}#state=drifted&sub={drifted}", "operations-subscription", WIDE, whole=False)
        await browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
