"""Which reader each genuine shape takes, by kind and generation: `python -m benchmarks.bench_shapes`.

Shapes are those that the generator sends, in the casing and order of members in which records were captured or
published.  Records of unknown kinds are left out: they are for the tolerant reader.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from benchmarks.budgets import Budget
from local.records import KINDS, OLD_MODEL, generate
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser

LEAST = 0.90
"""Share of the shapes, each counted once, that the typed reader must take."""
_SUBSCRIPTIONS = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]


class Watched(Parser):
    """A parser that counts what comes to the tolerant reader."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = 0

    def _read_tolerantly(self, *arguments: Any) -> None:
        self.slow += 1
        super()._read_tolerantly(*arguments)


def shares(count: int) -> Mapping[str, float]:
    """By shape: the share of its records that the typed reader takes."""
    parser, seen, fast = Watched(), Counter[str](), Counter[str]()
    for name, body in _bodies(count):
        event = Event(body, _NOW, "0", 0)
        before = parser.slow
        parser.parse([event], _NOW)
        seen[name] += 1
        fast[name] += parser.slow == before
    return {name: fast[name] / seen[name] for name in sorted(seen)}


def judge(by_shape: Mapping[str, float]) -> Budget:
    """The budget on the shapes: one is read fast where nearly all of its records are."""
    share = sum(each > LEAST for each in by_shape.values()) / len(by_shape)
    return Budget("genuine shapes for the typed reader", f"{share:.0%}", f"{LEAST:.0%}", share >= LEAST)


def _bodies(count: int) -> Iterator[tuple[str, bytes]]:
    for seed, kinds in enumerate((KINDS, OLD_MODEL)):
        for made in generate(seed, _SUBSCRIPTIONS, count, kinds=kinds, bad=0):
            if made.kind != "Other":
                yield shape_of(made.kind, orjson.loads(made.body)), made.body


def shape_of(kind: str, record: Mapping[str, Any]) -> str:
    """Kind, generation and casing of a record."""
    pascal = "Type" in record and "SystemAlertId" not in record
    properties = {
        name.lower(): value for name, value in (record.get("properties") or record.get("Properties") or {}).items()
    }
    said = [kind]
    if kind == "Assessment":
        category = properties.get("metadata", {}).get("recommendationCategory")
        details = {name.lower(): value for name, value in properties["resourcedetails"].items()}
        entity = "securityentitydata" in str(details["id"]) and category is not None
        said.append(f"{category}{' of an entity' if entity else ''}" if category else f"classic, {details['source']}")
    elif kind == "SubAssessment":
        data = {name.lower(): value for name, value in properties["additionaldata"].items()}
        said += [str(data["assessedresourcetype"]), "under data" if "data" in data else "beside"]
    elif kind == "RegulatoryCompliance":
        said.append(str(properties["assessmenttype"]))
    elif kind == "AttackPath":
        said.append("as exported" if "attackPath" in record else "as Resource Graph has it")
    return ", ".join([*said, "PascalCase" if pascal else "camelCase" if kind != "Alert" else "as exported"])


_NOW = next(generate(0, _SUBSCRIPTIONS, 1, bad=0)).at


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the shapes; 1 when too few are read fast."""
    by_shape = shares(1_500 if "--short" in (sys.argv[1:] if arguments is None else arguments) else 6_000)
    for name, share in by_shape.items():
        print(f"  {name:70}{share:6.0%}")
    budget = judge(by_shape)
    print(budget.line())
    return int(not budget.met)


if __name__ == "__main__":
    sys.exit(main())
