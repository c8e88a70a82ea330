"""The open records in slices that the query API and Resource Graph both answer whole.

A slice is some subscriptions, or a part of one: the records whose name, the last part of their id, begins with certain
hexadecimal digits.  Names of individual recommendations and findings are random GUIDs, so that their first digits part
them as evenly as a hash would, and both sides can tell them by one expression, which no hash function is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

MOST_RECORDS = 25_000
"""Records in a slice, of one kind: 12 MB of ids at most, where the query API answers 500,000 rows and 100 MB."""
MOST_SUBSCRIPTIONS = 100
_DIGITS = "0123456789abcdef"
_MOST_DIGITS = 3


@dataclass(frozen=True)
class Slice:
    """Some subscriptions, or a part of one.

    With `digits` it is the records whose names begin with as many hexadecimal digits, those of `begins`; with an empty
    `begins` those whose names do not begin so.
    """

    subscriptions: tuple[str, ...]
    digits: int = 0
    begins: str = ""

    def condition(self, name: str) -> str:
        """A condition in KQL on an expression that gives a record's name; empty where the slice is no part."""
        if not self.digits:
            return ""
        return f"extract('^[0-9a-f]{{{self.digits}}}', 0, tolower({name})) == '{self.begins}'"


def slices(records: Mapping[str, int]) -> list[Slice]:
    """Slices of the subscriptions with so many records each, in the order of their ids."""
    found: list[Slice] = []
    taken: list[str] = []
    size = 0
    for subscription, count in sorted(records.items()):
        if count > MOST_RECORDS:
            found.extend(_parts(subscription, count))
            continue
        if taken and (size + count > MOST_RECORDS or len(taken) == MOST_SUBSCRIPTIONS):
            found.append(Slice(tuple(taken)))
            taken, size = [], 0
        taken.append(subscription)
        size += count
    return [*found, Slice(tuple(taken))] if taken else found


def _parts(subscription: str, count: int) -> Iterator[Slice]:
    digits = next((n for n in range(1, _MOST_DIGITS) if count <= MOST_RECORDS * len(_DIGITS) ** n // 2), _MOST_DIGITS)
    for begins in ("", *("".join(each) for each in product(_DIGITS, repeat=digits))):
        yield Slice((subscription,), digits, begins)


def smaller(part: Slice) -> list[Slice]:
    """The same in smaller slices; itself where there are none."""
    if len(part.subscriptions) > 1:
        middle = len(part.subscriptions) // 2
        return [Slice(part.subscriptions[:middle]), Slice(part.subscriptions[middle:])]
    if part.digits:
        return [part]
    return [Slice(part.subscriptions, 1, begins) for begins in ("", *_DIGITS)]


def as_lists(parts: Iterable[Slice]) -> list[list[object]]:
    """Slices as JSON has them."""
    return [[list(part.subscriptions), part.digits, part.begins] for part in parts]


def from_lists(stored: Iterable[Iterable[object]]) -> list[Slice]:
    """Slices from what `as_lists` made.

    Raises:
        ValueError, TypeError: it is something else.
    """
    found = []
    for subscriptions, digits, begins in stored:
        if not isinstance(subscriptions, list) or not isinstance(digits, int) or not isinstance(begins, str):
            raise TypeError("these are no slices")
        found.append(Slice(tuple(str(each) for each in subscriptions), digits, begins))
    return found
