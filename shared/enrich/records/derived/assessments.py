"""Columns of assessments and findings that are worked out."""

from __future__ import annotations

from datetime import datetime

from shared.enrich.records.derived.text import lower_or_none, whole_link
from shared.enrich.records.derived.vulnerabilities import vulnerability
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, resource_part, segment_after

_ASSESSMENTS = "/providers/microsoft.security/assessments/"
_CLOUDS = {"Azure": "Azure", "azure": "Azure", "aws": "AWS", "gcp": "GCP"}


def _details(read: Read) -> str:
    """The resource of an assessment or finding: its resource details first, then the parent resource in its id.

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


def assessment(read: Read) -> datetime | None:
    """Resource, recommendation and times of an assessment."""
    values = read.values
    values.RecommendationId = _details(read).partition("/")[0] or lower_or_none(read.name)
    values.RecommendationLink = whole_link(values.RecommendationLink)
    if values.RecommendationState in {"Healthy", "healthy"}:
        values.ResolvedTime = values.StatusChangeDate
    return values.StatusChangeDate  # type: ignore[no-any-return] # a row's columns are Any


def sub_assessment(read: Read) -> datetime | None:
    """Resource, parent and vulnerability of a finding."""
    values = read.values
    parent, _, own = _details(read).partition("/")
    values.ParentRecommendationId = parent or None
    values.NestedRecommendationId = segment_after(f"/{own}", "/subassessments/") or lower_or_none(read.name)
    vulnerability(values)
    return values.SubAssessmentTimeGeneration  # type: ignore[no-any-return] # a row's columns are Any
