"""Upgrade and roll back, with the commands of docs/deploy.md in their order: what is rewritten, kept and lost."""

from __future__ import annotations

import asyncio
import sys

import pytest

from shared.exports.compiler import DEFAULT_DESCRIPTION
from tests.integration.stored.test_drills import DEPLOY, commands, words
from tests.integration.stored.test_two_releases import LATER, NEXT, THIS, Releases, puts, releases

pytestmark = pytest.mark.soak
__all__ = ["releases"]
NEWLY = "Written by a later release"


async def command(releases: Releases, release: str, line: str) -> str:
    """What a command of the page says, typed with this release installed, in an empty folder."""
    name, *arguments = words(line)
    assert name == "defender-export"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.cli",
        *arguments,
        cwd=releases.folder,
        env=releases.environment(release),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def descriptions(releases: Releases) -> set[str]:
    return {one["properties"]["description"] for one in releases.azure.tenant.all_automations()}


def written(releases: Releases) -> list[str]:
    """The automations that were written since this was asked last."""
    found = [path for method, path in puts(releases) if method in {"PUT", "PATCH", "DELETE"}]
    releases.azure.arm.requests.clear()
    return found


async def left_behind(releases: Releases, release: str, numbers: str) -> str:
    """Letters, a report and a queued job, as an app leaves them that is replaced; gives the job."""
    let_in = releases.out()
    await releases.do(release, "events", numbers)
    releases.azure.ingestion.publishers |= let_in
    assert (await releases.do(release, "apply"))["outcome"] in {"Succeeded", "Partial"}
    job: str = await releases.do(release, "submit", "plan")
    return job


def compiles_otherwise(releases: Releases) -> None:
    """Have the later release write another description where a file gives none."""
    compiler = releases.paths[LATER] / "shared" / "exports" / "compiler.py"
    text = compiler.read_text()
    assert DEFAULT_DESCRIPTION in text
    compiler.write_text(text.replace(DEFAULT_DESCRIPTION, NEWLY))


async def test_an_upgrade_reads_all_and_rewrites_what_is_let_through(releases: Releases) -> None:
    compiles_otherwise(releases)
    job = await left_behind(releases, THIS, "0-10")
    backup, plan, let_through = commands("Upgrade", page=DEPLOY)
    await command(releases, THIS, backup)
    assert (releases.folder / "backup" / "soc.yaml").is_file()
    assert written(releases)

    await releases.do(LATER, "replay")
    await releases.do(LATER, "work", job)
    assert releases.stored() == {f"a{number}" for number in range(10)}
    assert await releases.do(LATER, "letters") == {}
    assert (await releases.do(LATER, "jobs"))[job] == ["succeeded", ""]
    report = await releases.do(LATER, "apply")
    assert report["outcome"] != "Succeeded", "that something is held is said"
    assert "release" in await command(releases, LATER, plan)
    assert written(releases) == []
    assert descriptions(releases) == {DEFAULT_DESCRIPTION}

    await command(releases, LATER, let_through)
    assert len(written(releases)) == len(list(releases.azure.tenant.all_automations()))
    assert descriptions(releases) == {NEWLY}
    assert (await releases.do(LATER, "apply"))["outcome"] == "Succeeded"
    assert written(releases) == []


async def test_a_way_back_rewrites_nothing_and_keeps_what_the_newer_release_left(releases: Releases) -> None:
    compiles_otherwise(releases)
    job = await left_behind(releases, LATER, "0-10")
    assert written(releases)
    (plan,) = commands("Roll back", page=DEPLOY)

    assert "release" in await command(releases, THIS, plan)
    await releases.do(THIS, "events", "10-10")
    await releases.do(THIS, "replay")
    await releases.do(THIS, "work", job)
    report = await releases.do(THIS, "apply")
    assert report["outcome"] != "Succeeded", "that something is held is said"
    assert written(releases) == []
    assert descriptions(releases) == {NEWLY}
    assert releases.stored() == {f"a{number}" for number in range(10, 20)}
    letters = await releases.do(THIS, "letters")
    assert letters
    assert all(NEXT in trouble for trouble in letters.values())
    state, trouble = (await releases.do(THIS, "jobs"))[job]
    assert (state, NEXT in trouble) == ("queued", True)

    await releases.do(LATER, "replay")
    await releases.do(LATER, "work", job)
    assert releases.stored() == {f"a{number}" for number in range(20)}
    assert (await releases.do(LATER, "jobs"))[job] == ["succeeded", ""]
    assert (await releases.do(LATER, "apply"))["outcome"] == "Succeeded"
    assert written(releases) == []
