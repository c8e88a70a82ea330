"""The difference of two automations, as data.

What Azure spells differently is the same here: ids, locations and tag names in any case, null and absent, defaults,
and the order of sources, rule sets, rules, scopes and actions (GET answers differ from what was PUT in all of these).
Write-only fields (`connectionString`, `uri`) and `etag` are not looked at.  The name of the rule whose key an event hub
is sent to with is: another one's key may not be allowed to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from shared.exports.compiler import MANAGED_BY_TAG
from shared.exports.explain import explain
from shared.exports.ownership import tag
from shared.exports.rule_sets import MalformedRules, Source, normalise, parse_sources
from shared.reconcile.model import Live

OWN_TAG_PREFIX = "defender-export-"
_TARGETS = {"eventhub": "eventHubResourceId", "workspace": "workspaceResourceId", "logicapp": "logicAppResourceId"}
_NAMES = {"eventhub": "event hub", "workspace": "workspace", "logicapp": "logic app"}


class Change(NamedTuple):
    """One field that differs; `old` or `new` is None where there is none. Both are JSON values."""

    path: str
    old: Any
    new: Any


def diff(live: Live, desired: Mapping[str, Any]) -> tuple[Change, ...]:
    """What must change in `live` to be as `desired`, a request body; nothing when they mean the same.

    The location is left out: ARM can't move a resource, so a write keeps it. Tags of others are theirs.
    """
    old, new = live.properties, desired.get("properties") or {}
    return (
        *_diff_tags(live.tags, desired.get("tags") or {}),
        *_diff_value("properties.description", old.get("description") or "", new.get("description") or ""),
        *_diff_value("properties.isEnabled", _enabled(old), _enabled(new)),
        *_diff_sets("properties.scopes", _scopes(old), _scopes(new)),
        *_diff_sources(old.get("sources"), new.get("sources")),
        *_diff_actions(_objects(old, "actions"), _objects(new, "actions")),
    )


def same_location(one: str, other: str) -> bool:
    """Whether two names mean one region: "West Europe" is westeurope."""
    return one.replace(" ", "").lower() == other.replace(" ", "").lower()


def destinations_of(properties: Mapping[str, Any]) -> list[str]:
    """Where an automation sends to, in words, each with its resource id."""
    return sorted({_told(action) for action in _objects(properties, "actions")})


def merge(live: Live | None, desired: Mapping[str, Any]) -> dict[str, Any]:
    """The body to PUT: `desired`, in the place where `live` is, with the tags that others put there.

    A tag of ours that is no longer declared goes.
    """
    if live is None:
        return {**desired, "tags": dict(desired.get("tags") or {})}
    ours = dict(desired.get("tags") or {})
    if theirs := tag(live.tags, MANAGED_BY_TAG):
        ours[MANAGED_BY_TAG] = theirs
    declared = {name.lower() for name in ours}
    kept = {
        name: value
        for name, value in live.tags.items()
        if name.lower() not in declared and not name.lower().startswith(OWN_TAG_PREFIX)
    }
    return {
        **desired,
        "location": live.location or desired.get("location"),
        "tags": {**kept, **ours},
    }


def destination_in_words(body: Mapping[str, Any]) -> str:
    """Where an automation sends to."""
    return " and ".join(_told(action) for action in _objects(body.get("properties") or {}, "actions"))


def sources_in_words(body: Mapping[str, Any]) -> tuple[str, ...]:
    """What an automation sends, a sentence for each event source."""
    return _explained(orjson.dumps((body.get("properties") or {}).get("sources")))


@lru_cache(maxsize=1024)
def _explained(encoded: bytes) -> tuple[str, ...]:
    try:
        return tuple(explain(source) for source in parse_sources(orjson.loads(encoded)))
    except MalformedRules as error:
        return (f"rule sets that can't be read: {error}",)


def _diff_value(path: str, old: Any, new: Any) -> Iterable[Change]:
    if old != new:
        yield Change(path, old, new)


def _diff_tags(live: Mapping[str, str], desired: Mapping[str, str]) -> Iterable[Change]:
    present = {name.lower(): value for name, value in live.items()}
    declared = {name.lower() for name in desired}
    for name, value in desired.items():
        if name == MANAGED_BY_TAG:
            continue  # for people; where a policy sets it, it would be written without end
        yield from _diff_value(f"tags.{name}", present.get(name.lower()), value)
    for name, value in live.items():
        if name.lower().startswith(OWN_TAG_PREFIX) and name.lower() not in declared:
            yield Change(f"tags.{name}", value, None)


def _diff_sets(path: str, old: Mapping[Any, str], new: Mapping[Any, str]) -> Iterable[Change]:
    if old.keys() != new.keys():
        yield Change(path, sorted(old.values()), sorted(new.values()))


def _diff_sources(old: Any, new: Any) -> Iterable[Change]:
    before, after = _sources(old), _sources(new)
    if before is after:
        return
    for name in sorted({*before, *after}):
        was, becomes = before.get(name), after.get(name)
        if was != becomes:
            told = _sentence(was), _sentence(becomes)
            yield Change(
                f"properties.sources.{name}", *(told if told[0] != told[1] else (_rules(was), _rules(becomes)))
            )


def _enabled(properties: Mapping[str, Any]) -> bool:
    return properties.get("isEnabled") is not False


def _id(value: Any) -> str:
    return str(value or "").strip("/").lower()


def _scopes(properties: Mapping[str, Any]) -> dict[str, str]:
    """Scopes by path, without those inside another one.

    Their descriptions are labels that every tool writes differently, and decide nothing.
    """
    found = {_id(scope.get("scopePath")): str(scope.get("scopePath")) for scope in _objects(properties, "scopes")}
    subscriptions = {path for path in found if path.count("/") == 1}
    return {
        path: shown
        for path, shown in found.items()
        if path in subscriptions or "/".join(path.split("/")[:2]) not in subscriptions
    }


def _objects(properties: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in a list of a live automation; whatever else stands there counts as one without members."""
    listed = properties.get(name) or ()
    if not isinstance(listed, (list, tuple)):
        listed = [listed]
    return [one if isinstance(one, Mapping) else {} for one in listed]


