"""What waits or is blocked, by the newest run that looked at each subscription and export.

A run that was narrowed says nothing of what it did not look at: it takes the place of what earlier runs said only
within its scope.  A run of a terminal sees what one person may see, so it is no answer for the tenant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_SAID_NOTHING = frozenset({"Skipped", "Failed", "Running", "Unreadable"})
_TERMINAL = "cli"


def says_something(report: Mapping[str, Any]) -> bool:
    """Whether a report tells what is open: the run of this app ended, and planned for what it looked at."""
    return report["outcome"] not in _SAID_NOTHING and report["trigger"] != _TERMINAL


def looked_at_all(report: Mapping[str, Any]) -> bool:
    """Whether the run looked at the whole tenant, so that no earlier one counts."""
    return says_something(report) and bool(report["complete"]) and not report.get("scope")


def open_items(
    newest_first: Iterable[Mapping[str, Any]], ancestors: Mapping[str, Sequence[str]]
) -> list[Mapping[str, Any]]:
    """The items of these reports that no newer one speaks for.

    `ancestors` are the management groups above each subscription, all in lower case.  What a run that was not
    complete did not see keeps what was said of it before.
    """
    found: list[Mapping[str, Any]] = []
    newer: list[Mapping[str, Any]] = []
    for report in filter(says_something, newest_first):
        found += [item for item in report["items"] if not any(_speaks_for(other, item, ancestors) for other in newer)]
        if looked_at_all(report):
            break
        newer.append(report)
    return found


def _speaks_for(report: Mapping[str, Any], item: Mapping[str, Any], ancestors: Mapping[str, Sequence[str]]) -> bool:
    """Whether a run looked at an item: within its scope, or, where it did not see all, in what it reports."""
    if not report["complete"]:
        return any(_subject(item) == _subject(each) for each in report["items"])
    scope = report.get("scope") or {}
    exports = scope.get("exports")
    if exports and item.get("export", "") not in exports:
        return False
    subscriptions = {each.lower() for each in scope.get("subscriptions", ())}
    groups = {each.lower() for each in scope.get("managementGroups", ())}
    if not subscriptions and not groups:
        return True
    subscription = subscription_of(item)
    return subscription in subscriptions or bool(groups & set(ancestors.get(subscription, ())))


def _subject(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item.get("id", "")).lower(), str(item.get("export", ""))


def subscription_of(item: Mapping[str, Any]) -> str:
    """The id of the subscription that an item is about, in lower case; empty where it names none."""
    parts = str(item.get("id", "")).split("/")
    return parts[2].lower() if len(parts) > 2 else ""  # noqa: PLR2004 - /subscriptions/<id>/...
