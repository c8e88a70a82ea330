"""Ctrl-C while the app does not answer: each long command ends in one word, with 130."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.app import ROOT

COMMANDS = (
    "plan", "plan soc.yaml", "apply --yes", "approve 1", "status", "runs 1", "coverage", "freshness", "preview soc",
    "backfill", "backfill --follow 1", "import", "push soc.yaml", "pull folder", "claim --yes", "exports list",
    "exports get soc", "exports delete soc --yes", "exports accept --yes", "jobs list", "jobs show 1 --wait",
    "dead-letters list", "dead-letters replay", "dead-letters discard 2026-11-20/outage/x.ndjson.gz --yes", "doctor",
    "use http://127.0.0.1:{port}",
)  # fmt: skip
# Takes connections and says nothing; each one is a command that waits, and gets Ctrl-C.
DRIVER = """
import json, os, signal, socket, sys, threading, time
from shared.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background of a shell
silent = socket.create_server(("127.0.0.1", 0))
port = silent.getsockname()[1]
waiting = []

def interrupt():
    while True:
        waiting.append(silent.accept()[0])
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
os.environ["DEFENDER_EXPORT_URL"] = f"http://127.0.0.1:{port}"
found = [(command, main(command.format(port=port).split())) for command in json.loads(sys.argv[1])]
print(json.dumps(found))
"""


@pytest.mark.slow
def test_ctrl_c_ends_every_command_that_waits_for_the_app(tmp_path: Path) -> None:
    (tmp_path / "soc.yaml").write_bytes((ROOT / "exports" / "high-alerts-to-event-hub.yaml").read_bytes())
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "DEFENDER_EXPORT_KEY": "x",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", DRIVER, json.dumps(COMMANDS)], cwd=tmp_path, env=environment, text=True, check=False,
        capture_output=True, timeout=240, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    *_, last = done.stdout.splitlines() or [""]
    assert json.loads(last or "[]") == [[command, 130] for command in COMMANDS], done.stdout + done.stderr
    assert done.stderr == "interrupted\n" * len(COMMANDS)
