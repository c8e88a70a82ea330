"""`make run` and `make up`: the main job on the local Azure ends well, says what it did, and can go on."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest

from local.app import ROOT

pytestmark = pytest.mark.timeout(400)
PLAN = re.compile(
    r"  \$ defender-export plan exports --no-color --detailed-exitcode\n(?P<plan>.*?Plan: [^\n]*\n)", re.DOTALL
)


async def other(folder: Path, *command: str, **environment: str) -> str:
    """What a program prints in a shell that holds no setting of the app."""
    own = {"PATH": os.environ["PATH"], "HOME": str(folder), "LOCAL_AZURE_STATE": str(folder / "state.json")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=own | environment,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_the_story_ends_well_tells_each_step_and_goes_on(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local",
        "run",
        "--stay",
        cwd=ROOT,
        env=os.environ | {"LOCAL_AZURE_STATE": str(tmp_path / "state.json")},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout
    told = ""
    while "Ctrl-C ends it." not in told:
        line = await process.stdout.readline()
        assert line, told
        told += line.decode()
    assert "Plan: nothing to change, " in told
    assert "have a row; " in told
    assert "nothing ever arrived" in told
    assert "valid by the official schema; each record counted once by its key" in told
    assert "cis-8.1.5.2: met by" in told
    shown, real = PLAN.search((ROOT / "README.md").read_text(encoding="utf-8")), PLAN.search(told)
    assert shown
    assert real
    assert shown["plan"] == real["plan"], "README shows another plan than make run prints"

    page = told.index("The operations page: http://127.0.0.1:")
    assert page < told.index("identity   http"), "the page's address comes first"
    use = re.search(r"DEFENDER_EXPORT_KEY=(\S+) defender-export use (\S+)", told)
    assert use
    assert "lets you in" in await other(tmp_path, "shared.cli", "use", use[2], DEFENDER_EXPORT_KEY=use[1])
    assert "met by 25 of 43" in await other(tmp_path, "shared.cli", "coverage")
    assert await other(tmp_path, "local", "send", "20") == "20 records sent\n"
    python = (sys.executable, "-m", "shared.cli", "plan", "--direct")
    assert "Plan: " in await other(tmp_path, "local", "exec", *python)
    assert "defender-export" in await other(tmp_path, "local", "exec", "defender-export", "--version")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0
    assert not (tmp_path / "state.json").exists()


@pytest.mark.soak
async def test_two_stacks_at_once_are_two_and_ctrl_c_ends_each(tmp_path: Path) -> None:
    async def start(name: str) -> tuple[asyncio.subprocess.Process, str]:
        (tmp_path / name).mkdir()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "local", "run", "--stay", cwd=ROOT, stdin=asyncio.subprocess.DEVNULL,
            env=os.environ | {"LOCAL_AZURE_STATE": str(tmp_path / name / "state.json")},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        told = ""
        while process.stdout and "Ctrl-C ends it." not in told:
            line = await process.stdout.readline()
            assert line, told
            told += line.decode()
        return process, told

    started = await asyncio.gather(start("one"), start("two"))
    addresses = [re.search(r"DEFENDER_EXPORT_KEY=(\S+) defender-export use (\S+)", told) for _, told in started]
    for name, found in zip(("one", "two"), addresses, strict=True):
        assert found
        await other(tmp_path / name, "shared.cli", "use", found[2], DEFENDER_EXPORT_KEY=found[1])
    await other(tmp_path / "one", "shared.cli", "exports", "delete", "everything", "--yes")
    listed = [await other(tmp_path / name, "shared.cli", "exports", "list") for name in ("one", "two")]
    assert ["everything" in text for text in listed] == [False, True]
    for process, _ in started:
        process.send_signal(signal.SIGINT)
        await process.communicate()
        assert process.returncode == 0
