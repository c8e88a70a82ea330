"""Work on what callers send: small in a thread, large in a process with limits and without the app's settings."""

import os
import threading
import time

import pytest

from shared.exports.validation import check_text
from shared.web import checking_process
from shared.web.checking_process import in_a_process
from shared.web.checks_apart import LARGE_BYTES, apart
from shared.web.problems import ApiError

LARGE = "x: [" + "1, " * (LARGE_BYTES // 3) + "]"


def where() -> tuple[int, str, int, str]:
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    return os.getpid(), threading.current_thread().name, priority, os.environ.get("STORAGE_SECRET", "")


def spin() -> None:
    while True:
        pass


async def test_what_is_small_is_done_in_a_thread() -> None:
    process, thread, _, _ = await apart(LARGE_BYTES - 1, where)
    assert process == os.getpid()
    assert thread.startswith("checks")


@pytest.mark.slow
async def test_what_is_large_is_done_in_a_process_that_knows_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_SECRET", "secret")
    process, _, priority, setting = await apart(LARGE_BYTES, where)
    assert process != os.getpid()
    assert priority > os.getpriority(os.PRIO_PROCESS, 0) or priority == 19  # the least there is
    assert setting == ""


@pytest.mark.slow
async def test_both_say_the_same_of_a_file() -> None:
    assert await apart(len(LARGE), check_text, LARGE, "f.yaml") == check_text(LARGE, "f.yaml")
    export = "version: 1\nname: a\n"
    assert await apart(LARGE_BYTES, check_text, export, "f.yaml") == await apart(0, check_text, export, "f.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(("work", "arguments"), [(spin, ()), (bytes, (1 << 31,))], ids=["time", "memory"])
def test_what_takes_more_than_it_may_is_refused(
    monkeypatch: pytest.MonkeyPatch, work: object, arguments: tuple[int, ...]
) -> None:
    monkeypatch.setattr(checking_process, "CPU_SECONDS", 1)
    with pytest.raises(ApiError) as refused:
        in_a_process(work, *arguments)  # type: ignore[arg-type] # a function of either kind
    assert refused.value.problem.status == 413


@pytest.mark.slow
def test_what_does_not_come_to_its_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking_process, "SECONDS", 1.0)
    with pytest.raises(TimeoutError):
        in_a_process(time.sleep, 30)
