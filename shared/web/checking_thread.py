"""Work on what callers send, beside the event loop and one piece at a time: a large file takes seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_CHECKER = ThreadPoolExecutor(1, "checks")


async def apart(work: Callable[[], Result]) -> Result:
    """The result of work that holds up neither deliveries nor other callers."""
    return await asyncio.get_running_loop().run_in_executor(_CHECKER, work)
