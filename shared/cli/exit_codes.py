"""What an exit code of `defender-export` means; docs/command-line.md shows this table."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
NOT_WELL: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
TERMINATED: Final = 143


class UsageError(ValueError):
    """What was asked for can't be meant; nothing was done."""


MEANINGS: Final = {
    DONE: "done, and all is well",
    NOT_WELL: "refused, failed, or the answer is no: an invalid file, a failed test, a run that did not fully succeed",
    USAGE: "wrong usage: nothing was done; with `plan --detailed-exitcode` there are changes",
    INTERRUPTED: "ended by Ctrl-C",
    BROKEN_PIPE: "whoever read the output went away",
    TERMINATED: "ended by SIGTERM",
}
