"""What an exit code of `defender-export` means; docs/command-line.md shows this table."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
NOT_WELL: Final = 1
USAGE: Final = 2
CHANGES: Final = 2
OUT_OF_TIME: Final = 124
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143


class UsageError(ValueError):
    """What was asked for can't be meant; nothing was done."""


class OutOfTimeError(Exception):
    """A command was cut off at the end of its time; the message says whom it waited for, and how to go on."""


class UnansweredError(Exception):
    """A service did not answer, so that nothing could be done; the message names it."""


MEANINGS: Final = {
    DONE: "done, and all is well",
    NOT_WELL: "refused, failed, or the answer is no: an invalid file, a failed test, a run that did not fully succeed",
    USAGE: "wrong usage: nothing was done; with `plan --detailed-exitcode` there are changes",
    OUT_OF_TIME: "not done within `--timeout`: what did not answer is named, and the same command again goes on",
    INTERRUPTED: "ended by Ctrl-C",
    BROKEN_PIPE: "whoever read the output went away",
    TERMINATED: "ended by SIGTERM",
}
