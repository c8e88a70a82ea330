"""Which function works out the columns of which kind.

Each function takes what a reader gave and sets columns on `read.values`; none raises, whatever the record holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.enrich.records.derived.alerts import alert
from shared.enrich.records.derived.assessments import assessment, sub_assessment
from shared.enrich.records.derived.attack_paths import attack_path
from shared.enrich.records.derived.scores_and_compliance import (
    regulatory,
    secure_score,
    secure_score_control,
)
from shared.enrich.records.json_values import first_text, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_place, resource_part
from shared.enrich.records.tolerant_reader import convert, moment


def other(read: Read) -> datetime | None:
    """Whatever an unknown record names by the usual names."""
    record = mapping(read.rest)
    record_id = (first_text(record, "id") or "").lower()
    values = read.values
    values.RecordId = record_id or None
    fill_place(values, resource_part(record_id))
    if values.SubscriptionId is None and (stated := first_text(record, "subscriptionid")):
        values.SubscriptionId = stated.lower()
    values.RecordType = first_text(record, "type")
    values.SourceTenantId = first_text(record, "tenantid")
    enrichment = mapping(record.get("securityeventdataenrichment"))
    values.Action = first_text(enrichment, "action")
    values.IsSnapshot = convert(enrichment.get("issnapshot"), "boolean")
    properties = mapping(record.get("properties"))
    return moment(properties.get("timegenerated")) or moment(record.get("timegenerated"))


DERIVE: Mapping[str, Callable[[Read], datetime | None]] = {
    "Alert": alert,
    "Assessment": assessment,
    "SubAssessment": sub_assessment,
    "SecureScore": secure_score,
    "SecureScoreControl": secure_score_control,
    "RegulatoryCompliance": regulatory,
    "AttackPath": attack_path,
    "Other": other,
}
"""By kind: fills the row and returns the record's own time, where it has one."""
