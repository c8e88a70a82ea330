"""No wait of the app is without an end: each way in has a deadline, and each wait on the way is bounded or is named.

A wait is bounded where it stands inside `asyncio.timeout`, takes a timeout itself, or is one of BOUNDED, which says by
what.  Requests of SDK clients end by themselves as well (tests/unit/azure/test_http_transport.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared
from local.app import ROOT

SHARED = Path(shared.__path__[0])
TREES = {path.relative_to(SHARED).as_posix(): ast.parse(path.read_text()) for path in SHARED.rglob("*.py")}
LIMITED = {"asyncio.timeout", "asyncio.timeout_at", "_within"}
WAITS = (
    "sleep", "shield", "to_thread", "run_in_executor", "wait", "acquire", "join", "get", "pause", "wait_closed",
    "communicate", "getaddrinfo",
)  # fmt: skip
TURNS = ("asyncio.Lock", "asyncio.Semaphore", "asyncio.BoundedSemaphore", "asyncio.Condition")
CALLER = "those who have the turns end by their own deadlines, and so does whoever waits: the way in cuts both off"
OWN = "work of this process on bytes of bounded number, which asks nobody"
ITEM = "each item of an acceptance has a time, and the command another"
BOUNDED = {
    ("accept/checks/app.py", "asyncio.sleep(_BEGUN_SECONDS)"): ITEM,
    ("accept/checks/app.py", "asyncio.sleep(_POLL_SECONDS)"): ITEM,
    ("accept/checks/ingestion.py", "asyncio.sleep(_PAUSE_SECONDS)"): ITEM,
    ("accept/checks/storage.py", "asyncio.sleep(_HIDDEN_SECONDS + 0.5)"): ITEM,
    ("accept/checks/storage.py", "made"): ITEM,
    ("accept/checks/storage.py", "write"): ITEM,
    ("accept/world.py", "asked"): ITEM,
    (
        "accept/wire.py",
        "asyncio.sleep(min(capped(1.0 if asked is None else asked), _LONGEST_PAUSE))",
    ): "ten seconds at most, and three tries",
    ("audit/trail.py", "async with gate"): CALLER,
    ("azure/quota.py", "async with self._turn"): CALLER,
    ("bootstrap.py", "asyncio.to_thread(evidence, basis, required, made, proven)"): OWN,
    ("web/limited_services.py", "asyncio.to_thread(evidence, basis, theirs, made, proven)"): OWN,
    ("bootstrap.py", "asyncio.to_thread(shapes_of, reading.met, asked.names, asked.most)"): OWN,
    ("azure/resource_graph.py", "self._clock.sleep(min(wait, max(0.0, end.left)))"): "its own end",
    ("azure/retry_backoff.py", "clock.sleep(pause)"): "not begun where it would pass the deadline; a minute at most",
    ("cli/api_client.py", "asyncio.sleep(pause)"): "ten seconds at most, and three tries",
    ("jobs/canary_runner.py", "asyncio.sleep(LOOK_EVERY_SECONDS)"): "ten seconds, until the verdict is due",
    ("cli/jobs.py", "asyncio.sleep(1)"): "a second",
    ("cli/watch.py", "asyncio.sleep(_POLL_SECONDS)"): "a second",
    ("enrich/delivery/upload.py", "self._clock.sleep(delay)"): "not begun where it would pass the deadline",
    ("enrich/delivery/upload_concurrency.py", "self._clock.sleep(pause)"): "not begun where it would pass the deadline",
    ("enrich/dead_letters/dead_letter_store.py", "asyncio.to_thread(_decode, data, None)"): OWN,
    ("enrich/dead_letters/dead_letter_store.py", "asyncio.to_thread(_decode, data, blob)"): OWN,
    ("enrich/dead_letters/dead_letter_store.py", "asyncio.to_thread(_encode, stays)"): OWN,
    (
        "enrich/dead_letters/dead_letter_store.py",
        "asyncio.to_thread(lambda: (_encode(letters), _identity(letters)))",
    ): OWN,
    ("enrich/invocation/preparation.py", "asyncio.to_thread(step, *arguments)"): OWN,
    ("enrich/invocation/routed_delivery.py", "async with self._turn"): CALLER,
    ("enrich/routing/routes_in_force.py", "asyncio.to_thread(self._text)"): OWN,
    ("enrich/routing/routes_in_force.py", "asyncio.to_thread(self._read, text)"): OWN,
    ("enrich/routing/routes_in_force.py", "asyncio.to_thread(self._kept, text, fault)"): OWN,
    ("exports/last_known_good.py", "async with gate"): CALLER,
    ("exports/last_known_good.py", "asyncio.to_thread(check_version, name, data)"): OWN,
    ("exports/store.py", "asyncio.to_thread(check_new_version, name, text)"): OWN,
    ("exports/store.py", "asyncio.to_thread(check_beside, name, checked.config, others)"): OWN,
    ("jobs/worker.py", "asyncio.wait([work])"): "the work is cancelled; what it cleans up ends with the invocation",
    ("reconcile/apply/executor.py", "self._pause(pause)"): "seconds that constants name, a few times",
    ("reconcile/apply/run_lock.py", "asyncio.sleep(self._renew_every)"): "ten seconds, in a task of the run's own",
    ("reconcile/apply/run_lock.py", "self._renewal"): "it is cancelled",
    ("bootstrap.py", "tick"): "a tick of a timer has a deadline of its own, and `in_time` around it",
    (
        "jobs/gone_everywhere.py",
        "comparing",
    ): "a tick of a comparison has a deadline of its own, and `in_time` around it",
    ("reconcile/arm/arm_client.py", "answer"): "a call of this client, which has the run's deadline",
    ("reconcile/arm/token_buckets.py", "self._clock.sleep(step - now)"): "as many turns as there are workers",
    ("reconcile/report/report_store.py", "async with self._turn"): CALLER,
    ("reconcile/report/report_store.py", "asyncio.to_thread(as_far_as_readable, run_id, data)"): OWN,
    (
        "reconcile/report/report_store.py",
        (
            "asyncio.to_thread(lambda: {run_id: _of_line(run_id, line) "
            "for run_id in run_ids if (line := lines.get(run_id))})"
        ),
    ): OWN,
    ("reconcile/run.py", "asyncio.shield(self._finish(run))"): "whoever cuts the run off waits for its report briefly",
    ("reconcile/destinations/registration.py", "async with turns"): CALLER,
    ("reconcile/discover/inventory.py", "async with turns"): CALLER,
    ("tenant_state.py", "asyncio.shield(self._reading)"): "the reading ends after three minutes",
    ("watch/deployed_columns.py", "async with turn"): CALLER,
    ("exports/kept_file.py", "async with self._turn"): CALLER,
    ("exports/kept_file.py", "asyncio.to_thread(self._check, text, self._blob)"): OWN,
    ("muting/stored_mutes.py", "asyncio.to_thread(read_mutes, text, BLOB)"): OWN,
    ("watch/stored_requirements.py", "asyncio.to_thread(read_requirements, text, BLOB)"): OWN,
    ("watch/last_seen.py", "async with turns"): CALLER,
    ("watch/open_items.py", "async with self._turn"): CALLER,
    ("watch/present_records.py", "async with gate"): CALLER,
    ("web/dead_letters.py", "asyncio.to_thread(_shown, letters[start:start + size])"): OWN,
    ("web/checks_apart.py", "loop.run_in_executor(_CHECKER, work, *arguments)"): OWN,
    ("web/checks_apart.py", "loop.run_in_executor(_WAITING, lambda: in_a_process(work, *arguments))"): "a minute",
    ("web/compression.py", "asyncio.to_thread(gzip.compress, content, _FAST, mtime=0)"): OWN,
    ("web/evidence.py", "asyncio.to_thread(html_page, document)"): OWN,
    ("web/health_check.py", "asyncio.shield(checking)"): "each check has its own patience",
    ("web/run_history.py", "asyncio.to_thread(_that_fit, await reports.summaries(shown))"): OWN,
    ("web/jobs.py", "asyncio.sleep(min(next(pauses, _POLL_SECONDS[-1]), left))"): "what is left of the time asked for",
}
"""What bounds each wait that stands inside no `asyncio.timeout`."""
TASKS = {
    (
        "azure/event_hub.py",
        "asyncio.ensure_future(_receive(hub, name, begin, arrived))",
    ): "cancelled when the reading ends, which has a limit",
    ("bootstrap.py", "asyncio.ensure_future(work)"): "the invocation itself, which `in_time` cuts off",
    (
        "notify/notifier.py",
        "group.create_task(self._send_to(channel, waiting, standing, sent, standings))",
    ): "the group ends with the look, and each receiver has its own seconds",
    (
        "enrich/context/resource_context.py",
        "asyncio.get_running_loop().create_task(self._fly(query, keys))",
    ): "nobody waits longer than a second for it; Resource Graph's client gives a page two minutes",
    (
        "enrich/delivery/output_hub.py",
        "asyncio.get_running_loop().create_task(self._look_once())",
    ): "nobody waits for it, and it has the hub's patience",
    (
        "enrich/delivery/upload.py",
        "group.create_task(self._deliver_one(body, deadline, report, records[body.stream]))",
    ): "the delivery's deadline",
    (
        "enrich/invocation/freshness_notes.py",
        "asyncio.get_running_loop().create_task(self._tell())",
    ): "nobody waits longer than a second for it, and it has a limit",
    ("jobs/heartbeat.py", "asyncio.ensure_future(progress.due.wait())"): "cancelled after each heartbeat",
    (
        "jobs/worker.py",
        "asyncio.ensure_future(self._runners[claimed.job.kind](claimed.job, progress))",
    ): "cancelled with the invocation",
    ("reconcile/apply/executor.py", "workers.create_task(work())"): "the run's deadline",
    ("reconcile/apply/run_lock.py", "asyncio.create_task(self._renew())"): "cancelled at the end of the run",
    ("tenant_state.py", "asyncio.create_task(self._read(forced=forced))"): "three minutes",
    ("web/health_check.py", "asyncio.create_task(_checked(call.services))"): "each check has its own patience",
}
"""What ends each task that runs beside what began it."""


def within(tree: ast.AST) -> set[int]:
    """The nodes below a `with` whose context manager sets a time."""
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith) and any(_call(item.context_expr) in LIMITED for item in node.items)
        for inner in ast.walk(node)
    }


def _call(node: ast.expr) -> str:
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def turns(tree: ast.AST) -> set[str]:
    """What a module calls its locks and semaphores."""
    return {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _call(node.value) in TURNS
        for target in node.targets
    }


def waits(tree: ast.AST) -> Iterator[tuple[ast.AST, str]]:
    """Each wait for time, for a turn, or for another task, and what it says."""
    held = turns(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            name = _call(node.value)
            keywords = {each.arg for each in node.value.keywords}
            if name.rsplit(".", 1)[-1].lstrip("_") in WAITS and "timeout" not in keywords and _is_wait(node.value):
                yield node, ast.unparse(node.value)
        elif isinstance(node, ast.Await) and isinstance(node.value, ast.Name | ast.Attribute):
            yield node, ast.unparse(node.value)
        elif isinstance(node, ast.AsyncWith):
            for item in node.items:
                if ast.unparse(item.context_expr) in held:
                    yield node, f"async with {ast.unparse(item.context_expr)}"


def _is_wait(call: ast.Call) -> bool:
    """`get` of a queue takes nothing, that of a client or a store takes a name."""
    return not (_call(call).endswith(".get") and (call.args or call.keywords))


def found(kind: str) -> set[tuple[str, str]]:
    """The waits or the tasks of every module that nothing around them bounds."""
    all_found = set()
    for path, tree in TREES.items():
        limited = within(tree)
        if kind == "waits":
            all_found |= {(path, said) for node, said in waits(tree) if id(node) not in limited}
        else:
            all_found |= {
                (path, ast.unparse(node))
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and _call(node).rsplit(".", 1)[-1] in {"create_task", "ensure_future"}
            }
    return all_found


def test_every_wait_is_bounded_or_named() -> None:
    assert found("waits") == {*BOUNDED}


def test_every_task_beside_an_invocation_is_named() -> None:
    assert found("tasks") == {*TASKS}


def test_every_trigger_works_within_its_time() -> None:
    tree = ast.parse((ROOT / "function_app.py").read_text())
    ways = {"services().in_time", "services().timer_succeeded", "_answer", "routing.respond"}
    waited = [node.value for node in ast.walk(tree) if isinstance(node, ast.Await)]
    assert len(waited) > 20
    assert [ast.unparse(each) for each in waited if _call(each) not in ways] == []


def test_every_request_and_every_command_has_a_deadline() -> None:
    routing = TREES["web/routing.py"]
    limited = within(routing)
    handled = [node for node in ast.walk(routing) if isinstance(node, ast.Await)]
    assert handled
    rest = [ast.unparse(node) for node in handled if id(node) not in limited]
    assert rest == ["await compressed(request, response)"]  # work on bytes of bounded number
    runs = {path for path, tree in TREES.items() for node in ast.walk(tree) if _runs(node)}
    assert runs == {"cli/time_limit.py"}


def _runs(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _call(node) in {"asyncio.run", "asyncio.Runner", "loop.run_until_complete"}


@pytest.mark.parametrize(
    "text",
    [
        "async def f(lock):\n    await lock.acquire()",
        "import asyncio\nlock = asyncio.Lock()\nasync def f():\n    async with lock: pass",
        "import asyncio\nasync def f(): await asyncio.sleep(9)",
        "async def f(task): await task",
        "async def f(self): await self._task",
        "async def f(queue): await queue.get()",
        "import asyncio\nasync def f(tasks): await asyncio.wait(tasks)",
        "async def f(clock): await clock.sleep(1)",
        "async def f(pause): await pause(1)",
        "async def f(process): await process.communicate()",
        "async def f(loop, work): return await loop.run_in_executor(None, work)",
        "import asyncio\nasync def f(work): return await asyncio.to_thread(work)",
    ],
)
def test_a_wait_without_an_end_would_be_seen(text: str) -> None:
    tree = ast.parse(text)
    assert len(list(waits(tree))) == 1


def test_a_wait_inside_a_time_is_bounded() -> None:
    tree = ast.parse("async def f(task):\n    async with asyncio.timeout(3):\n        await task")
    assert {id(node) for node, _ in waits(tree)} <= within(tree)
