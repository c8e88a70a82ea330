"""Events to packed bodies, beside the stock way, in one run: `python -m benchmarks.bench_enrich`.

Every figure is CPU time of one process.  Events come in batches of 1,000, contestants take turns, each ratio is that
of the least times of every batch over the rounds, and nothing that one round learns helps the next.  What is counted:

- ours: `Parser.parse` and `pack`, bytes of events in, gzip bodies out.
- stock: `json.loads` of each event, plain Python that makes the same rows (`stock.make_row`), and their upload by
  `LogsIngestionClient.upload(list)` over a transport that only swallows.  That the rows are the same, column for
  column, is checked before anything is measured.
- packing alone, which is judged: ours encodes each row and packs; stock uploads the list.

The whole, with decoding, context and TLS, is judged in `bench_invocation`.  Two mixes: the generator's own, and one
with more alerts, the largest records.  Two modes of Raw: `rest` (default; what no column carries) and `whole`.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from benchmarks import stock
from benchmarks.budgets import Budget
from local.records import KINDS, generate
from shared.enrich.delivery.packing import pack
from shared.enrich.records.field_mapping import BY_NAME
from shared.enrich.records.model import Event, Row
from shared.enrich.records.parser import Parser
from shared.enrich.records.reader_output import values_type
from shared.enrich.records.typed_reader import TYPES

RawMode = Literal["rest", "whole"]
SUBSCRIPTIONS = [f"00000000-0000-4000-8000-{number:012}" for number in range(300)]
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
BATCH = 1_000
MIXES: Mapping[str, Mapping[str, int]] = {"usual mix": KINDS, "more alerts": {**KINDS, "Alert": 28}}
PACKING = 10.0
MEMORY = 150.0
"""MiB that memory may grow by while 100,000 records go through in batches."""

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Batch:
    """The same work in the forms that the contestants start from."""

    events: Sequence[Event]
    rows: Sequence[Row]
    values: Sequence[Any]
    dictionaries: Mapping[str, Sequence[dict[str, Any]]]


@lru_cache
def _row_decoder(kind: str) -> Callable[[bytes], Any]:
    """Reads a row's JSON into a struct that encodes to the same bytes."""
    table = BY_NAME[kind].table
    fields: list[Any] = [
        (name, TYPES[table.types[name]], None) for name in values_type(BY_NAME[kind]).__struct_fields__
    ]
    return msgspec.json.Decoder(msgspec.defstruct(table.name, fields, omit_defaults=True, gc=False)).decode


def prepare(events: Sequence[Event], parser: Parser, *, whole: bool = False) -> Batch:
    """Work out what each contestant starts from, and check that it is the same."""
    rows = parser.parse(events, NOW).rows
    assert len(rows) == len(events)
    _check_same(rows, whole=whole)
    values = [_row_decoder(row.kind)(row.json) for row in rows]
    assert all(_encode(value) == row.json for value, row in zip(values, rows, strict=True))
    dictionaries: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        dictionaries.setdefault(row.table, []).append(json.loads(row.json))
    return Batch(events, rows, values, dictionaries)


def _check_same(rows: Sequence[Row], *, whole: bool) -> None:
    """The stock way makes the same rows, and keys that tell apart what ours do."""
    keys: dict[str, str] = {}
    for row in rows:
        ours, theirs = json.loads(row.json), stock.make_row(row.event, NOW, whole=whole)
        assert keys.setdefault(ours.pop("RecordKey"), theirs["RecordKey"]) == theirs.pop("RecordKey")
        types = BY_NAME[row.kind].table.types
        assert _as_stored(ours, types) == _as_stored(theirs, types)
    assert len(set(keys.values())) == len(keys)


def _as_stored(row: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if types[name] == "datetime" else value
        for name, value in row.items()
        if value is not None
    }


def encode(batch: Batch) -> None:
    """Encode every row."""
    for value in batch.values:
        _encode(value)


