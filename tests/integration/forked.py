"""Commands in processes of their own, many at once: how each ended, when, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.app import ROOT

ALARM_SECONDS = 90
_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "COVERAGE_PROCESS_START")


@dataclass(frozen=True)
class Ended:
    command: str
    code: int
    seconds: float
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def run_commands(commands: Sequence[tuple[str, Mapping[str, str]]], folder: Path, *, at_once: int = 40) -> list[Ended]:
    """What came of each command in its environment; `folder` is where each works."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    streams = [(folder / f"{number}.out", folder / f"{number}.err") for number in range(len(commands))]
    orders = [
        {
            "command": command, "environment": kept | {"HOME": str(folder)} | dict(environment),
            "folder": str(folder), "alarm": ALARM_SECONDS, "out": str(out), "err": str(err),
        }
        for (command, environment), (out, err) in zip(commands, streams, strict=True)
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.apps.forked_commands"], cwd=ROOT, check=True, stdout=subprocess.PIPE,
        input=json.dumps({"orders": orders, "at_once": at_once}).encode(),
    )  # fmt: skip
    return [
        Ended(command, each["code"], each["seconds"], out.read_text(), err.read_text())
        for (command, _), (out, err), each in zip(commands, streams, json.loads(done.stdout), strict=True)
    ]
