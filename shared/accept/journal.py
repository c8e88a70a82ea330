"""What a run makes, written down before it is made, so that it can be removed whatever ends the run.

A run has a file of its own, one JSON object a line, and holds a lock on it while it lives.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

_SUFFIX: Final = ".jsonl"
BEGUN, MADE, GONE = "begun", "made", "gone"
APPEARING_SECONDS: Final = 60.0
"""So long after it was asked for, a thing may come to be although its answer was not waited for."""


class Thing(NamedTuple):
    """Something that a run makes: its kind, where it is, and how far it came, since when (epoch seconds)."""

    kind: str
    place: str
    state: str
    since: float


class Journal:
    """The notes of one run in `folder`; made on the first note, gone with the last thing."""

    def __init__(self, folder: Path, run: str) -> None:
        self.path = folder / f"{run}{_SUFFIX}"
        self._file: IO[str] | None = None

    def begin(self, kind: str, place: str) -> None:
        """About to be made; it is on the disk when this returns."""
        self._write(kind, place, BEGUN)

    def made(self, kind: str, place: str) -> None:
        """It is there."""
        self._write(kind, place, MADE)

    def gone(self, kind: str, place: str) -> None:
        """It is not there, and will not be."""
        self._write(kind, place, GONE)

    def left(self) -> list[Thing]:
        """What is not gone, the newest first."""
        return left_in(self.path)

    def close(self) -> None:
        """End; without a thing left, without a file."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if not self.left():
            self.path.unlink(missing_ok=True)

    def open(self) -> bool:
        """Take over the file of a run that has ended; False where that run is alive."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.fdopen(
                os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
            )
            if not _locked(self._file):
                self._file.close()
                self._file = None
        return self._file is not None

    def _write(self, kind: str, place: str, state: str) -> None:
        self.open()
        if self._file is None:
            raise OSError(f"another process writes {self.path}")
        self._file.write(json.dumps({"kind": kind, "place": place, "state": state, "at": time.time()}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def journals(folder: Path) -> Iterator[Journal]:
    """The journals of runs that left something, of those alive too."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        yield Journal(folder, path.name.removesuffix(_SUFFIX))


def left_in(path: Path) -> list[Thing]:
    """What a journal says is not gone, the newest first; a line that a kill cut short counts for nothing."""
    found: dict[tuple[str, str], Thing] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        if (thing := _thing(line)) is not None:
            found[thing.kind, thing.place] = thing
    return [thing for thing in reversed(found.values()) if thing.state != GONE]


def _thing(line: str) -> Thing | None:
    try:
        read: Any = json.loads(line)
        return Thing(str(read["kind"]), str(read["place"]), str(read["state"]), float(read["at"]))
    except (ValueError, TypeError, KeyError):
        return None


def _locked(file: IO[str]) -> bool:
    """Whether this process has the file for itself; on Windows an open file can't be taken away anyway."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
