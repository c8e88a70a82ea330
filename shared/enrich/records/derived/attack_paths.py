"""The columns of an attack path that are worked out: entry point, target, tactics and the resources along it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.enrich.records.derived.multicloud import cloud_of_native, fill_account
from shared.enrich.records.json_values import decoded, encoded, first_text, listed, mapping
from shared.enrich.records.reader_output import Read
from shared.enrich.records.resource_ids import fill_azure_place, fill_place, resource_part, segment_after

TECHNIQUE = re.compile(r"T(?<=\bT)\d{4}(?:\.\d{3})?\b")
"""A MITRE ATT&CK technique; its literal first letter is what makes searching for it fast."""
_AZURE = "/subscriptions/"


def attack_path(read: Read) -> datetime | None:
    """Entry point, target, tactics, clouds and the resources along the path."""
    values = read.values
    lowered = (read.id or "").lower()
    cut = segment_after(lowered, "/attackpaths/", read.id or "")
    values.AttackPathId = read.attack_path_id or read.name or cut or None
    values.RecordId = (read.attack_path_id or cut or read.name or "").lower() or lowered or None
    steps, graph = decoded(values.Path), decoded(read.graph)
    if steps is None:
        values.Path = read.graph
    elif graph is not None:
        values.Graph = read.graph
    entities = _entities(steps, graph)
    entry_point, target = decoded(read.entry_point), decoded(read.target)
    values.EntryPointId = _end(entry_point, read.entry_point_id, entities)
    values.TargetId = _end(target, read.target_id, entities)
    affected = [resource for entity in entities if (resource := _arm_id(entity))]
    affected += [node for node in (values.EntryPointId, values.TargetId) if node and node.startswith(_AZURE)]
    affected += _steps(steps)
    values.AffectedResourceIds = list(dict.fromkeys(affected)) or None
    if affected:
        fill_place(values, affected[0])
    else:
        fill_azure_place(values, resource_part(lowered))
    if values.SubscriptionId is None and read.subscription:
        values.SubscriptionId = read.subscription.lower()
    _fill_clouds(values, entities, [entry_point, target], affected)
    _fill_mitre(values, decoded(read.mitre))
    values.AdditionalRemediationSteps = _joined(decoded(read.steps))
    return None


def _entities(steps: Any, graph: Any) -> list[dict[str, Any]]:
    """The entities of the graph, whether it stands under its own name or as the path."""
    return [mapping(entity) for part in (graph, steps) for entity in listed(mapping(part).get("entities"))]


def _fill_clouds(values: Any, entities: list[dict[str, Any]], ends: list[Any], affected: list[str]) -> None:
    """Cloud, of the resources along the path, and NativeResourceId, of the last one outside of Azure."""
    natives = [native for entity in (*entities, *map(mapping, ends)) if (native := _native_id(entity))]
    clouds = {cloud for native in natives if (cloud := native[0])}
    if affected:
        clouds.add("Azure")
    values.Cloud = "MultiCloud" if len(clouds) > 1 else next(iter(clouds), "Azure")
    if natives:
        values.NativeResourceId = natives[-1][1]
        fill_account(values)


def _native_id(entity: Mapping[str, Any]) -> tuple[str, str] | None:
    """Cloud and id of an entity of another cloud."""
    identifiers = mapping(entity.get("entityidentifiers"))
    for name, cloud in (("awsresourceid", "AWS"), ("amazonresourceid", "AWS"), ("gcpresourceid", "GCP")):
        named = first_text(identifiers, name) or first_text(entity, name)
        if named:
            return cloud, named
    return next(
        (
            (of, text)
            for text in (*identifiers.values(), entity.get("id"), entity.get("resourceid"))
            if isinstance(text, str) and (of := cloud_of_native(text))
        ),
        None,
    )


def _fill_mitre(values: Any, mitre: Any) -> None:
    """Tactics and techniques, from objects, from texts, or from one text that names them all."""
    if mitre is None:
        return
    values.Techniques = list(dict.fromkeys(TECHNIQUE.findall(encoded(mitre).decode()))) or None
    tactics = [tactic for entry in (mitre if isinstance(mitre, list) else [mitre]) for tactic in _tactics(entry)]
    values.Tactics = list(dict.fromkeys(tactics)) or None


def _tactics(entry: Any) -> list[str]:
    if isinstance(entry, str):
        parts = (part.partition(":")[0].strip() for part in entry.split(";"))
        return [part for part in parts if part and not TECHNIQUE.search(part)]
    named = mapping(entry)
    several = [text for text in listed(named.get("tactics")) if isinstance(text, str) and text]
    return [text for name in ("tactic", "tacticname") if (text := first_text(named, name))] or several


def _joined(steps: Any) -> str | None:
    """Steps as one text, a line each; None for anything but texts."""
    if isinstance(steps, list) and steps and all(isinstance(step, str) for step in steps):
        return "\n".join(steps)
    return steps if isinstance(steps, str) else None


def _end(node: Any, stated: Any, entities: list[dict[str, Any]]) -> str | None:
    """The id of an entry point or target: of the object, of an entity that the path names, or as stated."""
    return _azure_lowered(_node(node) or _entity(entities, stated))


def _node(value: Any) -> str | None:
    """The id of an entry point or target, which is an id or an object that has one."""
    if isinstance(value, str):
        return value or None
    node = mapping(value)
    native = _native_id(node)
    return _arm_id(node) or first_text(node, "resourceid") or first_text(node, "id") or (native[1] if native else None)


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
