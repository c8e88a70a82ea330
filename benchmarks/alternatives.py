"""What a user would pick instead, as handlers of a batch of the worker's events."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Protocol

from azure.core.exceptions import HttpResponseError
from azure.identity import ManagedIdentityCredential
from azure.monitor.ingestion import LogsIngestionClient, LogsUploadError
from requests import Session

from benchmarks import stock
from shared.enrich.records.field_mapping import BY_NAME
from shared.enrich.records.model import Event
from shared.settings import Settings


class Stock:
    """`json`, plain dictionaries, `LogsIngestionClient.upload(list)`: the same rows, without context."""

    def __init__(self, *, whole: bool) -> None:
        settings = Settings.load()
        self._rule = settings.ingestion_rule_id
        self._whole = whole
        credential = ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"))
        self._client = LogsIngestionClient(settings.ingestion_endpoint, credential)

    async def run(self, events: Sequence[Any]) -> None:
        """Make the rows and upload them, a table after the other."""
        now = datetime.now(UTC)
        tables: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            moment = event.enqueued_time.replace(tzinfo=UTC)
            read = Event(event.get_body(), moment, "0", event.sequence_number)
            row = stock.make_row(read, now, whole=self._whole)
            tables.setdefault(row["RecordKind"], []).append(row)
        for kind, rows in tables.items():
            self._upload(BY_NAME[kind].table.stream, rows)

    def _upload(self, stream: str, rows: Sequence[dict[str, Any]]) -> None:
        """Upload; a chunk that was refused goes again in halves.

        The client counts rows without their separators and makes chunks of up to 1 MiB, so that some are over the
        limit by a few bytes.
        """
        refused: list[Sequence[Any]] = []
        self._client.upload(
            self._rule,
            stream,
            rows,  # type: ignore[arg-type] # dictionaries
            on_error=lambda failed: refused.append(_too_long(failed)),
        )
        for chunk in refused:
            half = len(chunk) // 2
            self._upload(stream, chunk[:half])
            self._upload(stream, chunk[half:])


def _too_long(failed: LogsUploadError) -> Sequence[Any]:
    """The rows of a chunk that is over the limit; any other error is raised."""
    error = failed.error
    if isinstance(error, HttpResponseError) and error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return failed.failed_logs
    raise error


class Steps(Protocol):
    """Events to bodies to post."""

    content_type: str

    def bodies(self, events: Iterable[bytes]) -> list[bytes]:
        """What is posted for a batch."""


class Forwarding:
    """A forwarder's steps, and its posts over a connection that is kept."""

    def __init__(self, steps: Steps, address: str) -> None:
        self._steps = steps
        self._address = address
        self._session = Session()

    async def run(self, events: Sequence[Any]) -> None:
        """Make the bodies and post them, one after the other."""
        for body in self._steps.bodies(event.get_body() for event in events):
            headers = {"Content-Type": self._steps.content_type}
            self._session.post(f"{self._address}/push", data=body, headers=headers).raise_for_status()