def _diff_actions(old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> Iterable[Change]:
    """Actions by kind, target and way in; a rule's name counts where both sides know it."""
    rules = all("sasPolicyName" in action for action in old if _is_keyed(action))
    before, after = ({_action(action, rules=rules): _told(action) for action in actions} for actions in (old, new))
    yield from _diff_sets("properties.actions", before, after)


def _action(action: Mapping[str, Any], *, rules: bool) -> tuple[str, str, bool, str]:
    kind = str(action.get("actionType") or "").lower()
    rule = str(action.get("sasPolicyName") or "").lower() if rules and _is_keyed(action) else ""
    return kind, _id(action.get(_TARGETS.get(kind, ""))), action.get("isTrustedServiceEnabled") is True, rule


def _is_keyed(action: Mapping[str, Any]) -> bool:
    hub = str(action.get("actionType") or "").lower() == "eventhub"
    return hub and action.get("isTrustedServiceEnabled") is not True


def _told(action: Mapping[str, Any]) -> str:
    """An action in words; a live one whose rule Azure does not name sends with a key that is not known."""
    kind = str(action.get("actionType") or "").lower()
    text = f"{_NAMES.get(kind, kind)} {action.get(_TARGETS.get(kind, ''))}"
    if action.get("isTrustedServiceEnabled") is True:
        return f"{text} as a trusted service"
    if "sasPolicyName" not in action or not _is_keyed(action):
        return text
    rule = action["sasPolicyName"]
    return f"{text} with the key of {rule}" if rule else f"{text} with a key of no name"


def _sources(sources: Any) -> Mapping[str, Source | str]:
    return _parsed(orjson.dumps(sources))


@lru_cache(maxsize=1024)
def _parsed(encoded: bytes) -> Mapping[str, Source | str]:
    """Sources by name in their normal form; cached, since a tenant holds few distinct ones."""
    try:
        return {source.event_source: source for source in normalise(parse_sources(orjson.loads(encoded)))}
    except MalformedRules as error:
        return {"(unreadable)": f"rule sets that can't be read: {error}"}


def _sentence(source: Source | str | None) -> str | None:
    return explain(source) if isinstance(source, Source) else source


def _rules(source: Source | str | None) -> str:
    """The rules themselves, where two sources differ in something that their sentences leave out."""
    if not isinstance(source, Source):
        return str(source)
    return " or ".join(" and ".join(map(str, rule_set)) for rule_set in source.rule_sets) or "everything"
