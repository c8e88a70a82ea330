"""Rows as OCSF events: every column in its attribute, or whole in `unmapped`.

The values of a row are read only where an attribute wants them; the others go on as the bytes that they are, so that a
number keeps all its digits.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from shared.enrich.delivery.truncation import fit, shorten
from shared.enrich.ocsf import attribute_mapping as tables
from shared.enrich.ocsf.attribute_mapping import BASE, COMPLIANCE, MAPPING, VULNERABILITY, EventClass
from shared.enrich.ocsf.attribute_values import CONVERSIONS, Conversion, named
from shared.enrich.ocsf.epoch_time import epoch_milliseconds
from shared.enrich.records.model import Row
from shared.exports.known_values import SQL_SCANNER

logger = logging.getLogger("defender_export.enrich")

Columns = Mapping[str, Raw]
_columns = msgspec.json.Decoder(dict[str, Raw]).decode
_decode = msgspec.json.Decoder().decode
_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode
_NULL = b"null"
_KB = 1024
_LEAST = 1_000
"""Bytes of a row below which it is cut no further: what an event has besides is well below any hub's limit."""
LONGEST_ID = 2_048
"""Bytes of a RecordId where its column does not carry it."""
_VULNERABLE = ("vulnerabilities", "update")
"""How the categories of recommendations that stand for a vulnerability end."""


class _Step(NamedTuple):
    columns: tuple[str, ...]
    parents: tuple[str, ...]
    name: str
    convert: Conversion
    read: Callable[[Raw], Any]

    @property
    def parent(self) -> str:
        return ".".join(self.parents)


