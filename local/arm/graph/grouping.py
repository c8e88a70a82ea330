"""Operators that fold rows together: distinct and summarize."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from local.arm.graph.expressions import Reader, Schema
from local.arm.graph.functions import AGGREGATES, Evaluate, Expression, Row
from local.arm.graph.lexer import QueryError
from local.arm.graph.operators import column, items
from local.arm.graph.plan import Query, Run, Step


def distinct(reader: Reader, query: Query) -> Step:
    """`distinct a, b`: one row for each combination."""
    names = [column(reader, query)]
    while reader.accept(","):
        names.append(column(reader, query))
    refuse_dynamic(reader, {name: query.schema[name] for name in names}, "distinct")
    query.schema = {name: query.schema[name] for name in names}

    def step(rows: list[Row], run: Run) -> list[Row]:
        run.certain = False
        return [
            dict(zip(names, key, strict=True)) for key in dict.fromkeys(tuple(row[n] for n in names) for row in rows)
        ]

    return step


def refuse_dynamic(reader: Reader, keys: Schema, where: str) -> None:
    """Refuse keys of dynamic type, as Kusto does."""
    for name, kind in keys.items():
        if kind == "dynamic":
            raise reader.error(f"{where} key '{name}' is of a dynamic type; use an explicit cast such as tostring()")


def summarize(reader: Reader, query: Query) -> Step:
    """`summarize name = aggregate, ... by key, ...`."""
    totals = {} if reader.at("by") else _aggregates(reader)
    keys = items(reader) if reader.accept("by") else {}
    refuse_dynamic(reader, {name: value.type for name, value in keys.items()}, "summarize")
    query.schema = {
        **{name: value.type for name, value in keys.items()},
        **{name: kind for name, (_, _, kind) in totals.items()},
    }
    by = [(name, value.evaluate) for name, value in keys.items()]

    def step(rows: list[Row], run: Run) -> list[Row]:
        run.certain = False
        groups: dict[tuple[Any, ...], list[Row]] = {} if by else {(): []}
        for row in rows:
            groups.setdefault(tuple(evaluate(row) for _, evaluate in by), []).append(row)
        return [
            {
                **{name: value for (name, _), value in zip(by, key, strict=True)},
                **{name: fold([value(row) for row in group]) for name, (fold, value, _) in totals.items()},
            }
            for key, group in groups.items()
        ]

    return step


Total = tuple[Callable[[list[Any]], Any], Evaluate, str]


def _aggregates(reader: Reader) -> dict[str, Total]:
    found: dict[str, Total] = {}
    while True:
        name = ""
        if reader.ahead().text == "=":
            name = reader.name()
            reader.expect("=")
        token = reader.token
        called = reader.name()
        if called not in AGGREGATES:
            raise QueryError(f"aggregate '{called}' is unknown or not emulated", token.position, token.text)
        fold, kind = AGGREGATES[called]
        argument = _argument(reader, called)
        derived = name or _derived_name(called, argument.column)
        found[derived] = (fold, argument.evaluate, argument.type if kind == "same" else kind)
        if not reader.accept(","):
            return found


def _derived_name(called: str, column: str) -> str:
    """The name that Kusto gives an aggregate without one: `set_x` for make_set(x), `x` for take_any(x)."""
    if called in {"take_any", "any"} and column:
        return column
    return f"{called.removeprefix('make_')}_{column}"


def _argument(reader: Reader, called: str) -> Expression:
    """An aggregate's one argument; count() has none."""
    arguments = reader.arguments()
    if called == "count":
        if arguments:
            raise reader.error("count() takes no argument")
        return Expression(lambda _row: 1, "long")
    if len(arguments) != 1:
        raise reader.error(f"{called}() takes one argument")
    return arguments[0]
