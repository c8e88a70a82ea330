"""The structure of records met in this tenant over HTTP, without what they say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.web import request_parameters, serialization
from shared.web.problems import BAD_REQUEST, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

GROUP = "[!-~]{1,256}"
_NAME = r"[^,\x00-\x1f]{1,200}"
NAMES = rf"{_NAME}(?:,{_NAME}){{0,99}}"


async def get_shapes(call: Call) -> func.HttpResponse:
    """The shapes of dead letters, of records kept whole, or of what is in the hub; the log says who looked at which."""
    from shared.enrich.shapes.shape_request import MOST_RECORDS, SOURCES, ShapeRequest, ShapeRequestError

    source = request_parameters.word(call.request, "from", SOURCES)
    if not source:
        raise ApiError(BAD_REQUEST, f"Say 'from': {', '.join(SOURCES)}.")
    call.deed["from"] = source
    names = _matching(call, "names", NAMES, "up to 100 names of members with commas between them")
    withheld = request_parameters.word(call.request, "withheld", ("true", "false")) == "true"
    asked = ShapeRequest(
        source,
        request_parameters.day(call.request),
        tuple(names.split(",")) if names else (),
        request_parameters.number(call.request, "limit", MOST_RECORDS, MOST_RECORDS, 1),
        _matching(call, "consumerGroup", GROUP, "the name of a consumer group"),
    )
    try:
        shapes = await call.services.shapes(asked)
    except ShapeRequestError as refused:
        raise ApiError(BAD_REQUEST, f"{refused}.") from None
    return serialization.answer(shapes.document() | ({"withheld": sorted(shapes.withheld)} if withheld else {}))


def _matching(call: Call, name: str, pattern: str, takes: str) -> str:
    """A parameter of this pattern; empty when it is left out."""
    text: str = call.request.params.get(name, "")
    if text and not re.fullmatch(pattern, text):
        raise ApiError(BAD_REQUEST, f"'{name}' takes {takes}.")
    return text
