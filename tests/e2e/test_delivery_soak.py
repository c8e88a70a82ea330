"""Everything goes wrong at once, and nothing is lost: a faulty service, bad records, and kill -9 of the host."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from local.certs import Certificates
from local.records import generate
from tests.e2e.delivery_world import DataPlane, data_plane
from tests.e2e.history import History, check

POISON = b'"PoisonMark":"POISON"'
WEATHER = [
    {"kind": "throttle", "rate": 0.025, "retry_after": 1},
    {"kind": "throttle_bare", "rate": 0.025},
    {"kind": "error", "rate": 0.015, "status": 500},
    {"kind": "error", "rate": 0.015, "status": 503},
    {"kind": "drop_after", "rate": 0.02},
    {"kind": "hang", "rate": 0.01, "seconds": 30},
    {"kind": "expire_token", "rate": 0.005},
]
SETTINGS = {"UPLOAD_TIMEOUT_SECONDS": "2", "DEAD_LETTER_SCHEDULE": "*/20 * * * * *"}


def events(seed: int, count: int, poison: float) -> list[bytes]:
    """Records of every kind; a share carries a field that the service refuses, and some are no records at all."""
    chance = random.Random(seed)
    return [
        b"{" + POISON + b"," + event.body[1:] if event.kind != "Bad" and chance.random() < poison else event.body
        for event in generate(seed, [], count)
    ]


async def kill_now_and_then(world: DataPlane, seconds: float, kills: int) -> None:
    for _ in range(kills):
        await asyncio.sleep(seconds)
        await world.kill_host()
        await world.start_host()


async def storm(folder: Path, certificates: Certificates, seed: int, count: int, *, kills: int, every: float) -> None:
    async with data_plane(folder, certificates, **SETTINGS) as world:
        world.azure.ingestion.poison = b"POISON"
        world.azure.ingestion.faults.configure({"seed": seed, "rules": WEATHER})
        await world.start_host()
        killer = asyncio.create_task(kill_now_and_then(world, every, kills))
        await world.send(events(seed, count, 0.01))
        await world.settled(60 + count / 20)
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        await world.kill_host()
        history = History(folder / "history.ndjson")
        history.note("sent", ({"partition": p, "sequence": s, "body": body.hex()} for p, s, body in world.sent))
        history.note("stored", world.stored())
        history.note("dead", await world.dead())
        history.close()
    verdict = check(history.path)
    assert verdict.sent == count
    assert verdict.holds, verdict
    assert 0 < verdict.dead <= 0.05 * count + 200


async def test_faults_bad_records_and_a_killed_host_lose_nothing(local_certs: Certificates, tmp_path: Path) -> None:
    await storm(tmp_path, local_certs, seed=1, count=2_000, kills=2, every=4)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
async def test_soak_nothing_is_lost(local_certs: Certificates, tmp_path: Path, seed: int) -> None:
    await storm(tmp_path, local_certs, seed=seed, count=20_000, kills=1_000, every=10)
