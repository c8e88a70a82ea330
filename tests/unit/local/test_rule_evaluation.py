"""The local evaluator of rules, which rests on what is published, and the app's own agree on records of every kind."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local.arm.contract import EVENT_SOURCES, OPERATORS, PROPERTY_TYPES, V2023
from local.records import KINDS, generate
from local.rule_evaluation import lets_through
from local.tenant.samples import WRITERS, Destinations
from shared.exports.evaluator import accepts
from shared.exports.event_sources import event_source_of
from shared.exports.rule_sets import parse_sources
from tests.unit.enrich.golden.base import SUB

EVENLY = dict.fromkeys(KINDS, 1)
WRITTEN = [
    source
    for writer in WRITERS
    for source in writer(SUB, "rg", Destinations("hub", "workspace", "key"))["properties"]["sources"]
]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Each scalar with the names and places that lead to it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path, value


def written(chance: random.Random, path: tuple[str | int, ...]) -> str:
    """A path in one of the forms that it can have; places may be left out, which reaches each element."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += chance.choice(["", "", f"[{step}]", "[*]"])
        else:
            name = chance.choice([step, step, step.lower(), step.upper()])
            plain = not set(name) & set(".[]'\" ")
            text += f".{name}" if plain and chance.random() < 0.9 else f"['{name}']" if "'" not in name else f".{name}"
    return chance.choice(["", "", "$."]) + text.removeprefix(".")


def expected(chance: random.Random, value: Any) -> str:
    """A value that is compared with: the very one, a part, one near it, or another."""
    text = json.dumps(value) if isinstance(value, bool | None) else str(value)
    begin = chance.randrange(len(text) + 1)
    near = [str(value + step) for step in (-1, 0, 0.5, 1)] if type(value) in {int, float} else []
    return chance.choice(
        [text, text, text.swapcase(), text[begin:], text[:begin], *near, "0", "1", "7.5", "true", "false", "High", "x"]
    )


def drawn(chance: random.Random, record: dict[str, Any]) -> dict[str, Any]:
    """A source, mostly of the record's own kind, with rules over what the record holds and what it does not."""
    found = [*leaves(record)] or [(("x",), None)]

    def rule() -> dict[str, str]:
        path, value = chance.choice(found)
        if chance.random() < 0.1:
            path = (*path[:-1], "missing")
        kind = chance.choice(["String", "String", *PROPERTY_TYPES])
        operator = chance.choice(["Equals", "NotEquals", *OPERATORS])
        return {
            "propertyJPath": written(chance, path), "propertyType": kind,
            "expectedValue": expected(chance, value), "operator": operator,
        }  # fmt: skip

    own = event_source_of(record) or "Alerts"
    event_source = own if chance.random() < 0.9 else chance.choice(EVENT_SOURCES[V2023])
    sets = [
        {"rules": [rule() for _ in range(chance.choice([0, 1, 1, 1, 2]))]} for _ in range(chance.choice([0, 1, 1, 3]))
    ]
    return {"eventSource": event_source, "ruleSets": sets}


def compare(count: int) -> Counter[bool]:
    chance, verdicts = random.Random(33), Counter[bool]()
    for number, made in enumerate(generate(33, [SUB], count, kinds=EVENLY, bad=0)):
        record = json.loads(made.body)
        sources = [drawn(chance, record), *([WRITTEN[number % len(WRITTEN)]] if number % 3 == 0 else [])]
        for source in sources:
            (parsed,) = parse_sources([source])
            verdict = lets_through(source, record)
            assert verdict is accepts(parsed, record), (source, record)
            verdicts[verdict] += 1
    return verdicts


def check(verdicts: Counter[bool]) -> None:
    assert min(verdicts[True], verdicts[False]) > verdicts.total() / 6, verdicts


def test_both_agree_on_some_hundred_drawn_records() -> None:
    check(compare(400))


@pytest.mark.soak
def test_both_agree_on_ten_thousand_drawn_records() -> None:
    check(compare(10_000))
