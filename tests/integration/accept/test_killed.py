"""A run that is killed at any step leaves nothing behind that its notes, the next run or `--clean` do not find."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from local.tenant import AUTOMATIONS
from shared.accept.world import PREFIX, TAG
from tests.integration.accept.conftest import Deployment
from tests.integration.forked import Ended, run_commands

LOG = logging.getLogger(__name__)
MAKING = ("read-back", "two-scopes", "if-match", "hub-keys", "queue-visibility", "blob-conditions")
ONLY = " ".join(f"--only {item}" for item in MAKING)
KILLED = -9


async def killed_at(deployment: Deployment, points: list[str], command: str) -> list[Ended]:
    """What came of a command that dies at each of these points, all at once."""
    orders = [
        (command, deployment.settings | {"KILL_AT": point} | notes(number)) for number, point in enumerate(points)
    ]
    return await asyncio.to_thread(run_commands, orders, deployment.folder, at_once=8)


def notes(number: int) -> dict[str, str]:
    """A place for notes of its own, so that no run removes what another left."""
    return {"DEFENDER_EXPORT_CONFIG": f".config/{number}/app.json"}


async def clean(deployment: Deployment, count: int) -> list[Ended]:
    """What came of cleaning at each place for notes."""
    orders = [("accept --clean --yes", deployment.settings | notes(number)) for number in range(count)]
    return await asyncio.to_thread(run_commands, orders, deployment.folder, at_once=8)


def journals(deployment: Deployment) -> list[Path]:
    return [*(deployment.folder / ".config").rglob("*.jsonl")]


async def check(deployment: Deployment, step: int) -> int:
    """Kill at every `step`th request, before and after it; how many runs were killed."""
    deployment.azure.arm.throttling = False
    deployment.azure.arm.several_scopes = True  # so that there is more to leave behind
    before = deployment.automations()
    points = [f"http.request:{when} {nth}" for nth in range(1, 75, step) for when in ("before", "after")]
    ended = await killed_at(deployment, points, deployment.command(ONLY))
    killed = [each for each in ended if each.code == KILLED]
    left = await deployment.leftovers()
    LOG.info("%d of %d runs killed, %d things left", len(killed), len(ended), len(left))
    assert killed
    assert left  # else the test shows nothing
    cleaned = await clean(deployment, len(points))
    assert await deployment.leftovers() == [], [each.said for each in cleaned if each.code]
    assert deployment.automations() == before
    return len(killed)


async def test_a_run_that_is_killed_at_some_steps_leaves_nothing_that_clean_does_not_remove(
    deployment: Deployment,
) -> None:
    await check(deployment, 18)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_a_run_that_is_killed_at_every_step_leaves_nothing_that_clean_does_not_remove(
    deployment: Deployment,
) -> None:
    assert await check(deployment, 1) > len(MAKING) * 10


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_cleaning_that_is_killed_at_every_step_is_finished_by_the_next_run(deployment: Deployment) -> None:
    deployment.azure.arm.throttling = False
    killed = []
    for nth in range(1, 10):
        for when in ("before", "after"):
            await leave_something(deployment)
            killed += await killed_at(deployment, [f"http.request:{when} {nth}"], "accept --clean --yes")
            (ended,) = await deployment.run_all([deployment.command("--only", "roles")], **notes(0))
            assert await deployment.leftovers() == [], ended.said
    assert len([each for each in killed if each.code == KILLED]) > len(MAKING)


async def leave_something(deployment: Deployment) -> None:
    """Kill a run after it made something; which request that is depends on what it first has to remove."""
    for nth in range(15, 40, 3):
        await killed_at(deployment, [f"http.request:after {nth}"], deployment.command(ONLY))
        if await deployment.leftovers():
            return
    raise AssertionError("no kill left anything")


async def test_lost_notes_are_made_up_for_by_the_tag_and_what_others_made_stays(deployment: Deployment) -> None:
    others = [f"{deployment.group}/providers/Microsoft.Security/automations/theirs"]
    body = {"id": others[0], "name": "theirs", "type": AUTOMATIONS, "location": "westeurope", "tags": {"a": "b"}}
    deployment.azure.tenant.put_resource({**body, "properties": {}})
    points = [f"http.request:after {nth}" for nth in (5, 8, 10)]
    for item in ("if-match", "hub-keys", "queue-visibility", "blob-conditions"):
        await killed_at(deployment, points, deployment.command("--only", item))
        for path in journals(deployment):
            path.unlink()
    assert len(await deployment.leftovers()) >= len(("automation", "rule", "its keys", "queue", "container"))
    await deployment.run_all([f"accept --clean --yes --resource-group {deployment.group}"])
    assert await deployment.leftovers() == []
    assert deployment.automations() == others


async def test_notes_that_name_something_else_delete_nothing(deployment: Deployment) -> None:
    others = [f"{deployment.group}/providers/Microsoft.Security/automations/theirs"]
    deployment.azure.tenant.put_resource({"id": others[0], "name": "theirs", "type": AUTOMATIONS, "properties": {}})
    folder = deployment.folder / ".config" / "defender-export" / "accept"
    folder.mkdir(parents=True)
    places = [
        ("automation", others[0]),
        ("automation", f"{others[0]}/../{PREFIX}x"),
        ("automation", f"{deployment.group}/providers/Microsoft.Security/automations/{PREFIX}x/../../{TAG}"),
        ("hub rule", deployment.settings["EVENT_HUB_RESOURCE_ID"] + "/authorizationRules/defender-send"),
        ("container", deployment.settings["AzureWebJobsStorage__blobServiceUri"].rstrip("/") + "/export-configs"),
        ("container", f"https://elsewhere.example/{PREFIX}x"),
        ("disk", "/"),
    ]
    lines = [json.dumps({"kind": kind, "place": place, "state": "made", "at": 0}) for kind, place in places]
    lines += ["", "{", "[]", "null", '{"kind": 1}', '{"kind": "automation", "place": "x", "state": "made", "at": "x"}']
    (folder / "hostile.jsonl").write_text("\n".join(lines))
    (ended,) = await deployment.run_all(["accept --clean --yes"])
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert deployment.automations() == others
    assert [one for one in deployment.azure.arm.requests if one.method == "DELETE"] == []
    assert (folder / "hostile.jsonl").exists()
