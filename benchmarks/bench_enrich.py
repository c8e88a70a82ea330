"""Events to packed bodies, beside the stock client's way, in one run: `python -m benchmarks.bench_enrich`.

Every figure is CPU time of one process; the contestants take turns, and each ratio is the median over the rounds, so
that a busy machine slows both sides of it.  The stock path is given its rows for nothing: it parses each event with
`json.loads` and uploads the same rows, as dictionaries, with `LogsIngestionClient.upload` over a transport that only
swallows.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpRequest, HttpResponse, HttpTransport
from azure.monitor.ingestion import LogsIngestionClient
from isal import isal_zlib

from local.records import KINDS, generate
from shared.enrich.pack import COMPRESSION_LEVEL, pack
from shared.enrich.records import Event, Parser, Row

_encode = msgspec.json.Encoder().encode
SUBSCRIPTIONS = [f"00000000-0000-4000-8000-{number:012}" for number in range(300)]
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
ALERTS = 16
"""Share of alerts against KINDS's hundred: twice the usual, which makes records 3 KB on average."""
BUDGETS = {"events to packed bodies": 8.0, "packing alone": 10.0, "share of the floor": 0.60}
MEMORY_BUDGET = 150.0
"""MiB that memory may grow by while 100,000 records go through in batches."""


