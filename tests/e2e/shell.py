"""The command line as people use it from an empty shell, in this process: quicker than one of its own for each call."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.cli import main

_KEPT = ("PATH", "LANG", "PYTEST_CURRENT_TEST", "COVERAGE_PROCESS_START")


class Shell:
    """A shell in a folder of its own; `environment` is all that it knows beside PATH and HOME."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.err = ""
        self.environment = {"HOME": str(folder), **(environment or {})}

    def __call__(self, command: str, code: int = 0, **environment: str) -> str:
        """What a command prints on standard output; what it says beside that is in `err`."""
        ended, out = self._run(command, environment)
        assert ended == code, f"{command}: {ended}\n{out}{self.err}"
        return out

    def ended(self, command: str) -> int:
        """The code that a command ends with."""
        return self._run(command, {})[0]

    def _run(self, command: str, environment: dict[str, str]) -> tuple[int, str]:
        out, err = io.StringIO(), io.StringIO()
        with self._entered(environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                ended = main(shlex.split(command))
            except SystemExit as exit_:
                ended = int(str(exit_.code or 0))
        self.err = err.getvalue()
        assert "Traceback" not in self.err
        return ended, out.getvalue()

    def json(self, command: str, code: int = 0) -> Any:
        """What a command gives as JSON."""
        out = self(f"{command} --json", code)
        assert "+00:00" not in out, "each time ends in Z"
        return json.loads(out)

    @contextlib.contextmanager
    def _entered(self, environment: dict[str, str]) -> Iterator[None]:
        before = dict(os.environ)
        kept = {name: before[name] for name in _KEPT if name in before}
        os.environ.clear()
        os.environ.update(kept | self.environment | environment)
        stdin, place = sys.stdin, Path.cwd()
        sys.stdin = io.StringIO()
        os.chdir(self.folder)
        try:
            yield
        finally:
            os.chdir(place)
            sys.stdin = stdin
            os.environ.clear()
            os.environ.update(before)
