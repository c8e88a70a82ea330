"""Mistakes and outages, each played from a state in force: what is left, what the outcome says, and the exit code.

While one stands, nothing that was declared is lost and no run succeeds; the run after it is mended does.  Three exports
are in force in three subscriptions; `c` is deleted by name where a mistake must hold that delete back as well.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import APP, synthetic_tenant
from local.tenant.destinations import destinations
from local.tenant.ids import management_group_id
from local.tenant.roles import READER
from local.tenant.synthetic import EXPORT_ROLE
from shared.cli.reconcile import detailed_exit_code
from shared.reconcile.apply.executor import Outcome
from shared.reconcile.apply.run_lock import RunLease
from shared.reconcile.report.run_report import Report
from shared.reconcile.run import Request
from tests.integration.reconcile.world import INSTANCE, ME, World, export, world

Step = Callable[[World], Awaitable[None]]
SIZE = 3
CONTENT = {"c": {"content": "secureScore: {}"}}
GROUPS = ("contoso-management", "contoso-prod-corp", "contoso-nonprod")
DAY = 25 * 3600


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        for one, group in zip(home(running), GROUPS, strict=True):
            running.tenant.change_subscription(one, management_group=group)
        await behind(running, "a", export(running.tenant, "a"))
        await behind(running, "b", export(running.tenant, "b", destination=workspace(running)))
        await behind(running, "c", export(running.tenant, "c", content="secureScore: {}"))
        assert (await running.apply()).outcome == "Succeeded"
        yield running


def home(here: World) -> list[str]:
    """Its subscriptions, the one with the destinations first."""
    first = destinations(here.tenant).event_hub.split("/")[2]
    others = sorted(
        one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home and one.id != first
    )
    return [first, *others]


def workspace(here: World) -> str:
    return f"logAnalyticsWorkspace: {{resourceId: {destinations(here.tenant).workspace}}}"


async def behind(here: World, name: str, text: str) -> None:
    """Put a file past every check."""
    await here.store._container.upload_blob(f"current/{name}.yaml", text, overwrite=True)


def put(name: str, **parts: Any) -> Step:
    async def step(here: World) -> None:
        given = dict(parts)
        if given.pop("into_workspace", name == "b"):
            given["destination"] = workspace(here)
        await behind(here, name, export(here.tenant, name, **given))

    return step


def text(name: str, content: str) -> Step:
    async def step(here: World) -> None:
        await behind(here, name, content)

    return step


def scope(name: str, said: str) -> Step:
    """The file with another scope, in the words of YAML; `{one}` stands for the first other subscription's id."""

    async def step(here: World) -> None:
        written = export(here.tenant, name, destination=workspace(here) if name == "b" else "")
        line = next(line for line in written.splitlines() if line.startswith("scope:"))
        await behind(here, name, written.replace(line, "scope: " + said.replace("{one}", home(here)[1])))

    return step


def renamed(former: str, name: str, **parts: Any) -> Step:
    async def step(here: World) -> None:
        given = dict(parts)
        if given.pop("into_workspace", False):
            given["destination"] = workspace(here)
        written = export(here.tenant, name, **given)
        await behind(here, name, written.replace("enabled:", f"renamedFrom: {former}\nenabled:"))

    return step


def delete(name: str) -> Step:
    async def step(here: World) -> None:
        await here.store.delete(name)

    return step


def lost(blob: str) -> Step:
    async def step(here: World) -> None:
        await here.store._container.delete_blob(blob)

    return step


def rows(alter: Callable[[World, list[Any]], list[Any]]) -> Step:
    async def step(here: World) -> None:
        here.arm.graph.alter = lambda found: alter(here, found)

    return step


def chains(value: Any, *, all_of_them: bool = False) -> Step:
    """Resource Graph shows another chain of management groups."""

    def alter(here: World, found: list[Any]) -> list[Any]:
        return [
            {**row, "chain": value}
            if "chain" in row and (all_of_them or row["subscriptionId"] == home(here)[1])
            else row
            for row in found
        ]

    return rows(alter)


