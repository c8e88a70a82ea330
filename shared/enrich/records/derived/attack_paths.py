"""The columns of an attack path that are worked out: entry point, target, tactics and the resources along it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from shared.enrich.records.json_values import first_text, listed, loaded, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, resource_part, segment_after

TECHNIQUE = re.compile(r"T(?<=\bT)\d{4}(?:\.\d{3})?\b")
"""A MITRE ATT&CK technique; its literal first letter is what makes searching for it fast."""
_AZURE = "/subscriptions/"


def attack_path(read: Read) -> datetime | None:
    """Entry point, target, tactics and the resources along the path."""
    values = read.values
    lowered = (read.id or "").lower()
    values.AttackPathId = values.AttackPathId or segment_after(lowered, "/attackpaths/") or read.name
    values.RecordId = lowered or (values.AttackPathId or "").lower() or None
    path, mitre = loaded(values.Path), loaded(read.mitre)
    entities = [mapping(entity) for entity in listed(mapping(path).get("entities"))]
    values.EntryPointId = _azure_lowered(_node(read.entry_point) or _entity(entities, values.EntryPointId))
    values.TargetId = _azure_lowered(_node(read.target) or _entity(entities, values.TargetId))
    affected = [resource for entity in entities if (resource := _arm_id(entity))]
    affected += [node for node in (values.EntryPointId, values.TargetId) if node and node.startswith(_AZURE)]
    affected += _steps(path)
    values.AffectedResourceIds = list(dict.fromkeys(affected)) or None
    if affected:
        fill_place(values, affected[0])
    else:
        fill_azure_place(values, resource_part(lowered))
    values.Cloud = "Azure"
    if mitre is not None:
        values.Techniques = list(dict.fromkeys(TECHNIQUE.findall(orjson.dumps(mitre).decode()))) or None
        values.Tactics = [tactic for entry in listed(mitre) if (tactic := first_text(mapping(entry), "tactic"))] or None
    return None


def _node(value: Any) -> str | None:
    """The id of an entry point or target, which is an id or an object that has one."""
    value = loaded(value)
    if isinstance(value, str):
        return value
    node = mapping(value)
    return _arm_id(node) or first_text(node, "resourceid") or first_text(node, "id")


def _azure_lowered(node: str | None) -> str | None:
    """An Azure id in lower case, as ids are in every other column; what is none stays as it is."""
    lowered = node.lower() if node else ""
    return lowered if lowered.startswith(_AZURE) else node


def _arm_id(entity: Mapping[str, Any]) -> str | None:
    found = first_text(mapping(entity.get("entityidentifiers")), "azureresourceid")
    return found.lower() if found else None


def _entity(entities: list[dict[str, Any]], internal: str | None) -> str | None:
    """An entity's Azure id where the path names it by an id of its own."""
    for entity in entities:
        if internal and entity.get("entityinternalid") == internal:
            return _arm_id(entity) or internal
    return internal


def _steps(path: Any) -> list[str]:
    found = (_azure_lowered(first_text(mapping(step), "resourceid")) for step in listed(path))
    return [resource for resource in found if resource and resource.startswith(_AZURE)]
