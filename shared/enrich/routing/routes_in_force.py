"""Which routes are in force: those of the file, and where it can't be read those that were before.

Read once a process, since the file is part of what is deployed (docs/decisions/routes-ship-with-the-app.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shared.azure.blob_container import StoreError
from shared.enrich.routing.accepted_routes import AcceptedRoutes, Keeping
from shared.enrich.routing.route_model import Routes
from shared.enrich.routing.routes_file import MAX_BYTES, read_routes
from shared.exports.diagnostics import InvalidExport

logger = logging.getLogger("defender_export.enrich")
_BEFORE = "the routes that were in force before stay in force"
_WAITS = "events wait at the hub until a file that can be read is deployed, or ROUTES_FILE is taken away"
_NONE_KEPT = f"no routes are kept from before, so that it is not known whose rows go elsewhere: {_WAITS}"
_UNKEPT = (
    "the routes in force could not be kept, which is tried again every minute: until then, with a next file that can't "
    "be read, events would wait at the hub, or older routes come back"
)
_OTHERS_KEPT = (
    "older routes are kept and could not be replaced, so that they would come back with a next file that can't be "
    "read: events wait at the hub until these are kept"
)

Check = Callable[[Routes], Sequence[str]]
"""Sentences on what the settings make wrong in a file."""


@dataclass(frozen=True)
class InForce:
    """The routes in force; `fault` says why they are not those of the file, and what is done instead.

    `unkept` says why nothing would be known of them after a file that can't be read.
    """

    routes: Routes
    fault: str = ""
    unkept: str = ""


class RoutesUnknownError(StoreError):
    """It is not known where rows belong; the message says why, and what would mend it."""


class RoutesInForce:
    """The file at a path, and what was accepted before."""

    def __init__(self, path: Path, accepted: AcceptedRoutes, check: Check, never: Check) -> None:
        """`check` says why a file is not taken, `never` why not even routes that were in force before may stay so."""
        self._path = path
        self._accepted = accepted
        self._check = check
        self._never = never
        self._text_in_force = b""

    async def load(self) -> InForce:
        """The routes in force.

        Raises:
            RoutesUnknownError: the file can't be read, and what was in force is not known or may not stay so; or
                older routes are kept, and these can't be in their place.
        """
        try:
            text = await asyncio.to_thread(self._text)
            routes = await asyncio.to_thread(self._read, text)
        except (OSError, InvalidExport, ValueError) as error:
            return await self._before(_sentence(self._path, error))
        keeping = await self._accepted.keep(text)
        if keeping.others:
            raise RoutesUnknownError(f"{_OTHERS_KEPT} ({keeping.why_not})")
        self._text_in_force = text
        return InForce(routes, unkept=_said(keeping))

    async def keep_again(self, in_force: InForce) -> InForce:
        """Keep the file in force that could not be kept; what was delivered by it stays delivered, so it stays so."""
        return replace(in_force, unkept=_said(await self._accepted.keep(self._text_in_force)))

    def _text(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    def _read(self, text: bytes) -> Routes:
        routes = read_routes(text, self._path.name)
        if wrong := self._check(routes):
            raise ValueError("; ".join(wrong))
        return routes

    async def _before(self, fault: str) -> InForce:
        try:
            text = await self._accepted.read()
        except StoreError as error:
            raise RoutesUnknownError(f"{fault}; {error}: {_WAITS}") from error
        if text is None:
            raise RoutesUnknownError(f"{fault}; {_NONE_KEPT}")
        routes = await asyncio.to_thread(self._kept, text, fault)
        logger.error("%s; %s", fault, _BEFORE)
        return InForce(routes, f"{fault}; {_BEFORE}")

    def _kept(self, text: bytes, fault: str) -> Routes:
        try:
            routes = read_routes(text, "the routes in force before")
        except InvalidExport as error:  # kept by a release that knew other kinds or tables
            raise RoutesUnknownError(f"{fault}; {error.findings[0]} {_WAITS}") from error
        if wrong := self._never(routes):
            raise RoutesUnknownError(f"{fault}; the routes in force before can't stay: {'; '.join(wrong)}; {_WAITS}")
        return routes


def _said(keeping: Keeping) -> str:
    return f"{_UNKEPT} ({keeping.why_not})" if keeping.why_not else ""


def _sentence(path: Path, error: Exception) -> str:
    """Why a file can't be used; of an error of the system its kind, since its text is long."""
    if isinstance(error, InvalidExport):
        more = f" (and {len(error.findings) - 1} more findings)" if len(error.findings) > 1 else ""
        return f"{error.findings[0]}{more}"
    return f"{path.name}: {error.strerror if isinstance(error, OSError) else error}"
