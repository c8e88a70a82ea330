"""The whole invocation, decoding of the programming model included: `python -m benchmarks.bench_invocation`.

A batch as the worker's library gets it (a collection of bytes, metadata as the host sends it) to bodies accepted over
TLS by the local Logs Ingestion.  CPU time of one process on all its threads.  Contestants take turns on the same
batches, so each ratio comes from one run; decoding includes reading what the pipeline takes of each event, because ours
does its work there; medians are shown with their quartiles.  Events come from `local.records`.

Beside what a user would pick instead, each with the decoding that it has: the stock way to the same rows
(`benchmarks.stock`: json, dictionaries, `LogsIngestionClient.upload`, no context), and the steps of two published
forwarders (`benchmarks.forwarders`), which post records as they are.
What forwarding costs is shown without a budget: the handler with each row sent on to the local broker as it is, and as
an event of OCSF.
The stand-in for the worker is the genuine converter with a plain object in the place of the protobuf message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import alternatives
from benchmarks.bench_delivery import ROOT, local_azure
from benchmarks.budgets import Budget
from benchmarks.forwarders import JoinedLines, LabelledStreams
from benchmarks.sink import Sink
from local.stack import FORWARD_HUB
from shared.clock import Clock

TIMES = {
    "no zone": "2026-11-22T10:00:00.992",
    "Z": "2026-11-22T10:00:00.123Z",
    "+00:00": "2026-11-22T10:00:00.123+00:00",
}
TODAYS = ("no zone", "Z")
"""Those that hosts of today and of a year ago send; the model reads the third by its first format."""
WHOLE, DECODING = 1.3, 1 / 8
SMALL = {100: 2.5, 10: 8.0}
STOCK = {"Raw rest": 5.0, "Raw whole": 6.0}
FORWARDERS = 2.0
FORMS = ("rows", "ocsf")
"""In which rows are forwarded; off, forwarding costs nothing."""


def trigger(bodies: Sequence[bytes], enqueued: str) -> tuple[Any, dict[str, Any]]:
    """A batch and its metadata as the worker's library hands them to the converter."""
    from azure.functions.meta import Datum

    system = [
        {"SequenceNumber": number, "Offset": str(number), "PartitionKey": None, "EnqueuedTimeUtc": enqueued}
        for number in range(len(bodies))
    ]
    metadata = {
        "SystemPropertiesArray": Datum(json.dumps(system), "json"),
        "PartitionContext": Datum('{"PartitionId": "0"}', "json"),
    }
    return Datum(SimpleNamespace(bytes=bodies), "collection_bytes"), metadata


Handler = Callable[[Sequence[Any]], Awaitable[object]]


