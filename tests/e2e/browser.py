"""A real Chromium over the operations page: where it is found, how it starts, what a page said in its console."""

import shutil
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Route, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
expect.set_options(timeout=30_000)
_NONE: dict[str, Any] = {
    "value": [], "continuation": "", "generated": "2026-01-01T00:00:00+00:00", "complete": True, "reasons": [],
}  # fmt: skip
EMPTY: dict[str, Any] = {
    "ready": {"ready": True, "release": "1.0.0", "checks": [], "warnings": []},
    "status": _NONE,
    "coverage": _NONE,
    "runs": {"value": [], "continuation": ""},
    "dead-letters": {"value": [], "continuation": ""},
    "jobs": {"value": [], "continuation": ""},
    "canaries": {"value": [], "continuation": ""},
    "freshness": {"value": [], "continuation": "", "checked": None},
    "exports": {"value": [], "continuation": "", "problems": [], "warnings": []},
    "trend": {"problem": "", "months": [], "days": []},
    "metrics": {
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2026-01-02T00:00:00+00:00",
        "binMinutes": 10,
        "problem": "",
        "times": ["2026-01-01T00:00:00+00:00"],
        "recordsPerMinute": {},
        "lagSeconds": [None],
        "secureScore": [],
    },
}


async def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, which asks nobody for anything."""
    return await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)


class Visit:
    """A page with everything its console said and every error that went uncaught."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(30_000)

    def _hear(self, said: ConsoleMessage) -> None:
        # `ready` answers 503 with what it found: an answer, which Chromium reports all the same.
        if said.type in {"error", "warning"} and not said.location.get("url", "").endswith("/api/ready"):
            self.complaints.append(said.text)

    async def open(self, hash_: str = "") -> Page:
        """Go there, and wait for the first answers."""
        await self.page.goto(self.address + hash_)
        await expect(self.page.locator("#updated")).not_to_have_text("Loading…")
        return self.page

    async def pretend(self, answers: dict[str, Any], status: int = 200) -> None:
        """Answer the API's paths below /api/ with these documents in place of the app."""

        async def answer(route: Route) -> None:
            path = route.request.url.split("/api/", 1)[1].split("?")[0]
            document = answers.get(path)
            if callable(document):
                document = document(route.request)
            if document is None:
                await route.fallback()
            else:
                kind = "application/json" if status < 400 else "application/problem+json"
                await route.fulfill(status=status, json=document, content_type=kind)

        await self.page.route(lambda url: "/api/" in url and "/api/operations" not in url, answer)


async def visit(context: BrowserContext, address: str) -> Visit:
    """A new page, not yet opened."""
    return Visit(await context.new_page(), address)
