"""Columns of assessments and findings that are worked out."""

from __future__ import annotations

from datetime import datetime

from shared.enrich.records.derived.multicloud import fill_account, spelt
from shared.enrich.records.derived.text_normalization import lower_or_none, whole_link
from shared.enrich.records.derived.vulnerabilities import vulnerability
from shared.enrich.records.json_values import is_empty
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, resource_part, segment_after

_ASSESSMENTS = "/providers/microsoft.security/assessments/"
_HEALTHY = frozenset({"Healthy", "healthy"})


def _details(read: Read) -> str:
    """The resource of an assessment or finding: its resource details first, then the parent resource in its id.

    Returns what follows `/assessments/` in the record's id, in lower case; empty where it has no such part.
    """
    values = read.values
    record_id: str = read.id.lower() if read.id else ""
    values.RecordId = record_id or None
    hangs_on, found, own = record_id.rpartition(_ASSESSMENTS)
    if read.resource_name:
        values.ResourceName = read.resource_name
    resource = read.resource
    lowered = resource_part(resource.lower()) if resource else ""
    placed = fill_azure_place(values, lowered) if lowered else False
    if not placed and not fill_place(values, hangs_on if found else resource_part(record_id)) and resource:
        values.ResourceId = resource
    if resource and values.EntityId is None and not placed and values.ResourceId != resource:
        values.EntityId = resource
    _fill_cloud(read)
    if read.subscription and values.SubscriptionId is None:
        values.SubscriptionId = read.subscription.lower()
    return own if found else record_id.partition("/assessments/")[2]


def _fill_cloud(read: Read) -> None:
    """Cloud, account and the resource's type, which the record alone knows for other clouds."""
    values, kind = read.values, read.resource_type
    source = read.cloud
    cloud = values.Cloud = spelt(source) if source and source != "Azure" else "Azure"
    if cloud != "Azure":
        fill_account(values)
        if kind and cloud in {"AWS", "GCP"}:
            values.ResourceType = kind.lower()
    if kind and kind.lower() != (own := values.ResourceType or "") and not own.endswith("/" + kind.lower()):
        values.EntityType = kind


def assessment(read: Read) -> datetime | None:
    """Resource, recommendation, times and, for an individual recommendation, software and vulnerabilities."""
    values = read.values
    values.RecommendationId = _details(read).partition("/")[0] or lower_or_none(read.name)
    values.RecommendationLink = whole_link(values.RecommendationLink)
    if values.RecommendationState in _HEALTHY:
        values.ResolvedTime = values.StatusChangeDate
    if not is_empty(values.RecommendationAdditionalData) or not is_empty(values.ResourceAdditionalData):
        vulnerability(values, values.RecommendationAdditionalData, values.ResourceAdditionalData)
    return values.StatusChangeDate  # type: ignore[no-any-return] # a row's columns are Any


def sub_assessment(read: Read) -> datetime | None:
    """Resource, parent and vulnerability of a finding."""
    values = read.values
    parent, _, own = _details(read).partition("/")
    values.ParentRecommendationId = parent or None
    values.NestedRecommendationId = segment_after(f"/{own}", "/subassessments/") or lower_or_none(read.name)
    titles = (values.VulnerabilityId, values.RecommendationName)
    vulnerability(values, values.AdditionalData, values.ResourceAdditionalData, *titles)
    return values.SubAssessmentTimeGeneration  # type: ignore[no-any-return] # a row's columns are Any
