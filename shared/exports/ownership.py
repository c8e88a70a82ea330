"""Whose an automation is, by its tags."""

from __future__ import annotations

from collections.abc import Mapping

from shared.exports.compiler import INSTANCE_TAG, MANAGED_BY, MANAGED_BY_TAG


def tag(tags: Mapping[str, str], name: str) -> str:
    """A tag's value, its name in any casing; empty when absent."""
    if name in tags:
        return tags[name]
    return next((value for key, value in tags.items() if key.lower() == name), "")


def managed(tags: Mapping[str, str]) -> bool:
    """Whether some deployment of this app made the automation."""
    return tag(tags, MANAGED_BY_TAG).lower() == MANAGED_BY


def owned(tags: Mapping[str, str], instance_id: str) -> bool:
    """Whether this deployment made the automation."""
    return managed(tags) and tag(tags, INSTANCE_TAG).lower() == instance_id.lower()