def missing(kind: str) -> Step:
    """A row of a subscription does not come."""

    def alter(here: World, found: list[Any]) -> list[Any]:
        return [row for row in found if not (kind in row and row["subscriptionId"] == home(here)[1])]

    return rows(alter)


def fault(kind: str, matching: str, **details: Any) -> Step:
    async def step(here: World) -> None:
        here.arm.faults.add(kind, matching=matching.replace("{one}", home(here)[1]), **details)

    return step


def drift(here: World, **changes: Any) -> None:
    for document in here.ours().values():
        if home(here)[1] in document["id"]:
            here.tenant.set_automation({**document, "properties": {**document["properties"], **changes}})


async def drifted(here: World) -> None:
    drift(here, isEnabled=False)


def taken(name: str) -> Step:
    """Somebody else has an automation of this name in one subscription."""

    async def step(here: World) -> None:
        document = next(one for one in here.ours().values() if home(here)[1] in one["id"])
        place = document["id"].rpartition("/")[0]
        here.tenant.set_automation({**document, "id": f"{place}/{name}", "name": name, "tags": {"made-by": "portal"}})

    return step


def untaken(name: str) -> Step:
    async def step(here: World) -> None:
        for key in list(here.automations()):
            if key.endswith(f"/{name.lower()}"):
                here.tenant.delete_automation(key)

    return step


def gone(which: str) -> Step:
    """A destination, or a part of it, is deleted."""

    async def step(here: World) -> None:
        into = destinations(here.tenant)
        place = {
            "hub": into.event_hub,
            "namespace": into.event_hub.rpartition("/eventhubs/")[0],
            "workspace": into.workspace,
        }[which]
        inside = [key for key in here.tenant.resources.current if key.startswith(place.lower())]
        here.kept = {key: here.tenant.resource(key) for key in inside}  # type: ignore[attr-defined] # for `back` alone
        for key in inside:
            here.tenant.delete_resource(key)

    return step


async def back(here: World) -> None:
    for document in here.kept.values():  # type: ignore[attr-defined] # see `gone`
        here.tenant.put_resource(document)


def firewall(default: str, *, trusted: bool) -> Step:
    async def step(here: World) -> None:
        namespace = destinations(here.tenant).event_hub.rpartition("/eventhubs/")[0]
        rules = here.tenant.resource(f"{namespace}/networkRuleSets/default")
        assert rules is not None
        changed = {**rules["properties"], "defaultAction": default, "trustedServiceAccessEnabled": trusted}
        here.tenant.put_resource({**rules, "properties": changed})

    return step


def tags(change: Callable[[dict[str, str]], dict[str, str]]) -> Step:
    async def step(here: World) -> None:
        for document in here.automations().values():
            if home(here)[1] in document["id"]:
                here.tenant.set_automation({**document, "tags": change(document["tags"])})

    return step


async def stripped(here: World) -> None:
    """A policy's remediation or a save in the portal leaves no tag."""
    await tags(lambda _: {})(here)


async def repaired(here: World) -> None:
    before = len(here.ours())
    assert (await here.apply(max_deletes=100)).outcome == "Succeeded"
    assert len(here.ours()) == before + SIZE


async def forgotten(here: World) -> None:
    container = here.clients.blobs.get_container_client(here.settings.reports_container)
    await container.delete_blob("owned.json")


def adopted(*exports: str) -> Step:
    return all_of(*[put(name, automation=", adopt: true", **CONTENT.get(name, {})) for name in exports])


def moved(group: str) -> Step:
    async def step(here: World) -> None:
        here.tenant.change_subscription(home(here)[1], management_group=group)

    return step


async def no_roles(here: World) -> None:
    here.tenant.revoke(APP, management_group_id(here.tenant.home))


