"""A plan without drift, beside a list call per subscription, in one run: `python -m benchmarks.bench_plan`.

The local ARM and its tenant live in one process, the storage emulator in another, and each contestant in its own, so
that CPU time and peak memory are the contestant's alone.  Throttling is on: the wall time includes the waits that
Resource Graph's quota and ARM's buckets impose.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from benchmarks.budgets import Budget

ROOT = Path(__file__).resolve().parent.parent
BUDGETS = {"requests": 60, "CPU seconds": 6.0, "peak MB": 300.0}
EXPORTS = 3
INSTANCE = "bench"
CONTENT = """
  recommendations:
    minimumSeverity: Medium
    ids:
      - 82e20e14-edc5-4373-bfc4-f13121257c37
      - f97aa83c-9b63-4f9a-99f6-b22c4398f936
      - 1195afff-c881-495e-9bc5-1486211ae03f
"""


def export_file(name: str, hub: str) -> str:
    """An export that compiles to about 2 KB."""
    return (
        f"version: 1\nname: {name}\nscope: {{managementGroups: [contoso]}}\nautomation: {{location: westeurope}}\n"
        f"export:{CONTENT}destination:\n  eventHub: {{resourceId: {hub}, trustedService: true}}\n"
    )


async def serve(folder: Path, subscriptions: int) -> None:
    """A tenant in which every subscription already has every export; prints what a contestant needs to know."""
    from local.arm import Arm
    from local.certs import Certificates
    from local.tenant import APP, AUTOMATIONS, synthetic_tenant
    from local.tenant.destinations import destinations
    from local.tokens import TokenAuthority
    from shared.exports.compiler import automation_id, compile_automation
    from shared.exports.validation import check_text

    tenant = synthetic_tenant(1, subscriptions, resources=0, untidy=False)
    hub = destinations(tenant).event_hub
    files = {f"export-{number}": export_file(f"export-{number}", hub) for number in range(EXPORTS)}
    sizes = []
    for name, text in files.items():
        config = check_text(text, name).config
        assert config is not None
        for subscription in tenant.subscriptions.values():
            if subscription.tenant_id == tenant.home:
                body = compile_automation(config, subscription.id, INSTANCE)
                place = automation_id(config, subscription.id)
                sizes.append(len(json.dumps(body, separators=(",", ":"))))
                tenant.seed_resource(
                    {**body, "id": place, "name": place.rpartition("/")[2], "type": AUTOMATIONS, "etag": '"1"'}
                )
    tokens = TokenAuthority()
    async with Arm(tenant, tokens, Certificates(folder)) as arm:
        token, expires = tokens.mint(APP, arm.endpoint)
        known = {"endpoint": arm.endpoint, "token": token, "expires": expires, "files": files, "bytes": sizes[0]}
        print(json.dumps(known), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def contest(way: str, known: dict[str, Any]) -> dict[str, Any]:
    """Plan once in this process, finding out by `way` (graph or list), and say what it took."""
    from azure.core.credentials import AccessToken
    from azure.core.exceptions import ResourceExistsError

    from shared.azure.clients import Clients
    from shared.exports.store import ExportStore
    from shared.reconcile.report.run_report import Caller
    from shared.reconcile.run import Reconciler, Request
    from shared.settings import Settings

    class Minted:
        async def get_token(self, *_: str, **__: Any) -> AccessToken:
            return AccessToken(known["token"], known["expires"])

        async def close(self) -> None:
            """Nothing to close."""

    class LocalClients(Clients):
        @cached_property
        def credential(self) -> Any:
            return Minted()

    settings = Settings.load(
        {
            "INSTANCE_ID": INSTANCE,
            "ARM_ENDPOINT": known["endpoint"],
            "AzureWebJobsStorage": known["storage"],
            "INVENTORY": way,
            "APPLY_BUDGET_SECONDS": "3600",
            "FUNCTION_TIMEOUT_SECONDS": "7200",
        }
    )
    clients = LocalClients(settings)
    try:
        for container in (settings.exports_container, settings.reports_container):
            with contextlib.suppress(ResourceExistsError):
                await clients.blobs.create_container(container)
        store = ExportStore(clients.blobs.get_container_client(settings.exports_container))
        for name, text in known["files"].items():
            await store.put(name, text)
        wall, cpu = time.monotonic(), time.process_time()
        report = await Reconciler(settings, clients, store).plan(Request(Caller("cli", "benchmark")))
        return {
            "requests": sum(report.requests.values()),
            "CPU seconds": time.process_time() - cpu,
            "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "wall seconds": time.monotonic() - wall,
            "unchanged": report.counts["Unchanged"],
            "writes": len(report.plan.writes),
        }
    finally:
        await clients.close()


@contextlib.contextmanager
def child(*arguments: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """This module in a process of its own, which ends when its input does."""
    with subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "benchmarks.bench_plan", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            _pipe(process.stdin).close()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def run_contestant(way: str, known: dict[str, Any], environment: dict[str, str]) -> dict[str, Any]:
    """What one way took."""
    with child("--contest", way, environment=environment) as process:
        said, _ = process.communicate(json.dumps(known))
    if process.returncode:
        raise SystemExit(f"the contestant {way} failed")
    answer: dict[str, Any] = json.loads(said)
    return answer


def compare(subscriptions: int) -> int:
    """Print the comparison; 1 when a budget is missed."""
    from local.azurite import Azurite
    from local.certs import Certificates

    with tempfile.TemporaryDirectory() as folder:
        storage = Certificates(Path(folder) / "storage")
        bundle = Path(folder) / "bundle.pem"
        environment = {"SSL_CERT_FILE": str(bundle), "REQUESTS_CA_BUNDLE": str(bundle)}
        serving = child("--serve", folder + "/arm", "--subscriptions", str(subscriptions), environment={})
        with Azurite(storage, accounts=("graph", "list")) as azurite, serving as server:
            known = json.loads(_pipe(server.stdout).readline())
            bundle.write_bytes(storage.ca_file.read_bytes() + (Path(folder) / "arm" / "ca.pem").read_bytes())
            results = {
                way: run_contestant(way, known | {"storage": azurite.account(way).connection_string}, environment)
                for way in ("graph", "list")
            }
    print(f"{subscriptions:,} subscriptions x {EXPORTS} exports of {known['bytes']:,} bytes, without drift")
    print(f"  {'':16}{'ours':>12}{'a list call each':>20}")
    missed = False
    for name in ("requests", "CPU seconds", "peak MB", "wall seconds"):
        ours, theirs = results["graph"][name], results["list"][name]
        print(f"  {name:16}{ours:12,.1f}{theirs:20,.1f}")
    for name, allowed in BUDGETS.items():
        ours = results["graph"][name]
        missed |= ours > allowed
        print(Budget(f"plan without drift, {name}", f"{ours:,.1f}", f"{allowed:g}", ours <= allowed).line())
    for way, result in results.items():
        if result["writes"] or result["unchanged"] != subscriptions * EXPORTS:
            print(f"  {way} found {result['unchanged']} unchanged and {result['writes']} to write: WRONG")
            missed = True
    return int(missed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or be one of the processes of the comparison."""
    options = argparse.ArgumentParser(prog="bench_plan", description=__doc__.partition("\n")[0])
    options.add_argument("--subscriptions", type=int, default=10_000)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--contest", choices=("graph", "list"), help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.serve:
        asyncio.run(serve(chosen.serve, chosen.subscriptions))
        return 0
    if chosen.contest:
        print(json.dumps(asyncio.run(contest(chosen.contest, json.loads(sys.stdin.read())))))
        return 0
    return compare(chosen.subscriptions)


if __name__ == "__main__":
    sys.exit(main())
