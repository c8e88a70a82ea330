"""Large answers in gzip, for callers that take it (RFC 9110, 8.4.1.3 and 12.5.3).

No answer holds a secret, so that its length tells nothing of one (breachattack.com).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from shared.web.request_parameters import weights

if TYPE_CHECKING:
    import azure.functions as func

_WORTH_IT_BYTES = 4_096
_FAST = 1


async def compressed(request: func.HttpRequest, response: func.HttpResponse) -> func.HttpResponse:
    """The answer in gzip, or as it is: a small one, and one with an ETag, which is of these very bytes."""
    content: bytes = response.get_body()
    if len(content) < _WORTH_IT_BYTES or "ETag" in response.headers or not _takes_gzip(request):
        return response
    import gzip  # of large answers alone: not at start-up

    import azure.functions as func

    return func.HttpResponse(
        await asyncio.to_thread(gzip.compress, content, _FAST, mtime=0),
        status_code=response.status_code,
        headers={**response.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"},
        mimetype=response.mimetype,
        charset=response.charset,
    )


def _takes_gzip(request: func.HttpRequest) -> bool:
    asked = weights(request.headers.get("accept-encoding", ""))
    return asked.get("gzip", asked.get("*", 0.0)) > 0
