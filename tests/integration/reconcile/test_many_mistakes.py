"""A state machine: mistakes, outages and what is meant are drawn at random, many at once, with runs in between.

The model is the test's own: for each export when a readable declaration wanted it and where.  Whatever is drawn, an
automation of ours goes only where the files of that moment do not want it, and never in a run whose discovery was
disturbed; what others have stays byte for byte.  Once all is mended and graces are over, two runs make all as declared.
"""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.cli.reconcile import detailed_exit_code
from shared.exports.export_blobs import ExportNotFound
from shared.reconcile.report.run_report import Report
from tests.integration.reconcile.test_mistakes import (
    DAY,
    GROUPS,
    SIZE,
    Step,
    behind,
    chains,
    fault,
    home,
    missing,
    no_roles,
    rows,
    sees_all,
    sees_one,
    tags,
    truncated,
    whole,
    words,
    workspace,
)
from tests.integration.reconcile.world import World, export, world

NAMES = ("a", "b", "c")
CONTENT = {"a": "alerts: {minimumSeverity: Medium}", "b": "alerts: {minimumSeverity: High}", "c": "secureScore: {}"}
STEPS = 14


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE), local_certs, storage) as running:
        yield running


@dataclass
class Model:
    """What a person would say is wanted: the scope of each readable file, and what stands between it and a run.

    `settled` is what was wanted by the files when a run could last act on them.  `disturbed` are outages of discovery.
    """

    here: World
    chance: random.Random
    scopes: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(NAMES, GROUPS))
    broken: set[str] = field(default_factory=set)
    disturbed: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def wanted(self) -> set[str]:
        """Ids in lower case of the automations that the files want, as a person reads them."""
        return {
            place(self.here, number, name)
            for name, groups in self.scopes.items()
            for number, group in enumerate(GROUPS)
            if group in groups
        }

    async def file(self, name: str, groups: tuple[str, ...] = GROUPS) -> None:
        """A sound file of an export."""
        destination = workspace(self.here) if name == "b" else ""
        text = export(self.here.tenant, name, groups=", ".join(groups), content=CONTENT[name], destination=destination)
        await behind(self.here, name, text)
        self.scopes[name] = groups
        self.broken.discard(name)


def place(here: World, number: int, name: str) -> str:
    group = f"/subscriptions/{home(here)[number]}/resourcegroups/rg-defender-export"
    return f"{group}/providers/microsoft.security/automations/defender-export-{name}".lower()


# What is meant.


async def narrowed(model: Model) -> None:
    name = model.chance.choice(NAMES)
    await model.file(name, tuple(model.chance.sample(GROUPS, model.chance.randint(1, SIZE))))


async def deleted(model: Model) -> None:
    name = model.chance.choice(NAMES)
    if name in model.scopes and name not in model.broken:  # else what took its name is a move that is meant
        with suppress(ExportNotFound):  # its file was lost before
            await model.here.store.delete(name)
            del model.scopes[name]
            model.broken.discard(name)


async def put_again(model: Model) -> None:
    await model.file(model.chance.choice(NAMES))


# Mistakes in files: what is wanted stays what it was.


def spoilt(change: Callable[[str], str]) -> Callable[[Model], object]:
    async def step(model: Model) -> None:
        if not model.scopes:
            return
        name = model.chance.choice(sorted(model.scopes))
        text = export(model.here.tenant, name, content=CONTENT[name])
        await behind(model.here, name, change(text))
        model.broken.add(name)

    return step


async def file_lost(model: Model) -> None:
    if model.scopes:
        name = model.chance.choice(sorted(model.scopes))
        for folder in ("current", "accepted"):
            blob = model.here.store._container.get_blob_client(f"{folder}/{name}.yaml")
            if await blob.exists():
                await blob.delete_blob()
        model.broken.add(name)


async def copied_line(model: Model) -> None:
    """One export takes another's name in Azure."""
    if len(model.scopes) > 1:
        name, other = model.chance.sample(sorted(model.scopes), 2)
        named = f", name: defender-export-{other}"
        destination = workspace(model.here) if name == "b" else ""
        text = export(model.here.tenant, name, content=CONTENT[name], automation=named, destination=destination)
        await behind(model.here, name, text)
        model.broken |= {name, other}


# Outages.


def outage(step: Step, kind: str = "") -> Callable[[Model], object]:
    """An outage of discovery, in which nothing at all may go; without a kind only of the place of subscriptions.

    Altered rows take the place of those that were altered before.
    """

    async def drawn(model: Model) -> None:
        await step(model.here)
        model.disturbed = model.disturbed - ({"rows"} if kind in {"", "rows"} else set()) | ({kind} if kind else set())

    return drawn


async def healed(model: Model) -> None:
    await whole(model.here)
    await sees_all_again(model)
    model.disturbed.clear()


async def sees_all_again(model: Model) -> None:
    await no_roles(model.here)
    await sees_all(model.here)