class Contest:
    """Contestants in one process, whose CPU time each takes in turn."""

    def __init__(self, records: int) -> None:
        from azure.functions.eventhub import EventHubTriggerConverter

        self.own = EventHubTriggerConverter.decode_multiple_events  # before the app puts its own there
        import function_app
        from local.records import generate
        from shared.bootstrap import Services, services
        from shared.enrich.invocation.trigger_decoding import decode
        from shared.enrich.invocation.trigger_events import from_trigger

        functions = {each.get_function_name(): each for each in function_app.app.get_functions()}
        self.handler: Handler = functions["enrich_records"].get_user_function()
        self.services = services()
        settings = self.services.settings
        self.keeping_whole = Services(replace(settings, raw_column="whole"))
        self.forwarding = {
            form: Services(replace(settings, forward_event_hub=FORWARD_HUB, forward_format=form)) for form in FORMS
        }
        self.decode, self.from_trigger = decode, from_trigger
        self.bodies = [event.body for event in generate(2, [], records, bad=0)]
        self.found: dict[str, list[float]] = {}

    def batches(self, size: int) -> Iterable[list[bytes]]:
        """The records in batches."""
        return (self.bodies[start : start + size] for start in range(0, len(self.bodies), size))

    def note(self, name: str, began: float, count: int) -> None:
        """Microseconds a record since `began`."""
        self.found.setdefault(name, []).append((time.process_time() - began) / count * 1e6)

    async def whole(self, events: Sequence[Any]) -> None:
        """The handler with the whole record in Raw."""
        await self.keeping_whole.pipeline.run(self.from_trigger(events))

    async def forward(self, form: str, batch: Sequence[bytes]) -> None:
        """The whole with each row sent on in this form.

        Raises:
            RuntimeError: the output hub did not take every row.
        """
        given = trigger(batch, TIMES["no zone"])
        began = time.process_time()
        summary = await self.forwarding[form].pipeline.run(self.from_trigger(self.decode(*given)))
        self.note(f"ours, forwarded as {form}, whole", began, len(batch))
        if summary.forwarded != len(batch):
            raise RuntimeError(f"forwarded {summary.forwarded} of {len(batch)}")

    async def decoding(self, batch: Sequence[bytes]) -> None:
        """Both decodings, with the reading of what the pipeline takes of an event."""
        for zone, text in TIMES.items():
            given = trigger(batch, text)
            began = time.process_time()
            self.from_trigger(self.own(*given))
            self.note(f"decoding, the model's, {zone}", began, len(batch))
            began = time.process_time()
            self.from_trigger(self.decode(*given))
            self.note(f"decoding, ours, {zone}", began, len(batch))

    async def beside(
        self, name: str, batch: Sequence[bytes], handler: Handler, *, deferred: bool, whole_first: bool
    ) -> None:
        """A handler without any decoding, and with the decoding that it has; who goes first finds colder caches."""

        async def alone() -> None:
            events = self.own(*trigger(batch, TIMES["no zone"]))
            began = time.process_time()
            await handler(events)
            self.note(f"{name}, without decoding", began, len(batch))

        async def whole() -> None:
            given = trigger(batch, TIMES["no zone"])
            began = time.process_time()
            await handler(self.decode(*given) if deferred else self.own(*given))
            self.note(f"{name}, whole", began, len(batch))

        for turn in (whole, alone) if whole_first else (alone, whole):
            await turn()

    async def small(self, size: int) -> None:
        """Small batches, one after the other."""
        some = [trigger(each, TIMES["no zone"]) for each in list(self.batches(size))[: max(10, 200 // size)]]
        began = time.process_time()
        for given in some:
            await self.handler(self.decode(*given))
        self.note(f"whole, {size}", began, size * len(some))

    async def requests_a_table(self, size: int) -> float:
        """Requests beside tables that rows went to."""
        requests = tables = 0
        for batch in list(self.batches(size))[:20]:
            summary = await self.services.pipeline.run(self.from_trigger(self.decode(*trigger(batch, TIMES["Z"]))))
            requests, tables = requests + summary.requests, tables + len(summary.accepted)
        return requests / tables

    async def a_request(self) -> None:
        """A small body through the edge, and through the transport that it uses, which has no policies."""
        from azure.core.rest import HttpRequest

        from shared.enrich.delivery import logs_ingestion
        from shared.enrich.delivery.packing import pack
        from shared.enrich.records.parser import Parser

        settings, clients = self.services.settings, self.services.clients
        events = self.from_trigger(self.decode(*trigger(self.bodies[:10], TIMES["Z"])))
        (body, *_) = pack(Parser().parse(events, datetime.now(UTC)).rows).bodies
        edge = logs_ingestion.LogsIngestion(settings, clients, Clock())
        token = (await clients.credential.get_token(clients.ingestion_scope)).token
        rule = f"{settings.ingestion_endpoint}/dataCollectionRules/{settings.ingestion_rule_id}"
        headers = {**logs_ingestion.HEADERS, "Authorization": f"Bearer {token}"}
        transport = clients.ingestion._client._pipeline._transport  # noqa: SLF001 # azure-core has no public name for it

        async def alone() -> None:
            url = f"{rule}/streams/{body.stream}?api-version={logs_ingestion.API_VERSION}"
            await transport.send(HttpRequest("POST", url, headers=headers, content=body.data))

        async def whole() -> None:
            await edge.upload(body.stream, body.data, 30)

        for name, send in (("a request, the transport alone", alone), ("a request", whole)):
            began = time.process_time()
            for _ in range(10):
                await send()
            self.note(name, began, 10)


async def measure(records: int, rounds: int, sink: str) -> dict[str, list[float]]:
    """Microseconds of CPU a record by contestant, one figure a batch of 1,000 or run of smaller batches."""
    contest = Contest(records)
    others = {
        "stock, Raw rest": alternatives.Stock(whole=False).run,
        "stock, Raw whole": alternatives.Stock(whole=True).run,
        "labelled streams": alternatives.Forwarding(LabelledStreams(), sink).run,
        "joined lines": alternatives.Forwarding(JoinedLines(), sink).run,
        "joined lines, with their log": alternatives.Forwarding(JoinedLines(told=True), sink).run,
    }
    for each in contest.batches(1_000):  # brings the resources into the contexts' caches
        for handler in (contest.handler, contest.whole):
            await handler(contest.own(*trigger(each, TIMES["no zone"])))
    for number in range(rounds):
        for place, each in enumerate(contest.batches(1_000)):
            first = (number + place) % 2 == 1
            await contest.decoding(each)
            await contest.beside("ours, Raw rest", each, contest.handler, deferred=True, whole_first=first)
            await contest.beside("ours, Raw whole", each, contest.whole, deferred=True, whole_first=first)
            for form in FORMS if number == 0 else ():  # the broker keeps all that it takes
                await contest.forward(form, each)
            for name, handler in others.items():
                await contest.beside(name, each, handler, deferred=False, whole_first=first)
            await contest.a_request()
        for size in SMALL:
            await contest.small(size)
        await contest.small(1)
    for size in SMALL:
        contest.found[f"requests a table, {size}"] = [await contest.requests_a_table(size)]
    for services in (contest.keeping_whole, *contest.forwarding.values()):
        await services.close()
    await contest.services.close()
    return contest.found


async def compare(records: int, rounds: int) -> dict[str, list[float]]:
    """Measure in a process of its own, so that the emulators' work is not counted."""
    command = [sys.executable, "-m", "benchmarks.bench_invocation", "--records", str(records), "--rounds", str(rounds)]
    with tempfile.TemporaryDirectory() as name:
        # The emulators set the environment that the process inherits.
        async with local_azure(Path(name)) as azure, Sink(azure.certificates) as sink:
            done = await asyncio.to_thread(
                subprocess.run,
                [*command, "--contest", sink.endpoint],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
    said: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])
    return said


def cost_of_forwarding(found: dict[str, list[float]], form: str) -> float:
    """Microseconds of CPU a record that forwarding in this form adds; off, it adds none."""
    with_it, without = found[f"ours, forwarded as {form}, whole"], found["ours, Raw rest, whole"]
    return statistics.median(with_it) - statistics.median(without)


def judge(found: dict[str, list[float]]) -> list[Budget]:
    """The budgets, each a ratio of medians of one run."""
    middle = {name: statistics.median(costs) for name, costs in found.items()}
    ours = middle["ours, Raw rest, whole"]
    budgets = [_at_most("whole beside the handler alone", ours / middle["ours, Raw rest, without decoding"], WHOLE)]
    for zone in TODAYS:
        share = middle[f"decoding, ours, {zone}"] / middle[f"decoding, the model's, {zone}"]
        budgets.append(
            Budget(f"decoding beside the model's ({zone})", f"{share:.1%}", f"{DECODING:.1%}", share <= DECODING)
        )
    for size, most in SMALL.items():
        budgets.append(_at_most(f"batches of {size} beside 1,000", middle[f"whole, {size}"] / ours, most))
        budgets.append(_at_most(f"requests a table, batches of {size}", middle[f"requests a table, {size}"], 1.0))
    for raw, least in STOCK.items():
        budgets.append(
            _at_least(f"beside stock ({raw})", middle[f"stock, {raw}, whole"] / middle[f"ours, {raw}, whole"], least)
        )
    for name in ("labelled streams", "joined lines"):
        budgets.append(_at_least(f"beside {name}", middle[f"{name}, whole"] / ours, FORWARDERS))
        alone = middle[f"{name}, without decoding"] / middle["ours, Raw rest, without decoding"]
        budgets.append(_at_least(f"beside {name}, without decoding", alone, 1.0))
    return budgets


def _at_most(what: str, ratio: float, most: float) -> Budget:
    return Budget(what, f"{ratio:.2f}x", f"at most {most:g}x", ratio <= most)


def _at_least(what: str, ratio: float, least: float) -> Budget:
    return Budget(what, f"{ratio:.2f}x", f"at least {least:g}x", ratio >= least)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a budget is missed."""
    options = argparse.ArgumentParser(prog="bench_invocation", description=__doc__.partition("\n")[0])
    options.add_argument("--records", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--contest", default="", help=argparse.SUPPRESS)
    chosen = options.parse_args(arguments)
    if chosen.contest:
        print(json.dumps(asyncio.run(measure(chosen.records, chosen.rounds, chosen.contest))))
        return 0
    found = asyncio.run(compare(chosen.records, chosen.rounds))
    print("CPU, us a record: median (quartiles, number of figures)")
    for name, costs in found.items():
        low, middle, high = statistics.quantiles(costs, n=4) if len(costs) > 1 else costs * 3
        print(f"  {name:36}{middle:10,.1f} ({low:,.1f} to {high:,.1f}, {len(costs)})")
    for form in FORMS:
        print(f"  forwarding as {form} costs {cost_of_forwarding(found, form):.1f} us a record more")
    budgets = judge(found)
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
