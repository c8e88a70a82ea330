"""Tabular operators: each is compiled to a step from rows to rows and says what columns it leaves.

Emulated: where, project, project-away, extend, mv-expand, order/sort by, take/limit, top, distinct, count, summarize,
join (inner and leftouter).  Anything else is refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any


from local.arm.graph.expressions import Reader, Schema
from local.arm.graph.functions import AGGREGATES, Evaluate, Expression, Row, text
from local.arm.graph.lexer import QueryError

CONTAINER = {
    **dict.fromkeys(
        ("id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId", "managedBy"), "string"
    ),
    **dict.fromkeys(("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation"), "dynamic"),
}
TABLES: dict[str, Schema] = {"resources": CONTAINER, "resourcecontainers": CONTAINER, "securityresources": CONTAINER}
_ALWAYS_TEXT = frozenset({"id", "name", "type", "subscriptionId"})
MV_EXPAND_LIMIT = 128
MAX_JOINS = 3


@dataclass
class Run:
    """One evaluation: where tables come from, and whether the order of the rows is now certain."""

    table: Callable[[str, frozenset[str] | None], Iterable[Row]]
    certain: bool = False


Step = Callable[[list[Row], Run], list[Row]]


@dataclass
class Query:
    """A compiled query; `types` are the resource types it is limited to, when its first filters say so."""

    table: str
    types: frozenset[str] | None = None
    steps: list[Step] = field(default_factory=list)
    schema: Schema = field(default_factory=dict)
    takes: bool = False

    def rows(self, run: Run) -> list[Row]:
        """The result over a source of tables."""
        rows = list(run.table(self.table, self.types))
        for step in self.steps:
            rows = step(rows, run)
        return rows

    @property
    def pageable(self) -> bool:
        """Whether Resource Graph hands out a `$skipToken` for it."""
        return not self.takes and any(kind != "dynamic" for kind in self.schema.values())


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


def _where(reader: Reader, _query: Query) -> Step:
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


def _items(reader: Reader) -> dict[str, Expression]:
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


def _project(reader: Reader, query: Query) -> Step:
    items = _items(reader)
    query.schema = {name: value.type for name, value in items.items()}
    names, values = tuple(items), tuple(items.values())
    if len(names) > 1 and all(value.column for value in values):
        pick = itemgetter(*(value.column for value in values))
        return lambda rows, _run: [dict(zip(names, pick(row), strict=True)) for row in rows]
    columns = [(name, value.evaluate) for name, value in items.items()]
    return lambda rows, _run: [{name: evaluate(row) for name, evaluate in columns} for row in rows]


def _project_away(reader: Reader, query: Query) -> Step:
    gone = {_column(reader, query)}
    while reader.accept(","):
        gone.add(_column(reader, query))
    query.schema = {name: kind for name, kind in query.schema.items() if name not in gone}
    kept = list(query.schema)
    return lambda rows, _run: [{name: row[name] for name in kept} for row in rows]


def _extend(reader: Reader, query: Query) -> Step:
    items = _items(reader)
    query.schema = {**query.schema, **{name: value.type for name, value in items.items()}}
    columns = [(name, value.evaluate) for name, value in items.items()]
    return lambda rows, _run: [{**row, **{name: evaluate(row) for name, evaluate in columns}} for row in rows]


def _mv_expand(reader: Reader, query: Query) -> Step:
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


def _order(reader: Reader, _query: Query) -> Step:
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


def _take(reader: Reader, query: Query) -> Step:
    count = reader.integer()
    query.takes = True
    return lambda rows, _run: rows[:count]


def _top(reader: Reader, query: Query) -> Step:
    count = reader.integer()
    ordered = _order(reader, query)
    query.takes = True
    return lambda rows, run: ordered(rows, run)[:count]


def _count(_reader: Reader, query: Query) -> Step:
    query.schema = {"Count": "long"}
    return lambda rows, _run: [{"Count": len(rows)}]


def _distinct(reader: Reader, query: Query) -> Step:
    names = [_column(reader, query)]
    while reader.accept(","):
        names.append(_column(reader, query))
    _refuse_dynamic(reader, {name: query.schema[name] for name in names}, "distinct")
    query.schema = {name: query.schema[name] for name in names}

    def step(rows: list[Row], run: Run) -> list[Row]:
        run.certain = False
        return [
            dict(zip(names, key, strict=True)) for key in dict.fromkeys(tuple(row[n] for n in names) for row in rows)
        ]

    return step


def _column(reader: Reader, query: Query) -> str:
    token = reader.token
    name = reader.name()
    if name not in query.schema:
        raise QueryError(f"Failed to resolve column named '{name}'", token.position, name)
    return name


def _refuse_dynamic(reader: Reader, keys: Schema, where: str) -> None:
    for name, kind in keys.items():
        if kind == "dynamic":
            raise reader.error(f"{where} key '{name}' is of a dynamic type; use an explicit cast such as tostring()")


def _summarize(reader: Reader, query: Query) -> Step:
    totals = {} if reader.at("by") else _aggregates(reader)
    keys = _items(reader) if reader.accept("by") else {}
    _refuse_dynamic(reader, {name: value.type for name, value in keys.items()}, "summarize")
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
        found[name or f"{called}_{argument[0]}"] = (
            fold,
            argument[1].evaluate,
            argument[1].type if kind == "same" else kind,
        )
        if not reader.accept(","):
            return found


def _argument(reader: Reader, called: str) -> tuple[str, Expression]:
    """An aggregate's one argument with the name that Kusto derives from it."""
    word = reader.ahead().text if reader.ahead().kind == "word" else ""
    arguments = reader.arguments()
    if called == "count":
        if arguments:
            raise reader.error("count() takes no argument")
        return "", Expression(lambda _row: 1, "long")
    if len(arguments) != 1:
        raise reader.error(f"{called}() takes one argument")
    return (word if word in reader.schema else ""), arguments[0]


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
        _refuse_dynamic(reader, {name: schema[name]}, "join")
    return mine, theirs


_OPERATORS: dict[str, Callable[[Reader, Query], Step]] = {
    "where": _where,
    "project": _project,
    "project-away": _project_away,
    "extend": _extend,
    "mv-expand": _mv_expand,
    "order": _order,
    "sort": _order,
    "take": _take,
    "limit": _take,
    "top": _top,
    "count": _count,
    "distinct": _distinct,
    "summarize": _summarize,
    "join": _join,
}
