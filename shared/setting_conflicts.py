"""Settings that can each be read and can't all be meant: what contradicts what, a sentence by the setting to mend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from shared.setting_values import connection_parts

LONGEST_RUN = 0.8
"""Share of the function's timeout that a run may be given; more can't be meant."""
_RUN_ENDS = 0.7
"""Share after which it begins nothing more, so that its report is kept within the time."""
_PLACES = (
    ("EXPORTS_CONTAINER", "REPORTS_CONTAINER", "DEAD_LETTERS_CONTAINER", "OVERSIZE_CONTAINER"),
    ("JOBS_TABLE", "FRESHNESS_TABLE"),
)


def conflicts(values: Mapping[str, Any], given: Collection[str]) -> dict[str, str]:
    """What contradicts what.

    Args:
        values: every setting as it was read, by name.
        given: the settings that were not left to their defaults; a default contradicts nothing.
    """
    return {**_times(values, given), **_hubs(values), **_same_places(values), **_readers(values)}


def longest_run(timeout: timedelta) -> timedelta:
    """The longest that a run may take within a function's timeout."""
    return timeout * _RUN_ENDS


def _readers(values: Mapping[str, Any]) -> dict[str, str]:
    if values["READERS_FILE"] and values["AUTH_MODE"] != "entra":
        return {"READERS_FILE": "READERS_FILE: it limits nobody unless AUTH_MODE is entra, for keys have no roles"}
    return {}


def _times(values: Mapping[str, Any], given: Collection[str]) -> dict[str, str]:
    timeout: timedelta = values["FUNCTION_TIMEOUT_SECONDS"]
    percent = values["DELIVERY_DEADLINE_PERCENT"]
    most = {
        "APPLY_BUDGET_SECONDS": (timeout * LONGEST_RUN, f"{LONGEST_RUN:.0%} of FUNCTION_TIMEOUT_SECONDS"),
        "UPLOAD_TIMEOUT_SECONDS": (timeout * percent / 100, "what DELIVERY_DEADLINE_PERCENT leaves for uploads"),
        "FRESHNESS_INTERVAL_SECONDS": (timedelta(days=1), "a day"),
    }
    return {
        name: f"{name}: {values[name].total_seconds():g} is more than {words}, {limit.total_seconds():g}"
        for name, (limit, words) in most.items()
        if name in given and values[name] > limit
    }


def _hubs(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    pairs = {"EventHubConnection": "EVENT_HUB_NAME", "ForwardConnection": "FORWARD_EVENT_HUB"}
    for connection, name in pairs.items():
        path, hub = connection_parts(values[connection]).get("entitypath", ""), values[name]
        if path and hub and path.lower() != hub.lower():
            found[connection] = f"{connection}: its EntityPath names another hub than {name}, {hub!r}"
    read, forwarded = values["EVENT_HUB_NAME"], values["FORWARD_EVENT_HUB"]
    own = values["ForwardConnection"] or values["ForwardConnection__fullyQualifiedNamespace"]
    if forwarded.lower() == read.lower() and (
        not own or _namespace(values, "Forward") == _namespace(values, "EventHub")
    ):
        found["FORWARD_EVENT_HUB"] = (
            f"FORWARD_EVENT_HUB: {forwarded!r} is the hub that is read, so rows would come back"
        )
    return found


def _namespace(values: Mapping[str, Any], prefix: str) -> str:
    endpoint = connection_parts(values[f"{prefix}Connection"]).get("endpoint", "")
    host: str = endpoint.partition("//")[2] or values[f"{prefix}Connection__fullyQualifiedNamespace"]
    return host.rstrip("/.").lower()


def _same_places(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for settings in _PLACES:
        by_place: dict[str, list[str]] = defaultdict(list)
        for name in settings:
            by_place[values[name].lower()].append(name)
        for place, names in by_place.items():
            for name in names[1:]:
                found[name] = f"{name}: {place!r} is what {names[0]} names"
    return found
