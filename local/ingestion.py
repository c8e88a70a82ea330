"""The Logs Ingestion API: the data collection rules of `infra/`, one for records and one for the app's own rows.

Documented: the address, audience, limits and status codes.  Of the error codes inside the body the documentation names
few; the others follow answers seen in public threads.
"""

from __future__ import annotations

import random
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web
from isal import isal_zlib

from local.certs import Certificates
from local.collection_rule import CollectionRule, properties_for, written
from local.faults import Fault
from local.http import CONTROL, RECORDED, Emulator
from local.streams import BodyError, Loss, Losses, Stream
from local.tokens import HOME_TENANT, TokenAuthority, TokenRejectedError
from local.workspace import Workspace

AUDIENCES = ("https://monitor.azure.com",)
API_VERSIONS = ("2023-01-01", "2021-11-01-preview")
RULE_ID = "dcr-0123456789abcdef0123456789abcdef"
OWN_RULE_ID = "dcr-fedcba9876543210fedcba9876543210"
MAX_BODY_BYTES = 1_048_576  # "1 MB, both compressed and uncompressed": 1048576 in the service's own error message
GZIP_OR_ZLIB = 47  # the window bits that make zlib find out which


@dataclass(frozen=True)
class StoredBody:
    """A body that was accepted: when, for which stream, as sent and counted; `body` is the raw JSON, compressed."""

    arrived: datetime
    stream: str
    rows: int
    raw_bytes: int
    wire_bytes: int
    compressed: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """The JSON array as it was before compression."""
        return zlib.decompress(self.compressed, GZIP_OR_ZLIB)


