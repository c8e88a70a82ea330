"""Which app role sees which part of the tenant: a small YAML file deployed with the app (docs/readers.md).  Pure.

A reader has a `role`, `Exports.Read.` and a name, and `tenants`, `managementGroups` or both: it sees the subscriptions
of those tenants and those below those groups.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from shared.exports.diagnostics import Diagnostic
from shared.exports.document_reading import DocumentReading, read_document
from shared.exports.management_groups import FORM, names_above

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.exports.yaml_reader import Document, Path

PREFIX: Final = "Exports.Read."
MOST: Final = 1_000
MAX_BYTES: Final = 1_000_000
_KEYS = ("version", "readers")
_READER_KEYS = ("role", "tenants", "managementGroups")
_ROLE = re.compile(r"Exports\.Read\.[A-Za-z0-9_-]{1,60}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_GROUP = re.compile(FORM)
_UNREAD = "is not among what the app can read"


class Placed(Protocol):
    """What is asked of a subscription: `ancestors` are its management groups in lower case, `placed` if all known."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def tenant_id(self) -> str: ...  # noqa: D102
    @property
    def ancestors(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def placed(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class Limit:
    """What a role sees, all in lower case."""

    tenants: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


Readers = Mapping[str, Limit]


def read_readers(text: str | bytes, source: str = "<text>") -> Readers:
    """The limit of each role that a file declares.

    Raises:
        InvalidExport: the file is wrong; its findings say where and what would be right.
    """

    def interpret(document: Document) -> tuple[Readers, list[Diagnostic]]:
        reading = _Reading(document, source)
        return reading.readers(), reading.findings

    return read_document(text, source, interpret)


def unresolved(limits: Iterable[Limit], subscriptions: Collection[Placed]) -> list[str]:
    """Why the tenants and management groups among these limits that can't be told can't be, in words.

    No subscription belongs to one, or to groups of the same name in several tenants: each tenant names its own.
    """
    tenants = {each.tenant_id.lower() for each in subscriptions}
    in_tenants = _tenants_of_groups(subscriptions)
    found: list[str] = []
    for limit in limits:
        found += [f"the tenant {name} {_UNREAD}" for name in limit.tenants if name not in tenants]
        for name in limit.groups:
            there = in_tenants.get(name, ())
            if not there:
                found.append(f"the management group {name} {_UNREAD}")
            elif len(there) > 1:
                found.append(f"there are management groups {name} in {len(there)} tenants (name one as TENANT/{name})")
    return list(dict.fromkeys(found))


def seen_by(limits: Iterable[Limit], subscriptions: Iterable[Placed]) -> frozenset[str]:
    """The lower-case ids of the subscriptions that one of these limits lets be seen."""
    tenants: set[str] = set()
    groups: set[str] = set()
    for limit in limits:
        tenants.update(limit.tenants)
        groups.update(limit.groups)
    return frozenset(
        each.id.lower()
        for each in subscriptions
        if each.tenant_id.lower() in tenants or not groups.isdisjoint(names_above(each.tenant_id, each.ancestors))
    )


def perhaps_more(limits: Collection[Limit], subscriptions: Collection[Placed]) -> bool:
    """Whether one of the tenants that have the limits' groups has a subscription whose groups are not known."""
    in_tenants = _tenants_of_groups(subscriptions)
    tenants = {tenant for limit in limits for name in limit.groups for tenant in in_tenants.get(name, ())}
    return any(not each.placed and each.tenant_id.lower() in tenants for each in subscriptions)


def _tenants_of_groups(subscriptions: Iterable[Placed]) -> Mapping[str, Collection[str]]:
    found: dict[str, set[str]] = {}
    for each in subscriptions:
        for name in names_above(each.tenant_id, each.ancestors):
            found.setdefault(name, set()).add(each.tenant_id.lower())
    return found


class _Reading(DocumentReading):
    """Reads the readers of a file."""

    def readers(self) -> Readers:
        content = self._mapping(self._document.content, (), _KEYS)
        if content.get("version") != 1:
            self._wrong(("version",), "invalid", "the version must be 1.", "Write version: 1.")
        listed = content.get("readers")
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
            self._wrong(("readers",), "invalid", f"'readers' must be a list of 1 to {MOST:,}.", "")
            return {}
        found: dict[str, Limit] = {}
        for index, item in enumerate(listed):
            path = ("readers", index)
            content = self._mapping(item, path, _READER_KEYS)
            role = self._role(content, path)
            limit = Limit(
                self._names(content, path, "tenants", _GUID), self._names(content, path, "managementGroups", _GROUP)
            )
            if content and not {"tenants", "managementGroups"} & content.keys():
                self._wrong(path, "missing-key", "it sees nothing.", "Name tenants or managementGroups.")
            if role in found:
                self._wrong((*path, "role"), "duplicate", f"{role!r} is declared twice.", "Name all in one place.")
            found[role] = limit
        return found

    def _role(self, item: Mapping[str, Any], path: Path) -> str:
        role = self._text(item, path, "role")
        if role and not _ROLE.fullmatch(role):
            fix = f"Write {PREFIX} and a name of letters, digits, - and _."
            self._wrong((*path, "role"), "invalid", f"{role!r} is no role of a limited reader.", fix)
        return role

    def _names(self, item: Mapping[str, Any], path: Path, key: str, form: re.Pattern[str]) -> tuple[str, ...]:
        if key not in item:
            return ()
        listed = item[key]
        if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
            self._wrong((*path, key), "invalid", f"'{key}' must be a list of 1 to {MOST:,} ids.", "")
            return ()
        names = [each.lower() if isinstance(each, str) else "" for each in listed]
        for index, name in enumerate(names):
            if not form.fullmatch(name):
                what = "a tenant" if form is _GUID else "a management group"
                self._wrong((*path, key, index), "invalid", f"{listed[index]!r} is no id of {what}.", "")
        return tuple(names)
