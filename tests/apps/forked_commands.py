"""Commands of the command line, each in a process forked from one that has loaded all of it: quicker than a start each.

A command with KILL_AT in its environment, as in "http.request:after 7", dies by SIGKILL there.
Standard input has an array of orders, standard output gets an array of what came of them, in the same order.
"""

from __future__ import annotations

import importlib
import json
import os
import shlex
import signal
import sys
import time
from typing import Any, NoReturn

from tests.e2e.crashing import kill_at

LOADED = (
    "aiohttp", "azure.core.pipeline.policies", "azure.data.tables.aio", "azure.identity.aio", "azure.mgmt.core",
    "azure.monitor.ingestion.aio", "azure.monitor.query.aio", "azure.storage.blob.aio", "azure.storage.queue.aio",
    "shared.bootstrap", "shared.cli.api_client", "shared.cli.direct", "shared.exports.model", "shared.jobs.runners",
    "shared.jobs.store", "shared.reconcile.run", "shared.tenant_state", "shared.watch.freshness_check",
    "shared.enrich.invocation.pipeline_factory",
)  # fmt: skip


def main() -> None:
    """Carry out every order, at most `at_once` together."""
    for module in LOADED:
        importlib.import_module(module)
    from shared.cli import command_parser

    command_parser()
    given = json.load(sys.stdin)
    waiting = list(enumerate(given["orders"]))
    ended: dict[int, dict[str, Any]] = {}
    running: dict[int, tuple[int, float]] = {}
    while waiting or running:
        while waiting and len(running) < given["at_once"]:
            number, order = waiting.pop(0)
            begun = time.monotonic()
            if (pid := os.fork()) == 0:
                _carry_out(order)
            running[pid] = number, begun
        pid, status = os.wait()
        number, begun = running.pop(pid)
        ended[number] = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - begun}
    json.dump([ended[number] for number in range(len(given["orders"]))], sys.stdout)


def _carry_out(order: dict[str, Any]) -> NoReturn:
    """In a process of its own; killed by SIGALRM when it lasts too long."""
    from shared.cli import main as command

    code = 70
    try:
        signal.alarm(order["alarm"])
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in enumerate(("out", "err"), 1):
            os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        if kill := order["environment"].get("KILL_AT"):
            point, _, nth = kill.partition(" ")
            kill_at(point, int(nth))
        code = command(shlex.split(order["command"]))
    except SystemExit as wrong:
        code = int(str(wrong.code or 0))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
