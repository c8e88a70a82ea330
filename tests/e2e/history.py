"""A history of what was sent, stored and dead-lettered, one JSON object a line, and a checker of its own.

The checker knows nothing of the pipeline: events are told apart by partition and sequence number alone, and only a
record's key is asked of the parser, with the times that the stored row shows.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser

Place = tuple[str, int]


class History:
    """An append-only file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self.path = path

    def note(self, what: str, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write down entries of one kind: sent, stored or dead."""
        self._file.writelines(json.dumps({"what": what, **entry}) + "\n" for entry in entries)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass
class Verdict:
    """What a history shows; only `duplicates` may be other than empty or zero."""

    sent: int = 0
    lost: list[Place] = field(default_factory=list)
    unknown: list[Place] = field(default_factory=list)
    wrong_keys: list[Place] = field(default_factory=list)
    keys: int = 0
    expected_keys: int = 0
    dead: int = 0
    duplicates: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or made up, and duplicates share their keys."""
        return not (self.lost or self.unknown or self.wrong_keys) and self.keys == self.expected_keys


def check(path: Path) -> Verdict:
    """Judge a history by itself."""
    sent: dict[Place, str] = {}
    stored: dict[Place, list[tuple[str, str]]] = defaultdict(list)
    dead: set[Place] = set()
    with path.open() as lines:
        for line in lines:
            entry = json.loads(line)
            place = (entry["partition"], entry["sequence"])
            if entry["what"] == "sent":
                sent[place] = entry["body"]
            elif entry["what"] == "stored":
                stored[place].append((entry["key"], entry["enqueued"]))
            else:
                dead.add(place)
    verdict = Verdict(sent=len(sent), dead=len(dead))
    verdict.lost = sorted(set(sent) - set(stored) - dead)
    verdict.unknown = sorted((set(stored) | dead) - set(sent))
    parser = Parser()
    expected: set[str] = set()
    for place, rows in stored.items():
        if place not in sent:
            continue
        enqueued = datetime.fromisoformat(rows[0][1])
        (row,) = parser.parse([Event(bytes.fromhex(sent[place]), enqueued)], enqueued).rows
        expected.add(row.record_key)
        verdict.duplicates += len(rows) - 1
        if {key for key, _ in rows} != {row.record_key}:
            verdict.wrong_keys.append(place)
    verdict.keys = len({key for rows in stored.values() for key, _ in rows})
    verdict.expected_keys = len(expected)
    return verdict
