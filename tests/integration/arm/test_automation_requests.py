"""What the app asks of automations is, on the wire, what the genuine client would ask."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from azure.core.exceptions import HttpResponseError
from azure.mgmt.security.aio import SecurityManagementClient
from azure.mgmt.security.aio.operations import AutomationsOperations

from local.certs import Certificates
from local.http import Emulator
from local.tokens import TokenAuthority
from shared.clock import Clock
from shared.reconcile.arm.arm_client import Arm, ArmError
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.model import ResourceId
from shared.settings import Settings
from tests.integration.arm.conftest import AsyncCredential
from tests.integration.reconcile.world import LocalClients

SUB = "00000000-0000-0000-0000-000000000001"
COMPARED = ("accept", "content-type", "if-match", "if-none-match")
BODY = {"location": "westeurope", "tags": {"Größe": "ü", "none": ""}, "properties": {"isEnabled": True, "sources": []}}
ANSWER = {"id": f"/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.Security/automations/a", "isValid": True}
REFUSAL = {"error": {"code": "AuthorizationFailed", "message": "The client does not have authorization."}}


class Recorder(Emulator):
    """Keeps each request as it came, and answers all alike."""

    def __init__(self, certs: Certificates) -> None:
        super().__init__(certs.server_context())
        self.seen: list[tuple[str, str, dict[str, str], Any]] = []
        self.status = 200
        self.body = json.dumps(ANSWER)
        self.app.router.add_route("*", "/{path:.*}", self._keep)

    async def _keep(self, request: web.Request) -> web.Response:
        headers = {name: request.headers[name] for name in COMPARED if name in request.headers}
        sent = await request.read()
        self.seen.append((request.method, request.raw_path, headers, json.loads(sent) if sent else None))
        return web.Response(status=self.status, text=self.body, content_type="application/json")


class Both:
    """The app's client and the genuine one, speaking to the same recorder."""

    def __init__(self, recorder: Recorder, credential: AsyncCredential) -> None:
        self.recorder = recorder
        self.clients = LocalClients(Settings.load({"ARM_ENDPOINT": recorder.endpoint}), credential)  # type: ignore[arg-type] # as good as one
        self.ours = Arm(self.clients, Clock(), Pacer(Clock()))
        self.security = SecurityManagementClient(
            credential,  # type: ignore[arg-type] # as above
            SUB,
            base_url=recorder.endpoint,
            credential_scopes=["https://management.azure.com/.default"],
            retry_total=0,
        )


@pytest.fixture
async def both(local_certs: Certificates, tokens: TokenAuthority) -> AsyncIterator[Both]:
    async with Recorder(local_certs) as recorder:
        made = Both(recorder, AsyncCredential(tokens))
        yield made
        await made.clients.close()
        await made.security.close()


Ask = tuple[Callable[[Arm, ResourceId], Awaitable[Any]], Callable[[AutomationsOperations, ResourceId], Awaitable[Any]]]
IF = {"If-Match": '"1"'}
ASKS: Mapping[str, Ask] = {
    "get": (lambda arm, at: arm.get(at), lambda sdk, at: sdk.get(at.resource_group, at.name)),
    "validate": (
        lambda arm, at: arm.validate(at, BODY),
        lambda sdk, at: sdk.validate(at.resource_group, at.name, dict(BODY)),
    ),
    "create": (
        lambda arm, at: arm.put(at, BODY, None),
        lambda sdk, at: sdk.create_or_update(at.resource_group, at.name, dict(BODY), headers={"If-None-Match": "*"}),
    ),
    "replace": (
        lambda arm, at: arm.put(at, BODY, '"1"'),
        lambda sdk, at: sdk.create_or_update(at.resource_group, at.name, {**BODY, "etag": '"1"'}, headers=dict(IF)),
    ),
    "replace without an etag": (
        lambda arm, at: arm.put(at, BODY, ""),
        lambda sdk, at: sdk.create_or_update(at.resource_group, at.name, dict(BODY)),
    ),
    "retag": (
        lambda arm, at: arm.retag(at, {"a": "ä"}, '"1"'),
        lambda sdk, at: sdk.update(at.resource_group, at.name, {"tags": {"a": "ä"}}, headers=dict(IF)),
    ),
    "delete": (
        lambda arm, at: arm.delete(at, '"1"'),
        lambda sdk, at: sdk.delete(at.resource_group, at.name, headers=dict(IF)),
    ),
}
PLACES = [
    ("rg", "a"),
    ("rg (old)._-", "Ex port"),
    ("größe", "100% ?#&=+;é"),
    ("a/../b", "{x}"),
    ("%2F", "..%00"),
    ("😀", "'\"<>|"),
]


@pytest.mark.parametrize(("group", "name"), PLACES)
@pytest.mark.parametrize("what", sorted(ASKS))
async def test_the_request_is_the_genuine_clients(both: Both, what: str, group: str, name: str) -> None:
    ours, genuine = ASKS[what]
    place = ResourceId(SUB, group, name)
    await ours(both.ours, place)
    await genuine(both.security.automations, place)
    mine, its = both.recorder.seen
    assert mine[2].pop("accept") == "application/json"
    its[2].pop("accept")  # the genuine client asks for no form of what a DELETE is answered with
    assert mine == its


@pytest.mark.parametrize("status", [202, 302, 400, 401, 403, 404, 409, 412, 418])
@pytest.mark.parametrize("what", sorted(ASKS.keys() - {"replace", "replace without an etag"}))
async def test_what_the_genuine_client_calls_an_error_is_one(both: Both, what: str, status: int) -> None:
    ours, genuine = ASKS[what]
    both.recorder.status, both.recorder.body = status, json.dumps(REFUSAL)
    place = ResourceId(SUB, "rg", "a")
    with pytest.raises(HttpResponseError):
        await genuine(both.security.automations, place)
    if status == 404 and what in {"get", "delete"}:
        assert await ours(both.ours, place) is None
        return
    with pytest.raises(ArmError) as failed:
        await ours(both.ours, place)
    assert (failed.value.status, failed.value.code) == (status, "AuthorizationFailed")
    assert str(failed.value) == "AuthorizationFailed: The client does not have authorization."


@pytest.mark.parametrize(("status", "body"), [(200, ""), (200, "{}"), (201, ""), (204, "")])
async def test_an_empty_answer_is_no_evidence_that_nothing_is_there(both: Both, status: int, body: str) -> None:
    both.recorder.status, both.recorder.body = status, body
    place = ResourceId(SUB, "rg", "a")
    with pytest.raises(ArmError, match="empty"):
        await both.ours.get(place)
    assert await both.ours.validate(place, BODY) == "Azure calls the body invalid"
