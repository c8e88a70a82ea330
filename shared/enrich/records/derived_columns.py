"""The columns that are worked out rather than copied, one function per kind.

Each takes what a reader gave and sets columns on `read.values`; none raises, whatever the record holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson
from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder as JsonDecoder

from shared.enrich.records.attack_paths import TECHNIQUE, attack_path
from shared.enrich.records.json_values import first_text, listed, loaded, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, resource_part, segment_after
from shared.enrich.records.tolerant_reader import convert, moment
from shared.enrich.records.vulnerabilities import vulnerability

_SUBSCRIPTION = re.compile(
    r"(?:/subscriptions/|subscriptionId/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)
_ASSESSMENTS = "/providers/microsoft.security/assessments/"
_CLOUDS = {"Azure": "Azure", "azure": "Azure", "aws": "AWS", "gcp": "GCP"}


class _Definition(Struct, gc=False):
    """A recommendation that a control names, as exports have it."""

    id: str


_decode_definitions: Callable[[Any], list[_Definition]] = JsonDecoder(list[_Definition]).decode


def _link(text: str | None) -> str | None:
    """A portal link made whole: exports leave the scheme out."""
    return f"https://{text}" if text and text.startswith("portal.") else text


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _details(read: Read) -> str:
    """The resource of an assessment or finding: its resource details first, then what its id hangs on.

    Returns what follows `/assessments/` in the record's id, in lower case; empty where it has no such part.
    """
    values = read.values
    record_id: str = read.id.lower() if read.id else ""
    values.RecordId = record_id or None
    hangs_on, found, own = record_id.rpartition(_ASSESSMENTS)
    resource = read.resource
    placed = fill_azure_place(values, resource.lower()) if resource else False
    if not placed and not fill_place(values, hangs_on if found else resource_part(record_id)) and resource:
        values.ResourceId = resource
    source = values.Cloud
    if source != "Azure":
        values.Cloud = cloud = _CLOUDS.get(source.lower(), source) if source else "Azure"
        if read.resource_type and cloud in {"AWS", "GCP"}:
            values.ResourceType = read.resource_type.lower()
    if read.subscription and values.SubscriptionId is None:
        values.SubscriptionId = read.subscription.lower()
    return own if found else record_id.partition("/assessments/")[2]


def alert(read: Read) -> datetime | None:
    """Resource, MITRE and plan of an alert."""
    values = read.values
    values.RecordId = _lower(values.SystemAlertId)
    extended = mapping(values.ExtendedProperties)
    resource = (
        read.resource or first_text(extended, "effectiveazureresourceid") or _identifier(values.ResourceIdentifiers)
    )
    if resource:
        fill_place(values, resource.lower())
    if values.SubscriptionId is None:
        stated = read.subscription or first_text(extended, "effectivesubscriptionid")
        found = _SUBSCRIPTION.search(values.AlertLink or "") if not stated else None
        values.SubscriptionId = stated.lower() if stated else found[1].lower() if found else None
    if values.Cloud is None:
        values.Cloud = "Azure"
    if not values.ProductComponentName:
        values.ProductComponentName = first_text(extended, "productcomponentname")
    values.AlertLink = _link(values.AlertLink)
    if read.intent:
        values.Tactics = [tactic.strip() for tactic in read.intent.split(",") if tactic.strip()]
    _fill_techniques(read, extended)
    return values.ProcessingEndTime or values.AlertTimeGenerated or values.EndTime  # type: ignore[no-any-return] # Any


def _identifier(identifiers: Any) -> str | None:
    """The first Azure resource among an alert's identifiers."""
    for item in listed(identifiers):
        found = first_text(mapping(item), "azureresourceid")
        if found:
            return found
    return None


def _fill_techniques(read: Read, extended: Mapping[str, Any]) -> None:
    """Techniques and sub-techniques, which alerts have as fields or among their extended properties."""
    found: list[str] = []
    for value in (read.techniques, read.sub_techniques):
        if value is not None:
            found += TECHNIQUE.findall(orjson.dumps(loaded(value)).decode())
    for name, value in extended.items():
        if "technique" in name:
            found += TECHNIQUE.findall(str(value))
    if found:
        read.values.Techniques = list({technique[:5]: None for technique in found})
        read.values.SubTechniques = list({technique: None for technique in found if "." in technique}) or None


def assessment(read: Read) -> datetime | None:
    """Resource, recommendation and times of an assessment."""
    values = read.values
    values.RecommendationId = _details(read).partition("/")[0] or _lower(read.name)
    values.RecommendationLink = _link(values.RecommendationLink)
    if values.RecommendationState in {"Healthy", "healthy"}:
        values.ResolvedTime = values.StatusChangeDate
    return values.StatusChangeDate  # type: ignore[no-any-return] # a row's columns are Any


def sub_assessment(read: Read) -> datetime | None:
    """Resource, parent and vulnerability of a finding."""
    values = read.values
    parent, _, own = _details(read).partition("/")
    values.ParentRecommendationId = parent or None
    values.NestedRecommendationId = segment_after(f"/{own}", "/subassessments/") or _lower(read.name)
    vulnerability(values)
    return values.SubAssessmentTimeGeneration  # type: ignore[no-any-return] # a row's columns are Any


def _of_subscription(read: Read) -> str:
    """Scores and states hang on a subscription; returns the id in lower case, which is also the RecordId."""
    record_id: str = read.id.lower() if read.id else ""
    values = read.values
    values.RecordId = record_id or None
    values.Cloud = "Azure"
    if not fill_place(values, resource_part(record_id)) or values.SubscriptionId is None:
        values.SubscriptionId = _lower(read.subscription)
    return record_id


def secure_score(read: Read) -> datetime | None:
    """The subscription and the score's name."""
    record_id = _of_subscription(read)
    read.values.ScoreName = read.name or segment_after(record_id, "/securescores/") or None
    return None


def secure_score_control(read: Read) -> datetime | None:
    """The subscription, the control, and the recommendations in it."""
    values = read.values
    values.ControlId = segment_after(_of_subscription(read), "/securescorecontrols/") or _lower(read.name)
    if read.definitions is not None:
        values.RecommendationResourceIds = _ids(read.definitions)
    return None


def _ids(definitions: Any) -> list[Any] | None:
    """The ids of a control's recommendations, which are ids or objects that have one; None where it is no list."""
    if isinstance(definitions, Raw):
        try:
            return [definition.id for definition in _decode_definitions(definitions)]
        except ValidationError:
            definitions = loaded(definitions)
    if not isinstance(definitions, list):
        return None
    return [first_text(mapping(item), "id") if isinstance(item, dict) else item for item in definitions]


def regulatory(read: Read) -> datetime | None:
    """Standard and control, which only the id names; in the casing it has."""
    values = read.values
    lowered, stated = _of_subscription(read), read.id or ""
    values.ComplianceStandard = segment_after(lowered, "/regulatorycompliancestandards/", stated) or None
    values.ComplianceControl = segment_after(lowered, "/regulatorycompliancecontrols/", stated) or None
    values.RecommendationId = segment_after(lowered, "/regulatorycomplianceassessments/") or _lower(read.name)
    values.AssessmentDetailsLink = _link(values.AssessmentDetailsLink)
    return None


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
