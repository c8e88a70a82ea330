"""Work on what callers send, beside the event loop and one piece at a time: a small one in a thread, a large one apart.

A thread holds the interpreter for as long as it computes, in steps of up to a second inside native code; deliveries and
a running reconcile would wait for it.  What is large is therefore worked on in a process, of low priority.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

from shared.web.checking_process import in_a_process

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

LARGE_BYTES = 32_768
"""From here on a check takes longer (30 ms) than an invocation of the trigger should wait for."""

_CHECKER = ThreadPoolExecutor(1, "checks")
_WAITING = ThreadPoolExecutor(1, "checks-apart")


async def apart(size: int, work: Callable[[Unpack[Arguments]], Result], *arguments: *Arguments) -> Result:
    """The result of a function of a module on so many bytes that callers sent.

    Raises:
        ApiError: 413 when it takes more processor time or memory than it may.
        TimeoutError: it did not come to its end beside what else goes on.
    """
    loop = asyncio.get_running_loop()
    if size < LARGE_BYTES:
        return await loop.run_in_executor(_CHECKER, work, *arguments)
    return await loop.run_in_executor(_WAITING, lambda: in_a_process(work, *arguments))
