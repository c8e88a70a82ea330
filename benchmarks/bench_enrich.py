"""Events to packed bodies, beside the stock way and the floor, in one run: `python -m benchmarks.bench_enrich`.

Every figure is CPU time of one process.  Events come in batches of 1,000, contestants take turns, each ratio is that
of the least times of every batch over the rounds, and nothing that one round learns helps the next.  What is counted:

- ours: `Parser.parse` and `pack`, bytes of events in, gzip bodies out.
- stock, rows given: `json.loads` of each event, and `LogsIngestionClient.upload(list)` of our rows as dictionaries,
  over a transport that only swallows.  The rows themselves cost it nothing.
- stock, rows made: `json.loads`, plain Python that makes the same rows (`stock.make_row`), and their upload.  This is
  the budget's "same rows"; that they are the same, column for column, is checked before anything is measured.
- floor: for each event the same decoding into the same structs (`orjson.loads` where ours has none); for each row the
  encoding, with the same encoder, of a struct that gives the very bytes that ours gives; for each body of ours its
  joining and compressing.  No logic, nothing checked, nothing kept.
- packing alone: ours encodes each row (as in the floor) and packs; stock uploads the list.

Two mixes: one with more alerts, which makes records 3 KB on average, the size that the budgets are for, and the
generator's own, whose records are a fifth smaller: the less text a record has, the more its columns weigh.  Both are
judged alike.  Two modes of Raw: `rest` (default; what no column carries) and `whole` (the record as sent).
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
import orjson
from isal import isal_zlib

from benchmarks import stock
from benchmarks.budgets import Budget
from local.records import KINDS, generate
from shared.enrich.delivery.packing import COMPRESSION_LEVEL, Body, pack
from shared.enrich.records.field_mapping import BY_NAME
from shared.enrich.records.model import Event, Row
from shared.enrich.records.parser import Parser
from shared.enrich.records.reader_output import values_type
from shared.enrich.records.reader_selection import ReaderSelection
from shared.enrich.records.typed_reader import TYPES

RawMode = Literal["rest", "whole"]
SUBSCRIPTIONS = [f"00000000-0000-4000-8000-{number:012}" for number in range(300)]
NOW = datetime(2026, 11, 1, 6, tzinfo=UTC)
BATCH = 1_000
MIXES: Mapping[str, Mapping[str, int]] = {"usual mix": KINDS, "3 KB mix": {**KINDS, "Alert": 28}}
OVERALL, PACKING, FLOOR = 8.0, 10.0, 0.60
MEMORY = 150.0
"""MiB that memory may grow by while 100,000 records go through in batches."""

_encode = msgspec.json.Encoder().encode
_write = msgspec.json.Encoder().encode_into


@dataclass(frozen=True)
class Batch:
    """The same work in the forms that the contestants start from."""

    events: Sequence[Event]
    decoders: Sequence[Callable[[bytes], Any]]
    rows: Sequence[Row]
    values: Sequence[Any]
    bodies: Sequence[Body]
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
    selection = ReaderSelection()
    decoders = [_decoder(selection, event.body) for event in events]
    return Batch(events, decoders, rows, values, pack(rows).bodies, dictionaries)


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


def _decoder(selection: ReaderSelection, body: bytes) -> Callable[[bytes], Any]:
    shape = selection.detect_shape(body)
    if shape is not None:
        try:
            shape.decode(body)
        except msgspec.MsgspecError:
            return orjson.loads
        return shape.decode
    return orjson.loads


def decode(batch: Batch) -> None:
    """Decode every event."""
    for event, decoder in zip(batch.events, batch.decoders, strict=True):
        decoder(event.body)


def encode(batch: Batch) -> None:
    """Encode every row."""
    page = bytearray()
    for value in batch.values:
        _write(value, page)
        bytes(page)


def compress(batch: Batch) -> None:
    """Join and compress the rows of every body."""
    for body in batch.bodies:
        isal_zlib.compress(b",".join(body.batch.json[body.start : body.stop]), COMPRESSION_LEVEL, 31)


def floor(batch: Batch) -> None:
    """Decode, encode and compress with the same libraries, and nothing else."""
    decode(batch)
    encode(batch)
    compress(batch)


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

    def given(batch: Batch) -> None:
        for event in batch.events:
            json.loads(event.body)
        upload(batch)

    def made(batch: Batch) -> None:
        tables: dict[str, list[dict[str, Any]]] = {}
        for event in batch.events:
            row = stock.make_row(event, NOW, whole=whole)
            tables.setdefault(row["RecordKind"], []).append(row)
        for kind, rows in tables.items():
            client.upload("dcr-0", BY_NAME[kind].table.stream, rows)  # type: ignore[arg-type] # as above

    return {
        "ours": lambda batch: pack(parser.parse(batch.events, NOW).rows),
        "stock, rows made": made,
        "stock, rows given": given,
        "floor": floor,
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
    return least


def profile(mix: str, records: int, rounds: int) -> None:
    """Print where our time goes, as shares of it: stages timed by themselves, and what is left between them."""
    parser, selection = Parser(), ReaderSelection()
    made = generate(11, SUBSCRIPTIONS, records, kinds=MIXES[mix], bad=0)
    batch = prepare([Event(event.body, event.at, "0", number) for number, event in enumerate(made)], parser)
    fitting = [shape.read if decoder is not orjson.loads and (shape := selection.detect_shape(event.body)) else decoder
               for event, decoder in zip(batch.events, batch.decoders, strict=True)]  # fmt: skip

    def detect_shape() -> None:
        for event in batch.events:
            selection.detect_shape(event.body)

    def read() -> None:
        for event, reader in zip(batch.events, fitting, strict=True):
            reader(event.body)

    runs: dict[str, Callable[[], object]] = {
        "parse": lambda: parser.parse(batch.events, NOW),
        "pack": lambda: pack(batch.rows),
        "detect": detect_shape,
        "read": read,
        "decode": lambda: decode(batch),
        "encode": lambda: encode(batch),
        "compress": lambda: compress(batch),
    }
    least = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            least[name] = min(least[name], _seconds(lambda _, run=run: run(), batch))  # type: ignore[misc] # a bound default
    stages = {
        "detect the shape": least["detect"],
        "decode (floor)": least["decode"],
        "check text, move fields to the row": least["read"] - least["decode"],
        "derive, key, stamp, other kinds": least["parse"] - least["detect"] - least["read"] - least["encode"],
        "encode (floor)": least["encode"],
        "group by table, lay out bodies": least["pack"] - least["compress"],
        "join and compress (floor)": least["compress"],
    }
    print(f"where the time goes, {mix}, Raw rest")
    for name, seconds in stages.items():
        print(f"  {name:36}{seconds / (least['parse'] + least['pack']):6.0%}")


def _seconds(run: Callable[[Batch], object], batch: Batch) -> float:
    before = time.process_time()
    run(batch)
    return time.process_time() - before


def judge(mix: str, raw: RawMode, least: Mapping[str, float]) -> list[Budget]:
    """The budgets on one comparison."""
    made, given = least["stock, rows made"] / least["ours"], least["stock, rows given"] / least["ours"]
    packing, share = least["stock packing"] / least["our packing"], least["floor"] / least["ours"]
    where = f"{mix}, Raw {raw}"
    return [
        Budget(
            f"events to packed bodies ({where})",
            f"{made:.1f}x ({given:.1f}x with the rows given to stock)",
            f"{OVERALL:g}x",
            made >= OVERALL,
        ),
        Budget(f"packing alone ({where})", f"{packing:.1f}x", f"{PACKING:g}x", packing >= PACKING),
        Budget(f"share of the floor ({where})", f"{share:.0%}", f"{FLOOR:.0%}", share >= FLOOR),
    ]


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
    budgets: list[Budget] = []
    for mix in MIXES:
        for raw in ("rest", "whole"):
            budgets += judge(mix, raw, compare(mix, raw, records, rounds))
    profile("3 KB mix", BATCH, 3 * rounds)
    budgets.append(growth(memory))
    for budget in budgets:
        print(budget.line())
    return int(not all(budget.met for budget in budgets))


if __name__ == "__main__":
    sys.exit(main())
