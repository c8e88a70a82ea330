"""Queries compiled: a pipeline of operators over one of the emulated tables.

Emulated: where, project, project-away, extend, mv-expand, order/sort by, take/limit, top, distinct, count, summarize,
join (inner and leftouter).  Anything else is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from local.arm.graph.expressions import Reader, Schema
from local.arm.graph.functions import Row
from local.arm.graph.grouping import distinct, refuse_dynamic, summarize
from local.arm.graph.lexer import QueryError
from local.arm.graph.operators import count, extend, mv_expand, order, project, project_away, take, top, where
from local.arm.graph.plan import TABLES, Query, Run, Step


@lru_cache(maxsize=256)
def compiled(query: str) -> Query:
    """A query compiled.

    Raises:
        QueryError: it is wrong, or uses what is not emulated.
    """
    reader = Reader(query)
    result = _pipeline(reader)
    if reader.token.kind != "end":
        raise reader.error("expected '|' or the end of the query")
    return result


def _pipeline(reader: Reader) -> Query:
    token = reader.token
    table = reader.name().lower()
    if table not in TABLES:
        raise QueryError(f"table '{token.text}' is unknown or not emulated", token.position, token.text)
    query = Query(table, schema=dict(TABLES[table]))
    filtering = True
    while reader.accept("|"):
        reader.schema = query.schema
        operator = reader.token
        name = _operator_name(reader)
        if name not in _OPERATORS:
            raise QueryError(f"operator '{name}' is unknown or not emulated", operator.position, operator.text)
        if name != "where":
            filtering = False
        elif filtering:
            query.types = _narrowed(query.types, reader)
        query.steps.append(_OPERATORS[name](reader, query))
    reader.schema = query.schema
    return query


def _operator_name(reader: Reader) -> str:
    name = reader.name().lower()
    if reader.at("-"):
        reader.advance()
        name += "-" + reader.name().lower()
    return name


def _narrowed(known: frozenset[str] | None, reader: Reader) -> frozenset[str] | None:
    """The types left by a filter that begins with `type =~ '...'` or `type in~ (...)`; a hint, the filter runs too."""
    words = [reader.ahead(0)]
    while words[-1].kind != "end" and words[-1].text != "|":
        words.append(reader.ahead(len(words)))
    texts = [word.text.lower() for word in words]
    if known is not None or texts[0] != "type" or "or" in texts:
        return known
    if texts[1] in {"=~", "=="} and texts[3] in {"|", "and", ")", ""}:
        return frozenset({texts[2]})
    if texts[1] in {"in~", "in"} and texts[2] == "(":
        end = texts.index(")")
        return frozenset(texts[3:end:2]) if texts[end + 1] in {"|", "and", ")", ""} else known
    return known


def _join(reader: Reader, query: Query) -> Step:
    kind = "innerunique"
    if reader.accept("kind"):
        reader.expect("=")
        kind = reader.name().lower()
    if kind not in {"inner", "leftouter"}:
        raise reader.error("only kind=inner and kind=leftouter are emulated for join")
    reader.expect("(")
    left_schema = query.schema
    right = _pipeline(reader)
    reader.expect(")")
    reader.schema = left_schema
    if not reader.accept("on"):
        raise reader.error("expected 'on'")
    keys = [_join_key(reader, left_schema, right.schema)]
    while reader.accept(","):
        keys.append(_join_key(reader, left_schema, right.schema))
    renamed = {
        name: name if name not in left_schema else _free(name, {**left_schema, **right.schema}) for name in right.schema
    }
    query.schema = {**left_schema, **{renamed[name]: kind_ for name, kind_ in right.schema.items()}}
    missing = dict.fromkeys(renamed.values())

    def step(rows: list[Row], run: Run) -> list[Row]:
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in right.rows(run):
            shown = {renamed[name]: value for name, value in row.items()}
            found.setdefault(tuple(row[name] for _, name in keys), []).append(shown)
        run.certain = False
        outer = [missing] if kind == "leftouter" else []
        return [{**row, **other} for row in rows for other in found.get(tuple(row[name] for name, _ in keys), outer)]

    return step


def _free(name: str, taken: Schema) -> str:
    number = 1
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def _join_key(reader: Reader, left: Schema, right: Schema) -> tuple[str, str]:
    if reader.accept("$left"):
        reader.expect(".")
        mine = reader.name()
        reader.expect("==")
        reader.expect("$right")
        reader.expect(".")
        theirs = reader.name()
    else:
        mine = theirs = reader.name()
    for name, schema in ((mine, left), (theirs, right)):
        if name not in schema:
            raise reader.error(f"Failed to resolve join key '{name}'")
        refuse_dynamic(reader, {name: schema[name]}, "join")
    return mine, theirs


_OPERATORS: dict[str, Callable[[Reader, Query], Step]] = {
    "where": where,
    "project": project,
    "project-away": project_away,
    "extend": extend,
    "mv-expand": mv_expand,
    "order": order,
    "sort": order,
    "take": take,
    "limit": take,
    "top": top,
    "count": count,
    "distinct": distinct,
    "summarize": summarize,
    "join": _join,
}
