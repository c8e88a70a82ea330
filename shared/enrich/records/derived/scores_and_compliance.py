"""Columns of secure scores, their controls and regulatory states that are worked out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder as JsonDecoder

from shared.enrich.records.derived.text_normalization import lower_or_none, whole_link
from shared.enrich.records.json_values import first_text, loaded, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_place, resource_part, segment_after


class _Definition(Struct, gc=False):
    """A recommendation that a control names, as exports have it."""

    id: str


_decode_definitions: Callable[[Any], list[_Definition]] = JsonDecoder(list[_Definition]).decode


def _of_subscription(read: Read) -> str:
    """Scores and states belong to a subscription; returns the id in lower case, which is also the RecordId."""
    record_id: str = read.id.lower() if read.id else ""
    values = read.values
    values.RecordId = record_id or None
    values.Cloud = "Azure"
    if not fill_place(values, resource_part(record_id)) or values.SubscriptionId is None:
        values.SubscriptionId = lower_or_none(read.subscription)
    return record_id


def secure_score(read: Read) -> datetime | None:
    """The subscription and the score's name."""
    record_id = _of_subscription(read)
    read.values.ScoreName = read.name or segment_after(record_id, "/securescores/") or None
    return None


def secure_score_control(read: Read) -> datetime | None:
    """The subscription, the control, and the recommendations in it."""
    values = read.values
    values.ControlId = segment_after(_of_subscription(read), "/securescorecontrols/") or lower_or_none(read.name)
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
    """Standard and control, which only the id names, in the casing it has; and the recommendation or its category.

    Since 2026 a row of the type assessmentCategory stands for a category of recommendations, which its description
    names; its own name is no recommendation's id.
    """
    values = read.values
    lowered, stated = _of_subscription(read), read.id or ""
    values.ComplianceStandard = segment_after(lowered, "/regulatorycompliancestandards/", stated) or None
    values.ComplianceControl = segment_after(lowered, "/regulatorycompliancecontrols/", stated) or None
    values.RecommendationId = segment_after(lowered, "/regulatorycomplianceassessments/") or lower_or_none(read.name)
    values.AssessmentDetailsLink = whole_link(values.AssessmentDetailsLink)
    if (values.AssessmentType or "").lower() == "assessmentcategory":
        values.RecommendationCategory, values.RecommendationId = values.RecommendationName, None
    return None
