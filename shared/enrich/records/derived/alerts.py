"""Columns of an alert that are worked out: resource, MITRE tactics and techniques, plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from shared.enrich.records.derived.attack_paths import TECHNIQUE
from shared.enrich.records.derived.text import lower_or_none, whole_link
from shared.enrich.records.json_values import first_text, listed, loaded, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_place

_SUBSCRIPTION = re.compile(
    r"(?:/subscriptions/|subscriptionId/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)


def alert(read: Read) -> datetime | None:
    """Resource, MITRE and plan of an alert."""
    values = read.values
    values.RecordId = lower_or_none(values.SystemAlertId)
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
    values.AlertLink = whole_link(values.AlertLink)
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
