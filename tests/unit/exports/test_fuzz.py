"""Damaged files: a valid export or an error that names the place, never a traceback."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.exports.file_tests import run_tests
from shared.exports.validation import check_text

pytestmark = pytest.mark.slow  # draws many examples

SAMPLES = sorted((Path(__file__).parents[3] / "exports").glob("*.yaml"))
MARKS = ["", "\t", "\n", ":", "- ", "{", "[", "]", "'", '"', "%", "? ", "0", "true"]
NOISE = [*MARKS, "&a ", "*a ", "<<: ", "---\n", "!!python/object:os.system ", "\u2028", "\x00", "\ud800", "é"]
TEXTS = ["", "\u0000", "é\u202e\U0001f600", "x" * 5000]
ODD: list[Any] = [None, True, False, 0, -1, 10**30, 1.5, float("inf"), *TEXTS, [], {}, [[]], {"": None}]
PLACE = re.compile(r"damaged\.yaml(:\d+)?(: \S.*)?")


def edit_text(chance: random.Random, text: str) -> str:
    """Cut, repeat, swap or insert characters anywhere."""
    for _ in range(chance.randint(1, 6)):
        at, to = sorted(chance.choices(range(len(text) + 1), k=2))
        to = min(to, at + 40)
        noise = chance.choice(NOISE)
        text = text[:at] + chance.choice([noise, text[at:to] * 2, text[at:to][::-1]]) + text[to:]
    return text


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def edit_values(chance: random.Random, text: str) -> str:
    """Replace, delete, rename, repeat or nest values anywhere."""
    content = yaml.safe_load(text)
    for _ in range(chance.randint(1, 4)):
        *way, last = chance.choice([place for place in places(content) if place])
        parent = content
        for step in way:
            parent = parent[step]
        edit_value(chance, parent, last)
        if not content:
            break
    return yaml.safe_dump(content, allow_unicode=chance.random() < 0.5)


def edit_value(chance: random.Random, parent: Any, last: Any) -> None:
    change = chance.choice(["replace", "repeat", "nest", "rename", "delete"])
    if change == "replace":
        parent[last] = chance.choice(ODD)
    elif change == "repeat":
        parent[last] = [parent[last]] * 3
    elif change == "nest":
        for _ in range(chance.choice([1, 3, 60])):
            parent[last] = {"a": parent[last]}
    elif change == "rename" and isinstance(parent, dict):
        parent[chance.choice([f"{last}s", last[::-1], "é", "version"])] = parent.pop(last)
    else:
        del parent[last]


@pytest.mark.parametrize("edit", [edit_text, edit_values])
@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_file_is_valid_or_refused_by_its_place(edit: Callable[[random.Random, str], str], seed: int) -> None:
    chance = random.Random(seed)
    outcomes = set()
    for _ in range(60):
        damaged = edit(chance, chance.choice(SAMPLES).read_text())
        checked = check_text(damaged, "damaged.yaml")
        outcomes.add(checked.valid)
        if checked.config is None:
            assert checked.findings
        else:
            run_tests(checked.config)
        for finding in checked.findings:
            assert PLACE.fullmatch(finding.where), finding
            assert finding.sentence.endswith((".", "?")), finding
    assert outcomes == {True, False}


def test_random_bytes_are_refused() -> None:
    chance = random.Random(7)
    for _ in range(200):
        checked = check_text(chance.randbytes(chance.randint(0, 300)), "damaged.yaml")
        assert checked.config is None
        assert not checked.valid
