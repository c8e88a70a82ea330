"""Names of modules and folders of the app: one name, one thing, and none that is easily taken for another."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared"
# A front end's module is named after the room that it shows; `model` and `store` are what they say in any room.
FRONT_ENDS = ("cli", "web")
SAME_EVERYWHERE = {"model", "store"}


def places() -> dict[str, list[str]]:
    found = defaultdict(list)
    for path in sorted(SHARED.rglob("*")):
        if (path.suffix == ".py" and not path.name.startswith("__")) or (path / "__init__.py").is_file():
            found[path.stem].append(path.relative_to(SHARED).as_posix())
    return found


def is_one_letter_off(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    if len(shorter) == len(longer):
        return sum(a != b for a, b in zip(shorter, longer, strict=True)) == 1
    return any(longer[:i] + longer[i + 1 :] == shorter for i in range(len(longer)))


def test_a_name_stands_for_one_thing() -> None:
    twice = {
        name: inside
        for name, found in places().items()
        if name not in SAME_EVERYWHERE and len(inside := [p for p in found if not p.startswith(FRONT_ENDS)]) > 1
    }
    assert twice == {}


def test_no_name_is_one_letter_from_its_neighbour() -> None:
    close = [(one, other) for one, other in combinations(places(), 2) if is_one_letter_off(one, other)]
    assert close == []


def test_one_letter_is_told() -> None:
    assert is_one_letter_off("letter", "letters")
    assert is_one_letter_off("stored", "store")
    assert is_one_letter_off("plan", "plas")
    assert not is_one_letter_off("run", "run")