class _Refused(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.response = _error(status, code, message, headers)


class Ingestion(Emulator):
    """The endpoint of the data collection rules, over TLS, storing into `workspace`.

    Of the workspace's tables, those of records and those named in `also` belong to one rule, the others to a second
    (`own`).  `publishers` are
    the object ids that hold Monitoring Metrics Publisher on the first; taking one away makes its requests there 403.
    `most_unpacked` is what a compressed body may have, `refuses_undeclared` answers 400 to an undeclared column,
    and `converts` makes a text of a number that is sent for one.
    `drop_share` of the rows is lost after the 204, and a body that contains `poison` is answered 400.  `losses` says
    what a 204 did not: it is complete after `await workspace.flush()`.  These switches are also at
    `PUT /_local/behaviour`.
    """

    def __init__(
        self,
        workspace: Workspace,
        tokens: TokenAuthority,
        certificates: Certificates,
        *,
        publishers: Iterable[str] = (),
        rule_id: str = RULE_ID,
        tenant_id: str = HOME_TENANT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        also: Collection[str] = (),
    ) -> None:
        super().__init__(certificates.server_context())
        self.workspace = workspace
        tables = list(workspace.tables.values())
        records = properties_for(table for table in tables if table.holds_records or table.name in also)
        own = properties_for(table for table in tables if not table.holds_records)
        who = set(publishers)
        self.records = written(rule_id, records, who)
        self.own = written(OWN_RULE_ID, own, who)
        self.most_unpacked = MAX_BODY_BYTES
        self.refuses_undeclared = False
        self.converts = False
        self.drop_share = 0.0
        self.poison = b""
        self.stored: list[StoredBody] = []
        self._answering: Losses = Counter()  # counted on the event loop
        self._storing: Losses = Counter()  # counted in the workspace's thread
        self._tokens = tokens
        self._tenant_id = tenant_id
        self._now = now
        self._random = random.Random(0)
        self._streams = {table.stream: Stream(table) for table in tables}
        self.app.router.add_post("/dataCollectionRules/{rule}/streams/{stream}", self._upload)
        self.app.router.add_put(CONTROL + "/behaviour", self._control_behaviour)
        self.app.router.add_get(CONTROL + "/losses", self._control_losses)

    @property
    def rule_id(self) -> str:
        """The immutable id of the rule for records."""
        return self.records.immutable_id

    @property
    def publishers(self) -> set[str]:
        """Who may send records."""
        return self.records.publishers

    @publishers.setter
    def publishers(self, object_ids: Iterable[str]) -> None:
        self.records.publishers = set(object_ids)

    @property
    def losses(self) -> Losses:
        """What was lost behind a 204, counted by table, column and reason."""
        return self._answering + self._storing

    @property
    def rows(self) -> int:
        """Rows accepted so far, lost or not."""
        return sum(stored.rows for stored in self.stored)

    def fault_response(self, fault: Fault) -> web.Response:
        """As the base's, with the request ids that this service adds."""
        return _with_ids(super().fault_response(fault))

    async def _upload(self, request: web.Request) -> web.Response:
        try:
            wire = await self._body(request)
            rule, stream = self._admit(request)
            raw = _unpacked(request, wire, self.most_unpacked)
            self._pace(rule, len(raw))
            rows = self._read(stream, raw)
        except _Refused as refused:
            return refused.response
        arrived = self._now()
        compressed = wire if len(wire) < len(raw) else isal_zlib.compress(raw, 1)
        self.stored.append(StoredBody(arrived, stream.table.stream, len(rows), len(raw), len(wire), compressed))
        kept = self._kept(stream, rows)
        make = partial(stream.columns, kept, arrived, self._storing)
        await self.workspace.append(stream.table.name, make, arrived)
        return _with_ids(web.Response(status=204))

    def _admit(self, request: web.Request) -> tuple[CollectionRule, Stream]:
        """Check everything but the body."""
        version = request.query.get("api-version", "")
        if version not in API_VERSIONS:
            code = "UnsupportedApiVersion" if version else "MissingApiVersionParameter"
            raise _Refused(400, code, f"The api-version '{version}' is not supported; use {API_VERSIONS[0]}.")
        try:
            claims = self._tokens.verify(request.headers.get("Authorization"), *AUDIENCES)
        except TokenRejectedError as rejected:
            raise _Refused(401, rejected.code, str(rejected)) from rejected
        request[RECORDED].principal = claims.object_id
        asked, name = request.match_info["rule"], request.match_info["stream"]
        rule = {one.immutable_id: one for one in (self.records, self.own)}.get(asked)
        if rule is None:
            raise _Refused(404, "NotFound", f"Data collection rule with immutable Id '{asked}' not found.")
        if claims.tenant_id != self._tenant_id or claims.object_id not in rule.publishers:
            message = (
                "The authentication token provided does not have access to ingest data for the data collection rule "
                f"with immutable Id '{asked}'."
            )
            raise _Refused(403, "OperationFailed", message)
        if name not in rule.tables:
            message = f"The stream {name} was not configured in the Data collection rule with immutable Id {asked}."
            raise _Refused(400, "InvalidStream", message)
        if request.content_type != "application/json":
            raise _Refused(415, "UnsupportedMediaType", "The Content-Type must be application/json.")
        return rule, self._streams[name]

    async def _body(self, request: web.Request) -> bytes:
        body = await request.read()  # before any refusal: an answer to a half-read request may get lost
        if len(body) > MAX_BODY_BYTES:
            raise _too_large(len(body))
        return body

    def _pace(self, rule: CollectionRule, size: int) -> None:
        seconds = rule.limit.take(size, self._now().timestamp())
        if seconds:
            message = "The rate limit of the data collection rule was exceeded. Retry later."
            raise _Refused(429, "TooManyRequests", message, **{"Retry-After": str(seconds)})

    def _read(self, stream: Stream, raw: bytes) -> list[Any]:
        if self.poison and self.poison in raw:
            raise _Refused(400, "InvalidRequestContent", "The request body has a malformed record.")
        try:
            losses: Losses = Counter()
            rows = stream.read(raw, losses, converts=self.converts)
        except BodyError as error:
            message = f"The request body is not a JSON array of objects: {error}"
            raise _Refused(400, "InvalidRequestContent", message) from error
        if self.refuses_undeclared and any(loss.reason == "undeclared" for loss in losses):
            raise _Refused(400, "InvalidRequestContent", "The request body has a column that is not declared.")
        self._answering += losses
        return rows

    def _kept(self, stream: Stream, rows: list[Any]) -> list[Any]:
        if not self.drop_share:
            return rows
        kept = [row for row in rows if self._random.random() >= self.drop_share]
        self._answering[Loss(stream.table.name, "", "dropped row")] += len(rows) - len(kept)
        return kept

    async def _control_behaviour(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        self.drop_share = float(wanted.get("dropShare", self.drop_share))
        self.poison = str(wanted.get("poison", self.poison.decode())).encode()
        self.publishers = set(wanted.get("publishers", self.publishers))
        now = {"dropShare": self.drop_share, "poison": self.poison.decode(), "publishers": sorted(self.publishers)}
        return web.json_response(now)

    async def _control_losses(self, request: web.Request) -> web.Response:  # noqa: ARG002 - aiohttp passes it
        await self.workspace.flush()
        return web.json_response([{**loss._asdict(), "count": count} for loss, count in self.losses.items()])


def _unpacked(request: web.Request, wire: bytes, most: int) -> bytes:
    """The raw body; at most one byte more than the limit is ever unpacked."""
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "identity":
        return wire
    if encoding != "gzip":
        raise _Refused(415, "UnsupportedMediaType", f"The Content-Encoding '{encoding}' is not supported; use gzip.")
    unpacker = isal_zlib.decompressobj(31)
    try:
        raw: bytes = unpacker.decompress(wire, most + 1)
    except isal_zlib.error as error:  # type: ignore[misc] # typed as a variable, is a class
        raise _Refused(400, "InvalidRequestContent", f"The body is not gzip: {error}") from error
    if len(raw) > most:
        raise _too_large(len(raw))
    if not unpacker.eof:
        raise _Refused(400, "InvalidRequestContent", "The gzip body ends too early.")
    return raw


def _too_large(size: int) -> _Refused:
    message = f"Maximum allowed content length: {MAX_BODY_BYTES} bytes (1 MB). Provided content length: {size} bytes."
    return _Refused(413, "ContentLengthLimitExceeded", message)


def _error(status: int, code: str, message: str, headers: dict[str, str]) -> web.Response:
    body = {"error": {"code": code, "message": message}}
    return _with_ids(web.json_response(body, status=status, headers=headers))


def _with_ids(response: web.Response) -> web.Response:
    response.headers["x-ms-request-id"] = str(uuid.uuid4())
    return response
