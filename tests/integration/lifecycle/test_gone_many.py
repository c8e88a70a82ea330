"""As many open records as the largest tenants have, within the limits of both services and of the function."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.arm import TABLES
from local.arm.calls import Call, Operations, Reply
from local.arm.graph import QUOTA, QUOTA_SECONDS, ResourceGraph
from local.stack import LocalAzure
from local.tenant.security import ASSESSMENTS
from tests.integration.lifecycle.life import Life

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLICES = 257
PEAK_KB = 300 * 1024
WORKER = """
import asyncio, json, sys
from datetime import UTC, datetime
from shared.bootstrap import services
from shared.reconcile.apply.run_lock import LeaseHeld

def peak():
    return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:")))

async def work():
    check, ticks, waits, state = services().gone, [], 0, None
    while state is None or state.ended is None:
        began = datetime.now(UTC)
        try:
            state = await (check.begin(began) if sys.argv[1] == "begin" and state is None else check.go_on(began))
        except LeaseHeld:
            waits += 1
            await asyncio.sleep(2)
            continue
        ticks.append([len(state.left), round((datetime.now(UTC) - began).total_seconds()), peak()])
    told = {**state.told(), "ticks": ticks, "waits": waits, "queries": check._tables.requests,
            "pages": check._present.graph.requests}
    await services().close()
    print(json.dumps(told))

asyncio.run(work())
"""


class ManyIds(ResourceGraph):
    """Resource Graph with as many records of one subscription as are asked for, but for every thousandth."""

    def __init__(self, azure: LocalAzure, records: int) -> None:
        super().__init__(azure.tenant, azure.arm.now)
        self.parts: dict[str, list[str]] = {}
        self.asked: list[float] = []
        for number in range(records):
            if number % 1_000:
                name = name_of(number)
                self.parts.setdefault(name[:2], []).append(name)

    def query(self, call: Call) -> Reply:
        body = call.document()
        if "attackPathId" not in str(body.get("query")):
            return super().query(call)
        headers = self._quota(call)
        self.asked.append(self._now())
        asked = re.search(r"== '([0-9a-f]*)'", body["query"])
        assert asked is not None
        names = self.parts.get(asked[1], [])
        options = body["options"]
        start = int(options.get("$skipToken") or 0)
        page = names[start : start + options["$top"]]
        rows = [{"id": f"/s/{name}", "name": name, "type": ASSESSMENTS, "own": "", "other": ""} for name in page]
        answer = {"totalRecords": len(names), "data": rows}
        if start + len(page) < len(names):
            answer["$skipToken"] = str(start + len(page))
        return Reply(200, json.dumps(answer).encode(), headers)


async def worker(how: str) -> asyncio.subprocess.Process:
    root = Path(__file__).parents[3]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, how, cwd=root, env=os.environ, stdout=asyncio.subprocess.PIPE
    )


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("records", [1_000_000])
async def test_many_open_records_of_one_subscription_are_compared_in_bounded_memory(life: Life, records: int) -> None:
    """Within the limits of the query API, Resource Graph's quota and a tick's time, and on after a kill."""
    one = life.subscriptions[0]
    await life.azure.workspace.sql(
        f"""INSERT INTO DefenderAssessments_CL BY NAME SELECT t AS TimeGenerated, t AS EventTime, t AS EnqueuedTime,
        '/s/' || md5(i::VARCHAR) AS RecordId, 'Assessment' AS RecordKind, 'Insert' AS Action, '{one}' AS SubscriptionId,
        i AS SequenceNumber, 'Unhealthy' AS RecommendationState, 'DynamicBuiltIn' AS AssessmentType,
        t AS StatusChangeDate FROM (SELECT range AS i, now()::TIMESTAMP - INTERVAL 2 DAY AS t FROM range({records}))"""
    )
    graph = ManyIds(life.azure, records)
    life.azure.arm._operations = Operations(*TABLES, graph.operations)
    life.azure.ingestion._now = lambda: datetime.now(UTC)
    life.azure.arm.throttling = True

    doomed = await worker("begin")
    while (state := await life.check().latest()) is None or len(state.left) > SLICES * 0.7:
        assert doomed.returncode is None
        await asyncio.sleep(1)
    doomed.kill()
    await doomed.wait()
    process = await worker("go on")
    out, _ = await process.communicate()
    told = json.loads(out)
    print(told)  # noqa: T201 - what was measured
    assert told["waits"] > 0, "until the lease of the one that was killed runs out"
    assert told["ended"], "the other one ended what was begun"
    assert (told["recordsCompared"], told["concluded"]) == (records, {"Missing": records // 1_000})
    assert (told["slicesLeftOut"], told["reasons"]) == (0, [])
    assert {record for (record,) in await life.rows("DefenderGone_CL | distinct RecordId")} == missing(records)
    seconds = life.services.settings.function_timeout.total_seconds()
    assert len(told["ticks"]) > 1
    assert all(took < seconds * 0.6 for _, took, _ in told["ticks"])
    assert told["queries"] <= SLICES
    assert told["pages"] <= records / 1_000 + 2 * SLICES
    assert all(
        until - since >= QUOTA_SECONDS for since, until in zip(graph.asked, graph.asked[QUOTA * 2 :], strict=False)
    )
    peaks = [peak for _, _, peak in told["ticks"]]
    assert peaks[-1] < PEAK_KB
    assert peaks[-1] < peaks[0] * 1.2, "flat"


def missing(records: int) -> set[str]:
    return {f"/s/{name_of(number)}" for number in range(0, records, 1_000)}


def name_of(number: int) -> str:
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
