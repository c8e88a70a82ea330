"""Logs Ingestion: what it refuses, what it takes, and what is then in the table.

The rows go to the table of CVEs, whose rows only answer for an id that a record names; their ids and their instance
begin with `accept-`.  Rows of a table can't be taken back: they go when the table's retention ends.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from datetime import UTC, datetime
from typing import Any, Final

from shared.accept.checks.workspace import rows_of
from shared.accept.findings import Difference, Form, NotSeen
from shared.accept.wire import INGESTION, OWN_INGESTION, Answer
from shared.accept.world import World
from shared.clock import utc_text
from shared.enrich.tables import BY_NAME, OWN_STREAMS, TABLES

TABLE: Final = "DefenderCves_CL"
ROWS: Final = 4
"""Rows that a run leaves."""
_VERSION: Final = "2023-01-01"
_MEGABYTE: Final = 1_048_576
_TAKEN = Form("rows that are taken", (204,))
_NO_STREAM = Form("rows for a stream that is unknown", (400,), code="InvalidStream")
_NO_ARRAY = Form("a body that is no array", (400,), code="InvalidRequestContent")
_TEXT = Form("rows as text/plain", (415,), code="UnsupportedMediaType")
_TOO_LARGE: Final = 413
_PAUSE_SECONDS: Final = 2.0
_SOUND: Final[dict[str, Any]] = {
    "Severity": "High", "Cvss2": 7.5, "IsWithdrawn": True, "PublishedTime": "2026-01-02T03:04:05Z",
    "Weaknesses": ["CWE-1"],
}  # fmt: skip
_WRONG: Final[dict[str, Any]] = {"Severity": 5, "Cvss2": "many", "IsWithdrawn": "perhaps", "PublishedTime": "never"}


def instance(world: World) -> str:
    """What the rows of a run say they are of."""
    return f"accept-{world.run}"


async def _send(world: World, stream: str, rows: Any, **options: Any) -> Answer:
    settings, own = world.settings, stream in OWN_STREAMS
    rule = settings.own_ingestion_rule_id if own else settings.ingestion_rule_id
    service = OWN_INGESTION if own else INGESTION
    content = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    headers = {"Content-Type": "application/json", **options.pop("headers", {})}
    path = f"/dataCollectionRules/{rule}/streams/{stream}"
    params = {"api-version": _VERSION}
    return await world.wire.ask(service, "POST", path, params=params, content=content, headers=headers, **options)


def _row(world: World, kind: str, **values: Any) -> dict[str, Any]:
    common = {"TimeGenerated": utc_text(datetime.now(UTC)), "InstanceId": instance(world)}
    return {**common, "CveId": f"{instance(world)}-{kind}", **values}


async def rules(world: World) -> list[Difference]:
    """Every stream takes an empty array: it is declared, and leads somewhere."""
    found = []
    for table in TABLES:
        answer = await _send(world, table.stream, [], form=_TAKEN)
        if answer.status not in _TAKEN.statuses:
            what = f"an empty array for the stream of {table.name}"
            found.append(Difference(what, "taken with 204", answer.error, answer.status))
    return found


async def refusals(world: World) -> list[Difference]:
    """What is no stream, no array, and no JSON by its own account."""
    stream = BY_NAME[TABLE].stream
    asked = (
        (_NO_STREAM, await _send(world, "Custom-DefenderExportAccept_CL", [])),
        (_NO_ARRAY, await _send(world, stream, b"{")),
        (_TEXT, await _send(world, stream, [], headers={"Content-Type": "text/plain"})),
    )
    return [
        Difference(form.name, f"refused with {form.statuses[0]}", answer.error, answer.status)
        for form, answer in asked
        if answer.status not in form.statuses
    ]


async def size(world: World) -> list[Difference]:
    """A body just below 1 MB is taken, one above is refused with 413, also where it is small when compressed."""
    stream, found = BY_NAME[TABLE].stream, []
    filler = "x" * (_MEGABYTE - 2_000)  # of which 64 KB are stored
    below = json.dumps([_row(world, "large", RenamedTo=filler)]).encode()
    above = json.dumps([_row(world, "too-large", RenamedTo=filler + "x" * 4_000)]).encode()
    taken = await _send(world, stream, below)
    if taken.status not in _TAKEN.statuses:
        found.append(Difference("a body just below 1 MB", "taken with 204", taken.error, taken.status))
    for what, content, headers in (
        ("a body just above 1 MB", above, {}),
        ("a body above 1 MB that is small when compressed", gzip.compress(above), {"Content-Encoding": "gzip"}),
    ):
        answer = await _send(world, stream, content, headers=headers)
        if answer.status != _TOO_LARGE:
            found.append(Difference(what, "refused with 413", answer.error or "taken", answer.status))
    return found


async def stored(world: World) -> list[Difference]:
    """A row is in the table as it was sent."""
    rows = await _arrived(world)
    row = rows.get("sound")
    if row is None:
        raise NotSeen(f"it was taken, and not yet in the table after {world.target.wait_seconds:g} s: --wait")
    return [
        Difference(f"the column {name} of a stored row", "as it was sent", row.get(name))
        for name, sent in _SOUND.items()
        if not _same(sent, row.get(name))
    ]


async def undeclared(world: World) -> list[Difference]:
    """A row with a column that no stream has."""
    answer = (await _sent(world))["undeclared"]
    if answer.status not in _TAKEN.statuses:
        return [Difference("a row with an undeclared column", "taken with 204", answer.error, answer.status)]
    row = (await _arrived(world)).get("undeclared")
    if row is None:
        raise NotSeen(f"it was taken, and not yet in the table after {world.target.wait_seconds:g} s: --wait")
    return [Difference("an undeclared column", "dropped", "stored")] if "AcceptUndeclared" in row else []


async def types(world: World) -> list[Difference]:
    """A row with a value of another type in each of four columns."""
    answer = (await _sent(world))["types"]
    if answer.status not in _TAKEN.statuses:
        return [Difference("a row with values of other types", "taken with 204", answer.error, answer.status)]
    row = (await _arrived(world)).get("types")
    if row is None:
        raise NotSeen(f"it was taken, and not yet in the table after {world.target.wait_seconds:g} s: --wait")
    return [
        Difference(f"{type(sent).__name__} sent for the column {name}", "null", row.get(name))
        for name, sent in _WRONG.items()
        if row.get(name) not in {None, ""}
    ]


def _same(sent: Any, found: Any) -> bool:
    if isinstance(sent, list):
        return found == sent or (isinstance(found, str) and found.replace(" ", "") == json.dumps(sent).replace(" ", ""))
    if isinstance(found, str) and isinstance(sent, str) and sent.endswith("Z"):
        return found.removesuffix("Z").rstrip("0").rstrip(".").startswith(sent.removesuffix("Z"))
    return bool(found == sent)


async def _sent(world: World) -> dict[str, Answer]:
    """The three rows, sent once in a run."""
    if "sent" not in world.memory:
        stream = BY_NAME[TABLE].stream
        world.memory["sent"] = {
            "sound": await _send(world, stream, [_row(world, "sound", **_SOUND)], form=_TAKEN),
            "undeclared": await _send(world, stream, [_row(world, "undeclared", AcceptUndeclared="x")]),
            "types": await _send(world, stream, [_row(world, "types", **_WRONG)]),
        }
    answers: dict[str, Answer] = world.memory["sent"]
    return answers


async def _arrived(world: World) -> dict[str, dict[str, Any]]:
    """The rows of a run that are in the table, by what they are for; waits once for all that were taken."""
    if "arrived" not in world.memory:
        expected = sum(answer.status in _TAKEN.statuses for answer in (await _sent(world)).values())
        end = time.monotonic() + world.target.wait_seconds
        query = f"{TABLE} | where InstanceId == '{instance(world)}'"
        while True:
            rows = await rows_of(world, query)
            named = {str(row.get("CveId")).removeprefix(f"{instance(world)}-"): row for row in rows}
            if len(named.keys() - {"large"}) >= expected or time.monotonic() + _PAUSE_SECONDS > end:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        world.memory["arrived"] = named
    arrived: dict[str, dict[str, Any]] = world.memory["arrived"]
    return arrived
