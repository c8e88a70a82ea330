"""What waits or is blocked, by the newest run that looked at each subscription and export.

A run that was narrowed says nothing of what it did not look at: it takes the place of what earlier runs said only
within its scope.  A run of a terminal sees what one person may see, so it is no answer for the tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_SAID_NOTHING = frozenset({"Skipped", "Failed", "Running", "Unreadable"})
_UNTOLD = _SAID_NOTHING - {"Failed"}
_TERMINAL = "cli"
_BROKEN = "broken"


def says_something(report: Mapping[str, Any]) -> bool:
    """Whether a report tells what is open: the run of this app ended, and planned for what it looked at."""
    return report["outcome"] not in _SAID_NOTHING and report["trigger"] != _TERMINAL and not only_claimed(report)


def looked_at_all(report: Mapping[str, Any]) -> bool:
    """Whether the run looked at the whole tenant, so that no earlier one counts."""
    return says_something(report) and bool(report["complete"]) and not report.get("scope")


def of_the_tenant(report: Mapping[str, Any]) -> bool:
    """Whether a run of this app was of the whole tenant and has ended, well or not."""
    ended = report["outcome"] not in _UNTOLD and not report.get("scope")
    return ended and report["trigger"] != _TERMINAL and not only_claimed(report)


def only_claimed(report: Mapping[str, Any]) -> bool:
    """Whether the run took over what another app wrote, for which it looks at no export and no destination."""
    return bool((report.get("asked") or {}).get("claim"))


@dataclass(frozen=True)
class Newest:
    """The reports that count, newest first, and the newest run of the whole tenant, without its items."""

    reports: Sequence[Mapping[str, Any]] = ()
    run: Mapping[str, Any] | None = None

    def items(self, ancestors: Mapping[str, Sequence[str]]) -> list[Mapping[str, Any]]:
        """What is open, by the newest run that looked at it."""
        return open_items(self.reports, ancestors)

    @property
    def destinations(self) -> list[dict[str, Any]]:
        """What is known of each destination and export, by the newest run that looked at it."""
        return known_destinations(self.reports)

    @property
    def broken(self) -> frozenset[str]:
        """The lower-case ids of the destinations where nothing arrives."""
        return frozenset(known["id"].lower() for known in self.destinations if known["state"] == _BROKEN)


class OpenItems:
    """Reads the newest reports, as many as count; one that was read is kept for as long as it does."""

    def __init__(
        self,
        summaries: Callable[[datetime], AsyncIterator[Mapping[str, Any]]],
        read: Callable[[str], Awaitable[Mapping[str, Any] | None]],
    ) -> None:
        self._summaries = summaries
        self._read = read
        self._kept: dict[str, Mapping[str, Any]] = {}
        self._turn = asyncio.Lock()

    async def newest(self, now: datetime) -> Newest:
        """Back to the newest run that looked at all; callers at the same time read one after another."""
        async with self._turn:
            return await self._look(now)

    async def _look(self, now: datetime) -> Newest:
        found: list[Mapping[str, Any]] = []
        kept: dict[str, Mapping[str, Any]] = {}
        last: Mapping[str, Any] | None = None
        async for summary in self._summaries(now):
            whole = last is None and of_the_tenant(summary)
            if not (whole or says_something(summary)):
                continue
            run_id = summary["runId"]
            report = self._kept.get(run_id) or await self._read(run_id)
            if report is None:
                continue  # it has expired meanwhile
            kept[run_id] = report
            if whole and of_the_tenant(report):
                last = {name: value for name, value in report.items() if name != "items"}
            if says_something(report):
                found.append(report)
                if looked_at_all(report):
                    break
        self._kept = kept
        return Newest(found, last)


def open_items(
    newest_first: Iterable[Mapping[str, Any]], ancestors: Mapping[str, Sequence[str]]
) -> list[Mapping[str, Any]]:
    """The items of these reports that no newer one speaks for.

    `ancestors` are names of the management groups above each subscription, all in lower case.  What a run that was not
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


def known_destinations(newest_first: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the newest of these reports that names it says of each destination, together for exports it is equal for."""
    newest: dict[tuple[str, str], Mapping[str, Any]] = {}
    spelt: dict[str, str] = {}
    for report in newest_first:
        for known in report.get("destinations", ()):
            spelt.setdefault(known["id"].lower(), known["id"])
            for export in known["exports"]:
                newest.setdefault((known["id"].lower(), export), known)
    together: dict[tuple[str, str, tuple[str, ...], bool], list[str]] = {}
    for (place, export), known in sorted(newest.items()):
        same = place, known["state"], tuple(known["reasons"]), bool(known.get("verify", True))
        together.setdefault(same, []).append(export)
    return [
        {"id": spelt[place], "state": state, "reasons": list(reasons), "exports": exports, "verify": verify}
        for (place, state, reasons, verify), exports in together.items()
    ]


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
