"""The stock way from events to uploads: `json`, plain dictionaries, `LogsIngestionClient.upload(list)`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpRequest, HttpResponse, HttpTransport
from azure.monitor.ingestion import LogsIngestionClient

from shared.enrich.records import Event
from shared.enrich.records.fields import BY_NAME, BY_TYPE, OTHER, Kind


class Swallowed(HttpResponse):
    """The answer 204 to whatever was sent."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, None)
        self.status_code = 204
        self.headers = {}
        self.reason = "No Content"
        self.content_type = None

    def body(self) -> bytes:
        """Nothing."""
        return b""


class Swallow(HttpTransport[HttpRequest, HttpResponse]):
    """A transport that takes every request and sends none."""

    def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """Answer."""
        return Swallowed(request)

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Anonymous:
    """A credential whose token no one looks at."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """A token."""
        return AccessToken("none", 2**40)


def client() -> LogsIngestionClient:
    """The stock client over a transport that only swallows."""
    return LogsIngestionClient("https://swallow.invalid", Anonymous(), transport=Swallow())


_FIELDS: Mapping[str, Mapping[str, str]] = {
    kind.name: {path.lower(): column for path, column in kind.fields.items() if column not in {"", "-"}}
    for kind in BY_NAME.values()
}


def make_row(event: Event) -> dict[str, Any]:
    """A row as a user of the SDK would write it down: the mapped fields, the resource, times and key.

    It leaves out what takes more thought (MITRE, CVE ids, CVSS, entry points, checks of types, what is left for Raw),
    so it costs less than a row that is equal in everything.
    """
    record = json.loads(event.body)
    found: dict[str, Any] = {}
    _flatten(record, "", found)
    kind = _kind(found)
    row: dict[str, Any] = {}
    inputs: dict[str, Any] = {}
    for path, column in _FIELDS[kind.name].items():
        value = found.get(path)
        if value is not None:
            (inputs if column[0] == "@" else row).setdefault(column, value)
    record_id = str(row.get("SystemAlertId") or inputs.get("@id") or row.get("AttackPathId") or "").lower()
    resource = str(inputs.get("@resource") or record_id.partition("/providers/microsoft.security/")[0]).lower()
    parts = resource.split("/")
    row["RecordId"], row["RecordKind"], row["ResourceId"] = record_id, kind.name, resource
    if len(parts) > 2:  # noqa: PLR2004 - /subscriptions/S
        row["SubscriptionId"] = parts[2]
    if len(parts) > 8:  # noqa: PLR2004 - /subscriptions/S/resourcegroups/G/providers/P/T/N
        row["ResourceGroup"], row["ResourceType"], row["ResourceName"] = parts[4], f"{parts[6]}/{parts[7]}", parts[8]
    stated = row.get("ProcessingEndTime") or row.get("StatusChangeDate") or row.get("SubAssessmentTimeGeneration")
    moment = datetime.fromisoformat(stated) if stated else event.enqueued
    row["EventTime"] = row["TimeGenerated"] = moment.isoformat()
    row["EnqueuedTime"] = event.enqueued.isoformat()
    row["PartitionId"], row["SequenceNumber"] = event.partition, event.sequence
    key = f"{record_id}|{row.get('Action')}|{row.get('IsSnapshot')}|{moment}"
    row["RecordKey"] = hashlib.sha256(key.encode()).hexdigest()[:32]
    return row


def _flatten(record: Mapping[str, Any], prefix: str, found: dict[str, Any]) -> None:
    """Fields by dotted path in lower case; records come in several casings."""
    for name, value in record.items():
        path = f"{prefix}{name.lower()}"
        found[path] = value
        if isinstance(value, dict):
            _flatten(value, f"{path}.", found)


def _kind(found: Mapping[str, Any]) -> Kind:
    if "systemalertid" in found:
        return BY_NAME["Alert"]
    if "attackpath" in found:
        return BY_NAME["AttackPath"]
    return BY_TYPE.get(str(found.get("type")).lower(), OTHER)
