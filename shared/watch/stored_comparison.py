"""Rows accepted on a day beside rows stored of it, for each place by itself.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from shared.watch.freshness_outcome import Compared, StoredDay


def compared(day: date, uploaded: Mapping[str, int], stored: StoredDay) -> tuple[list[Compared], str, list[str]]:
    """What was accepted beside what is held: of the default place, and of each further one.

    Args:
        day: of both (UTC).
        uploaded: rows by table, of a further place by its name, a dot and the table.
        stored: what the default workspace holds, and in `elsewhere` each further one.

    Returns:
        the comparisons, why there are none for the default place, and why there are none for others.
    """
    own, places = _by_place(uploaded)
    for place in stored.with_default:
        _add(own, places.pop(place, {}))
    found = [] if stored.trouble else list(_of_one(day, own, stored, ""))
    unknown = []
    for names, held in stored.elsewhere.items():
        rows: dict[str, int] = {}
        for name in names:
            _add(rows, places.pop(name, {}))
        if rows and held.trouble:
            unknown.append(held.trouble)
        elif rows:
            place = "+".join(names)
            found += _of_one(day, rows, held, f"{place}.")
            renamed = sorted(held.renamed & rows.keys())
            unknown += [f"not known for place {place}: {table} has another name there" for table in renamed]
    unknown += [f"not known for place {name}: the routes in force do not name it" for name in places]
    return found, stored.trouble if own else "", unknown


def _of_one(day: date, rows: Mapping[str, int], stored: StoredDay, prefix: str) -> Iterable[Compared]:
    because = "; ".join(stored.operations)
    for table, accepted in sorted(rows.items()):
        if (held := stored.tables.get(table)) is not None:
            yield Compared(prefix + table, day, accepted, held.rows, held.delay, because)


def _by_place(uploaded: Mapping[str, int]) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    own: dict[str, int] = {}
    places: dict[str, dict[str, int]] = {}
    for name, rows in uploaded.items():
        place, dot, table = name.partition(".")
        if dot:
            places.setdefault(place, {})[table] = rows
        else:
            own[name] = rows
    return own, places


def _add(to: dict[str, int], more: Mapping[str, int]) -> None:
    for table, rows in more.items():
        to[table] = to.get(table, 0) + rows
