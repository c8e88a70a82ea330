"""The models as schemas that client generators read.

Generators make a class of each branch of a composition, so what a branch says without a type of its own is left to
the app's own checks, and a member that may be null says so in its type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from shared.web.openapi_descriptions import description

if TYPE_CHECKING:
    from pydantic import BaseModel

REF = "#/components/schemas/{model}"
_TYPED = {"type", "$ref", "const", "enum"}
_DROPPED = {"default", "title", "not", "if", "then", "else", "allOf"}


def schemas_of(models: Sequence[type[BaseModel]], *, nulls: bool = True) -> dict[str, Any]:
    """The schemas of the models and all that they hold, by name; without `nulls` no member may be null."""
    from pydantic.json_schema import models_json_schema

    ordered = sorted(models, key=lambda model: model.__name__)
    _, found = models_json_schema([(model, "validation") for model in ordered], ref_template=REF)
    schemas = {name: _plain(schema, nulls) for name, schema in found["$defs"].items()}
    for name, schema in schemas.items():
        for member, described in schema.get("properties", {}).items():
            if "description" not in described and (text := description(name, member)):
                described["description"] = text
    return schemas


def _plain(schema: Any, nulls: bool) -> Any:
    if isinstance(schema, list):
        return [_plain(each, nulls) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.keys() & (_TYPED | {"anyOf", "oneOf", "properties"}):
        schema = {name: value for name, value in schema.items() if name not in _DROPPED}
        schema = _of_anything(_without_bare_branches(_typed_null(schema, nulls)))
    return {
        name: {member: _plain(each, nulls) for member, each in value.items()}
        if name == "properties"
        else value
        if name == "examples"
        else _plain(value, nulls)
        for name, value in schema.items()
    }


def _without_bare_branches(schema: dict[str, Any]) -> dict[str, Any]:
    for word in ("anyOf", "oneOf"):
        branches = schema.get(word, [])
        if branches and any(not branch.keys() & _TYPED for branch in branches):
            schema = {name: value for name, value in schema.items() if name != word}
        elif any("enum" in branch for branch in branches) and {"type": "string"} in branches:
            schema = {"type": "string"} | {name: value for name, value in schema.items() if name != word}
    return schema


def _of_anything(schema: dict[str, Any]) -> dict[str, Any]:
    """An object of any members, which a generator would make an empty class of, is a value of any kind."""
    if schema.get("additionalProperties") is not True or "properties" in schema:
        return schema
    return {name: value for name, value in schema.items() if name not in {"type", "additionalProperties"}}


def _typed_null(schema: dict[str, Any], nulls: bool) -> dict[str, Any]:
    branches = schema.get("anyOf", [])
    others = [branch for branch in branches if branch != {"type": "null"}]
    if len(others) == len(branches):
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    if len(others) > 1:
        return {"anyOf": others, **rest}
    (other,) = others
    if not nulls or "type" not in other:  # an answer leaves an object out that there is not
        return {**other, **rest}
    enum = {"enum": [*other["enum"], None]} if "enum" in other else {}
    return {**other, **enum, "type": [other["type"], "null"], **rest}