def our_packing(batch: Batch) -> None:
    """Rows encoded and packed, as the stock client does both."""
    encode(batch)
    pack(batch.rows)


def contestants(parser: Parser, *, whole: bool) -> dict[str, Callable[[Batch], object]]:
    """Who runs, by name."""
    client = stock.client()

    def upload(batch: Batch) -> None:
        for table, rows in batch.dictionaries.items():
            client.upload("dcr-0", f"Custom-{table}", rows)  # type: ignore[arg-type] # a list of dictionaries is its JSON

    def made(batch: Batch) -> None:
        tables: dict[str, list[dict[str, Any]]] = {}
        for event in batch.events:
            row = stock.make_row(event, NOW, whole=whole)
            tables.setdefault(row["RecordKind"], []).append(row)
        for kind, rows in tables.items():
            client.upload("dcr-0", BY_NAME[kind].table.stream, rows)  # type: ignore[arg-type] # as above

    return {
        "ours": lambda batch: pack(parser.parse(batch.events, NOW).rows),
        "stock": made,
        "our packing": our_packing,
        "stock packing": upload,
    }


def compare(mix: str, raw: RawMode, records: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU per record by contestant: the least of each batch over the rounds."""
    parser, whole = Parser(raw=raw), raw == "whole"
    made = generate(11, SUBSCRIPTIONS, records, kinds=MIXES[mix], bad=0)
    events = [Event(event.body, event.at, "0", number) for number, event in enumerate(made)]
    batches = [prepare(events[start : start + BATCH], parser, whole=whole) for start in range(0, records, BATCH)]
    running = contestants(parser, whole=whole)
    fastest = {name: [float("inf")] * len(batches) for name in running}
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is no garbage for either side to walk through
    for _ in range(rounds):
        for name, run in running.items():
            fastest[name] = [
                min(best, _seconds(run, batch)) for best, batch in zip(fastest[name], batches, strict=True)
            ]
    gc.unfreeze()
    least = {name: sum(seconds) / records * 1e6 for name, seconds in fastest.items()}
    size = statistics.mean(len(event.body) for event in events)
    print(f"{mix}, Raw {raw}: {records:,} records of all kinds, {size:,.0f} bytes each")
    for name, each in least.items():
        print(f"  {name:20}{each:8.1f} us a record {1e6 / each:10,.0f} records/s")
    print(f"  ours beside stock: {least['stock'] / least['ours']:.1f}x")
    return least


def _seconds(run: Callable[[Batch], object], batch: Batch) -> float:
    before = time.process_time()
    run(batch)
    return time.process_time() - before


def judge(mix: str, raw: RawMode, least: Mapping[str, float]) -> Budget:
    """The budget on one comparison."""
    ratio = least["stock packing"] / least["our packing"]
    return Budget(f"packing alone ({mix}, Raw {raw})", f"{ratio:.1f}x", f"at least {PACKING:g}x", ratio >= PACKING)


def growth(count: int) -> Budget:
    """How far Python's memory peaks above its start while `count` records go through in batches."""
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
        if len(waiting) == BATCH:
            pack(parser.parse(waiting, NOW).rows)
            waiting.clear()
    peak = (tracemalloc.get_traced_memory()[1] - start) / 2**20
    tracemalloc.stop()
    return Budget(
        f"memory, {count:,} records in batches of {BATCH:,}", f"{peak:.0f} MiB", f"{MEMORY:g} MiB", peak <= MEMORY
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparisons; 1 when a budget is missed."""
    options = argparse.ArgumentParser(prog="bench_enrich", description=__doc__.partition("\n")[0])
    options.add_argument("--short", action="store_true", help="few records, few rounds")
    chosen = options.parse_args(arguments)
    records, rounds, memory = (1_000, 3, 2_000) if chosen.short else (6_000, 12, 100_000)
    modes: Sequence[RawMode] = ("rest", "whole")
    budgets = [judge(mix, raw, compare(mix, raw, records, rounds)) for mix in MIXES for raw in modes]
    budgets.append(growth(memory))
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