async def sees_one(here: World) -> None:
    """The app's roles reach one subscription of three."""
    await no_roles(here)
    for role in (READER, EXPORT_ROLE):
        here.tenant.assign(APP, f"/subscriptions/{home(here)[0]}", role)


async def reads_only(here: World) -> None:
    drift(here, isEnabled=False)
    await no_roles(here)
    here.tenant.assign(APP, management_group_id(here.tenant.home), READER)


async def sees_all(here: World) -> None:
    for role in (READER, EXPORT_ROLE):
        here.tenant.assign(APP, management_group_id(here.tenant.home), role)


async def truncated(here: World) -> None:
    here.arm.subscription_limit = SIZE - 1


async def whole(here: World) -> None:
    here.arm.subscription_limit = 10_000
    here.arm.graph.alter = lambda found: found
    here.arm.faults.clear()


async def nothing(here: World) -> None:
    return


def number(said: str) -> Step:
    async def step(here: World) -> None:
        await here.store._container.upload_blob("number.json", said, overwrite=True)

    return step


def baseline(**members: Any) -> Step:
    async def step(here: World) -> None:
        container = here.clients.blobs.get_container_client(here.settings.reports_container)
        kept = json.loads(await (await container.download_blob("latest.json")).readall())
        await container.upload_blob("latest.json", json.dumps(kept | members), overwrite=True)

    return step


def all_of(*steps: Step) -> Step:
    async def step(here: World) -> None:
        for each in steps:
            await each(here)

    return step


@dataclass(frozen=True)
class Case:
    """A mistake, how it is mended, what the run's report says, and what `plan --detailed-exitcode` ends with.

    `may_go` names exports whose automations are no longer declared afterwards, `instead` the automation that may take
    the place of theirs.  With `heals` one run is enough to mend it, so that only the first run is not to succeed.
    """

    name: str
    mistake: Step
    mend: Step
    said: str
    code: int = 1
    may_go: tuple[str, ...] = ()
    heals: bool = False
    instead: str = ""


