"""Who is informed of what: `notify.yaml`, one file beside the export files (docs/notify.md).

It names receivers and rules.  A receiver's address is a secret and stands in the app setting `NOTIFY_RECEIVERS`, by the
same name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.exports.diagnostics import Diagnostic
from shared.exports.document_reading import DocumentReading, read_document
from shared.exports.yaml_reader import Document, Path
from shared.notify.events import KINDS, SEVERITIES, Event

TEAMS, SLACK, WEBHOOK, MAIL = CHANNELS = ("teams", "slack", "webhook", "mail")
AT_ONCE, DAILY = TIMES = ("at-once", "daily")
_KEYS: Final = ("version", "digestAt", "receivers", "rules")
_RECEIVER_KEYS: Final = ("name", "channel")
_RULE_KEYS: Final = ("send", "when", "events", "severity", "managementGroups", "owners")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ADDRESS_LIKE: Final = ("://", "@")
MAX_RECEIVERS, MAX_RULES = 50, 200


@dataclass(frozen=True)
class Receiver:
    """Who is told, by name, and in which form."""

    name: str
    channel: str

    @property
    def secret(self) -> bool:
        """Whether it has an address; mail goes through the action group of an alert rule."""
        return self.channel != MAIL


@dataclass(frozen=True)
class Rule:
    """Whom to tell of which events; what is empty narrows nothing.  Groups and owners are in lower case."""

    send: tuple[str, ...]
    when: str = AT_ONCE
    events: tuple[str, ...] = ()
    severity: str = SEVERITIES[0]
    groups: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()

    def meets(self, event: Event, *, placed: bool = True) -> bool:
        """Whether it is for this event.

        Where a subscription's groups and owner could not be read (not `placed`), no rule is narrowed by them.
        """
        if self.events and event.kind not in self.events:
            return False
        if SEVERITIES.index(event.severity) < SEVERITIES.index(self.severity):
            return False
        if not placed:
            return True
        if self.groups and set(self.groups).isdisjoint(event.groups):
            return False
        return not self.owners or event.owner.lower() in self.owners


@dataclass(frozen=True)
class Rules:
    """What the file says."""

    receivers: tuple[Receiver, ...] = ()
    rules: tuple[Rule, ...] = ()
    digest_at: str = "07:00"

    @property
    def by_place(self) -> bool:
        """Whether any rule asks where a subscription lies or whose it is."""
        return any(rule.groups or rule.owners for rule in self.rules)

    def told(self, event: Event, when: str, *, placed: bool = True) -> tuple[str, ...]:
        """Names of the receivers that are informed of an event, each once and in the file's order."""
        chosen = {
            name for rule in self.rules if rule.when == when and rule.meets(event, placed=placed) for name in rule.send
        }
        return tuple(each.name for each in self.receivers if each.name in chosen)


def read_rules(text: str | bytes, source: str = "<text>") -> Rules:
    """The rules in a file.

    Raises:
        shared.exports.diagnostics.InvalidExport: the file is wrong; its findings say where and what would be right.
    """

    def interpret(document: Document) -> tuple[Rules, list[Diagnostic]]:
        reading = _Reading(document, source)
        return reading.rules(), reading.findings

    return read_document(text, source, interpret)


class _Reading(DocumentReading):
    """Reads receivers and rules."""

    def rules(self) -> Rules:
        content = self._mapping(self._document.content, (), _KEYS)
        if content.get("version") != 1:
            self._wrong(("version",), "invalid", "the version must be 1.", "Write version: 1.")
        at = content.get("digestAt", Rules.digest_at)
        if not isinstance(at, str) or not _TIME.fullmatch(at):
            self._wrong(("digestAt",), "invalid", "the time of digests is none.", 'Write it in UTC, as "07:00".')
            at = Rules.digest_at
        receivers: list[Receiver] = []
        for index, item in enumerate(self._list(content, "receivers", MAX_RECEIVERS)):
            receivers += self._receiver(item, ("receivers", index), {each.name for each in receivers})
        names = [each.name for each in receivers]
        rules = [
            self._rule(item, ("rules", index), names)
            for index, item in enumerate(self._list(content, "rules", MAX_RULES))
        ]
        return Rules(tuple(receivers), tuple(rules), at)

    def _list(self, content: dict[str, Any], key: str, most: int) -> list[Any]:
        listed = content.get(key)
        if isinstance(listed, list) and 0 < len(listed) <= most:
            return listed
        self._wrong((key,), "missing-key", f"'{key}' must be a list of one to {most}.", "")
        return []

    def _receiver(self, item: Any, path: Path, taken: Collection[str]) -> list[Receiver]:
        item = self._mapping(item, path, _RECEIVER_KEYS)
        name, channel = self._text(item, path, "name"), self._text(item, path, "channel")
        if any(part in name for part in _ADDRESS_LIKE):
            fix = "Write its address into the app setting NOTIFY_RECEIVERS, under a name, and that name here."
            self._wrong((*path, "name"), "address-in-file", "an address stands where a name belongs.", fix)
        elif name and not _NAME.fullmatch(name):
            fix = "Up to 40 of a-z, 0-9 and -."
            self._wrong((*path, "name"), "invalid", f"{name[:40]!r} is no name of a receiver.", fix)
        elif name in taken:
            self._wrong((*path, "name"), "duplicate", f"{name!r} is taken.", "")
        channel = self._one(channel, (*path, "channel"), CHANNELS, "channel")
        return [Receiver(name, channel)] if _NAME.fullmatch(name) and channel else []

    def _rule(self, item: Any, path: Path, receivers: Sequence[str]) -> Rule:
        item = self._mapping(item, path, _RULE_KEYS)
        when = self._text(item, path, "when", required=False) or AT_ONCE
        severity = self._text(item, path, "severity", required=False) or SEVERITIES[0]
        events = self._texts(item, path, "events")
        send = self._texts(item, path, "send", required=True)
        return Rule(
            tuple(self._one(name, (*path, "send", i), receivers, "receiver") for i, name in enumerate(send)),
            self._one(when, (*path, "when"), TIMES, "time"),
            tuple(self._one(name, (*path, "events", i), list(KINDS), "kind of event") for i, name in enumerate(events)),
            self._one(severity, (*path, "severity"), SEVERITIES, "severity") or SEVERITIES[0],
            tuple(each.lower() for each in self._texts(item, path, "managementGroups")),
            tuple(each.lower() for each in self._texts(item, path, "owners")),
        )

    def _texts(self, item: dict[str, Any], path: Path, key: str, *, required: bool = False) -> list[str]:
        if key not in item and not required:
            return []
        listed = item.get(key)
        if isinstance(listed, list) and listed and all(isinstance(each, str) and each for each in listed):
            return listed
        code = "missing-key" if key not in item else "invalid"
        self._wrong((*path, key), code, f"'{key}' must be a list of texts.", "")
        return []

    def _one(self, given: str, path: Path, known: Sequence[str], what: str) -> str:
        """The text where it is one of those; empty, with a finding, where it is not."""
        if not given or given in known:
            return given
        shown = "the text" if any(part in given for part in _ADDRESS_LIKE) else repr(given[:40])
        self._wrong(path, f"unknown-{what.replace(' ', '-')}", f"{shown} is no {what} here.", self._near(given, known))
        return ""
