"""Work in a process of its own, of low priority and with limits; the app goes on as if it were not there."""

from __future__ import annotations

import os
import pickle  # nosec B403 # between this app and the process it starts
import subprocess  # nosec B404 # of the app's own interpreter
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from shared.web.problems import TOO_LARGE, ApiError

Result = TypeVar("Result")

CPU_SECONDS = 20
SECONDS = 60.0
_MEMORY_BYTES = 1 << 30
_PRIORITY = 10
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "LANG")
_TOO_MUCH = "Its checks take more time or memory than they may: split it."


def in_a_process(work: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a function of a module, on arguments that can be pickled; the caller's thread waits for it.

    Raises:
        ApiError: 413 when it takes more than 20 s of processor time or 1 GB.
        TimeoutError: it took more than a minute, beside what else goes on.
    """
    # None of the app's settings, which hold secrets, is needed to check a file.
    environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(  # noqa: S603  # nosec B603 # the app's own interpreter, on a module of its own
            command, input=pickle.dumps((CPU_SECONDS, work, arguments)), capture_output=True, timeout=SECONDS,
            env=environment, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    except OSError:  # a host that lets no process start: the work holds others up, and is done
        return work(*arguments)
    if done.returncode != 0:
        raise ApiError(TOO_LARGE, _TOO_MUCH)
    result: Result = pickle.loads(done.stdout)  # noqa: S301  # nosec B301 # from the app's own child
    return result


def _work() -> None:
    """What the process does: read one piece of work, and write its result."""
    seconds, work, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301  # nosec B301 # from the app, which started it
    _limit(seconds)
    sys.stdout.buffer.write(pickle.dumps(work(*arguments)))


def _limit(seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    os.nice(_PRIORITY)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


if __name__ == "__main__":
    _work()