GONE_C = delete("c")
NAMED = ", name: {}"
CASES = [
    # Two exports that claim one automation.
    Case("one copied line", put("b", automation=NAMED.format("defender-export-a")), put("b"), "both claim it"),
    Case(
        "both take the portal's name",
        all_of(
            put("a", automation=NAMED.format("ExportToEventHub")), put("b", automation=NAMED.format("ExportToEventHub"))
        ),
        all_of(put("a"), put("b")),
        "both claim it",
    ),
    Case(
        "a third file takes a name",
        put("d", automation=NAMED.format("defender-export-a")),
        lost("current/d.yaml"),
        "both claim it",
    ),
    Case(
        "one name in another case, for one subscription",
        put("d", automation=NAMED.format("Defender-Export-B"), groups="contoso-prod-corp"),
        lost("current/d.yaml"),
        "both claim it",
    ),
    Case("a copied file that says it was the first", renamed("a", "d"), delete("d"), "still the name"),
    Case(
        "two heirs of one name",
        all_of(GONE_C, renamed("c", "d", content="secureScore: {}"), renamed("c", "e", content="secureScore: {}")),
        all_of(delete("e")),
        "too.",
        may_go=("c", "e"),
    ),
    # Moves and renames that can't be made.
    Case(
        "moved to a name that is taken",
        all_of(taken("wanted"), put("a", automation=NAMED.format("wanted"))),
        put("a"),
        "others has this name",
        instead="wanted",
    ),
    Case(
        "moved, and the write is refused",
        all_of(
            fault("error", "PUT /subscriptions/{one}.*/wanted", status=500), put("a", automation=NAMED.format("wanted"))
        ),
        all_of(whole, put("a")),
        "not in force here",
        code=2,
        instead="wanted",
    ),
    Case(
        "moved to a group that is missing",
        put("a", automation=", resourceGroup: rg-elsewhere, createResourceGroup: false"),
        put("a"),
        "rg-elsewhere is not there",
        code=2,
    ),
    Case(
        "renamed without a word, and the write is refused",
        all_of(delete("a"), put("d"), fault("error", "PUT /subscriptions/{one}.*/defender-export-d", status=500)),
        whole,
        "not in force here",
        code=2,
        may_go=("a",),
        instead="defender-export-d",
    ),
    Case(
        "renamed, and the write is refused",
        all_of(
            delete("a"), renamed("a", "d"), fault("error", "PUT /subscriptions/{one}.*/defender-export-d", status=500)
        ),
        whole,
        "not in force here",
        code=2,
        may_go=("a",),
        instead="defender-export-d",
    ),
    Case(
        "renamed to what has no destination",
        all_of(gone("workspace"), delete("a"), renamed("a", "d", into_workspace=True)),
        back,
        "does not exist",
        may_go=("a",),
    ),
    # Names that select nothing.
    Case(
        "a misspelt management group", scope("a", "{managementGroups: [contosso]}"), put("a"), "Did you mean contoso?"
    ),
    Case(
        "one misspelt of two",
        scope("a", "{managementGroups: [contoso-nonprod, contoso-prd-corp]}"),
        put("a"),
        "Did you mean contoso-prod-corp?",
    ),
    Case(
        "a subscription that is not visible",
        scope("a", "{subscriptions: [0b0b0b0b-0000-4000-8000-000000000001]}"),
        put("a"),
        "is visible",
    ),
    Case(
        "an exclusion that is misspelt",
        all_of(scope("a", "{managementGroups: [contoso], exclude: {managementGroups: [contoso-prod-copr]}}")),
        put("a"),
        "Did you mean contoso-prod-corp?",
    ),
    Case(
        "an excluded subscription that is not visible",
        scope("a", "{managementGroups: [contoso], exclude: {subscriptions: [0b0b0b0b-0000-4000-8000-000000000001]}}"),
        put("a"),
        "scope.exclude",
    ),
    Case(
        "a misspelt tag", scope("a", "{managementGroups: [contoso], tags: {owmer: x}}"), put("a"), "Did you mean owner?"
    ),
    Case(
        "a misspelt value of a tag",
        scope("a", "{managementGroups: [contoso], tags: {env: prodd}}"),
        put("a"),
        "Did you mean prod?",
    ),
    Case(
        "everything is excluded",
        scope("a", "{managementGroups: [contoso], exclude: {managementGroups: [contoso]}}"),
        put("a"),
        "selects no visible subscription",
    ),
    Case(
        "scopes narrowed too far, and widened in time",
        scope("a", "{managementGroups: [contoso-management]}"),
        put("a"),
        "out of scope and still there",
        code=2,
    ),
    # What discovery does not show.
    Case("a null chain", chains(None), whole, "management groups"),
    Case("null chains everywhere", chains(None, all_of_them=True), whole, "management group"),
    Case("an empty chain", chains([]), whole, "management groups"),
    Case("a chain without names", chains([{"displayName": "x"}]), whole, "management groups"),
    Case("a chain that is no list of groups", chains(["contoso"]), whole, "management groups"),
    Case("a subscription's row is missing", all_of(GONE_C, missing("chain")), whole, "is not shown", may_go=("c",)),
    Case(
        "a subscription's row comes twice",
        all_of(GONE_C, rows(lambda _, found: [*found, *found[:1]])),
        whole,
        "came twice",
        may_go=("c",),
    ),
    Case("discovery is cut off", all_of(GONE_C, truncated), whole, "first 10,000", may_go=("c",)),
    Case(
        "Resource Graph fails",
        all_of(GONE_C, fault("error", "POST .*ResourceGraph", status=500)),
        whole,
        "",
        may_go=("c",),
    ),
    # Rights.
    Case("all roles are lost", all_of(GONE_C, no_roles), sees_all, "", may_go=("c",)),
    Case("only one subscription is visible", all_of(GONE_C, sees_one), sees_all, "rights may be lost", may_go=("c",)),
    Case("the right to write is lost", reads_only, sees_all, "", code=2),
    # Destinations.
    Case("the hub is deleted", gone("hub"), back, "does not exist"),
    Case("the namespace is deleted", gone("namespace"), back, "does not exist"),
    Case("the workspace is deleted", gone("workspace"), back, "does not exist"),
    Case(
        "the firewall keeps Defender out",
        firewall("Deny", trusted=False),
        firewall("Allow", trusted=True),
        "keeps trusted services out",
    ),
    # Tags.
    Case(
        "another instance's tag stands there",
        tags(lambda old: old | {"defender-export-instance": "other"}),
        tags(lambda old: old | {"defender-export-instance": INSTANCE}),
        "deployment other",
    ),
    Case(
        "tags stripped whole, again after each repair",
        all_of(*[stripped, repaired] * 3, stripped),
        adopted("a", "b", "c"),
        "taken over",
    ),
    Case(
        "tags stripped, and another instance takes one over",
        all_of(stripped, tags(lambda _: {"defender-export-instance": "other"})),
        all_of(tags(lambda _: {"defender-export-instance": INSTANCE})),
        "deployment other",
    ),
    Case(
        "tags stripped, and nobody knows whose it was",
        all_of(stripped, forgotten),
        tags(lambda _: {"defender-export-instance": INSTANCE}),
        "an automation of others has this name",
    ),
    # Files.
    Case(
        "a file that is invalid, with one before",
        text("a", "version: 1\nname: a\n"),
        put("a"),
        "the one before stands in",
    ),
    Case("a file that was never valid", text("d", "version: 7\n"), lost("current/d.yaml"), "7 is not 1"),
    Case(
        "a file of a name that is none",
        all_of(GONE_C, text("Not A Name", "x")),
        lost("current/Not A Name.yaml"),
        "no export's name",
        may_go=("c",),
    ),
    Case(
        "a file is lost from the store",
        all_of(lost("current/a.yaml"), lost("accepted/a.yaml")),
        put("a"),
        "no record says that it was deleted",
    ),
    Case(
        "the store's number can't be read",
        all_of(drifted, number("{")),
        number('{"format": 1, "number": 1, "accepted": 0}'),
        "store number",
    ),
    Case(
        "an invalid file after a delete",
        all_of(delete("a"), text("a", "version: 1\nname: a\n")),
        put("a"),
        "can't be read",
    ),
    # Baselines.
    Case(
        "another identity saw the tenant last",
        all_of(GONE_C, baseline(identity="someone@contoso.example")),
        nothing,
        "someone@contoso.example",
        may_go=("c",),
        heals=True,
    ),
    Case("the baseline can't be read", all_of(GONE_C, baseline(format=99)), nothing, "", may_go=("c",), heals=True),
]


