"""Columns of an alert that are worked out: resource, MITRE tactics and techniques, plan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Raw

from shared.enrich.records.derived.attack_paths import TECHNIQUE
from shared.enrich.records.derived.multicloud import cloud_of_entity, cloud_of_native, fill_account
from shared.enrich.records.derived.text_normalization import lower_or_none, whole_link
from shared.enrich.records.json_values import encoded, first_text, listed, loaded, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_place, resource_part

_SUBSCRIPTION = re.compile(
    r"(?:/subscriptions/|subscriptionId/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)


def alert(read: Read) -> datetime | None:
    """Resource, cloud, tenant, MITRE and plan of an alert."""
    values = read.values
    values.RecordId = lower_or_none(values.SystemAlertId or read.name)
    extended = mapping(values.ExtendedProperties)
    identifiers = [_merged(listed(values.ResourceIdentifiers))]
    resource = (
        read.resource
        or first_text(extended, "effectiveazureresourceid")
        or _first_of(identifiers, "azureresourceid")
        or _resource_of(read.id)
    )
    if resource and cloud_of_native(resource) is None:
        fill_place(values, resource.lower())
    if values.SubscriptionId is None:
        stated = (
            read.subscription
            or first_text(extended, "effectivesubscriptionid")
            or _first_of(identifiers, "azuresubscriptionid")
        )
        found = _SUBSCRIPTION.search(values.AlertLink or read.id or "") if not stated else None
        values.SubscriptionId = stated.lower() if stated else found[1].lower() if found else None
    if values.SourceTenantId is None:
        values.SourceTenantId = _first_of(identifiers, *_TENANT) or first_text(extended, "effectivetenantid")
    _fill_cloud(read, identifiers, extended)
    values.ProductComponentName = read.plan or first_text(extended, "productcomponentname")
    values.AlertLink = whole_link(values.AlertLink)
    if read.intent:
        parts = [part.strip() for part in read.intent.split(",")]
        values.Tactics = [part for part in parts if part and part.lower() != _NO_TACTIC] or None
    _fill_techniques(read, extended)
    return values.ProcessingEndTime or values.AlertTimeGenerated or values.EndTime  # type: ignore[no-any-return] # Any


_NO_TACTIC = "unknown"
"""The word of Microsoft's API for an alert without a tactic."""
_TENANT = ("azureresourcetenantid", "azuretenantid", "aadtenantid")
_NATIVE = ("amazonresourceid", "awsresourceid", "fullresourcename", "gcpresourceid", "nativeresourceid")


def _merged(items: list[Any]) -> dict[str, str]:
    """By name in lower case: the first text among an alert's identifiers."""
    merged: dict[str, str] = {}
    for item in items:
        for name, value in mapping(item).items():
            if isinstance(value, str) and value:
                merged.setdefault(name, value)
    return merged


def _first_of(identifiers: Sequence[Mapping[str, Any]], *names: str) -> str | None:
    """The first text of one of these names among an alert's identifiers."""
    return next((found for name in names for item in identifiers if (found := first_text(item, name))), None)


def _resource_of(alert_id: str | None) -> str | None:
    """The parent in an alert's own id in Azure: a resource group or a subscription."""
    lowered = (alert_id or "").lower()
    return resource_part(lowered) if lowered.startswith("/subscriptions/") else None


def _fill_cloud(read: Read, identifiers: Sequence[Mapping[str, Any]], extended: Mapping[str, Any]) -> None:
    """Cloud, native id, account and region of an alert on a resource of another cloud.

    Entities of Microsoft's types amazon-resource and gcp-resource name them, as do the entities of connectors.
    """
    values = read.values
    cloud, native = cloud_of_entity(values.ResourceId), _first_of(identifiers, *_NATIVE)
    entities = values.Entities
    text = bytes(entities) if isinstance(entities, Raw) else encoded(entities)
    lowered = text.lower()
    if cloud or native or b"amazon" in lowered or b"gcp" in lowered or b"aws" in lowered:
        for entity in map(mapping, listed(entities)):
            kind = (first_text(entity, "type") or "").lower().replace("-", "")
            if kind not in {"amazonresource", "gcpresource"}:
                continue
            cloud = cloud or ("AWS" if kind == "amazonresource" else "GCP")
            native = native or _first_of([entity], *_NATIVE) or _gcp_name(entity)
            values.CloudAccountId = values.CloudAccountId or _first_of([entity], "amazonaccountid", "projectid")
            if values.Location is None:
                values.Location = _first_of([entity], "location", "region")
    if not read.resource or not values.ResourceId or (cloud and cloud != "Azure"):
        native = native or first_text(extended, "nativeresourceid")
    if not native and values.ResourceId is None:
        native = read.resource
    if native:
        values.NativeResourceId = native
        cloud = cloud or cloud_of_native(native)
        fill_account(values)
    values.Cloud = cloud or "Azure"


def _gcp_name(entity: Mapping[str, Any]) -> str | None:
    project, name = first_text(entity, "projectid"), first_text(entity, "resourcename")
    return f"projects/{project}/{name}" if project and name else None


def _fill_techniques(read: Read, extended: Mapping[str, Any]) -> None:
    """Techniques and sub-techniques, which alerts have as fields or among their extended properties."""
    found: list[str] = []
    for value in (read.techniques, read.sub_techniques):
        if value is not None:
            found += TECHNIQUE.findall(encoded(loaded(value)).decode())
    for name, value in extended.items():
        if "technique" in name:
            found += TECHNIQUE.findall(str(value))
    if found:
        read.values.Techniques = list({technique[:5]: None for technique in found})
        read.values.SubTechniques = list({technique: None for technique in found if "." in technique}) or None
