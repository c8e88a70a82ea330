"""How long a command may go without getting on: the one way of every command into asyncio, and the end of its waits.

The time counts from the start, from a person's answer, and from each sign that work went on: a job that said something
new, an automation that was written.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from shared.azure.asked import SIGN_IN, Asked, noted
from shared.cli.argument_parser import whole_number
from shared.cli.exit_codes import OutOfTimeError, UnansweredError, UsageError

T = TypeVar("T")
TIMEOUT_VARIABLE: Final = "DEFENDER_EXPORT_TIMEOUT"
DEFAULT_SECONDS: Final = 465
CLEANING_SECONDS: Final = 10
"""For giving back a lease and the like; both are within 80 % of the ten minutes that a function has by default."""
WHETHER_TAKEN: Final = "`jobs list` shows whether the app has taken it on"
_LONGEST_SECONDS = 7 * 24 * 3600
_AGAIN = "nothing is undone by that, and the same command again does what is left"
_LOOK = "look at the network, the service's firewall and its state"


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option that limits a command."""
    parser.add_argument(
        "--timeout",
        type=whole_number(1, _LONGEST_SECONDS),
        metavar="SECONDS",
        help=f"end after so long without getting on; else {TIMEOUT_VARIABLE}, else {DEFAULT_SECONDS}",
    )


def run_limited(work: Coroutine[Any, Any, T], arguments: argparse.Namespace) -> T:
    """The result of a command's work outside of this process.

    Raises:
        OutOfTimeError: it was cut off; the message names who did not answer, and how to go on.
        UnansweredError: there is no token, for the service of sign-ins did not answer.
        UsageError: the time is none.
    """
    try:
        seconds = _seconds(arguments)
    except UsageError:
        work.close()
        raise
    return asyncio.run(_limited(work, _Limit(seconds)))


def got_on() -> None:
    """Work went on, or a person answered: the time counts from now."""
    if limit := _limit.get():
        limit.renew()


def go_on_by(how: str) -> None:
    """Errors from now on say how to take up what is begun; a job that was followed is so no longer."""
    if limit := _limit.get():
        limit.go_on = how
        limit.waits_for = ""


def following(job_id: str) -> None:
    """From now on the command waits for a job, on which the app works all the same."""
    if limit := _limit.get():
        limit.waits_for = f"job {job_id} said nothing new"
        limit.go_on = f"the app works on job {job_id} all the same: `jobs show {job_id} --wait` follows it"


@dataclass
class _Limit:
    seconds: float
    go_on: str = ""
    waits_for: str = ""
    timeouts: list[asyncio.Timeout] = field(default_factory=list)

    def renew(self) -> None:
        if any(timeout.expired() for timeout in self.timeouts):
            return  # what is cleaned up gets no longer
        now = asyncio.get_running_loop().time()
        for timeout, seconds in zip(self.timeouts, (self.seconds + CLEANING_SECONDS, self.seconds), strict=True):
            timeout.reschedule(now + seconds)


_limit: ContextVar[_Limit | None] = ContextVar("limit", default=None)


def _seconds(arguments: argparse.Namespace) -> int:
    if arguments.timeout is not None:
        return int(arguments.timeout)
    told = os.environ.get(TIMEOUT_VARIABLE)
    if not told:
        return DEFAULT_SECONDS
    try:
        return whole_number(1, _LONGEST_SECONDS)(told)
    except argparse.ArgumentTypeError as wrong:
        raise UsageError(f"{TIMEOUT_VARIABLE}: {wrong}") from None


async def _limited(work: Coroutine[Any, Any, T], limit: _Limit) -> T:
    asked = Asked()
    noted.set(asked)
    _limit.set(limit)
    try:
        # The outer one ends what the work still does when the inner one has cut it off.
        async with asyncio.timeout(limit.seconds + CLEANING_SECONDS) as last, asyncio.timeout(limit.seconds) as first:
            limit.timeouts = [last, first]
            return await work
    except Exception as error:
        if isinstance(error, TimeoutError) and first.expired():
            raise OutOfTimeError(_out_of_time(asked, limit)) from error
        if _without_token(error) and (silent := asked.troubles(SIGN_IN)):
            raise UnansweredError(f"nobody could be signed in: {silent[0]}: {_LOOK}") from error
        if limit.go_on:
            error.add_note(limit.go_on)
        raise


def _out_of_time(asked: Asked, limit: _Limit) -> str:
    who = "; ".join(asked.troubles()) or ("" if limit.waits_for else asked.slowest())
    why = f"{who}: {_LOOK}" if who else limit.waits_for or "nothing outside was asked"
    return f"not done within {limit.seconds:g} s (--timeout): {why}; {limit.go_on or _AGAIN}"


def _without_token(error: Exception) -> bool:
    from azure.core.exceptions import ClientAuthenticationError

    return isinstance(error, ClientAuthenticationError) and error.response is None
