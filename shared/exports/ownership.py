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
    return bool(tag(tags, INSTANCE_TAG)) or tag(tags, MANAGED_BY_TAG).lower() == MANAGED_BY


def owned(tags: Mapping[str, str], instance_id: str) -> bool:
    """Whether this deployment made the automation, by its own tag; `managed-by` is for people, and others set it."""
    return tag(tags, INSTANCE_TAG).lower() == instance_id.lower()
