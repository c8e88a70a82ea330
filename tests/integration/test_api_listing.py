"""A list whose pages are of different readings is as complete as the least complete of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from shared.cli.api_client import open_api
from shared.cli.app_context import AppContext

WHOLE: dict[str, Any] = {"complete": True, "reasons": [], "checked": "now"}
PART: dict[str, Any] = {"complete": False, "reasons": ["not everything was read"], "checked": "then"}


@pytest.mark.parametrize(
    ("pages", "complete", "reasons"),
    [
        ([WHOLE], True, []),
        ([WHOLE, WHOLE], True, []),
        ([WHOLE, PART, WHOLE], False, ["not everything was read"]),
        ([PART, PART | {"reasons": ["another"]}], False, ["not everything was read", "another"]),
    ],
)
async def test_a_list_is_as_complete_as_its_least_complete_page(
    pages: list[dict[str, Any]], complete: bool, reasons: list[str]
) -> None:
    async def page(request: web.Request) -> web.Response:
        at = int(request.query.get("continuation", "0"))
        token = str(at + 1) if at + 1 < len(pages) else ""
        return web.json_response({**pages[at], "value": [{"at": at}], "continuation": token}, dumps=json.dumps)

    app = web.Application()
    app.router.add_get("/api/coverage", page)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        (address, *_) = runner.addresses
        async with open_api(AppContext(f"http://127.0.0.1:{address[1]}", key="key")) as api:
            rows, about = await api.listing("coverage")
            assert await api.pages("coverage") == rows == [{"at": at} for at in range(len(pages))]
    finally:
        await runner.cleanup()
    assert (about["complete"], about["reasons"], about["checked"]) == (complete, reasons, pages[0]["checked"])
