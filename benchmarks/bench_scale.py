"""What grows with the tenant, from 100 to 10,000 subscriptions: `python -m benchmarks.bench_scale`.

Each step runs in a process of its own against a server in another, so that CPU time, peak memory and requests are the
step's alone.  Azure Resource Manager, Resource Graph and storage are the local ones, without throttling.  Present
records come from a handler that makes each page when it is asked for, and bodies go to a sink.  What is judged is the
growth: ten times the subscriptions may cost twelve times the CPU and the requests.  Less than a second of CPU counts as
a second: there, what every process pays weighs more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from benchmarks.budgets import Budget
from local.arm.calls import Call, Reply
from local.arm.graph import ResourceGraph

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100, 1_000, 10_000)
PRESENT = 1_000
"""Present records a subscription: 10 million at the largest size."""
NAMED = 500
"""Subscriptions that a job names: its arguments may have 30,000 characters."""
GROWTH = 12.0
MEMORY = 1_000.0
"""MB that a process may reach."""
LEAST_SECONDS = 1.0
TYPE = "microsoft.security/assessments"
EXPORT = """version: 1
name: everything
scope: {{managementGroups: [contoso]}}
automation: {{location: westeurope}}
export:
  frequency: [streaming, snapshot]
  alerts: {{minimumSeverity: Medium}}
  recommendations: {{minimumSeverity: Medium}}
  secureScore: {{controls: true}}
destination:
  eventHub: {{resourceId: {hub}, trustedService: true}}
