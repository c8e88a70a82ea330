"""Mutes and maintenance windows: `mutes.yaml`, one file beside the export files (docs/mutes.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.clock import utc_moment
from shared.exports.diagnostics import Diagnostic
from shared.exports.document_reading import DocumentReading, read_document
from shared.exports.management_groups import GroupNames
from shared.exports.yaml_reader import Document, Path
from shared.muting.mutes import Mute, Weekly

_KEYS: Final = ("version", "mutes")
_WHAT: Final = ("subscription", "managementGroup", "export", "destination")
_MUTE_KEYS: Final = ("name", *_WHAT, "owner", "reason", "from", "until", "weekly")
_WEEKLY_KEYS: Final = ("day", "start", "duration")
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_DURATION: Final = re.compile(r"([1-9][0-9]{0,3})(h|m)")
_NEVER: Final = datetime.min.replace(tzinfo=UTC)
"""Of a time that is wrong, and so has a finding: the mute is never used."""
MAX_MUTES: Final = 200
MAX_TEXT: Final = 500
MAX_DAYS, MAX_WEEKLY_DAYS = 92, 366
MAX_WINDOW: Final = timedelta(hours=72)


@dataclass(frozen=True)
class Known:
    """What there is, in lower case; None where it is not known."""

    exports: frozenset[str] | None = None
    subscriptions: frozenset[str] | None = None
    management_groups: GroupNames | None = None
    destinations: frozenset[str] | None = None


def read_mutes(text: str | bytes, source: str = "<text>") -> tuple[Mute, ...]:
    """The mutes in a file, in its order.

    Raises:
        shared.exports.diagnostics.InvalidExport: the file is wrong; its findings say where and what would be right.
    """

    def interpret(document: Document) -> tuple[tuple[Mute, ...], list[Diagnostic]]:
        reading = _Reading(document, source)
        return tuple(reading.mutes()), reading.findings

    return read_document(text, source, interpret)


def warnings(mutes: Sequence[Mute], known: Known, now: datetime) -> list[str]:
    """A sentence for each mute that mutes nothing: what it names is not there, or it is over."""
    said = []
    for mute in mutes:
        if mute.until <= now:
            said.append(f"{mute.name}: it is over, and can go.")
        for sentence, name, there in (
            ("there is no export {}", mute.export, known.exports),
            ("there is no subscription {}", mute.subscription, known.subscriptions),
            ("no subscription is below a management group {}", mute.management_group, known.management_groups),
            ("no export sends to {}", mute.destination, known.destinations),
        ):
            if name and there is not None and name not in there:
                said.append(f"{mute.name}: {sentence.format(name[:200])}.")
        if known.management_groups and (several := known.management_groups.several(mute.management_group)):
            said.append(f"{mute.name}: {several}.")
    return said


class _Reading(DocumentReading):
    """Reads mutes."""

    def mutes(self) -> Iterator[Mute]:
        content = self._mapping(self._document.content, (), _KEYS)
        if content.get("version") != 1:
            self._wrong(("version",), "invalid", "the version must be 1.", "Write version: 1.")
        listed = content.get("mutes")
        if not isinstance(listed, list) or len(listed) > MAX_MUTES:
            code = "invalid" if "mutes" in content else "missing-key"
            sentence = f"'mutes' must be a list of at most {MAX_MUTES}."
            self._wrong(("mutes",), code, sentence, "Write mutes: [] for none.")
            return
        taken: set[str] = set()
        for index, item in enumerate(listed):
            mute = self._mute(item, ("mutes", index))
            if mute.name in taken:
                self._wrong(("mutes", index, "name"), "duplicate", f"{mute.name!r} is taken.", "")
            taken.add(mute.name)
            yield mute

    def _mute(self, item: Any, path: Path) -> Mute:
        item = self._mapping(item, path, _MUTE_KEYS)
        name = self._text(item, path, "name")
        if name and not _NAME.fullmatch(name):
            self._wrong((*path, "name"), "invalid", f"{name[:60]!r} is no name.", "Up to 60 of a-z, 0-9 and -.")
        what = {key: self._what(item, path, key) for key in _WHAT}
        if not any(key in item for key in _WHAT):
            self._wrong(path, "missing-key", "it mutes nothing.", f"Name one of {', '.join(_WHAT)}.")
        weekly = self._weekly(item["weekly"], (*path, "weekly")) if "weekly" in item else None
        start, until = self._moment(item, path, "from"), self._moment(item, path, "until")
        if start and until:
            self._check_length(start, until, (*path, "until"), weekly="weekly" in item)
        return Mute(
            name,
            self._short(item, path, "owner"),
            self._short(item, path, "reason"),
            start or _NEVER,
            until or _NEVER,
            what["subscription"],
            what["managementGroup"],
            what["export"],
            what["destination"].strip("/"),
            weekly,
        )

    def _short(self, item: Mapping[str, Any], path: Path, key: str) -> str:
        text = self._text(item, path, key)
        if len(text) > MAX_TEXT or not (text.isprintable()):
            fix = f"Up to {MAX_TEXT} characters on one line."
            self._wrong((*path, key), "invalid", f"'{key}' is too long or holds what is not shown.", fix)
        return text.strip()

    def _what(self, item: Mapping[str, Any], path: Path, key: str) -> str:
        if key not in item:
            return ""
        text = self._short(item, path, key)
        whole = bool(_GUID.fullmatch(text))
        if key == "subscription" and text and not whole:
            self._wrong((*path, key), "invalid", f"{text[:60]!r} is no subscription's id.", "Write its GUID.")
        if key == "destination" and text and not whole and not text.lower().startswith("/subscriptions/"):
            fix = "Write the resource id of a hub or workspace, or the GUID in WORKSPACE_ID for the app's own tables."
            self._wrong((*path, key), "invalid", f"{text[:60]!r} is no destination's id.", fix)
        return text.lower()

    def _moment(self, item: Mapping[str, Any], path: Path, key: str) -> datetime | None:
        text = self._text(item, path, key)
        if not text:
            return None
        try:
            if _MOMENT.fullmatch(text):
                return utc_moment(text)
        except ValueError:
            pass
        self._wrong((*path, key), "invalid", f"{text[:60]!r} is no time.", "Write it in UTC, as 2026-12-01T06:00Z.")
        return None

    def _check_length(self, start: datetime, until: datetime, path: Path, *, weekly: bool) -> None:
        most = MAX_WEEKLY_DAYS if weekly else MAX_DAYS
        if until <= start:
            self._wrong(path, "invalid", "it ends before it begins.", "")
        elif until - start > timedelta(days=most):
            kind = "weekly windows" if weekly else "a mute"
            fix = "Let it end earlier, and put it anew with a later 'from' where it is still needed."
            self._wrong(path, "too-long", f"{kind} may last {most} days.", fix)

    def _weekly(self, item: Any, path: Path) -> Weekly | None:
        item = self._mapping(item, path, _WEEKLY_KEYS)
        day, start, duration = (self._text(item, path, key) for key in _WEEKLY_KEYS)
        if day and day not in _DAYS:
            self._wrong((*path, "day"), "invalid", f"{day[:20]!r} is no day.", self._near(day, _DAYS))
        at = _TIME.fullmatch(start)
        if start and not at:
            self._wrong((*path, "start"), "invalid", f"{start[:20]!r} is no time.", 'Write it in UTC, as "22:00".')
        length = _DURATION.fullmatch(duration)
        lasts = timedelta(**{"hours" if length[2] == "h" else "minutes": int(length[1])}) if length else timedelta()
        if duration and not timedelta() < lasts <= MAX_WINDOW:
            fix = "Write hours or minutes, as 4h or 90m; up to 72h."
            self._wrong((*path, "duration"), "invalid", f"{duration[:20]!r} is no duration of a window.", fix)
        if day not in _DAYS or not at or not lasts:
            return None
        return Weekly(_DAYS.index(day), timedelta(hours=int(at[1]), minutes=int(at[2])), lasts)
