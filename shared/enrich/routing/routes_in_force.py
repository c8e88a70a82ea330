"""Which routes are in force: those of the file, and where it can't be read those that were before.

Read once a process, since the file is part of what is deployed (docs/decisions/routes-ship-with-the-app.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.azure.blob_container import StoreError
from shared.enrich.routing.accepted_routes import AcceptedRoutes
from shared.enrich.routing.route_model import Routes
from shared.enrich.routing.routes_file import MAX_BYTES, read_routes
from shared.exports.diagnostics import InvalidExport

logger = logging.getLogger("defender_export.enrich")
_BEFORE = "the routes that were in force before stay in force"
_NONE_BEFORE = "none were in force before, so all rows go to the default place"

Check = Callable[[Routes], Sequence[str]]
"""Sentences on what the settings make wrong in a file."""


@dataclass(frozen=True)
class InForce:
    """The routes in force; `fault` says why they are not those of the file, and what is done instead."""

    routes: Routes
    fault: str = ""


class RoutesInForce:
    """The file at a path, and what was accepted before."""

    def __init__(self, path: Path, accepted: AcceptedRoutes, check: Check, never: Check) -> None:
        """`check` says why a file is not taken, `never` why not even routes that were in force before may stay so."""
        self._path = path
        self._accepted = accepted
        self._check = check
        self._never = never

    async def load(self) -> InForce:
        """The routes in force.

        Raises:
            shared.azure.blob_container.StoreError: the file can't be read, and what was in force is not known or
                may not stay so.
        """
        try:
            text = await asyncio.to_thread(self._text)
            routes = await asyncio.to_thread(self._read, text)
        except (OSError, InvalidExport, ValueError) as error:
            return await self._before(_sentence(self._path, error))
        await self._accepted.keep(text)
        return InForce(routes)

    def _text(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MAX_BYTES + 1)

    def _read(self, text: bytes) -> Routes:
        routes = read_routes(text, self._path.name)
        if wrong := self._check(routes):
            raise ValueError("; ".join(wrong))
        return routes

    async def _before(self, fault: str) -> InForce:
        text = await self._accepted.read()
        if text is None:
            routes, said = Routes(), _NONE_BEFORE
        else:
            routes, said = await asyncio.to_thread(self._kept, text, fault), _BEFORE
        logger.error("%s; %s", fault, said)
        return InForce(routes, f"{fault}; {said}")

    def _kept(self, text: bytes, fault: str) -> Routes:
        try:
            routes = read_routes(text, "the routes in force before")
        except InvalidExport as error:  # kept by a release that knew other kinds or tables
            raise StoreError(f"{fault}; {error.findings[0]}") from error
        if wrong := self._never(routes):
            raise StoreError(f"{fault}; the routes in force before can't stay: {'; '.join(wrong)}")
        return routes


def _sentence(path: Path, error: Exception) -> str:
    """Why a file can't be used; of an error of the system its kind, since its text is long."""
    if isinstance(error, InvalidExport):
        more = f" (and {len(error.findings) - 1} more findings)" if len(error.findings) > 1 else ""
        return f"{error.findings[0]}{more}"
    return f"{path.name}: {error.strerror if isinstance(error, OSError) else error}"
