from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.jobs.arguments import read_arguments
from shared.jobs.model import DEAD_AFTER, LOST_AFTER, Job, new_id, oldest_id, said_dead

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECOND = timedelta(seconds=1)
JOB = Job(new_id(NOW), "plan", {}, "test", NOW)


def test_ids_sort_newest_first() -> None:
    ids = [new_id(NOW + n * SECOND) for n in range(5)]
    assert sorted(ids) == ids[::-1]


def test_an_age_limit_lies_between_what_is_older_and_what_is_newer() -> None:
    assert new_id(NOW) > oldest_id(NOW) > new_id(NOW + SECOND)
    assert new_id(NOW - SECOND) > oldest_id(NOW)


@pytest.mark.parametrize(
    ("job", "after", "dead"),
    [
        (replace(JOB, state="running", heartbeat=NOW), DEAD_AFTER, False),
        (replace(JOB, state="running", heartbeat=NOW), DEAD_AFTER + SECOND, True),
        (JOB, LOST_AFTER, False),
        (JOB, LOST_AFTER + SECOND, True),
        (replace(JOB, heartbeat=NOW + LOST_AFTER), LOST_AFTER + SECOND, False),
        (replace(JOB, state="succeeded", heartbeat=NOW), timedelta(days=99), False),
    ],
)
def test_a_job_is_dead_once_nobody_will_end_it(job: Job, after: timedelta, dead: bool) -> None:
    assert (said_dead(job, NOW + after) is not None) is dead


def test_one_that_was_to_be_cancelled_is_so_once_its_worker_is_gone() -> None:
    asked = replace(JOB, state="running", heartbeat=NOW, attempt=1, cancelled_by="alice")
    ended = said_dead(asked, NOW + DEAD_AFTER + SECOND)
    assert ended
    assert (ended.state, ended.error) == ("cancelled", "Cancelled by alice; what it had done by then stays.")


def test_arguments_are_read_sorted_and_once_each() -> None:
    assert read_arguments({"kind": "plan", "managementGroups": ["b", "a", "b"]}) == (
        "plan",
        {"managementGroups": ["a", "b"]},
    )


def test_arguments_that_one_job_cannot_hold_are_refused() -> None:
    names = [f"{n:03}" + "x" * 60 for n in range(600)]
    with pytest.raises(ValueError, match="too many names"):
        read_arguments({"kind": "plan", "managementGroups": names})
