"""What may be asked of each kind of job."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from shared.canary.bundles import NAMES as BUNDLES
from shared.enrich.dead_letters.letter_names import LETTERS_NAME
from shared.exports.event_sources import KINDS as RECORD_KINDS
from shared.exports.management_groups import FORM
from shared.exports.suggestions import suggest

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NAME = re.compile(r"[-\w.()]{1,90}", re.ASCII)
_GROUP = re.compile(FORM)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FINGERPRINT = re.compile("[0-9a-f]{64}")
_MAX_ITEMS = 1_000
_MAX_CHARACTERS = 30_000  # of all arguments as JSON: a property of Table Storage holds 32,768


def _list_of(check: Callable[[str], bool], right: str) -> Callable[[Any], Any]:
    def read(value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > _MAX_ITEMS:
            raise ValueError(f"must be a list of {right}, at most {_MAX_ITEMS:,}")
        if not value:
            raise ValueError("is an empty list; leave it out to mean all")
        if not all(isinstance(item, str) and check(item) for item in value):
            raise ValueError(f"must hold only {right}")
        return sorted(set(value))

    return read


def _one(pattern: re.Pattern[str], right: str) -> Callable[[Any], Any]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"must be {right}")
        return value

    return read


def _day(value: Any) -> str:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value) and date.fromisoformat(value):
            return value
    except ValueError:
        pass
    raise ValueError("must be a day of the calendar as YYYY-MM-DD")


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004 - every refusal here is a ValueError with its sentence
    return value


def _number(least: int, most: int) -> Callable[[Any], Any]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most:,}")
        return value

    return read


_SUBSCRIPTIONS = _list_of(lambda item: _GUID.fullmatch(item) is not None, "subscription ids")
_GROUPS = _list_of(lambda item: _GROUP.fullmatch(item) is not None, "management group ids, each alone or as TENANT/ID")
_EXPORTS = _list_of(lambda item: _NAME.fullmatch(item) is not None, "export names")
_KINDS = _list_of(lambda item: item in RECORD_KINDS, f"kinds of record ({', '.join(RECORD_KINDS)})")

_MOST_CANARIES = 10


def _few_subscriptions(value: Any) -> list[str]:
    found: list[str] = _SUBSCRIPTIONS(value)
    if len(found) > _MOST_CANARIES:
        raise ValueError(f"must hold at most {_MOST_CANARIES} subscriptions")
    return sorted({each.lower() for each in found})


def _bundle(value: Any) -> str:
    if value not in BUNDLES:
        raise ValueError(f"must be one of {', '.join(BUNDLES)}")
    return str(value)


_CAUSES = _list_of(lambda item: item == "release", "causes that wait for being named (release)")

LIMITS: Mapping[str, Callable[[Any], Any]] = {
    "maxDeletes": _number(0, 100_000),
    "maxChangePercent": _number(0, 100),
    "acceptFewer": _flag,
}
"""What lifts guards for one run; who may is another right than to start one."""

_SCOPE: Mapping[str, Callable[[Any], Any]] = {"subscriptions": _SUBSCRIPTIONS, "managementGroups": _GROUPS}

ARGUMENTS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "plan": {**_SCOPE, "exports": _EXPORTS, "causes": _CAUSES, **LIMITS},
    "reconcile": {
        **_SCOPE,
        "exports": _EXPORTS,
        "causes": _CAUSES,
        "fingerprint": _one(_FINGERPRINT, "the fingerprint of a plan"),
        **LIMITS,
    },
    "preview": {"export": _one(_NAME, "an export's name"), **_SCOPE},
    "backfill": {**_SCOPE, "kinds": _KINDS, "export": _one(_NAME, "an export's name")},
    "replay": {
        "day": _day,
        "reason": _one(_NAME, "a dead letter's reason"),
        "parked": _flag,
    },
    "discard": {"name": _one(LETTERS_NAME, "the name of dead letters, as they are listed")},
    "accept": {},
    "claim": {"formerInstance": _one(_NAME, "an instance's id")},
    "gone": {"maxChangePercent": LIMITS["maxChangePercent"]},
    "canary": {"subscriptions": _few_subscriptions, "bundle": _bundle},
}
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "preview": ("export",),
    "discard": ("name",),
    "canary": ("subscriptions",),
}


def read_arguments(document: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The kind and the checked arguments of a request such as `{"kind": "plan", "subscriptions": [...]}`.

    Raises:
        ValueError: an unknown kind or argument, or a wrong value; the message says what would be right.
    """
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in ARGUMENTS:
        near = suggest(kind, ARGUMENTS) if isinstance(kind, str) else ""
        raise ValueError(f"'kind' must be one of {', '.join(ARGUMENTS)}. {near}".strip())
    allowed = ARGUMENTS[kind]
    arguments: dict[str, Any] = {}
    for name, value in document.items():
        if name == "kind":
            continue
        if name not in allowed:
            takes = f"only {', '.join(allowed)}" if allowed else "nothing more"
            raise ValueError(f"a {kind} job takes {takes}. {suggest(name, allowed)}".strip())
        try:
            arguments[name] = allowed[name](value)
        except ValueError as error:
            raise ValueError(f"'{name}' {error}") from None
    for name in REQUIRED.get(kind, ()):
        if name not in arguments:
            raise ValueError(f"a {kind} job needs '{name}'")
    if len(json.dumps(arguments)) > _MAX_CHARACTERS:
        raise ValueError("these are too many names for one job; name management groups, or start several jobs")
    return kind, arguments


def refusal_of(kind: str, arguments: Any) -> str:
    """Why a stored job of this kind can't be carried out as it was asked for; empty when it can."""
    if not isinstance(arguments, Mapping):
        return "its arguments are no object"
    if "kind" in arguments:
        return "its arguments name a kind"
    try:
        read_arguments({"kind": kind, **arguments})
    except ValueError as error:
        return str(error)
    return ""