"""


@lru_cache(100)
def row_parts(subscription: str) -> tuple[bytes, bytes, bytes]:
    """A present record of Resource Graph in three parts, between which its number stands, 6 digits, twice."""
    scope = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vm-NUMBER"
    row = {
        "id": f"{scope}/providers/Microsoft.Security/assessments/4fb67663-9ab9-475d-b026-8c544cced439",
        "name": "4fb67663-9ab9-475d-b026-8c544cced439",
        "type": TYPE,
        "tenantId": "5c6e4337-15ba-4bdd-9772-19d30e7a269f",
        "subscriptionId": subscription,
        "properties": {
            "displayName": "Endpoint protection should be installed on machines",
            "resourceDetails": {"Source": "Azure", "Id": scope},
            "status": {"code": "Unhealthy", "statusChangeDate": "2026-10-01T06:00:00Z"},
            "metadata": {
                "displayName": "Endpoint protection should be installed on machines",
                "assessmentType": "BuiltIn",
                "description": "Install an endpoint protection solution on your machines to protect them.",
                "severity": "High",
                "categories": ["Compute"],
            },
        },
    }
    first, second, third = orjson.dumps(row).split(b"NUMBER")
    return first, second, third


def page(subscriptions: Sequence[str], start: int, top: int) -> list[bytes]:
    """The present records of some subscriptions from `start` on, as JSON."""
    rows = []
    for number in range(start, min(start + top, PRESENT * len(subscriptions))):
        first, second, third = row_parts(subscriptions[number // PRESENT])
        text = b"%06d" % (number % PRESENT)
        rows.append(b"".join((first, text, second, text, third)))
    return rows


class MadeOnRequest(ResourceGraph):
    """Resource Graph, whose present records are made when they are asked for."""

    def query(self, call: Call) -> Reply:
        """A page of them; any other question is answered as ever."""
        body = call.document()
        if "| project id, name, type, tenantId" not in str(body.get("query")):
            return super().query(call)
        options = body["options"]
        subscriptions = sorted(body["subscriptions"]) if f"'{TYPE}'" in body["query"] else []
        start = int(options.get("$skipToken") or options.get("$skip") or 0)
        rows = page(subscriptions, start, options["$top"])
        end, total = start + len(rows), PRESENT * len(subscriptions)
        token = b',"$skipToken":"%d"' % end if end < total else b""
        return Reply(200, b'{"totalRecords":%d,"data":[%s]%s}' % (total, b",".join(rows), token), {})


async def serve(folder: Path, count: int) -> None:
    """A tenant on loopback, until the input ends; prints what contestants need to know."""
    from benchmarks.sink import Sink
    from local.arm import TABLES
    from local.arm.calls import Operations
    from local.stack import LocalAzure
    from local.tenant import destinations, synthetic_tenant

    tenant = synthetic_tenant(1, count, resources=0, untidy=False)
    azure = LocalAzure(folder, parts=("azurite", "arm"), tenant=tenant)
    azure.arm.throttling = False
    azure.arm._operations = Operations(*TABLES, MadeOnRequest(tenant, azure.arm.now).operations)  # noqa: SLF001 # as Arm makes it
    async with azure, Sink(azure.certificates) as sink:
        environment = azure.app_settings() | {
            "LOGS_INGESTION_ENDPOINT": sink.endpoint,
            "LOGS_INGESTION_RULE_ID": "dcr-00000000000000000000000000000000",
            "INSTANCE_ID": "scale",
            "APPLY_BUDGET_SECONDS": "11500",
            "FUNCTION_TIMEOUT_SECONDS": "14400",
        }
        hub = destinations(tenant).event_hub
        environment["EVENT_HUB_RESOURCE_ID"] = hub
        print(json.dumps({"export": EXPORT.format(hub=hub), "environment": environment}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


class Steps:
    """What is measured, by name; each gives a number that tells that it did its work."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        from shared.bootstrap import services

        self._known = known
        self._services = services()

    async def apply(self) -> int:
        """Create an export in every subscription."""
        from shared.reconcile.report.run_report import Caller
        from shared.reconcile.run import Request

        await self._services.exports.put("everything", self._known["export"])
        report = await self._services.reconciler.apply(Request(Caller("cli", "benchmark")))
        return int(report.counts["Created"])

    async def plan(self) -> int:
        """Find nothing to do."""
        from shared.reconcile.report.run_report import Caller
        from shared.reconcile.run import Request

        report = await self._services.reconciler.plan(Request(Caller("cli", "benchmark")))
        return int(report.counts["Unchanged"])

    async def reports(self) -> int:
        """List the runs."""
        return len(json.loads(await self._answer("list_runs"))["value"])

    async def coverage(self) -> int:
        """Say what each subscription exports."""
        return len(await self._answer("get_coverage"))

    async def evidence(self) -> int:
        """The whole report for auditors, page by page."""
        verdicts, asked = 0, {"limit": "1000"}
        while True:
            answer = json.loads(await self._answer("get_evidence", asked))
            verdicts += len(answer["value"])
            if not answer["continuation"]:
                return verdicts
            asked["continuation"] = answer["continuation"]

    async def freshness(self) -> int:
        """The timer's check, nothing being due yet."""
        return len((await self._services.check_freshness())["health"])

    async def overdue(self) -> int:
        """The check as of ten days later: every subscription is silent, and what is present is read as proof."""
        from datetime import UTC, datetime, timedelta

        document = await self._services.check_freshness(as_of=datetime.now(UTC) + timedelta(days=10))
        return len(document["health"])

    async def page(self) -> int:
        """The operations page and what it asks for when it opens."""
        names = ("operations_page", "get_freshness", "list_runs", "list_jobs", "list_dead_letters")
        return sum([len(await self._answer(name)) for name in names])

    async def preview(self) -> int:
        """Count the present records of every subscription."""
        return int((await self._run("preview", {"export": "everything"}))["records"])

    async def backfill(self) -> int:
        """Send those of every tenth subscription, as many a job as may be named."""
        survey = await self._services.tenant_state.take()
        chosen = sorted(one.id.lower() for one in survey.subscriptions)[::10]
        records = 0
        for start in range(0, len(chosen), NAMED):
            arguments = {"kinds": ["Assessments"], "subscriptions": chosen[start : start + NAMED]}
            records += int((await self._run("backfill", arguments))["records"])
        return records

    async def _answer(self, name: str, asked: Mapping[str, str] | None = None) -> bytes:
        import azure.functions as func

        from shared.web import routing

        request = func.HttpRequest(
            "GET",
            f"https://localhost/api/{name}?{urlencode(asked or {})}",
            headers={},
            params=asked or {},
            route_params={},
            body=b"",
        )
        answer = await routing.respond(name, request)
        if answer.status_code != 200:  # noqa: PLR2004 # OK
            raise SystemExit(f"{name} answered {answer.status_code}: {answer.get_body()[:300]!r}")
        return bytes(answer.get_body())

    async def _run(self, kind: str, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """A job of this kind, as the queue's trigger runs it, until it ends."""
        from datetime import UTC, datetime

        services = self._services
        job = await services.jobs.submit(kind, arguments, "benchmark", now=datetime.now(UTC))
        while not job.final:
            await services.job_worker.run(job.id)
            job = await services.jobs.settled(job.id, datetime.now(UTC))
        if job.result is None:
            raise SystemExit(f"{kind} ended {job.state}: {job.error}")
        return job.result


STEPS = ("apply", "plan", "reports", "coverage", "evidence", "page", "preview", "backfill", "overdue", "freshness")


async def contest(name: str, known: Mapping[str, Any]) -> dict[str, float]:
    """Do one step, and say what it took."""
    from azure.core.pipeline.transport import AioHttpTransport

    requests = 0
    send = AioHttpTransport.send

    async def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal requests
        requests += 1
        return await send(self, *arguments, **options)

    AioHttpTransport.send = counted
    steps = Steps(known)
    wall, cpu = time.monotonic(), time.process_time()
    done = await getattr(steps, name)()
    from shared.bootstrap import services

    taken = {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall}
    await services().close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**taken, "requests": requests, "memory": memory, "done": done}


