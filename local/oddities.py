"""Answers otherwise than the local Azure takes Azure's to be, so that a test can see who notices."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Oddity:
    """What becomes of answers with a status, to requests that match as for faults ("METHOD /path").

    `status` replaces theirs, `headers` replace or, with None, take away one each, `body` makes another JSON document of
    theirs, or a text that is none.
    """

    matching: str
    of: int
    status: int = 0
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: Callable[[Any], Any] | None = None

    def applied(self, request: str, response: web.StreamResponse) -> web.StreamResponse:
        """The answer as it goes out."""
        if response.status != self.of or not re.search(self.matching, request):
            return response
        for name, value in self.headers.items():
            response.headers.pop(name, None)
            if value is not None:
                response.headers[name] = value
        if self.status:
            response.set_status(self.status)
        if self.body is not None and isinstance(response, web.Response):
            found = self.body(orjson.loads(response.body) if isinstance(response.body, bytes) else None)
            response.body = found.encode() if isinstance(found, str) else orjson.dumps(found)
        return response
