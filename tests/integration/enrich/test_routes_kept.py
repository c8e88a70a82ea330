"""Routes that can't be kept, over the wire: Table Storage refuses, the next file is broken, a new process begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from local.azurite import StorageAccount
from local.certs import Certificates
from local.http import Emulator
from shared.azure.clients import Clients
from shared.bootstrap import Services
from shared.enrich.invocation.pipeline import Pipeline
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.enrich.records.model import Event
from shared.enrich.routing.routes_in_force import RoutesUnknownError
from shared.settings import Settings
from shared.web.health_check import CHECKS, NotWell
from tests.integration.enrich.conftest import Plant
from tests.integration.enrich.test_routing import CARDS, OTHERS, PAYMENTS, Routed, assessments, instead

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"})
_SIGNED = ("Content-Type", "Accept", "Accept-Encoding", "User-Agent")  # with the key: nothing may be added
WRITES = frozenset({"PUT", "PATCH", "MERGE", "POST", "DELETE"})
ALL = WRITES | {"GET"}


class Tables(Emulator):
    """The table service of an account, which refuses some methods as it does without a role."""

    def __init__(self, account: StorageAccount, certificates: Certificates) -> None:
        super().__init__(certificates.server_context())
        self._certificates = certificates
        self._origin = account.table_uri.removesuffix(f"/{account.name}")
        self.refuses: frozenset[str] = frozenset()
        self.app.router.add_route("*", "/{account}/{rest:.*}", self._forward)

    async def _forward(self, request: web.Request) -> web.Response:
        if request.method in self.refuses and "freshness" in request.path:
            return web.json_response({"odata.error": {"code": "AuthorizationPermissionMismatch"}}, status=403)
        body, tls = await request.read(), self._certificates.client_context()
        async with (
            aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=_SIGNED) as session,
            session.request(
                request.method, self._origin + request.raw_path, headers=request.headers, data=body, ssl=tls
            ) as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)


class Kept(Routed):
    """A plant with further places whose Table Storage may refuse."""

    tables: Tables
    clients: Clients

    def process(self, path: Path, **_: object) -> Pipeline:
        """The pipeline of a process that starts with this file."""
        changed = Settings.load()
        assert changed.routes_file == str(path)
        return pipeline(changed, self.clients, {}, clock=self.plant.time.clock())


@pytest.fixture
async def kept(
    plant: Plant,
    storage: StorageAccount,
    local_certs: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Kept]:
    async with AsyncExitStack() as opened, Tables(storage, local_certs) as tables:
        behind = replace(storage, table_uri=f"{tables.endpoint}/{storage.name}")
        for name in storage.identity_settings():
            monkeypatch.delenv(name)
        # By key: Azurite takes no token that was issued for another address than its own.
        monkeypatch.setenv("AzureWebJobsStorage", behind.connection_string)
        monkeypatch.setenv("ROUTES_FILE", str(tmp_path / "routes.yaml"))
        found = Kept(plant, tmp_path, opened)
        found.tables, found.clients = tables, Clients(Settings.load())
        opened.push_async_callback(found.clients.close)
        await found.open("payments", "cards")
        yield found


def batch(numbers: range) -> list[Event]:
    """Records of three subscriptions."""
    found = [event for one in (PAYMENTS, CARDS, OTHERS) for event in assessments(numbers, one)]
    return [event._replace(sequence=number) for number, event in enumerate(found)]


def counts(kept: Kept) -> dict[str, int]:
    """Rows at each place; none of them came twice."""
    assert all(set(keys.values()) <= {1} for keys in kept.seen().values())
    return {name: len(keys) for name, keys in kept.seen().items()}


async def well_or_not() -> str:
    """What `ready` says of the routes in a process that starts now."""
    services = Services(Settings.load())
    try:
        return await CHECKS["routes"](services)
    except NotWell as said:
        known = await services.routes()
        assert known is not None
        assert known["fault"] or known["needs"]
        return str(said)
    finally:
        await services.close()


async def test_what_could_not_be_kept_is_in_force_told_and_kept_a_minute_later(kept: Kept) -> None:
    path = kept.write([instead("payments", PAYMENTS), instead("cards", CARDS)])
    kept.tables.refuses = ALL
    delivering = kept.process(path)
    await delivering.run(batch(range(2)))
    assert delivering.routed is not None
    assert "could not be kept" in (await delivering.routed.load()).unkept
    assert "could not be kept, which is tried again every minute" in await well_or_not()
    kept.tables.refuses = WRITES
    assert "could not be kept, which is tried again every minute" in await well_or_not()
    kept.tables.refuses = frozenset()
    await delivering.run(batch(range(2, 4)))
    assert (await delivering.routed.load()).unkept  # within the minute
    kept.plant.time.move(61)
    await delivering.replay()  # what the timer does
    assert (await delivering.routed.load()).unkept == ""
    path.write_text("{")
    await kept.process(path).run(batch(range(4, 6)))
    assert counts(kept) == {"payments": 6, "cards": 6, "default": 6}


async def test_where_nothing_was_kept_and_the_next_file_is_broken_all_waits_and_goes_where_it_belongs(
    kept: Kept,
) -> None:
    path = kept.write([instead("payments", PAYMENTS), instead("cards", CARDS)])
    right, allowed = path.read_bytes(), kept.places["cards"].publishers
    kept.tables.refuses = ALL
    kept.places["payments"].publishers = kept.plant.azure.ingestion.publishers = set()
    before = kept.process(path)
    await before.run([*batch(range(2)), Event(b"{", batch(range(1))[0].enqueued, "0", 77)])
    path.write_text("{")
    await before.run(batch(range(2, 4)))  # the same process: the file is read once
    assert counts(kept) == {"payments": 0, "cards": 4, "default": 0}
    kept.places["payments"].publishers = kept.plant.azure.ingestion.publishers = allowed
    for refuses in (ALL, frozenset[str]()):  # while storage refuses, and when it holds nothing
        kept.tables.refuses = refuses
        after = kept.process(path)
        for _ in range(2):
            with pytest.raises(RoutesUnknownError, match="events wait at the hub"):
                await after.run(batch(range(4, 6)))
        kept.plant.time.move(3600)
        await after.replay()
        assert counts(kept) == {"payments": 0, "cards": 4, "default": 4}  # letters of the default place wait for none
        assert {letter.reason for letter in await kept.plant.lost()} == {"routes-unknown"}
        assert "events wait at the hub" in await well_or_not()
    path.write_bytes(right)
    mended = kept.process(path)
    await mended.run(batch(range(4, 6)))
    kept.plant.time.move(3600)
    await mended.replay()
    assert counts(kept) == {"payments": 6, "cards": 6, "default": 6}
    assert [letter.reason for letter in await kept.plant.lost()] == ["unreadable"]


async def test_routes_do_not_come_in_force_while_older_ones_stay_kept(kept: Kept) -> None:
    await kept.process(kept.write([{"name": "all", "instead": ["cards"]}])).run(batch(range(1)))
    assert counts(kept) == {"payments": 0, "cards": 3, "default": 0}
    path = kept.write([instead("payments", PAYMENTS)])
    kept.tables.refuses = WRITES
    newer = kept.process(path)
    with pytest.raises(RoutesUnknownError, match="older routes are kept and could not be replaced"):
        await newer.run(batch(range(1, 2)))
    assert "older routes are kept" in await well_or_not()
    kept.tables.refuses = frozenset()
    kept.plant.time.move(5)  # after which the host tries the batch again
    await newer.run(batch(range(1, 2)))
    path.write_text("{")
    await kept.process(path).run(batch(range(2, 3)))
    assert counts(kept) == {"payments": 2, "cards": 3, "default": 4}