class OcsfFormat:
    """Encodes rows as events of the schema's version."""

    name = "ocsf"

    def encode(self, row: Row, limit: int) -> tuple[bytes, bool]:
        """The event of a row, at most `limit` bytes, and whether columns of the row had to be cut for that."""
        text = _encode(_event(row, row.json))
        if len(text) <= limit:
            return text, False
        size, room = len(text), len(row.json)
        while len(text) > limit and room > _LEAST:
            room = room * limit // len(text) * 9 // 10  # an event grows with its row, but not evenly
            event = _event(row, fit(row.json, room))
            event["metadata"] |= {"is_truncated": True, "untruncated_size": -(-size // _KB)}
            text = _encode(event)
        return text, True


def _event(row: Row, json: bytes) -> dict[str, Any]:
    """The event of a row, of which `json` may be a shorter form; should a value break it, all of it is unmapped."""
    columns = _columns(json)
    try:
        return _event_of(row, columns)
    except Exception as error:  # noqa: BLE001 # a mistake of ours must not hold the row up
        logger.error("a row of %s goes on as a base event: %s", row.table, type(error).__name__)  # noqa: TRY400 # may quote
        return _Building(BASE, row, columns).finished({"activity_id": 0, "activity_name": "Unknown"}, ())


def _event_of(row: Row, columns: Columns) -> dict[str, Any]:
    """The event of a row; what the schema requires is there even where DROP_COLUMNS leaves its column out."""
    kind, record_id = row.kind, shorten(row.record_id, LONGEST_ID)
    of = class_of(kind, columns)
    building = _Building(of, row, columns)
    for step in _steps(kind, of):
        building.take(step)
    event = building.event
    if of is not BASE:
        event.setdefault("finding_info", {}).setdefault("uid", record_id)
    if of is COMPLIANCE:
        event.setdefault("compliance", {})
    if of is VULNERABILITY:
        event.setdefault("vulnerabilities", [{"advisory": {"uid": record_id}}])
    return building.finished(*_lifecycle(kind, of, building))


def class_of(kind: str, columns: Columns) -> EventClass:
    """The class of a row; a recommendation is a vulnerability by its category, its scanner, or the CVEs that it names.

    The category goes first, because a recommendation keeps it when it is healthy and names no CVE any more.
    """
    own = [of for known, of in MAPPING if known == kind]
    if len(own) == 1:
        return own[0]
    category = _text(columns, "RecommendationCategory").lower()
    if category in {"", "unknown"}:
        vulnerable = "CveIds" in columns or _text(columns, "ToolName") == SQL_SCANNER
    else:
        vulnerable = category.endswith(_VULNERABLE)
    return (VULNERABILITY if vulnerable else COMPLIANCE) if own else BASE


def _text(columns: Columns, name: str) -> str:
    raw = columns.get(name)
    value = None if raw is None else _decode(raw)
    return value if isinstance(value, str) else ""


class _Building:
    """One event being built, and which columns it has."""

    def __init__(self, of: EventClass, row: Row, columns: Columns) -> None:
        number, caption = of.category
        self.of = of
        self.row = row
        self.columns = columns
        self.held: list[tuple[str, tuple[str, ...]]] = []
        self.event: dict[str, Any] = {
            "class_uid": of.uid,
            "class_name": of.caption,
            "category_uid": number,
            "category_name": caption,
            "metadata": {
                "version": tables.VERSION,
                "profiles": list(tables.PROFILES),
                "product": tables.PRODUCT,
                "log_name": row.table,
            },
            "cloud": {},
        }

    def take(self, step: _Step) -> None:
        """Set what a step gives, unless the attribute has another value already."""
        columns = self.columns
        if len(step.columns) == 1:
            raw = columns.get(step.columns[0])
            if raw is None or bytes(raw) == _NULL:
                return
            values = {step.columns[0]: step.read(raw)}
        else:
            values = {name: None if (raw := columns.get(name)) is None else _decode(raw) for name in step.columns}
        given = step.convert(step.name, values)
        if given is None:
            return
        level = self.event
        for parent in step.parents:
            level = level.setdefault(parent, {})
        for name, value in given.members.items():
            if level.get(name, value) != value:
                return
        level.update(given.members)
        if given.holds:
            self.held.append((step.parent, tuple(given.holds)))

    def finished(self, lifecycle: Mapping[str, Any], holds: tuple[str, ...]) -> dict[str, Any]:
        """The event with what every one has; columns that no attribute holds are unmapped."""
        event, of = self.event, self.of
        left_out = [path for path in tables.NEEDED if self._leave_out(path)]
        held = {column for parent, own in self.held if not _below(parent, left_out) for column in own}
        held.update(holds)
        event.update(lifecycle)
        event["type_uid"] = of.uid * 100 + lifecycle["activity_id"]
        activity = "Other" if lifecycle["activity_id"] == tables.OTHER else lifecycle["activity_name"]
        event["type_name"] = f"{of.caption}: {activity}"
        event["cloud"].setdefault("provider", "Unknown")
        if "severity_id" not in event:
            event["severity_id"], event["severity"] = 0, "Unknown"
        event.setdefault("time", epoch_milliseconds(self.row.event_time))
        event["metadata"].setdefault("uid", self.row.record_key)
        resources = [found for name in ("resources[0]", "resources[1]") if (found := event.pop(name, None))]
        if resources:
            event["resources"] = resources
        if "TruncatedColumns" in self.columns:
            event["metadata"]["is_truncated"] = True
        unmapped = {name: raw for name, raw in self.columns.items() if name not in held and bytes(raw) != _NULL}
        if unmapped:
            event["unmapped"] = unmapped
        return event

    def _leave_out(self, path: str) -> bool:
        """Leave out an object that has none of the members of which the schema wants one."""
        *parents, name = path.split(".")
        level: dict[str, Any] = self.event
        for parent in parents:
            level = level.get(parent, {})
        if name not in level or any(needed in level[name] for needed in tables.NEEDED[path]):
            return False
        del level[name]
        return True


def _below(parent: str, left_out: list[str]) -> bool:
    return any(parent == path or parent.startswith(f"{path}.") for path in left_out)


def _lifecycle(kind: str, of: EventClass, building: _Building) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Status and activity, and which of the columns that say them they hold unchanged."""
    action = _text(building.columns, "Action")
    if of is BASE:
        number, caption = (tables.OTHER, action) if action else (0, "Unknown")
        return {"activity_id": number, "activity_name": caption}, ("Action",) if action else ()
    column, states = tables.STATES.get(kind, ("", {}))
    state = _text(building.columns, column) if column else ""
    if action.lower() in tables.ENDS:
        status = tables.RESOLVED
    elif state:
        status = named(states, state)
    else:
        status = _status_without_state(kind, building.event)
    activity = named(tables.ACTIVITIES, action) if action else _activity_of_alert(kind, status)
    if status in {tables.RESOLVED, tables.SUPPRESSED}:
        activity = tables.CLOSE
    said = {"status_id": status[0], "status": status[1], "activity_id": activity[0], "activity_name": activity[1]}
    texts = ((column, state, status[1]), ("Action", action, activity[1]))
    holds = [name for name, text, caption in texts if text and text == caption]
    return said, tuple(holds)


def _status_without_state(kind: str, event: Mapping[str, Any]) -> tuple[int, str]:
    """An attack path that is sent is there; a score is resolved where nothing is left to do."""
    if kind == "AttackPath":
        return tables.NEW
    verdict = event.get("compliance", {}).get("status_id")
    return {tables.PASS[0]: tables.RESOLVED, tables.FAIL[0]: tables.NEW}.get(verdict, (0, "Unknown"))


def _activity_of_alert(kind: str, status: tuple[int, str]) -> tuple[int, str]:
    """The exporter names no action for alerts: a new one is created, one in progress updated."""
    known = {tables.NEW: tables.CREATE, tables.IN_PROGRESS: tables.UPDATE} if kind == "Alert" else {}
    return known.get(status, (0, "Unknown"))


@lru_cache
def _steps(kind: str, of: EventClass) -> tuple[_Step, ...]:
    """The lines of the mapping, ready to be taken."""
    steps = []
    for line in MAPPING[kind, of]:
        *parents, name = line.attribute.split(".")
        read: Callable[[Raw], Any] = _items_of if line.conversion == "evidences" else _decode
        steps.append(_Step(line.columns, tuple(parents), name, CONVERSIONS[line.conversion], read))
    return tuple(steps)


def _items_of(raw: Raw) -> Any:
    """The items of a list as they are; None where it is no list."""
    try:
        return _items(raw)
    except msgspec.ValidationError:
        return None