def others(here: World, ours: Collection[str]) -> str:
    """Everything of others as it is, whatever became of the tags on `ours`."""
    return json.dumps({key: one for key, one in here.foreign().items() if key not in ours}, sort_keys=True)


def words(report: Report) -> str:
    return "; ".join(
        [report.reason, *(item.reason for item in report.plan.items), *(one.reason for one in report.outcomes)]
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_nothing_is_lost_and_no_run_succeeds_while_it_stands(here: World, case: Case) -> None:
    before = set(here.ours())
    await case.mistake(here)
    foreign = others(here, before)
    planned = await here.plan()
    assert detailed_exit_code(planned) == case.code, words(planned)
    for later in (0, DAY) if not case.heals else (0,):
        if later == DAY and "in time" in case.name:
            break
        here.tenant.advance(later)
        report = await here.apply(max_deletes=100)
        assert report.outcome != "Succeeded", words(report)
        assert case.said in words(report), words(report)
        now = set(here.automations())
        replaced = {key for key in before if f"{key.rpartition('/')[0]}/{case.instead}" in now}
        assert before - replaced <= now, words(report)
        assert others(here, before) == foreign
    await case.mend(here)
    foreign = others(here, before)
    for later in (0, DAY):
        here.tenant.advance(later)
        report = await here.apply(max_deletes=100)
    assert report.outcome == "Succeeded", words(report)
    assert detailed_exit_code(await here.plan()) == 0
    declared = {key for key in before if key.rpartition("defender-export-")[2] not in case.may_go}
    assert declared <= set(here.ours())
    assert others(here, before) == foreign


@dataclass(frozen=True)
class Legal:
    """A change that is meant: the names that are left in each subscription, and those that are there at first only."""

    name: str
    change: Step
    left: frozenset[str]
    stays_at_first: frozenset[str] = frozenset()


def names(*given: str) -> frozenset[str]:
    return frozenset(f"defender-export-{name}" for name in given)


ALL = names("a", "b", "c")
LEGAL = [
    Legal("renamed", all_of(delete("a"), renamed("a", "d")), names("b", "c", "d")),
    Legal(
        "renamed, and the old file was lost, not deleted",
        all_of(lost("current/a.yaml"), renamed("a", "d")),
        names("b", "c", "d"),
    ),
    Legal(
        "renamed under one automation's name",
        all_of(delete("a"), renamed("a", "d", automation=NAMED.format("defender-export-a"))),
        ALL,
    ),
    Legal("moved", put("a", automation=NAMED.format("ExportToEventHub")), names("b", "c") | {"ExportToEventHub"}),
    Legal(
        "moved and switched off", put("a", automation=NAMED.format("moved"), enabled=False), names("b", "c") | {"moved"}
    ),
    Legal(
        "names swapped over",
        all_of(delete("c"), put("a", automation=NAMED.format("defender-export-c"))),
        names("b", "c"),
    ),
    Legal("deleted by name", GONE_C, names("a", "b")),
    Legal("all deleted by name", all_of(delete("a"), delete("b"), delete("c")), frozenset()),
    Legal(
        "out of scope everywhere but in one",
        scope("c", "{managementGroups: [contoso-management]}"),
        names("a", "b"),
        names("c"),
    ),
    Legal("drift", drifted, ALL),
    Legal(
        "the tag for people is overwritten", all_of(tags(lambda old: old | {"managed-by": "terraform"}), drifted), ALL
    ),
    Legal(
        "the export's name is taken off",
        tags(lambda old: {name: value for name, value in old.items() if name != "defender-export-name"}),
        ALL,
    ),
    Legal("tags stripped whole", stripped, ALL),
    Legal("saved in the portal, which takes tags off and changes it", all_of(drifted, stripped), ALL),
    Legal("tags stripped and the export deleted", all_of(tags(lambda _: {}), delete("c")), names("a", "b"), names("c")),
    Legal("a subscription is disabled", lambda here: state(here, "Disabled"), ALL),
    Legal("others have automations that nothing declares", taken("theirs"), ALL),
]


async def state(here: World, said: str) -> None:
    here.tenant.change_subscription(home(here)[2], state=said)


@pytest.mark.parametrize("legal", LEGAL, ids=lambda legal: legal.name)
async def test_what_is_meant_is_carried_out_and_succeeds(here: World, legal: Legal) -> None:
    before, foreign_before = set(here.ours()), len(here.foreign())
    await legal.change(here)
    foreign = others(here, before)
    report = await here.apply(max_deletes=100)
    assert in_second(here) == {name.lower() for name in legal.left | legal.stays_at_first}, words(report)
    assert (report.outcome == "Succeeded") is not bool(legal.stays_at_first), words(report)
    for later in (DAY, 60):
        here.tenant.advance(later)
        report = await here.apply(max_deletes=100)
    assert report.outcome == "Succeeded", words(report)
    assert in_second(here) == {name.lower() for name in legal.left}
    assert others(here, before) == foreign
    assert len(here.foreign()) >= foreign_before


def in_second(here: World) -> set[str]:
    """Names of our automations in the second subscription."""
    return {key.rpartition("/")[2] for key in here.ours() if home(here)[1] in key}


class TestInterrupted:
    async def test_a_run_that_is_cancelled_between_writes_and_deletes_loses_nothing(self, here: World) -> None:
        before = set(here.ours())
        await put("a", automation=NAMED.format("moved"))(here)

        def stop(outcome: Outcome) -> None:
            if outcome.id.name == "moved":
                task.cancel()

        task = asyncio.ensure_future(here.reconciler(apply_concurrency=1).apply(Request(ME, progress=stop)))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert before <= set(here.ours())
        assert (await here.apply()).outcome == "Succeeded"
        assert in_second(here) == {"moved", "defender-export-b", "defender-export-c"}

    async def test_a_run_that_finds_another_one_writing_says_so(self, here: World) -> None:
        container = here.clients.blobs.get_container_client(here.settings.reports_container)
        await delete("c")(here)
        before = set(here.ours())
        async with RunLease(container, {"run": "x"}):
            assert (await here.apply()).outcome == "Skipped"
        assert before == set(here.ours())
        assert (await here.apply()).outcome == "Succeeded"

    async def test_what_is_put_back_while_a_run_writes_is_not_deleted(self, here: World) -> None:
        """The second look sees a file that the first did not."""
        await delete("c")(here)
        await put("a", content="alerts: {minimumSeverity: High}")(here)
        again: list[asyncio.Task[None]] = []

        def put_back(outcome: Outcome) -> None:
            if not again:
                again.append(asyncio.ensure_future(put("c", content="secureScore: {}")(here)))

        before = set(here.ours())
        here.arm.faults.add("latency", matching="^PUT", seconds=0.3)
        report = await here.reconciler(apply_concurrency=1).apply(Request(ME, progress=put_back))
        assert report.counts["Deleted"] == 0
        assert "does not agree" in words(report)
        assert before == set(here.ours())


class TestGrace:
    async def test_coming_back_cancels_the_grace(self, here: World) -> None:
        away, home_again = moved(here.tenant.home), moved("contoso-prod-corp")
        await scope("b", "{subscriptions: ['{one}']}")(here)
        here.tenant.advance(DAY)
        await here.apply()
        here.tenant.advance(DAY)
        assert (await here.apply()).outcome == "Succeeded"
        for _ in range(3):
            await away(here)
            report = await here.apply()
            assert (report.counts["Leaving"], report.counts["Deleted"]) == (2, 0), words(report)
            here.tenant.advance(DAY)
            await home_again(here)
            assert (await here.apply()).outcome == "Succeeded"
        await away(here)
        for later, left in ((0, 2), (3600, 2), (DAY, 0)):
            here.tenant.advance(later)
            assert (await here.apply()).counts["Leaving"] == left
        assert "defender-export-a" not in in_second(here)

    async def test_a_day_without_runs_is_not_two_runs(self, here: World) -> None:
        await scope("c", "{managementGroups: [contoso-management]}")(here)
        here.tenant.advance(DAY)
        assert (await here.apply()).counts["Leaving"] == 2
        assert (await here.apply()).counts["Leaving"] == 2
        here.tenant.advance(DAY)
        assert (await here.apply()).counts["Deleted"] == 2

    async def test_a_plan_that_was_reviewed_waits_for_nothing(self, here: World) -> None:
        await scope("c", "{managementGroups: [contoso-management]}")(here)
        planned = await here.reconciler().plan(Request(ME, waive_grace=True))
        assert planned.counts["Deleted"] == 2
        report = await here.reconciler().apply(Request(ME, reviewed=planned.plan, waive_grace=True))
        assert (report.counts["Deleted"], report.outcome) == (2, "Succeeded")

    async def test_plans_and_narrowed_plans_move_no_grace(self, here: World) -> None:
        await scope("c", "{managementGroups: [contoso-management]}")(here)
        for _ in range(3):
            here.tenant.advance(DAY)
            await here.plan()
        assert (await here.apply()).counts["Leaving"] == 2
