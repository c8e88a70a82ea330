"""`make run`: the main job on the local Azure ends well and says what it did."""

import asyncio
import sys

import pytest

from local.app import ROOT

pytestmark = pytest.mark.timeout(400)


async def test_the_story_ends_well_and_tells_each_step() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local",
        "run",
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    told = out.decode()
    assert process.returncode == 0, told
    assert "Plan: nothing to change, " in told
    assert "have a row; " in told
    assert "nothing ever arrived" in told
    assert "cis-8.1.5.2: met by" in told
