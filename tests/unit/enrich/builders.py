"""Records by hand, small enough to read."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.enrich.records.model import Event, Parsed, Row
from shared.enrich.records.parser import Parser
from tests.unit.enrich.golden.alerts import ALERT
from tests.unit.enrich.golden.assessments import ASSESSMENT
from tests.unit.enrich.golden.findings import FINDING

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
ENQUEUED = datetime(2026, 11, 10, 11, 30, tzinfo=UTC)
PARSER = Parser()


def event(record: Any, **changes: Any) -> Event:
    """An event that carries a record (or bytes) and was enqueued half an hour ago."""
    body = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    return Event(body, ENQUEUED, "3", 42)._replace(**changes)


def parse(*records: Any, parser: Parser | None = None) -> Parsed:
    """What a batch of records becomes."""
    return (parser or PARSER).parse([event(record) for record in records], NOW)


def row(record: Any, parser: Parser | None = None, **changes: Any) -> Row:
    """The one row of a record."""
    parsed = (parser or PARSER).parse([event(record, **changes)], NOW)
    assert not parsed.bad
    (only,) = parsed.rows
    return only


def columns(record: Any, parser: Parser | None = None) -> dict[str, Any]:
    """The columns that have a value in the one row of a record."""
    loaded = orjson.loads(row(record, parser).json)
    return {name: value for name, value in loaded.items() if value is not None}


def enrichment(action: str = "Write", *, snapshot: bool | None = False) -> dict[str, Any]:
    """What the exporter adds to a record."""
    flag = {} if snapshot is None else {"isSnapshot": snapshot}
    return {"securityEventDataEnrichment": {"action": action, "apiVersion": "2019-01-01", **flag}}


def assessment(**properties: Any) -> dict[str, Any]:
    """An unhealthy virtual machine."""
    record = deepcopy(ASSESSMENT.record)
    return record | {"properties": record["properties"] | properties}


def finding(data: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A finding below that recommendation, with a scanner's additional data."""
    record = deepcopy(FINDING.record)
    return record | {"properties": record["properties"] | {"additionalData": data} | properties}


def alert(**changes: Any) -> dict[str, Any]:
    """An alert on that virtual machine, shouted as Defender sometimes does."""
    return deepcopy(ALERT.record) | changes