# What people and policies do in the portal.


def by_hand(step: Step) -> Callable[[Model], object]:
    async def drawn(model: Model) -> None:
        await step(model.here)

    return drawn


async def switched_off(here: World) -> None:
    for document in here.ours().values():
        if home(here)[1] in document["id"]:
            properties = {**document["properties"], "isEnabled": False}
            here.tenant.set_automation({**document, "properties": properties})


async def stripped_of_tags(here: World) -> None:
    ours = set(here.ours())
    for key, document in here.automations().items():
        if key in ours and home(here)[2] in document["id"]:
            here.tenant.set_automation({**document, "tags": {}})


def time(seconds: int) -> Callable[[Model], object]:
    async def step(model: Model) -> None:
        model.here.tenant.advance(seconds)

    return step


DRAWS: dict[str, Callable[[Model], object]] = {
    "scope narrowed": narrowed,
    "deleted by name": deleted,
    "put again": put_again,
    "an invalid file": spoilt(lambda text: text.replace("version: 1", "version: 9")),
    "a file that is cut off": spoilt(lambda text: text[:40]),
    "a misspelt group": spoilt(lambda text: text.replace("[contoso]", "[contosso]")),
    "a file lost": file_lost,
    "a copied line": copied_line,
    "null chain": outage(chains(None)),
    "no chains": outage(chains([], all_of_them=True)),
    "a row missing": outage(missing("chain"), "rows"),
    "a row twice": outage(rows(lambda _, found: [*found, *found[:1]]), "rows"),
    "discovery cut off": outage(truncated, "cut"),
    "all roles lost": outage(no_roles, "rights"),
    "one subscription is visible": outage(sees_one, "rights"),
    "writes fail": by_hand(fault("error", "PUT .*automations", status=500, rate=0.5)),
    "healed": healed,
    "switched off": by_hand(switched_off),
    "tags stripped": by_hand(stripped_of_tags),
    "the tag for people": by_hand(tags(lambda old: old | {"managed-by": "terraform"})),
    "an hour": time(3600),
    "a day": time(DAY),
}


async def run(model: Model, others: str) -> Report | None:
    """A run, and what may not have happened in it."""
    here = model.here
    before, wanted, doubtful = set(here.ours()), model.wanted(), bool(model.disturbed)
    try:
        report = await here.apply(max_deletes=100, max_change_percent=100)
    except Exception as error:  # noqa: BLE001 - a run may end in an error, never in a loss
        model.log.append(f"  run: {type(error).__name__}")
        report = None
    gone = before - set(here.automations())
    model.log.append(f"  run: {report.outcome if report else 'error'}, gone {len(gone)}")
    told = "\n".join([*model.log, words(report) if report else ""])
    assert not gone & wanted, told
    assert not (gone and doubtful), told
    assert not [key for key in gone if key.rpartition("-")[2] in model.broken], told
    assert theirs(here) == others, told
    if report is not None and report.outcome == "Succeeded":
        assert not model.broken, told
    return report


def theirs(here: World) -> str:
    """Everything that was never ours, byte for byte."""
    made = "/automations/defender-export-"
    return json.dumps({key: one for key, one in here.foreign().items() if made not in key}, sort_keys=True)


async def play(here: World, seed: int) -> None:
    model = Model(here, random.Random(seed))
    for one, group in zip(home(here), GROUPS, strict=True):
        here.tenant.change_subscription(one, management_group=group, state="Enabled")
    for name in NAMES:
        await model.file(name)
    others = theirs(here)
    assert (await here.apply()).outcome == "Succeeded"
    for _ in range(STEPS):
        for _ in range(model.chance.randint(1, 4)):
            drawn = model.chance.choice(sorted(DRAWS))
            model.log.append(drawn)
            await DRAWS[drawn](model)  # type: ignore[misc] # each gives a coroutine
        await run(model, others)
    await healed(model)
    for name in sorted(model.scopes):
        await model.file(name, model.scopes[name])
    for document in list(here.automations().values()):  # what was taken over is given back
        if document["id"].lower() in model.wanted() and not document["tags"]:
            here.tenant.set_automation({**document, "tags": {"defender-export-instance": "test"}})
    report = None
    for later in (0, DAY, DAY, 60):
        here.tenant.advance(later)
        report = await run(model, others)
    assert report is not None
    told = "\n".join([*model.log, words(report)])
    assert set(here.ours()) == model.wanted(), told
    assert report.outcome == "Succeeded", told
    assert detailed_exit_code(await here.plan()) == 0, told


@pytest.mark.parametrize("seed", range(1))
async def test_many_mistakes_at_once_lose_nothing_that_is_wanted(here: World, seed: int) -> None:
    await play(here, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 120))
async def test_many_seeds_of_mistakes_lose_nothing(here: World, seed: int) -> None:
    await play(here, seed)
