"""Running a command to its exit code, whatever happens: no traceback reaches a terminal unless it is asked for."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from shared.cli.command_errors import sentence
from shared.cli.exit_codes import (
    BROKEN_PIPE,
    INTERRUPTED,
    NOT_WELL,
    OUT_OF_TIME,
    TERMINATED,
    USAGE,
    OutOfTimeError,
    UnansweredError,
    UsageError,
)

DEBUG = "DEFENDER_EXPORT_DEBUG"


def carry_out(run: Callable[[], int]) -> int:
    """The exit code of `run`; its errors as one line on standard error, with a traceback where DEBUG is set."""
    _bear_any_text()
    _log_in_lines()
    with _signals() as told:
        try:
            code = run()
            sys.stdout.flush()
        except KeyboardInterrupt:
            _say("terminated" if told.terminated else "interrupted")
            return TERMINATED if told.terminated else INTERRUPTED
        except BrokenPipeError:
            _forget_standard_output()
            return BROKEN_PIPE
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            _say(_told(error))
            return _code(error)
    return code


_MEANT_OTHERWISE = (UsageError, FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


def _code(error: Exception) -> int:
    if isinstance(error, OutOfTimeError):
        return OUT_OF_TIME
    return USAGE if isinstance(error, _MEANT_OTHERWISE) else NOT_WELL


def expected(error: BaseException) -> bool:
    """Whether an error says something about its cause, rather than about a fault of this program."""
    from azure.core.exceptions import AzureError

    from shared.azure.blob_container import StoreError
    from shared.cli.api_client import ApiFailure
    from shared.exports.export_blobs import ExportConflict, ExportNotFound
    from shared.jobs.worker import JobRefusedError

    known = (
        AzureError, StoreError, ApiFailure, ExportConflict, ExportNotFound, JobRefusedError, OutOfTimeError,
        UnansweredError, OSError, ValueError,
    )  # fmt: skip
    return isinstance(error, known)


def _told(error: Exception) -> str:
    from shared.exports.diagnostics import InvalidExport

    if isinstance(error, InvalidExport) and len(error.findings) > 1:  # a line for each thing to mend
        findings = (f"error: {sentence(str(each))}" for each in error.findings)
        return "\n".join((*findings, *getattr(error, "__notes__", ())))
    if expected(error):
        return "; ".join((f"error: {sentence(error)}", *getattr(error, "__notes__", ())))
    kind = f"{type(error).__name__}: {sentence(error)}"
    return f"error: this is a fault of defender-export ({kind}); please report what {DEBUG}=1 shows"


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        return  # standard error is closed


def _forget_standard_output() -> None:
    """Let what is still to be written vanish, or the interpreter reports it once more when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # a standard output without a descriptor is a test's


def _bear_any_text() -> None:
    """A terminal that lacks a character shows it escaped, rather than none of the output."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _log_in_lines() -> None:
    """What the SDKs log is for the developer; of the app's own warnings a line is shown."""
    if os.environ.get(DEBUG):
        logging.basicConfig(level=logging.INFO, stream=sys.stderr)
        return
    for name in ("azure", "asyncio", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Line())
    logging.getLogger().addHandler(handler)


class _Line(logging.Formatter):
    """A record as one line: its message, and the error in a sentence."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.getMessage().splitlines()[0]
        error = record.exc_info[1] if record.exc_info else None
        return f"! {told}{f': {sentence(error)}' if error else ''}"


class _Told:
    terminated = False


@contextmanager
def _signals() -> Iterator[_Told]:
    """SIGTERM ends a command as Ctrl-C does: what a run did is still reported, and its lease given back."""
    told = _Told()

    def terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's signature
        told.terminated = True
        if (
            signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        ):  # as a shell starts what a script leaves in the background
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield told
    finally:
        signal.signal(signal.SIGTERM, before)
