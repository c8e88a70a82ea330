"""Dead letters over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.web import csv_answers, request_parameters

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


_LETTER_COLUMNS = (
    "name", "day", "reason", "records", "replays", "outage", "parked", "due", "size", "written", "trouble",
)  # fmt: skip


async def list_dead_letters(call: Call) -> func.HttpResponse:
    """What could not be delivered, blob by blob, without contents."""
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
            "due": letter.due.isoformat(),
            "size": letter.size,
            "written": letter.written.isoformat(),
            "trouble": letter.trouble,
        }
        async for letter in call.services.pipeline.dead_letters.find(choice)
    ]
    return csv_answers.table(call.request, rows, _LETTER_COLUMNS, ("name",))
