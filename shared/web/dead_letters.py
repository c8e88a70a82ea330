"""Dead letters over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from shared.clock import utc_text
from shared.web import csv_answers, request_parameters, serialization
from shared.web.problems import BAD_REQUEST, NOT_FOUND, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.enrich.dead_letters.dead_letter_format import Letter
    from shared.web.routing import Call

_LETTERS = 20
_MAX_LETTERS = 200
_MAX_BYTES = 4_000_000
_NAME = "[!-~]{1,500}"


_LETTER_COLUMNS = (
    "name", "day", "reason", "records", "replays", "outage", "parked", "due", "size", "written", "trouble",
)  # fmt: skip


async def list_dead_letters(call: Call) -> func.HttpResponse:
    """What could not be delivered, blob by blob, without contents."""
    from shared.enrich.dead_letters.dead_letter_format import no_such_reason
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter

    parked = request_parameters.word(call.request, "parked", ("true", "false"))
    choice = LetterFilter(
        day=request_parameters.day(call.request),
        reason=call.request.params.get("reason", ""),
        parked={"true": True, "false": False}.get(parked),
        due_only=False,
    )
    rows = [
        {
            "name": letter.name,
            "day": letter.day,
            "reason": letter.reason,
            "records": letter.letters,
            "replays": letter.replays,
            "outage": letter.outage,
            "parked": letter.parked,
            "due": utc_text(letter.due),
            "size": letter.size,
            "written": utc_text(letter.written),
            "trouble": letter.trouble,
        }
        async for letter in call.services.pipeline.dead_letters.find(choice)
    ]
    if not rows and (wrong := no_such_reason(choice.reason)):
        raise ApiError(BAD_REQUEST, f"{wrong[:1].upper()}{wrong[1:]}")
    return csv_answers.table(call.request, rows, _LETTER_COLUMNS, ("name",))


async def read_dead_letter(call: Call) -> func.HttpResponse:
    """The contents of one blob, letter by letter; the audit trail says who looked at which."""
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter, UnreadableLettersError
    from shared.enrich.dead_letters.letter_deeds import look

    name = call.request.params.get("name", "")
    if not re.fullmatch(_NAME, name):
        raise ApiError(BAD_REQUEST, "'name' takes the name of a dead letter as `GET /api/dead-letters` gives it.")
    call.deed["letter"] = name
    size = min(request_parameters.limit(call.request, _LETTERS), _MAX_LETTERS)
    start = int(request_parameters.after(call.request, "[0-9]{1,9}|") or 0)
    store = call.services.pipeline.dead_letters
    choice = LetterFilter(day=name.partition("/")[0], names=frozenset({name}), parked=None, due_only=False)
    found = [letter async for letter in store.find(choice)]
    if not found:
        raise ApiError(NOT_FOUND, "There is no dead letter of this name; `GET /api/dead-letters` lists them.")
    try:
        letters = [] if found[0].trouble else await store.read(name)
        trouble = found[0].trouble
    except UnreadableLettersError as unreadable:
        letters, trouble = [], str(unreadable)
    shown = await asyncio.to_thread(_shown, letters[start : start + size])
    if shown:
        await look(call.services.trail, name, str(call.actor), start, len(shown))
    end = start + len(shown)
    token = request_parameters.continuation(call.request, str(end)) if end < len(letters) else ""
    return serialization.answer({"name": name, "trouble": trouble, "value": shown, "continuation": token})


def _shown(letters: list[Letter]) -> list[dict[str, Any]]:
    """As many of these as an answer holds, one at least: a row may have a megabyte."""
    import msgspec

    shown: list[dict[str, Any]] = []
    room = _MAX_BYTES
    for letter in letters:
        text = msgspec.json.encode(letter)
        room -= len(text)
        if shown and room < 0:
            break
        told = json.loads(text)
        told["place"] = letter.place
        shown.append(told)
    return shown
