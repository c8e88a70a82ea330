"""Every way out of `shared/` is a fail point, and no wait for an answer is without an end."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.pipeline.transport import AioHttpTransport

import shared
from shared.azure.clients import Clients
from shared.azure.http_transport import announced
from shared.fail_points import POINTS, listen
from shared.settings import Settings
from tests.unit.enrich.test_fail_points import points
from tests.unit.test_user_agent import SETTINGS

SHARED = Path(shared.__path__[0])
TREES = {path.relative_to(SHARED).as_posix(): ast.parse(path.read_text()) for path in SHARED.rglob("*.py")}
DOORS = {"aiohttp", "socket", "ssl", "subprocess", "requests", "httpx", "http.client", "urllib.request", "smtplib"}
DATA = {"EventData", "LogsQueryResult", "TokenCredential", "UpdateMode"}
AMQP = {"EventHubConsumerClient", "EventHubProducerClient"}


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of every import that runs, so none of those for types alone."""
    typing = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", name.name) for name in node.names)
        if isinstance(node, ast.Import):
            yield from ((name.name, "") for name in node.names)


def clients_of(tree: ast.AST) -> set[str]:
    """The client and credential classes of SDKs that a module can make."""
    return {
        name
        for module, name in imports(tree)
        if module.startswith("azure.") and name.endswith(("Client", "Credential")) and name not in DATA
    }


def test_sdk_clients_are_made_in_four_modules_alone() -> None:
    makers = {path for path, tree in TREES.items() if clients_of(tree)}
    assert makers == {"azure/clients.py", "azure/credentials.py", "cli/api_client.py", *SHARING}


SHARING = {"reconcile/arm/arm_client.py": "SecurityManagementClient"}
"""What goes through the transport of a client that it is given."""


def test_those_made_elsewhere_share_the_transport_of_one_made_there() -> None:
    assert {path: clients_of(TREES[path]) for path in SHARING} == {path: {name} for path, name in SHARING.items()}
    assert "pipeline=pipeline" in ast.unparse(TREES["reconcile/arm/arm_client.py"])


@pytest.mark.parametrize("path", ["azure/clients.py", "azure/credentials.py", "cli/api_client.py"])
def test_each_client_is_given_the_transport(path: str) -> None:
    tree = TREES[path]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in clients_of(tree) - AMQP:
            given = ast.unparse(node)
            assert "transport=transport(" in given or "**options" in given, given
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and ast.unparse(node).startswith("options"):
            assert "'transport': transport(" in ast.unparse(node) or "retry_total" in ast.unparse(node)


def test_other_ways_to_the_network_are_fail_points_too() -> None:
    doors: dict[str, set[str]] = defaultdict(set)
    for path, tree in TREES.items():
        for module, _ in imports(tree):
            if module in DOORS:
                doors[path].add(module)
    doors.pop("azure/http_transport.py")  # asks for the environment's proxies, and goes nowhere
    doors.pop("web/checking_process.py")  # starts the app's own interpreter, which asks nobody
    assert doors == {"web/health_check.py": {"aiohttp"}, "cli/api_client.py": {"aiohttp"}}
    for path in doors:
        tree = TREES[path]
        announced_nodes = {id(inner) for _, block in points(tree) for inner in ast.walk(block)}
        asked = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncWith) and _asks(node)]
        assert asked
        assert all(id(node) in announced_nodes for node in asked)


@pytest.mark.parametrize("path", sorted(TREES))
def test_nothing_else_opens_a_connection_or_starts_a_program(path: str) -> None:
    called = {ast.unparse(node.func).rsplit(".", 1)[-1] for node in ast.walk(TREES[path]) if isinstance(node, ast.Call)}
    assert not called & WAYS


WAYS = {
    "open_connection", "open_unix_connection", "create_connection", "create_unix_connection", "create_server",
    "create_datagram_endpoint", "create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "start_server",
    "sock_connect", "urlopen", "HTTPConnection", "HTTPSConnection", "popen", "Popen", "system", "execv", "spawnv",
}  # fmt: skip


def _asks(node: ast.AsyncWith) -> bool:
    said = [ast.unparse(item.context_expr) for item in node.items]
    return any(one.startswith(("web.get(", "self._web.request(")) for one in said)


@pytest.mark.parametrize("path", sorted(TREES))
def test_every_wait_for_a_hub_is_a_fail_point(path: str) -> None:
    tree = TREES[path]
    inside = {id(inner) for _, block in points(tree) for inner in ast.walk(block)}
    waits = [node for node in ast.walk(tree) if isinstance(node, ast.Await) and _of_a_hub(ast.unparse(node.value))]
    assert all(id(node) in inside for node in waits), [ast.unparse(node) for node in waits]
    assert bool(waits) == (path in {"azure/event_hub.py", "enrich/delivery/output_hub.py"})


def _of_a_hub(call: str) -> bool:
    return call.startswith(("hub.", "self._hub().", "clients.input_hub."))


def transports(value: Any, depth: int = 8, seen: set[int] | None = None) -> Iterator[AioHttpTransport]:
    """Every transport that an object of an SDK can reach."""
    seen = set() if seen is None else seen
    if id(value) in seen or not depth:
        return
    seen.add(id(value))
    if isinstance(value, AioHttpTransport):
        yield value
    elif isinstance(value, dict | list | tuple):
        for each in value.values() if isinstance(value, dict) else value:
            yield from transports(each, depth, seen)
    elif type(value).__module__.startswith("azure."):
        yield from transports(vars(value) if hasattr(value, "__dict__") else (), depth - 1, seen)


@pytest.mark.parametrize(
    "name", ["blobs", "data_blobs", "queues", "tables", "data_tables", "logs_query", "arm", "ingestion", "credential"]
)
async def test_each_client_announces_its_requests_and_waits_a_minute_at_most(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in {"IDENTITY_ENDPOINT": "https://127.0.0.1:1", "IDENTITY_HEADER": "h"}.items():
        monkeypatch.setenv(key, value)
    clients = Clients(Settings.load(SETTINGS))
    try:
        found = list(transports(getattr(clients, name)))
    finally:
        await clients.close()
    assert found
    for each in found:
        assert isinstance(each, announced())
        assert each.connection_config.timeout <= 10
        assert each.connection_config.read_timeout <= 60


async def test_a_request_is_announced_before_it_is_sent() -> None:
    clients = Clients(Settings.load(SETTINGS | {"AzureWebJobsStorage": NOWHERE}))
    heard: list[str] = []
    listen(heard.append)
    try:
        with pytest.raises(Exception, match=r"127\.0\.0\.1"):
            await clients.blobs.get_container_client("c").get_container_properties(retry_total=0)
    finally:
        listen(None)
        await clients.close()
    assert heard
    assert set(heard) == {"http.request:before"}
    assert "http.request" in POINTS


NOWHERE = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=bm9uZQ==;BlobEndpoint=https://127.0.0.1:1/a"
