"""`accept` on the local Azure: what holds, what differs when a difference is planted, and that nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from local.oddities import Oddity
from local.stack import LocalAzure
from shared.accept.acceptance_run import CHECKS
from tests.integration.accept.conftest import Deployment

BY_APP = {"ready", "without-proof", "checkpoints", "app-restart", "canary"}
"""Items that need a running app, or what is built elsewhere."""
AUTOMATION = r"Microsoft.Security/automations/[\w-]+$"
GRAPH = r"Microsoft.ResourceGraph/resources"


def without(name: str) -> Callable[[Any], Any]:
    return lambda body: {key: value for key, value in body.items() if key != name}


def other_type(body: Any) -> Any:
    for column in body["tables"][0]["columns"]:
        column["type"] = "string" if column["type"] == "bool" else column["type"]
    return body


def lost_trust(body: Any) -> Any:
    for action in body["properties"]["actions"]:
        action["isTrustedServiceEnabled"] = False
    return body


def extra_member(body: Any) -> Any:
    return {**body, "properties": {**body["properties"], "channel": "contoso-secret-channel"}}


def set_on(azure: LocalAzure, path: str, value: Any) -> None:
    part, _, name = path.partition(".")
    assert hasattr(getattr(azure, part), name)
    setattr(getattr(azure, part), name, value)


def odd(part: str, *oddities: Oddity) -> Callable[[LocalAzure], None]:
    return lambda azure: getattr(azure, part).oddities.extend(oddities)


LISTED: Mapping[str, Callable[[LocalAzure], None]] = {
    "if-match": lambda azure: set_on(azure, "arm.ignore_if_match", True),
    "two-scopes": lambda azure: set_on(azure, "arm.several_scopes", True),
    "hub-keys": lambda azure: set_on(azure, "arm.renews_both_keys", True),
    "read-back": odd("arm", Oddity(f"GET .*{AUTOMATION}", 200, body=lost_trust)),
    "graph-paging": odd("arm", Oddity(GRAPH, 200, body=without("$skipToken"))),
    "retry-after": odd("arm", Oddity(GRAPH, 429, headers={"Retry-After": "00:00:05"})),
    "ingestion-undeclared": lambda azure: set_on(azure, "ingestion.refuses_undeclared", True),
    "ingestion-types": lambda azure: set_on(azure, "ingestion.converts", True),
    "body-size": lambda azure: set_on(azure, "ingestion.most_unpacked", 4_000_000),
    "tables": odd("logs_query", Oddity("/query$", 200, body=other_type)),
}
"""Of an item of docs/fidelity.md each."""
UNLISTED: Mapping[str, Callable[[LocalAzure], None]] = {
    "the PUT of a new automation": odd("arm", Oddity(f"PUT .*{AUTOMATION}", 201, status=200)),
    "the DELETE of an automation that is not there": odd("arm", Oddity(f"DELETE .*{AUTOMATION}", 204, status=404)),
    "the GET of an automation": odd("arm", Oddity(f"GET .*{AUTOMATION}", 200, body=extra_member)),
    "the keys of a hub's rule": odd("arm", Oddity("listKeys$", 200, body=without("keyName"))),
}
"""Of what docs/fidelity.md lists nothing about."""


def verdicts(report: Mapping[str, Any]) -> dict[str, str]:
    return {item["id"]: item["verdict"] for item in report["items"]}


async def test_all_holds_that_a_program_can_see_and_nothing_is_left(deployment: Deployment) -> None:
    before = deployment.automations()
    ended = await deployment.run()
    assert ended.code == 0, ended.said
    assert {name for name, verdict in verdicts(deployment.report()).items() if verdict == "holds"} == {*CHECKS} - BY_APP
    assert deployment.report()["unlisted"] == []
    assert deployment.automations() == before
    assert await deployment.leftovers() == []
    assert [*(deployment.folder / ".config").rglob("*.jsonl")] == []


async def test_fourteen_planted_differences_are_named_four_of_them_unlisted(deployment: Deployment) -> None:
    for plant in (*LISTED.values(), *UNLISTED.values()):
        plant(deployment.azure)
    ended = await deployment.run()
    assert ended.code == 1
    assert {*LISTED, *UNLISTED} <= deployment.differing(), (deployment.differing(), ended.said)
    assert await deployment.leftovers() == []
    report = (deployment.folder / "report" / "accept.md").read_text()
    assert "contoso" not in report
    assert deployment.group.split("/")[2] not in report


@pytest.mark.parametrize("name", [*LISTED, *UNLISTED])
@pytest.mark.soak
async def test_each_planted_difference_alone_is_named_and_no_other(deployment: Deployment, name: str) -> None:
    ({**LISTED, **UNLISTED}[name])(deployment.azure)
    await deployment.run()
    assert deployment.differing() == {name}
    assert await deployment.leftovers() == []


async def test_without_yes_nothing_is_made_and_everything_is_named(deployment: Deployment) -> None:
    (ended,) = await deployment.run_all([deployment.command().replace(" --yes", "")])
    assert ended.code == 1
    assert "confirm with --yes" in ended.err
    for what in ("an automation", "-two there", "-etag there", "a rule", "a queue", "a container", "rows"):
        assert f"will make: {what}" in ended.out or what in ended.out
    assert [one for one in deployment.azure.arm.requests if one.method in {"PUT", "DELETE", "PATCH"}] == []
    assert deployment.azure.ingestion.stored == []
