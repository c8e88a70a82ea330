"""A pipeline on a local Azure of storage, identity and Logs Ingestion; time stands still unless a test moves it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.stack import LocalAzure
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.dead_letters.dead_letter_store import DeadLetter, LetterFilter
from shared.enrich.invocation.pipeline import Pipeline
from shared.enrich.invocation.pipeline_factory import pipeline
from shared.enrich.records.model import Event
from shared.settings import Settings

START = datetime.now(UTC).replace(microsecond=0)
MARK = "POISON"
ANY = LetterFilter(parked=None, due_only=False)


@dataclass
class MovableTime:
    """Seconds since START; a sleep moves the time and waits for nothing."""

    seconds: float = 0.0
    on_move: list[Callable[[], object]] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(lambda: START + timedelta(seconds=self.seconds), lambda: self.seconds, self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self.seconds += seconds
        for react in self.on_move:
            react()


@dataclass
class Plant:
    """What a test of delivery holds in hands."""

    azure: LocalAzure
    time: MovableTime
    clients: Clients
    pipeline: Pipeline
    settings: Settings

    def rebuilt(self, **changes: Any) -> Pipeline:
        """The pipeline as a process with other settings would have it."""
        return pipeline(replace(self.settings, **changes), self.clients, {}, clock=self.time.clock())

    def stored(self) -> list[str]:
        """Names of the assessments whose rows were accepted, as often as they were."""
        bodies = (json.loads(stored.body) for stored in self.azure.ingestion.stored)
        return [row["RecommendationId"] for body in bodies for row in body]

    def keys(self) -> set[str]:
        """The RecordKeys of those rows."""
        bodies = (json.loads(stored.body) for stored in self.azure.ingestion.stored)
        return {row["RecordKey"] for body in bodies for row in body}

    async def letters(self, choice: LetterFilter = ANY) -> list[DeadLetter]:
        return [blob async for blob in self.pipeline.dead_letters.find(choice)]

    async def lost(self) -> list[Letter]:
        """Every dead letter, read."""
        return [letter for blob in await self.letters() for letter in await self.pipeline.dead_letters.read(blob.name)]


@pytest.fixture
async def plant(
    local_certs: Certificates, storage: StorageAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Plant]:
    """Storage, identity, Logs Ingestion and the pipeline between them."""
    async with LocalAzure(tmp_path, parts=("ingestion",), certificates=local_certs) as azure:
        for name, value in (azure.app_settings() | storage.identity_settings()).items():
            monkeypatch.setenv(name, value)
        settings = Settings.load()
        clients, time = Clients(settings), MovableTime()
        try:
            yield Plant(azure, time, clients, pipeline(settings, clients, {}, clock=time.clock()), settings)
        finally:
            await clients.close()


def assessments(numbers: Iterable[int], *, marked: Collection[int] = ()) -> list[Event]:
    """Assessments a0, a1, ...; the service refuses the marked ones when told to refuse MARK."""
    return [
        Event(json.dumps(_assessment(number, MARK if number in marked else "Fine")).encode(), START, "0", number)
        for number in numbers
    ]


def names(numbers: Iterable[int]) -> list[str]:
    return [f"a{number}" for number in numbers]


def _assessment(number: int, title: str) -> dict[str, Any]:
    provider = "/providers/Microsoft.Security"
    scope = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg/providers"
    return {
        "type": "Microsoft.Security/assessments",
        "id": f"{scope}/Microsoft.Compute/virtualMachines/vm{number}{provider}/assessments/a{number}",
        "name": f"a{number}",
        "properties": {
            "displayName": title,
            "status": {"code": "Unhealthy", "statusChangeDate": START.isoformat()},
        },
    }