@contextmanager
def server(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """The server in a process of its own, and what it says."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", "--serve", str(folder), "--sizes", str(count)]
    with subprocess.Popen(  # noqa: S603 # our own module
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()


def run(name: str, known: Mapping[str, Any]) -> dict[str, float]:
    """One step in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", "--contest", name]
    done = subprocess.run(  # noqa: S603 # our own module
        command,
        cwd=ROOT,
        env=os.environ | known["environment"],
        input=json.dumps(known),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def judge(found: Mapping[tuple[str, int], Mapping[str, float]], sizes: Sequence[int]) -> list[Budget]:
    """A budget a step: its worst growth in CPU and in requests, and its largest memory."""
    budgets = []
    for name in dict.fromkeys(name for name, _ in found):
        steps = [(found[name, small], found[name, large]) for small, large in pairwise(sizes)]
        cpu = max(max(large["cpu"], LEAST_SECONDS) / max(small["cpu"], LEAST_SECONDS) for small, large in steps)
        requests = max(large["requests"] / small["requests"] for small, large in steps)
        memory = max(found[name, size]["memory"] for size in sizes)
        met = cpu <= GROWTH and requests <= GROWTH and memory <= MEMORY
        budgets.append(
            Budget(
                f"{name}, ten times the subscriptions",
                f"{cpu:.1f}x CPU, {requests:.1f}x requests, {memory:,.0f} MB",
                f"{GROWTH:g}x, {MEMORY:,.0f} MB",
                met,
            )
        )
    return budgets


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a step grows faster than allowed."""
    options = argparse.ArgumentParser(prog="bench_scale", description=__doc__.partition("\n")[0])
    options.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    options.add_argument("--steps", nargs="*", default=STEPS, choices=STEPS)
    options.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--contest", choices=STEPS, help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.serve:
        asyncio.run(serve(chosen.serve, chosen.sizes[0]))
        return 0
    if chosen.contest:
        print(json.dumps(asyncio.run(contest(chosen.contest, json.loads(sys.stdin.read())))))
        return 0
    found: dict[tuple[str, int], dict[str, float]] = {}
    print(f"{PRESENT:,} present records a subscription; a backfill sends those of every tenth")
    print(f"  {'':12}{'subscriptions':>14}{'CPU s':>10}{'wall s':>10}{'peak MB':>10}{'requests':>10}{'done':>14}")
    for size in chosen.sizes:
        with tempfile.TemporaryDirectory() as folder, server(Path(folder), size) as known:
            for name in chosen.steps:
                took = found[name, size] = run(name, known)
                print(
                    f"  {name:12}{size:14,}{took['cpu']:10.2f}{took['wall']:10.1f}{took['memory']:10.0f}"
                    f"{took['requests']:10,.0f}{took['done']:14,.0f}",
                    flush=True,
                )
    budgets = judge(found, chosen.sizes)
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
