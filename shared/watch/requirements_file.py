"""Requirements of one's own: a small YAML file that says what every subscription must export (docs/watch.md).

An exception lets subscriptions miss a requirement until the end of a day, and names who answers for that, and why.
A requirement has a `name`, a `kind` (an event source), and, if wanted, a `description`, `records` (each must be
exported whatever else it holds; none: every record) and a `destination` (part of a destination's resource id).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.exports.diagnostics import Diagnostic
from shared.exports.document_reading import DocumentReading, read_document
from shared.exports.event_sources import EVENT_SOURCES, Kind, kind_of_source
from shared.exports.yaml_reader import Document, Path
from shared.watch.cis_benchmark import CIS
from shared.watch.requirement_checks import GrantedException, Requirement

_KEYS = ("version", "requirements", "exceptions")
_REQUIREMENT_KEYS = ("name", "description", "kind", "records", "destination")
_EXCEPTION_KEYS = ("requirement", "subscriptions", "managementGroups", "owner", "reason", "until")
_SCALARS = (str, int, float, bool)
MOST = {"requirements": 100, "exceptions": 2_000, "records": 100}
"""Each subscription is judged by each of them, and a report has a row for each."""


@dataclass(frozen=True)
class Required:
    """What every subscription must meet, in the file's order, and what is excepted from it."""

    requirements: tuple[Requirement, ...] = ()
    exceptions: tuple[GrantedException, ...] = ()


def read_requirements(text: str | bytes, source: str = "<text>") -> Required:
    """What a file requires and excepts.

    Raises:
        InvalidExport: the file is wrong; its findings say where and what would be right.
    """

    def interpret(document: Document) -> tuple[Required, list[Diagnostic]]:
        reading = _Reading(document, source)
        return reading.required(), reading.findings

    return read_document(text, source, interpret)


class _Reading(DocumentReading):
    """Reads requirements and exceptions."""

    def required(self) -> Required:
        content = self._mapping(self._document.content, (), _KEYS)
        if content.get("version") != 1:
            self._wrong(("version",), "invalid", "the version must be 1.", "Write version: 1.")
        excepted = self._list(content, "exceptions", needed=False)
        requirements = tuple(self._requirements(self._list(content, "requirements", needed=not excepted)))
        names = [CIS.name, *(each.name for each in requirements)]
        found = (self._exception(item, ("exceptions", index), names) for index, item in enumerate(excepted))
        return Required(requirements, tuple(each for each in found if each))

    def _list(self, content: Mapping[str, Any], key: str, *, needed: bool) -> list[Any]:
        listed = content.get(key)
        if isinstance(listed, list) and len(listed) > MOST[key]:
            self._wrong((key,), "too-many", f"there are {len(listed):,} {key}; at most {MOST[key]:,} are read.", "")
            return []
        if isinstance(listed, list) and listed:
            return listed
        if needed or key in content:
            self._wrong((key,), "missing-key", f"'{key}' must be a list of at least one.", "")
        return []

    def _exception(self, item: Any, path: Path, names: Sequence[str]) -> GrantedException | None:
        item = self._mapping(item, path, _EXCEPTION_KEYS)
        requirement, owner, reason, until = (
            self._text(item, path, key) for key in ("requirement", "owner", "reason", "until")
        )
        if requirement and requirement not in names:
            fix = self._near(requirement, names)
            self._wrong((*path, "requirement"), "unknown-requirement", f"there is no requirement {requirement!r}.", fix)
        subscriptions, groups = self._ids(item, path, "subscriptions"), self._ids(item, path, "managementGroups")
        if not subscriptions and not groups:
            self._wrong(path, "missing-key", "it is for no subscription.", "Name subscriptions or managementGroups.")
        day = self._day(until, (*path, "until")) if until else None
        return GrantedException(requirement, owner, reason, day, subscriptions, groups) if day else None

    def _ids(self, item: Mapping[str, Any], path: Path, key: str) -> tuple[str, ...]:
        listed = item.get(key, [])
        if not isinstance(listed, list) or not all(isinstance(each, str) and each for each in listed):
            self._wrong((*path, key), "invalid", f"'{key}' must be a list of ids.", "")
            return ()
        return tuple(each.lower() for each in listed)

    def _day(self, text: str, path: Path) -> date | None:
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
                return date.fromisoformat(text)
        except ValueError:
            pass
        self._wrong(path, "invalid", f"{text!r} is no day.", "Write the last day on which it holds as YYYY-MM-DD.")
        return None

    def _requirements(self, listed: Collection[Any]) -> Iterator[Requirement]:
        names = {CIS.name}
        for index, item in enumerate(listed):
            requirement = self._requirement(item, ("requirements", index))
            if requirement and requirement.name in names:
                self._wrong(("requirements", index, "name"), "duplicate", f"{requirement.name!r} is taken.", "")
            elif requirement:
                names.add(requirement.name)
                yield requirement

    def _requirement(self, item: Any, path: Path) -> Requirement | None:
        item = self._mapping(item, path, _REQUIREMENT_KEYS)
        name, kind = self._text(item, path, "name"), self._text(item, path, "kind")
        description = self._text(item, path, "description", required=False)
        destination = self._text(item, path, "destination", required=False)
        known = kind_of_source(kind)
        if kind and known is None:
            fix = self._near(kind, tuple(EVENT_SOURCES))
            self._wrong((*path, "kind"), "unknown-event-source", f"{kind!r} is not an event source.", fix)
        if known is None or not name:
            return None
        records = item.get("records", [{}])
        if not isinstance(records, list) or not 0 < len(records) <= MOST["records"]:
            sentence = f"'records' must be a list of at least one record, and at most {MOST['records']}."
            self._wrong((*path, "records"), "invalid", sentence, "")
            return None
        samples = tuple(self._sample(record, (*path, "records", i), known) for i, record in enumerate(records))
        return Requirement(name, kind, samples, destination, description)

    def _sample(self, record: Any, path: Path, kind: Kind) -> Mapping[str, Any]:
        """A record from values by path, `properties.metadata.severity: High`, or nested as records are."""
        sample: dict[str, Any] = {}
        for dotted, value in _flat(record) if isinstance(record, dict) else ((None, record),):
            if dotted is None or not isinstance(value, _SCALARS):
                self._wrong(path, "invalid", "a record must be a mapping of paths to plain values.", "")
                continue
            field = kind.field(dotted)
            if field is None:
                known = [each.path for each in kind.fields.values()]
                fix = self._near(dotted, known, otherwise="")
                self._wrong(path, "unknown-path", f"{kind.noun} have no {dotted!r}.", fix)
            elif field.values and str(value).lower() not in {each.lower() for each in field.values}:
                allowed = ", ".join(field.values)
                self._wrong(path, "unknown-value", f"{field.path} is never {value!r}.", f"One of {allowed}.")
            _place(sample, dotted, value)
        return sample


def _flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _place(sample: dict[str, Any], dotted: str, value: Any) -> None:
    *above, last = dotted.split(".")
    for key in above:
        inner = sample.get(key)
        if not isinstance(inner, dict):
            inner = sample[key] = {}
        sample = inner
    sample[last] = value
