"""Which inputs a row carries: what `derived` only looked at, and no column has, goes into Raw at its place.

An input is carried where a column has its text (ids and names without regard to case), or each of its texts where it is
an object or a list.  Numbers and other values inside of such inputs are carried by no column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from shared.enrich.records.field_mapping import Kind
from shared.enrich.records.json_values import loaded
from shared.enrich.records.reader_output import Read, inputs_of

Check = Callable[[Any, Any], bool]
"""Says whether the columns of a row (second) have an input (first, never None)."""


def keeper(kind: Kind) -> Callable[[Read], None]:
    """A function that puts the inputs that no column carries into the rest of a record."""
    names = inputs_of(kind)
    checks = tuple((name, _CHECKS.get(name) or _type_of(kind)) for name in names)
    inputs = attrgetter(*names) if len(names) > 1 else lambda read: [getattr(read, name) for name in names]

    def keep_inputs(read: Read) -> None:
        values = read.values
        for value, (name, carried) in zip(inputs(read), checks, strict=True):
            if value is not None and not carried(value, values):
                read.put_into_rest(name)

    return keep_inputs


def _type_of(kind: Kind) -> Check:
    own = kind.type

    def carried(value: Any, _values: Any) -> bool:
        return bool(value.lower() == own)

    return carried


def _is(*columns: str) -> Check:
    """A column has the text."""

    def carried(value: Any, values: Any) -> bool:
        texts = [getattr(values, column) for column in columns]
        if value in texts:
            return True
        lowered = value.lower()
        return any(text is not None and text.lower() == lowered for text in texts)

    return carried


def _id(value: Any, values: Any) -> bool:
    return bool(values.RecordId == value.lower())


def _name(value: Any, values: Any) -> bool:
    """The name is the last part of the RecordId."""
    record_id, lowered = values.RecordId or "", value.lower()
    if not lowered or not record_id.endswith(lowered):
        return False
    return len(record_id) == len(lowered) or record_id[-len(lowered) - 1] == "/"


def _resource_type(value: Any, values: Any) -> bool:
    """The column has the whole type, where the record may name its last part alone."""
    kind, lowered = values.ResourceType or "", value.lower()
    return values.EntityType == value or kind == lowered or (lowered != "" and kind.endswith("/" + lowered))


def _resource_provider(value: Any, values: Any) -> bool:
    """The resource's type begins with it, or it is the cloud."""
    lowered = value.lower()
    return value != "" and (
        (values.ResourceType or "").startswith(lowered + "/") or lowered == (values.Cloud or "").lower()
    )


def _intent(value: Any, values: Any) -> bool:
    tactics = values.Tactics
    return bool(tactics) and value in {", ".join(tactics), ",".join(tactics)}


def _texts_in(*columns: str) -> Check:
    """Columns have every text in the value, which holds nothing else but names and texts."""

    def carried(value: Any, values: Any) -> bool:
        value = loaded(value)
        if value is None:
            return True
        had: set[str] = set()
        for column in columns:
            found = getattr(values, column)
            had.update([found] if isinstance(found, str) else found or ())
        had |= {text.lower() for text in had}
        return _all_in(value, had)

    return carried


def _all_in(value: Any, had: set[str]) -> bool:
    if isinstance(value, dict):
        return all(_all_in(inner, had) for inner in value.values())
    if isinstance(value, list):
        return all(_all_in(inner, had) for inner in value)
    return value is None or (isinstance(value, str) and (value in had or value.lower() in had))


def _definitions(value: Any, values: Any) -> bool:
    """The ids alone, in their order."""
    value, ids = loaded(value), values.RecommendationResourceIds
    if value is None:
        return True
    if not isinstance(value, list) or ids is None or len(ids) != len(value):
        return False
    return all(
        (item == each if not isinstance(item, dict) else set(item) <= {"id", "Id", "ID", "$type"})
        for item, each in zip(value, ids, strict=True)
    )


def _graph(value: Any, values: Any) -> bool:
    return value is values.Graph or value is values.Path or loaded(value) is None


def _steps(value: Any, values: Any) -> bool:
    value = loaded(value)
    if isinstance(value, list) and all(isinstance(step, str) for step in value):
        return not value or values.AdditionalRemediationSteps == "\n".join(value)
    return value is None or value == values.AdditionalRemediationSteps


_CHECKS: Mapping[str, Check] = {
    "id": _id,
    "name": _name,
    "subscription": _is("SubscriptionId"),
    "cloud": _is("Cloud"),
    "resource": _is("ResourceId", "EntityId", "NativeResourceId"),
    "resource_name": _is("ResourceName"),
    "resource_type": _resource_type,
    "resource_provider": _resource_provider,
    "plan": lambda value, values: value == values.ProductComponentName,
    "intent": _intent,
    "techniques": _texts_in("Techniques", "SubTechniques"),
    "sub_techniques": _texts_in("Techniques", "SubTechniques"),
    "definitions": _definitions,
    "attack_path_id": _is("AttackPathId"),
    "mitre": _texts_in("Tactics", "Techniques"),
    "entry_point": _texts_in("EntryPointId"),
    "target": _texts_in("TargetId"),
    "entry_point_id": _texts_in("EntryPointId"),
    "target_id": _texts_in("TargetId"),
    "graph": _graph,
    "steps": _steps,
}
