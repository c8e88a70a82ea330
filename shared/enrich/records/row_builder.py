"""The last step from a record to a row, the same for both readers: derive, key, stamp, filter, encode."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

import msgspec
import orjson

from shared.enrich.records.derived.derived_columns import DERIVE
from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.model import Batch, Event, Row
from shared.enrich.records.raw_column import keeper
from shared.enrich.records.reader_output import Read
from shared.enrich.records.record_key import KEY_LENGTH, OWN_TIME, key_of
from shared.exports.known_values import is_simulated

RecordFilter = Callable[[Kind, bool | None, Any], bool]
"""Says whether a record is kept: its kind, whether it says that it is a snapshot's, and the parsed record."""

INDISPENSABLE = frozenset({"TimeGenerated", "RecordKey", "EnqueuedTime", "AlertType"})
"""Columns that stay: the workspace's own time, what tells duplicates and simulated alerts, what lag is measured by."""

_encode = msgspec.json.Encoder().encode


class RowBuilder:
    """Makes the rows of one kind.

    Args:
        kind: whose rows.
        whole: whether Raw holds the record as sent, rather than what no column carries.
        drop: columns to leave out.
        kept: the cost filter.
    """

    def __init__(self, kind: Kind, *, whole: bool, drop: Iterable[str], kept: RecordFilter | None) -> None:
        self._kind = kind
        self._name, self._table = kind.name, kind.table.name
        self._derive = DERIVE[kind.name]
        self._keep_inputs = keeper(kind)
        self._key, self._own_time = key_of(kind), OWN_TIME.get(kind.name)
        self._whole = whole
        self._alerts = kind.name == "Alert"
        self._drop = [name for name in drop if name in kind.table.types and name not in INDISPENSABLE]
        self._kept = kept

    def row(self, read: Read, event: Event, batch: Batch, body: bytes, record: Any = None) -> Row | None:
        """The row of one record; None where the filter drops it.

        Args:
            read: what a reader gave.
            event: where it came from.
            batch: what the rows of a batch share.
            body: the record as sent.
            record: the same parsed, where that is how it was read; without it `body` is sound JSON.
        """
        values = read.values
        _, enqueued, partition, sequence = event
        event_time = self._derive(read) or enqueued
        said = values.IsSnapshot
        snapshot = values.IsSnapshot = bool(said)
        record_id = values.RecordId
        if not record_id:
            record_id = values.RecordId = sha256(body).hexdigest()[:KEY_LENGTH]
        simulated = self._alerts and is_simulated(getattr(values, "AlertType", None))
        if self._kept is not None:
            record = orjson.loads(body) if record is None else record
            if not self._kept(self._kind, said, record):
                if simulated:  # it does not show that anything flows by itself
                    return None
                seen = (values.SubscriptionId or "", self._name, snapshot)
                batch.left_out[seen] = max(enqueued, batch.left_out.get(seen, enqueued))
                return None
        if not self._whole or self._own_time is None or getattr(values, self._own_time) is None:
            self._keep_inputs(read)
        key = values.RecordKey = self._key(read, enqueued)
        values.RecordKind = self._name
        values.EnqueuedTime = enqueued
        values.EventTime = event_time
        values.TimeGenerated = batch.accepted(event_time, enqueued)
        values.PartitionId = partition
        values.SequenceNumber = sequence
        if self._whole:
            values.Raw = msgspec.Raw(body) if record is None else record
        elif read.rest:
            values.Raw = read.rest
        subscription, resource, group = values.SubscriptionId or "", values.ResourceId or "", values.ResourceGroup or ""
        located, tagged = values.Location is not None, values.Tags is not None
        for name in self._drop:
            setattr(values, name, None)
        return Row(
            self._table,
            self._name,
            key,
            record_id,
            subscription,
            resource,
            group,
            located,
            tagged,
            event_time,
            snapshot,
            _encode(values),
            event,
            body,
            values.SourceTenantId is not None,
            simulated,
        )
