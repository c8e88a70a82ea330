"""The official OCSF schema, offline: what is wrong with an event.

`ocsf-json-schema` carries the schemas that schema.ocsf.io exports and makes JSON Schemas of them.  Those can't say that
a number and its caption belong together, nor that `type_uid` follows from class and activity, which is checked here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

OTHER = 99


class OcsfSchema:
    """One version of the schema with some profiles."""

    def __init__(self, version: str, profiles: tuple[str, ...]) -> None:
        self._raw: Mapping[str, Any] = get_ocsf_schema(version)
        self._embedded = OcsfJsonSchemaEmbedded(dict(self._raw))
        self._profiles = list(profiles)
        self._validators: dict[int, Draft202012Validator] = {}
        self._names = {each["uid"]: name for name, each in self._raw["classes"].items()}

    def problems(self, event: Mapping[str, Any]) -> list[str]:
        """What is wrong with an event: where, and what; nothing of its values."""
        uid = event.get("class_uid")
        if not isinstance(uid, int) or uid not in self._names:
            return ["class_uid: no class of the schema"]
        errors = self._validator(uid).iter_errors(event)
        found = [f"{_dotted(error.instance_path)}: {_dotted(error.schema_path)}" for error in errors]
        if event.get("type_uid") != uid * 100 + event.get("activity_id", 0):
            found.append("type_uid: not of its class and activity")
        found += self._wrong_captions(self._raw["classes"][self._names[uid]]["attributes"], event, "$")
        return found

    def _validator(self, uid: int) -> Draft202012Validator:
        if uid not in self._validators:
            schema = self._embedded.get_class_schema(self._names[uid], self._profiles)
            self._validators[uid] = Draft202012Validator(schema)
        return self._validators[uid]

    def _wrong_captions(self, attributes: Mapping[str, Any], level: Any, path: str) -> Iterator[str]:
        """Numbers beside another caption than theirs."""
        for name, value in level.items() if isinstance(level, dict) else ():
            declared = attributes.get(name, {})
            sibling, entry = declared.get("sibling"), (declared.get("enum") or {}).get(str(value))
            if sibling in level and entry and value != OTHER and level[sibling] != entry["caption"]:
                yield f"{path}.{sibling}: not the caption of {name}"
            inner = self._raw["objects"].get(declared.get("object_type"), {}).get("attributes", {})
            for each in value if isinstance(value, list) else [value]:
                yield from self._wrong_captions(inner, each, f"{path}.{name}")


def _dotted(path: Sequence[object]) -> str:
    return ".".join(map(str, ["$", *path]))


@cache
def ocsf_schema(version: str, profiles: tuple[str, ...]) -> OcsfSchema:
    """The schema, read once."""
    return OcsfSchema(version, profiles)
