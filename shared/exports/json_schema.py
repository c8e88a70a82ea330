"""The JSON Schema of export files, from the model: what editors complete and what docs/exports.md is held against."""

from __future__ import annotations

from typing import Any


def export_schema() -> dict[str, Any]:
    """The schema, draft 2020-12."""
    from shared.exports.model import ExportConfig

    schema = ExportConfig.model_json_schema(by_alias=True, mode="validation")
    _strip_titles(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Defender Export: an export file",
    }


def _strip_titles(node: Any) -> None:
    """Take out generated titles, which only repeat the key."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for inner in node.values():
            _strip_titles(inner)
    elif isinstance(node, list):
        for inner in node:
            _strip_titles(inner)
