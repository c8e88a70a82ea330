"""`accept` where something is in its way: what can't be seen is left to a person, and never called a difference."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from local.oddities import Oddity
from local.stack import LocalAzure
from tests.integration.accept.conftest import Deployment
from tests.integration.accept.test_accept import AUTOMATION, GRAPH, verdicts

MAKING = ("read-back", "two-scopes", "if-match")
ONLY = " ".join(f"--only {item}" for item in MAKING)


def lock(azure: LocalAzure, group: str, level: str) -> None:
    place = f"{group}/providers/Microsoft.Authorization/locks/l"
    azure.tenant.locks[place.lower()] = {"id": place, "name": "l", "properties": {"level": level}}


async def test_what_may_not_be_done_is_left_to_a_person(deployment: Deployment) -> None:
    azure, subscription = deployment.azure, deployment.group.split("/")[2]

    def unregistered() -> None:
        azure.tenant.locks.clear()
        azure.tenant.set_registration(subscription, "Microsoft.Security", "NotRegistered")

    ways: dict[str, Callable[[], None]] = {
        "a lock forbids it": lambda: lock(azure, deployment.group, "ReadOnly"),
        "has not registered": unregistered,
        "may not": azure.tenant.assignments.clear,
    }
    for why, put_in_the_way in ways.items():
        put_in_the_way()
        ended = await deployment.run(ONLY)
        items = {item["id"]: item for item in deployment.report()["items"]}
        assert {items[name]["verdict"] for name in MAKING} == {"left to a person"}, ended.said
        assert all(why in items[name]["why"] for name in MAKING), (why, items)
        assert "left behind" not in ended.err
        assert await deployment.leftovers() == []


async def test_a_delete_that_is_forbidden_is_told_and_done_by_clean_once_it_may(deployment: Deployment) -> None:
    lock(deployment.azure, deployment.group, "CanNotDelete")
    ended = await deployment.run("--only", "if-match")
    assert ended.code == 1
    assert "left behind: automation" in ended.err
    assert "a lock forbids it" in ended.err
    assert len(await deployment.leftovers()) == 1
    deployment.azure.tenant.locks.clear()
    await deployment.run_all(["accept --clean --yes"])
    assert await deployment.leftovers() == []


def nonsense(text: str) -> Callable[[Any], Any]:
    return lambda _: text


ANSWERS = ('{"error": "contoso-secret"}', "<html>contoso-secret</html>", "[]", '"contoso-secret"', "null", "{", "7")


async def check_answers(deployment: Deployment, answers: Sequence[str]) -> None:
    chosen = ("read-back", "graph-paging", "hub-keys", "roles")
    for answer in answers:
        deployment.azure.arm.oddities[:] = [
            Oddity(f"GET .*{AUTOMATION}", 200, body=nonsense(answer)), Oddity(GRAPH, 200, body=nonsense(answer)),
            Oddity("(listKeys|regenerateKeys|permissions)$", 200, body=nonsense(answer)),
        ]  # fmt: skip
        ended = await deployment.run(" ".join(f"--only {item}" for item in chosen))
        assert ended.code == 1, ended.said
        assert "Traceback" not in ended.err
        assert {*chosen} <= deployment.differing(), ended.said
        assert "contoso-secret" not in ended.out + (deployment.folder / "report" / "accept.json").read_text()
        assert await deployment.leftovers() == []


async def test_an_answer_of_another_form_is_a_difference_and_no_fault(deployment: Deployment) -> None:
    await check_answers(deployment, ANSWERS[:2])


@pytest.mark.soak
async def test_so_is_one_of_any_form(deployment: Deployment) -> None:
    await check_answers(deployment, ANSWERS)


async def test_a_run_that_is_cut_off_by_its_time_cleans_up_and_says_so(deployment: Deployment) -> None:
    deployment.azure.arm.faults.add("hang", seconds=30, matching=f"PUT .*{AUTOMATION}", times=1)
    deployment.azure.arm.faults.add("latency", seconds=1, matching=f"GET .*{AUTOMATION}")
    ended = await deployment.run("--only", "if-match", "--timeout", "3")
    assert ended.code == 124
    assert "Azure Resource Manager" in ended.err
    assert "--clean" in ended.err
    assert await deployment.leftovers() == []
    assert verdicts(deployment.report())["if-match"] == "left to a person"


async def test_two_runs_at_once_do_not_remove_what_is_the_others(deployment: Deployment) -> None:
    deployment.azure.arm.faults.add("latency", seconds=0.3, matching="Microsoft.Security/automations")
    first, second = await asyncio.gather(*(deployment.run("--only", item) for item in ("read-back", "if-match")))
    assert (first.code, second.code) == (0, 0), (first.said, second.said)
    assert await deployment.leftovers() == []


async def test_wrong_arguments_do_nothing(deployment: Deployment) -> None:
    group = deployment.group
    wrong = [
        "accept --yes", f"accept --yes --resource-group {group}/../x", f"accept --yes --resource-group {group}?a=b",
        f"accept --yes --resource-group {group}/", "accept --yes --resource-group rg-accept",
        f"accept --yes --resource-group {group}%2F..", f"accept --yes --resource-group {group}-not-there",
        f"accept --yes --resource-group {group} --hub {group}", f"accept --yes --resource-group {group} --only stack",
        f"accept --yes --resource-group {group} --wait 0", f"accept --yes --resource-group {group} --identity me",
        f"accept --yes --resource-group {group} --app-id {group}/providers/Microsoft.Web/sites/a/../b",
    ]  # fmt: skip
    ended = await deployment.run_all(wrong)
    assert [(each.command, each.code) for each in ended if each.code != 2] == []
    assert [each.command for each in ended if not each.err.startswith("error: ")] == []
    assert [one for one in deployment.azure.arm.requests if one.method != "GET"] == []
