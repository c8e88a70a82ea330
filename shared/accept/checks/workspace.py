"""The workspace: columns of the tables with their types, and the limits of queries."""

from __future__ import annotations

from typing import Any, Final

from shared.accept.findings import Difference, Form, NotSeen
from shared.accept.wire import QUERY, Answer
from shared.accept.world import World
from shared.enrich.tables import TABLES

_ANSWER = Form("the answer to a query", (200,), {"tables": list})
_REFUSED = Form("a query that is none", (400,), code="BadArgumentError")
_TYPES: Final = {"boolean": "bool"}
"""The names of types in an answer, where they are others than in a stream."""
MOST_ROWS: Final = 500_000
_OK: Final = 200
_SHOWN: Final = 20


async def query(world: World, text: str, form: Form | None = _ANSWER) -> Answer:
    """One query over the last day."""
    if not world.settings.workspace_id:
        raise NotSeen("no workspace is set here: give the app's settings, WORKSPACE_ID")
    path = f"/v1/workspaces/{world.settings.workspace_id}/query"
    return await world.wire.ask(QUERY, "POST", path, json={"query": text, "timespan": "P1D"}, form=form)


async def rows_of(world: World, text: str) -> list[dict[str, Any]]:
    """The rows of a query; none where it is refused."""
    columns, rows = _table(await query(world, text))
    return [dict(zip(columns, row, strict=False)) for row in rows]


def _table(answer: Answer) -> tuple[dict[str, str], list[Any]]:
    """Type by column, and the rows."""
    tables = answer.body.get("tables") if isinstance(answer.body, dict) else None
    if answer.status != _OK or not isinstance(tables, list) or not tables or not isinstance(tables[0], dict):
        return {}, []
    columns = tables[0].get("columns") or []
    return {str(one.get("name")): str(one.get("type")) for one in columns}, tables[0].get("rows") or []


async def tables(world: World) -> list[Difference]:
    """Every table of this release with every column and its type."""
    found = []
    for table in TABLES:
        answer = await query(world, f"{table.name} | take 0", None)
        there, _ = _table(answer)
        if not there:
            found.append(Difference(f"the table {table.name}", "to be there", answer.error, answer.status))
            continue
        for column in table.columns:
            wanted = _TYPES.get(column.type, column.type)
            if there.get(column.name) != wanted:
                what = f"the column {column.name} of {table.name}"
                found.append(Difference(what, wanted, there.get(column.name, "missing")))
    return found[:_SHOWN]


async def limits(world: World) -> list[Difference]:
    """A row too many: as many as are allowed, and the error beside them."""
    answer = await query(world, f"range x from 1 to {MOST_ROWS + 1} step 1", None)
    _, rows = _table(answer)
    found = []
    if len(rows) != MOST_ROWS:
        found.append(Difference("rows of an answer that is too large", f"{MOST_ROWS:,}", {"count": len(rows)}))
    if answer.error != "PartialError":
        found.append(Difference("an answer that is too large", "PartialError", answer.error, answer.status))
    return found


async def refusals(world: World) -> list[Difference]:
    """A query that is none."""
    answer = await query(world, "nothing | | nothing", None)
    if answer.status in _REFUSED.statuses and answer.error == _REFUSED.code:
        return []
    return [Difference(_REFUSED.name, "refused with 400 BadArgumentError", answer.error, answer.status)]