class Swallowed(HttpResponse):
    """The answer 204 to whatever was sent."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, None)
        self.status_code = 204
        self.headers = {}
        self.reason = "No Content"
        self.content_type = None

    def body(self) -> bytes:
        """Nothing."""
        return b""


class Swallow(HttpTransport[HttpRequest, HttpResponse]):
    """A transport that takes every request and sends none."""

    requests = 0

    def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """Count and answer."""
        self.requests += 1
        return Swallowed(request)

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Anonymous:
    """A credential whose token no one looks at."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """A token."""
        return AccessToken("none", 2**40)


@dataclass(frozen=True)
class Work:
    """The same work in the forms that the contestants start from."""

    events: Sequence[Event]
    rows: Sequence[Row]
    values: Sequence[Any]
    encoded: Mapping[str, Sequence[bytes]]
    dictionaries: Mapping[str, Sequence[dict[str, Any]]]


def prepare(count: int, parser: Parser) -> Work:
    """Generate events of all kinds, none bad, and the rows they become."""
    made = generate(11, SUBSCRIPTIONS, count, kinds={**KINDS, "Alert": ALERTS}, bad=0)
    events = [Event(event.body, event.at, "0", number) for number, event in enumerate(made)]
    rows = parser.parse(events, NOW).rows
    assert len(rows) == count
    encoded: dict[str, list[bytes]] = {}
    for row in rows:
        encoded.setdefault(row.table, []).append(row.json)
    dictionaries = {table: [json.loads(text) for text in texts] for table, texts in encoded.items()}
    values = [_values(parser, event, row) for event, row in zip(events, rows, strict=True)]
    return Work(events, rows, values, encoded, dictionaries)


def _values(parser: Parser, event: Event, row: Row) -> Any:
    """What a row is encoded from."""
    found = parser.guess(event.body)
    try:
        return found[1].read(event.body).values if found else orjson.loads(row.json)
    except ValueError:
        return orjson.loads(row.json)


def ours(work: Work, parser: Parser) -> None:
    """Events to packed bodies."""
    pack(parser.parse(work.events, NOW).rows)


def our_packing(work: Work) -> None:
    """Rows encoded and packed, as the stock client does both."""
    for value in work.values:
        _encode(value)
    pack(work.rows)


def stock(work: Work, client: LogsIngestionClient) -> None:
    """Events parsed with json, the same rows uploaded as lists."""
    for event in work.events:
        json.loads(event.body)
    stock_packing(work, client)


def stock_packing(work: Work, client: LogsIngestionClient) -> None:
    """Rows uploaded as lists."""
    for table, rows in work.dictionaries.items():
        client.upload("dcr-0", f"Custom-{table}", rows)  # type: ignore[arg-type] # a list of dictionaries is its JSON


def floor(work: Work, decoders: Mapping[str, Callable[[bytes], Any]]) -> None:
    """Decode, encode and compress with the same libraries, and nothing else."""
    for event, row, value in zip(work.events, work.rows, work.values, strict=True):
        decoders[row.kind](event.body)
        _encode(value)
    for texts in work.encoded.values():
        step = max(1, 1_000_000 * len(texts) // sum(map(len, texts)))
        for start in range(0, len(texts), step):
            isal_zlib.compress(b"[" + b",".join(texts[start : start + step]) + b"]", COMPRESSION_LEVEL, 31)


def floor_decoders(work: Work) -> dict[str, Callable[[bytes], Any]]:
    """By kind: a decoder that takes whatever the generator makes."""
    parser = Parser()
    shaped: dict[str, list[Callable[[bytes], Any]]] = {}
    for event, row in zip(work.events, work.rows, strict=True):
        found = parser.guess(event.body)
        known = shaped.setdefault(row.kind, [])
        if found and found[1].decode not in known:
            known.append(found[1].decode)

    def decoder(kind: str) -> Callable[[bytes], Any]:
        decoders = shaped[kind]
        if len(decoders) == 1 and kind != "AttackPath":
            return decoders[0]
        if len(decoders) == 2 and kind == "SubAssessment":  # noqa: PLR2004 - its two casings
            camel, pascal = sorted(decoders, key=lambda decode: _refuses(decode, work))
            return lambda body: (pascal if b'"Properties"' in body else camel)(body)
        return orjson.loads

    return {kind: decoder(kind) for kind in shaped}


def _refuses(decode: Callable[[bytes], Any], work: Work) -> bool:
    """Whether a decoder refuses the camelCase findings."""
    body = next(
        event.body
        for event, row in zip(work.events, work.rows, strict=True)
        if row.kind == "SubAssessment" and b'"properties"' in event.body
    )
    try:
        decode(body)
    except ValueError:
        return True
    return False


def seconds(run: Callable[[], None]) -> float:
    """CPU time of one call."""
    before = time.process_time()
    run()
    return time.process_time() - before


def growth(count: int, batch: int) -> float:
    """MiB by which Python's memory peaks above its start while `count` records go through in batches."""
    parser = Parser()
    events: Iterable[Event] = (
        Event(event.body, event.at, "0", number)
        for number, event in enumerate(generate(3, SUBSCRIPTIONS, count, bad=0))
    )
    waiting: list[Event] = []
    tracemalloc.start()
    start = tracemalloc.get_traced_memory()[0]
    for event in events:
        waiting.append(event)
        if len(waiting) == batch:
            pack(parser.parse(waiting, NOW).rows)
            waiting.clear()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - start) / 2**20


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; 1 when a budget is missed."""
    options = argparse.ArgumentParser(prog="bench_enrich", description=__doc__.partition("\n")[0])
    options.add_argument("--records", type=int, default=6_000, help="records in a round")
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--memory-records", type=int, default=100_000)
    options.add_argument("--raw", choices=["rest", "whole"], default="rest", help="what the column Raw holds")
    chosen = options.parse_args(arguments)
    parser = Parser(raw=chosen.raw)
    work = prepare(chosen.records, parser)
    client = LogsIngestionClient("https://swallow.invalid", Anonymous(), transport=Swallow())
    decoders = floor_decoders(work)
    contestants: dict[str, Callable[[], None]] = {
        "ours: events to packed bodies": lambda: ours(work, parser),
        "stock: json.loads and upload(list)": lambda: stock(work, client),
        "floor: decode, encode, compress": lambda: floor(work, decoders),
        "ours: packing alone": lambda: our_packing(work),
        "stock: packing alone": lambda: stock_packing(work, client),
    }
    for run in contestants.values():
        run()
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is no garbage for either side to walk through
    rounds = [{name: seconds(run) for name, run in contestants.items()} for _ in range(chosen.rounds)]
    size = statistics.mean(len(event.body) for event in work.events)
    print(
        f"{chosen.records} records of all kinds, {size:.0f} bytes each, Raw: {chosen.raw}; CPU time, median of rounds"
    )
    for name in contestants:
        each = statistics.median(r[name] for r in rounds) / chosen.records
        print(f"  {name:36}{each * 1e6:8.1f} us a record {1 / each:10,.0f} records/s")

    def ratio(one: str, other: str) -> float:
        return statistics.median(r[one] / r[other] for r in rounds)

    reached = {
        "events to packed bodies": ratio("stock: json.loads and upload(list)", "ours: events to packed bodies"),
        "packing alone": ratio("stock: packing alone", "ours: packing alone"),
        "share of the floor": ratio("floor: decode, encode, compress", "ours: events to packed bodies"),
    }
    failed = False
    for name, value in reached.items():
        met = value >= BUDGETS[name]
        failed |= not met
        print(f"  {name:36}{value:8.2f}   budget {BUDGETS[name]:.2f}   {'met' if met else 'MISSED'}")
    grown = growth(chosen.memory_records, batch=1_000)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    failed |= grown > MEMORY_BUDGET
    print(
        f"  peak growth, {chosen.memory_records:,} records batches of 1,000: {grown:.1f} MiB of {resident:.0f}"
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
