"""The file of routes (docs/routing.md): read as plain data, with all that is wrong in it.

It names places and rules and holds no secret: connection strings of hubs stand in the app setting `ROUTE_CONNECTIONS`,
by the name of the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from shared import setting_values
from shared.enrich.routing.route_model import DEFAULT, HubPlace, Place, Routes, Rule, RulePlace
from shared.enrich.tables import BY_KIND, RECORD_TABLES
from shared.exports.diagnostics import Diagnostic
from shared.exports.document_reading import DocumentReading, read_document
from shared.exports.management_groups import FORM
from shared.exports.yaml_reader import Document, Path

MAX_BYTES: Final = 256 * 1024
MAX_PLACES, MAX_RULES, MAX_VALUES = 50, 500, 5_000
KINDS: Final = tuple(kind for kind, table in BY_KIND.items() if table.holds_records)
FORMS: Final = ("rows", "ocsf")
EVENT_KB: Final = (256, 1024)
_KEYS: Final = ("version", "places", "rules")
_PLACE_KEYS: Final = ("name", "rule", "hub")
_DCR_KEYS: Final = ("endpoint", "immutableId", "streams", "tenantId", "workspaceId")
_HUB_KEYS: Final = ("namespace", "name", "format", "eventKb", "tenantId")
_CONDITIONS: Final = ("kinds", "subscriptions", "tenants", "managementGroups", "subscriptionTags", "owners")
_RULE_KEYS: Final = ("name", *_CONDITIONS, "also", "instead")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_GROUP: Final = re.compile(FORM)
_STREAM: Final = re.compile(r"Custom-[A-Za-z][A-Za-z0-9_]{0,99}")


def read_routes(text: str | bytes, source: str = "<text>") -> Routes:
    """The routes in a file.

    Raises:
        shared.exports.diagnostics.InvalidExport: the file is wrong; its findings say where and what would be right.
    """

    def interpret(document: Document) -> tuple[Routes, list[Diagnostic]]:
        reading = _Reading(document, source)
        return reading.routes(len(text)), reading.findings

    return read_document(text, source, interpret)


class _Reading(DocumentReading):
    """Reads places and rules."""

    def routes(self, size: int) -> Routes:
        content = self._mapping(self._document.content, (), _KEYS)
        if size > MAX_BYTES:
            self._wrong((), "too-large", f"the file has {size:,} bytes; {MAX_BYTES:,} are read.", "")
        if content.get("version") != 1 or isinstance(content.get("version"), bool):
            self._wrong(("version",), "invalid", "the version must be 1.", "Write version: 1.")
        places: list[Place] = []
        for index, item in enumerate(self._list(content, "places", MAX_PLACES)):
            places += self._place(item, ("places", index), places)
        names = [DEFAULT, *(place.name for place in places)]
        rules: list[Rule] = []
        for index, item in enumerate(self._list(content, "rules", MAX_RULES)):
            rules.append(self._rule(item, ("rules", index), names, {rule.name for rule in rules}))
        return Routes(tuple(places), tuple(rules))

    def _list(self, content: dict[str, Any], key: str, most: int) -> list[Any]:
        listed = content.get(key)
        if isinstance(listed, list) and 0 < len(listed) <= most:
            return listed
        self._wrong((key,), "missing-key", f"'{key}' must be a list of one to {most}.", "")
        return []

    def _place(self, item: Any, path: Path, before: Sequence[Place]) -> list[Place]:
        item = self._mapping(item, path, _PLACE_KEYS)
        name = self._name(item, path, {DEFAULT, *(place.name for place in before)})
        if ("rule" in item) == ("hub" in item):
            fix = "Give rule for a data collection rule, or hub for an event hub."
            self._wrong(path, "invalid", "a place is a rule or a hub, one of the two.", fix)
            return []
        place = self._dcr(name, item, path) if "rule" in item else self._hub(name, item, path)
        same = next((one.name for one in before if one.address == place.address), None)
        if same is not None and name:
            fix = f"Name {same} in the rules, for rows would arrive there twice."
            self._wrong(path, "same-place", f"{name} is the same place as {same}.", fix)
        return [place]

    def _dcr(self, name: str, item: dict[str, Any], path: Path) -> RulePlace:
        path = (*path, "rule")
        item = self._mapping(item["rule"], path, _DCR_KEYS)
        return RulePlace(
            name,
            self._parsed(item, path, "endpoint", setting_values.rule_endpoint, required=True),
            self._parsed(item, path, "immutableId", setting_values.immutable_id, required=True),
            self._streams(item, path),
            self._parsed(item, path, "tenantId", setting_values.guid).lower(),
            self._parsed(item, path, "workspaceId", setting_values.guid).lower(),
        )

    def _hub(self, name: str, item: dict[str, Any], path: Path) -> HubPlace:
        path = (*path, "hub")
        item = self._mapping(item["hub"], path, _HUB_KEYS)
        form, kilobytes = item.get("format", FORMS[0]), item.get("eventKb", EVENT_KB[-1])
        if form not in FORMS:
            self._wrong((*path, "format"), "invalid", "this is no format.", self._near(str(form), FORMS))
        if kilobytes not in EVENT_KB or isinstance(kilobytes, bool):
            self._wrong((*path, "eventKb"), "invalid", "the largest event has 256 or 1024 KB.", "")
            kilobytes = EVENT_KB[0]
        return HubPlace(
            name,
            self._parsed(item, path, "name", setting_values.hub_name, required=True),
            self._parsed(item, path, "namespace", setting_values.host_name),
            str(form),
            kilobytes,
            self._parsed(item, path, "tenantId", setting_values.guid).lower(),
        )

    def _streams(self, item: dict[str, Any], path: Path) -> dict[str, str]:
        if "streams" not in item:
            return {}
        tables = [table.name for table in RECORD_TABLES]
        streams = self._mapping(item["streams"], (*path, "streams"), tables)
        for table, stream in streams.items():
            if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
                self._wrong(
                    (*path, "streams", table), "invalid", "this is no stream's name.", "It begins with Custom-."
                )
        return {str(table): str(stream) for table, stream in streams.items()}

    def _rule(self, item: Any, path: Path, places: Sequence[str], taken: Collection[str]) -> Rule:
        item = self._mapping(item, path, _RULE_KEYS)
        name = self._name(item, path, taken)
        if ("also" in item) == ("instead" in item):
            fix = "Give also for a copy beside the default place, or instead to leave that out."
            self._wrong(path, "invalid", "a rule says also or instead, one of the two.", fix)
        kinds = self._texts(item, path, "kinds")
        for index, kind in enumerate(kinds):
            self._one(kind, (*path, "kinds", index), KINDS, "kind")
        return Rule(
            name,
            also=self._places(item, path, "also", places),
            instead=self._places(item, path, "instead", places),
            kinds=frozenset(kinds),
            subscriptions=self._ids(item, path, "subscriptions"),
            tenants=self._ids(item, path, "tenants"),
            groups=self._groups(item, path),
            tags=self._tags(item, path),
            owners=frozenset(each.lower() for each in self._texts(item, path, "owners")),
        )

    def _places(self, item: dict[str, Any], path: Path, key: str, known: Sequence[str]) -> tuple[str, ...]:
        named = self._texts(item, path, key)
        for index, name in enumerate(named):
            self._one(name, (*path, key, index), known, "place")
        return tuple(dict.fromkeys(named))

    def _tags(self, item: dict[str, Any], path: Path) -> Mapping[str, frozenset[str]]:
        if "subscriptionTags" not in item:
            return {}
        path, given = (*path, "subscriptionTags"), item["subscriptionTags"]
        if not isinstance(given, dict) or not given or not all(isinstance(name, str) and name for name in given):
            self._wrong(path, "invalid", "this must be a mapping of a tag's name to a list of its values.", "")
            return {}
        tags = {name.lower(): frozenset(self._texts(given, path, name)) for name in given}
        if len(tags) < len(given):
            self._wrong(path, "duplicate", "a tag is named twice: to Azure its name is the same in any casing.", "")
        return tags

    def _groups(self, item: dict[str, Any], path: Path) -> frozenset[str]:
        given = self._texts(item, path, "managementGroups")
        for index, each in enumerate(given):
            if not _GROUP.fullmatch(each):
                fix = "Write the id alone, such as payments, or <tenant>/payments; not its display name or path."
                self._wrong((*path, "managementGroups", index), "invalid", f"{each[:40]!r} is no group's id.", fix)
        return frozenset(each.lower() for each in given)

    def _ids(self, item: dict[str, Any], path: Path, key: str) -> frozenset[str]:
        given = self._texts(item, path, key)
        for index, each in enumerate(given):
            self._fits(each, (*path, key, index), setting_values.guid)
        return frozenset(each.lower() for each in given)

    def _name(self, item: dict[str, Any], path: Path, taken: Collection[str]) -> str:
        name = self._text(item, path, "name")
        if name and not _NAME.fullmatch(name):
            self._wrong((*path, "name"), "invalid", f"{name[:40]!r} is no name.", "Up to 40 of a-z, 0-9 and -.")
        elif name in taken:
            self._wrong((*path, "name"), "duplicate", f"{name!r} is taken.", "")
        return name

    def _parsed(
        self, item: dict[str, Any], path: Path, key: str, parse: Callable[[str], str], *, required: bool = False
    ) -> str:
        value = self._text(item, path, key, required=required)
        self._fits(value, (*path, key), parse)
        return value

    def _fits(self, value: str, path: Path, parse: Callable[[str], str]) -> None:
        try:
            parse(value)
        except ValueError as error:
            self._wrong(path, "invalid", f"this {error}.", "")

    def _texts(self, item: Mapping[str, Any], path: Path, key: str) -> list[str]:
        if key not in item:
            return []
        listed = item[key]
        if isinstance(listed, list) and 0 < len(listed) <= MAX_VALUES and all(isinstance(i, str) and i for i in listed):
            return listed
        self._wrong((*path, key), "invalid", f"'{key}' must be a list of one to {MAX_VALUES:,} texts.", "")
        return []

    def _one(self, given: str, path: Path, known: Sequence[str], what: str) -> None:
        if given not in known:
            self._wrong(path, f"unknown-{what}", f"{given[:40]!r} is no {what} here.", self._near(given, known))
