"""Operators that work row by row, and the order of rows."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from local.arm.graph.expressions import Reader, Schema
from local.arm.graph.functions import Evaluate, Expression, Row, text
from local.arm.graph.lexer import QueryError
from local.arm.graph.plan import Query, Run, Step

_ALWAYS_TEXT = frozenset({"id", "name", "type", "subscriptionId"})
MV_EXPAND_LIMIT = 128


def where(reader: Reader, _query: Query) -> Step:
    """`where condition`."""
    test = reader.expression()
    if test.type not in {"bool", "dynamic"}:
        raise reader.error("where needs a condition")
    evaluate = test.evaluate
    return lambda rows, _run: [row for row in rows if evaluate(row)]


def _named(reader: Reader, taken: Schema) -> tuple[str, Expression]:
    """`name = expression`, or an expression that names itself by its last word."""
    if reader.token.kind == "word" and reader.ahead().text == "=":
        name = reader.name()
        reader.expect("=")
        return name, reader.expression()
    start = reader.token
    value = reader.expression()
    if start.text in reader.schema and value.type == reader.schema[start.text] and _ends_item(reader):
        return start.text, value
    number = 1
    while f"Column{number}" in taken:
        number += 1
    return f"Column{number}", value


def _ends_item(reader: Reader) -> bool:
    return reader.token.kind == "end" or reader.at("|", ",", ")", "by", "asc", "desc")


def items(reader: Reader) -> dict[str, Expression]:
    """A list of items by name, taken."""
    found: dict[str, Expression] = {}
    while True:
        name, value = _item(reader, found)
        found[name] = value
        if not reader.accept(","):
            return found


def _item(reader: Reader, found: dict[str, Expression]) -> tuple[str, Expression]:
    """One item; a path such as `properties.state` is named `properties_state`, as Kusto names it."""
    taken = {name: value.type for name, value in found.items()}
    if reader.token.kind == "word" and reader.ahead().text == ".":
        offset, words = 1, [reader.token.text]
        while reader.ahead(offset).text == "." and reader.ahead(offset + 1).kind == "word":
            words.append(reader.ahead(offset + 1).text)
            offset += 2
        value = reader.expression()
        return "_".join(words), value
    return _named(reader, taken)


def project(reader: Reader, query: Query) -> Step:
    """`project a, b = expression`."""
    chosen = items(reader)
    query.schema = {name: value.type for name, value in chosen.items()}
    names, values = tuple(chosen), tuple(chosen.values())
    if len(names) > 1 and all(value.column for value in values):
        pick = itemgetter(*(value.column for value in values))
        return lambda rows, _run: [dict(zip(names, pick(row), strict=True)) for row in rows]
    columns = [(name, value.evaluate) for name, value in chosen.items()]
    return lambda rows, _run: [{name: evaluate(row) for name, evaluate in columns} for row in rows]


def project_away(reader: Reader, query: Query) -> Step:
    """`project-away a, b`."""
    gone = {column(reader, query)}
    while reader.accept(","):
        gone.add(column(reader, query))
    query.schema = {name: kind for name, kind in query.schema.items() if name not in gone}
    kept = list(query.schema)
    return lambda rows, _run: [{name: row[name] for name in kept} for row in rows]


def extend(reader: Reader, query: Query) -> Step:
    """`extend name = expression`."""
    chosen = items(reader)
    query.schema = {**query.schema, **{name: value.type for name, value in chosen.items()}}
    columns = [(name, value.evaluate) for name, value in chosen.items()]
    return lambda rows, _run: [{**row, **{name: evaluate(row) for name, evaluate in columns}} for row in rows]


def mv_expand(reader: Reader, query: Query) -> Step:
    """`mv-expand name = dynamic [limit n]`: a row for each item; 128 without a limit, as Resource Graph does it."""
    name, value = _item(reader, {})
    if value.type != "dynamic":
        raise reader.error("mv-expand needs a dynamic value")
    limit = reader.integer() if reader.accept("limit") else MV_EXPAND_LIMIT
    query.schema = {**query.schema, name: "dynamic"}
    evaluate = value.evaluate

    def step(rows: list[Row], run: Run) -> list[Row]:
        run.certain = False
        return [{**row, name: one} for row in rows for one in _expanded(evaluate(row))[:limit]]

    return step


def _expanded(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [{name: one} for name, one in value.items()] or [None]
    return value or [None] if isinstance(value, list) else [value]


def order(reader: Reader, _query: Query) -> Step:
    """`order by a asc, b desc`; descending unless said otherwise, as in Kusto."""
    if not reader.accept("by"):
        raise reader.error("expected 'by'")
    keys = [_order_key(reader)]
    while reader.accept(","):
        keys.append(_order_key(reader))

    def step(rows: list[Row], run: Run) -> list[Row]:
        # From the last key to the first: each sort is stable, so that earlier keys win.
        values = [[evaluate(row) for row in rows] for evaluate, _ in keys]
        order = list(range(len(rows)))
        for column, (_, descending) in zip(reversed(values), reversed(keys), strict=True):
            order.sort(key=column.__getitem__, reverse=descending)
        run.certain = len(set(zip(*values, strict=True))) == len(rows)
        return [rows[number] for number in order]

    return step


def _order_key(reader: Reader) -> tuple[Evaluate, bool]:
    key = reader.expression()
    if key.type == "dynamic":
        raise reader.error("order by: a key can't be of dynamic type; use an explicit cast such as tostring()")
    descending = not reader.accept("asc")
    if descending:
        reader.accept("desc")
    evaluate = key.evaluate
    if key.type == "string":
        return (evaluate if key.column in _ALWAYS_TEXT else lambda row: text(evaluate(row))), descending
    return lambda row: ((value := evaluate(row)) is not None, value if value is not None else 0), descending


def take(reader: Reader, query: Query) -> Step:
    """`take n`."""
    count = reader.integer()
    query.takes = True
    return lambda rows, _run: rows[:count]


def top(reader: Reader, query: Query) -> Step:
    """`top n by a`."""
    count = reader.integer()
    ordered = order(reader, query)
    query.takes = True
    return lambda rows, run: ordered(rows, run)[:count]


def count(_reader: Reader, query: Query) -> Step:
    """`count`."""
    query.schema = {"Count": "long"}
    return lambda rows, _run: [{"Count": len(rows)}]


def column(reader: Reader, query: Query) -> str:
    """A column's name, taken."""
    token = reader.token
    name = reader.name()
    if name not in query.schema:
        raise QueryError(f"Failed to resolve column named '{name}'", token.position, name)
    return name
