"""Which columns the workspace's tables lack: what is sent for those is lost without an error."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.monitor.query.aio import LogsQueryClient

_AT_ONCE = 4  # Log Analytics runs five queries of a caller at a time
_SHOWN = 3


async def read_columns(
    client: LogsQueryClient, workspace_id: str, tables: Collection[str]
) -> dict[str, Collection[str] | None]:
    """The columns of each of these tables in the workspace; None for a table that is not there.

    Raises:
        azure.core.exceptions.HttpResponseError: the workspace refuses the caller, or does not answer.
    """
    from azure.core.exceptions import HttpResponseError

    turn = asyncio.Semaphore(_AT_ONCE)

    async def columns(table: str) -> Collection[str] | None:
        async with turn:
            try:
                answer = await client.query_workspace(workspace_id, f"{table} | take 0", timespan=timedelta(minutes=1))
            except HttpResponseError as error:
                if error.status_code == 400:  # noqa: PLR2004 - HTTP: the query names what is not there
                    return None
                raise
            return answer.tables[0].columns  # type: ignore[union-attr] # no row can be left out

    return dict(zip(tables, await asyncio.gather(*map(columns, tables)), strict=True))


def lacking(found: Mapping[str, Collection[str] | None], wanted: Mapping[str, Collection[str]]) -> list[str]:
    """A sentence for each table that is missing or lacks one of the columns that are wanted."""
    said = []
    for table, columns in wanted.items():
        there = found.get(table)
        if there is None:
            said.append(f"the table {table} is not there")
        elif missing := [column for column in columns if column not in there]:
            said.append(f"{table} lacks {_some(missing)}")
    return said


def _some(names: Sequence[str]) -> str:
    left = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left} more" if left > 0 else "")
