"""What a replay says where it finds nothing to replay."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from shared.enrich.dead_letters.dead_letter_store import Replay
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.runners import Runners


@pytest.mark.parametrize(
    ("arguments", "done", "said"),
    [
        ({"reason": "refused"}, Replay(), "no dead letters are kept of that day, reason and state"),
        ({"day": "2031-01-01", "parked": True}, Replay(), "no dead letters are kept of that day, reason and state"),
        ({}, Replay(), "there are none"),
        ({"reason": "refused"}, Replay(blobs=1, delivered=3), "replaying"),
        ({"reason": "refused"}, Replay(skipped=1), "replaying"),
        ({"reason": "refused"}, Replay(unreadable=1), "replaying"),
        ({"reason": "refused"}, Replay(refused=1), "replaying"),
    ],
)
async def test_a_choice_of_nothing_is_said(arguments: dict[str, Any], done: Replay, said: str) -> None:
    async def replay(_: Any) -> Replay:
        return done

    job = Job("1", "replay", arguments, "someone", datetime(2026, 11, 28, tzinfo=UTC))
    progress = Progress(job)
    result = await Runners.replay(SimpleNamespace(_replay=replay), job, progress)  # type: ignore[arg-type] # as much as it uses
    assert (progress.message, result["delivered"]) == (said, done.delivered)
