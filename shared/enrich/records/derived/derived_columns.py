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
from shared.enrich.records.derived.text_normalization import lower_or_none
from shared.enrich.records.json_values import first_text, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_place, resource_part
from shared.enrich.records.tolerant_reader import convert, moment


def other(read: Read) -> datetime | None:
    """Whatever an unknown record names by the usual names.

    Rows of the table SecurityAlert, which a workspace's own export sends, are such records: their columns are named
    otherwise than an alert's fields, and their TenantId is the workspace.
    """
    record = mapping(read.rest)
    record_id = (first_text(record, "id") or "").lower()
    values = read.values
    of_table = first_text(record, "type") == "SecurityAlert"
    values.RecordId = record_id or lower_or_none(first_text(record, "systemalertid")) or None
    if not fill_place(values, resource_part(record_id)) and (resource := first_text(record, "resourceid")):
        fill_place(values, resource_part(resource.lower()))
    if values.SubscriptionId is None and (stated := first_text(record, "subscriptionid")):
        values.SubscriptionId = stated.lower()
    values.RecordType = first_text(record, "type")
    values.SourceTenantId = None if of_table else first_text(record, "tenantid")
    enrichment = mapping(record.get("securityeventdataenrichment"))
    values.Action = first_text(enrichment, "action")
    values.IsSnapshot = convert(enrichment.get("issnapshot"), "boolean")
    values.ApiVersion = first_text(enrichment, "apiversion")
    values.ExportInterval = first_text(enrichment, "interval")
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
