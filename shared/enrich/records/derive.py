"""The columns that are worked out rather than copied, one function per kind.

Each takes what a reader gave and sets columns on `read.values`; none raises, whatever the record holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from shared.enrich.records.anyshape import convert, moment
from shared.enrich.records.findings import vulnerability
from shared.enrich.records.paths import TECHNIQUE, attack_path
from shared.enrich.records.reading import Read
from shared.enrich.records.resources import NOWHERE, fill_place, locate, resource_part, segment_after
from shared.enrich.records.values import first_text, listed, loaded, mapping

_SUBSCRIPTION = re.compile(
    r"(?:/subscriptions/|subscriptionId/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)
_CLOUDS = {"Azure": "Azure", "azure": "Azure", "aws": "AWS", "gcp": "GCP"}


def _link(text: str | None) -> str | None:
    """A portal link made whole: exports leave the scheme out."""
    return f"https://{text.lstrip('/')}" if text and text.startswith("portal.") else text


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _details(read: Read) -> str:
    """The resource of an assessment or finding: its resource details first, then what its id hangs on.

    Returns the record's id in lower case, which is also its RecordId.
    """
    values, inputs = read.values, read.inputs
    record_id: str = inputs.id.lower() if inputs.id else ""
    values.RecordId = record_id or None
    resource = inputs.resource
    place = locate(resource) if resource else NOWHERE
    if not place.subscription:
        place = locate(resource_part(record_id))
    fill_place(values, place)
    if resource and not place.id:
        values.ResourceId = resource
    source = values.Cloud
    if source != "Azure":
        values.Cloud = cloud = _CLOUDS.get(source.lower(), source) if source else "Azure"
        if inputs.resource_type and cloud in {"AWS", "GCP"}:
            values.ResourceType = inputs.resource_type.lower()
    if inputs.subscription and values.SubscriptionId is None:
        values.SubscriptionId = inputs.subscription.lower()
    return record_id


def alert(read: Read) -> datetime | None:
    """Resource, MITRE and plan of an alert."""
    values, inputs = read.values, read.inputs
    values.RecordId = _lower(values.SystemAlertId)
    extended = mapping(values.ExtendedProperties)
    resource = (
        inputs.resource or first_text(extended, "effectiveazureresourceid") or _identifier(values.ResourceIdentifiers)
    )
    fill_place(values, locate(resource or ""))
    if values.SubscriptionId is None:
        stated = inputs.subscription or first_text(extended, "effectivesubscriptionid")
        found = _SUBSCRIPTION.search(values.AlertLink or "") if not stated else None
        values.SubscriptionId = stated.lower() if stated else found[1].lower() if found else None
    if values.Cloud is None:
        values.Cloud = "Azure"
    if not values.ProductComponentName:
        values.ProductComponentName = first_text(extended, "productcomponentname")
    values.AlertLink = _link(values.AlertLink)
    if inputs.intent:
        values.Tactics = [tactic.strip() for tactic in inputs.intent.split(",") if tactic.strip()]
    _techniques(read, extended)
    return values.ProcessingEndTime or values.AlertTimeGenerated or values.EndTime  # type: ignore[no-any-return] # Any


def _identifier(identifiers: Any) -> str | None:
    """The first Azure resource among an alert's identifiers."""
    for item in listed(identifiers):
        found = first_text(mapping(item), "azureresourceid")
        if found:
            return found
    return None


def _techniques(read: Read, extended: Mapping[str, Any]) -> None:
    """Techniques and sub-techniques, which alerts have as fields or among their extended properties."""
    stated = (read.inputs.techniques, read.inputs.sub_techniques)
    text = [orjson.dumps(loaded(value)).decode() for value in stated if value is not None]
    text += [str(value) for name, value in extended.items() if "technique" in name]
    found = TECHNIQUE.findall(" ".join(text)) if text else None
    if found:
        read.values.Techniques = list(dict.fromkeys([technique[:5] for technique in found]))
        read.values.SubTechniques = list(dict.fromkeys([sub for sub in found if len(sub) > len("T1078")])) or None


def assessment(read: Read) -> datetime | None:
    """Resource, recommendation and times of an assessment."""
    values, inputs = read.values, read.inputs
    record_id = _details(read)
    values.RecommendationId = segment_after(record_id, "/assessments/") or _lower(inputs.name)
    values.RecommendationLink = _link(values.RecommendationLink)
    if values.RecommendationState in {"Healthy", "healthy"}:
        values.ResolvedTime = values.StatusChangeDate
    return values.StatusChangeDate  # type: ignore[no-any-return] # a row's columns are Any


def sub_assessment(read: Read) -> datetime | None:
    """Resource, parent and vulnerability of a finding."""
    values, inputs = read.values, read.inputs
    record_id = _details(read)
    values.ParentRecommendationId = segment_after(record_id, "/assessments/") or None
    values.NestedRecommendationId = segment_after(record_id, "/subassessments/") or _lower(inputs.name)
    vulnerability(values)
    return values.SubAssessmentTimeGeneration  # type: ignore[no-any-return] # a row's columns are Any


def _of_subscription(read: Read) -> str:
    """Scores and states hang on a subscription; returns the id in lower case, which is also the RecordId."""
    record_id: str = read.inputs.id.lower() if read.inputs.id else ""
    values = read.values
    values.RecordId = record_id or None
    values.Cloud = "Azure"
    fill_place(values, locate(resource_part(record_id)))
    if values.SubscriptionId is None:
        values.SubscriptionId = _lower(read.inputs.subscription)
    return record_id


def secure_score(read: Read) -> datetime | None:
    """The subscription and the score's name."""
    record_id = _of_subscription(read)
    read.values.ScoreName = read.inputs.name or segment_after(record_id, "/securescores/") or None
    return None


def secure_score_control(read: Read) -> datetime | None:
    """The subscription, the control, and the recommendations in it."""
    values, inputs = read.values, read.inputs
    values.ControlId = segment_after(_of_subscription(read), "/securescorecontrols/") or _lower(inputs.name)
    definitions = loaded(inputs.definitions)
    if isinstance(definitions, list):
        values.RecommendationResourceIds = [item.get("id") if isinstance(item, dict) else item for item in definitions]
    return None


def regulatory(read: Read) -> datetime | None:
    """Standard and control, which only the id names; in the casing it has."""
    values, inputs = read.values, read.inputs
    lowered = _of_subscription(read)
    values.ComplianceStandard = segment_after(lowered, "/regulatorycompliancestandards/", inputs.id) or None
    values.ComplianceControl = segment_after(lowered, "/regulatorycompliancecontrols/", inputs.id) or None
    values.RecommendationId = segment_after(lowered, "/regulatorycomplianceassessments/") or _lower(inputs.name)
    values.AssessmentDetailsLink = _link(values.AssessmentDetailsLink)
    return None


def other(read: Read) -> datetime | None:
    """Whatever an unknown record names by the usual names."""
    record = mapping(read.rest)
    record_id = (first_text(record, "id") or "").lower()
    values = read.values
    values.RecordId = record_id or None
    fill_place(values, locate(resource_part(record_id)))
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
