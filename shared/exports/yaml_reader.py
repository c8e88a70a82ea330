"""Read YAML as plain data, strictly: what is ambiguous or hostile in a hand-written file is refused, with its line.

Scalars follow YAML 1.2 (`off` and `2026-01-01` are text; only true and false are booleans).  Aliases, several
documents, repeated keys, keys that are no text, deep nesting, more than 1 MB and anything but UTF-8 are refused.
Events are read one by one and nothing here recurses, so no file can exhaust memory or the stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 40
Path = tuple[str | int, ...]

_INTEGER: Final = re.compile(r"[-+]?\d{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(\.\d+|\d+\.\d*|\d+(?=[eE]))([eE][-+]?\d{1,3})?")
_NULLS: Final = {"", "~", "null", "Null", "NULL"}
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Unreadable(ValueError):  # noqa: N818 - names the state of the text
    """The text can't be read; `code` and `line` (from 1; 0 unknown) say what and where, `fix` what to do."""

    def __init__(self, code: str, line: int, sentence: str, fix: str) -> None:
        super().__init__(sentence)
        self.code, self.line, self.sentence, self.fix = code, line, sentence, fix


@dataclass
class Document:
    """A file's content and the line (from 1) at which each path begins.

    `written` has the text of each unquoted number and boolean; `blank` the paths without a value; `odd` the lines
    with what YAML allows and a hand-written file should not hold, and the words for it.
    """

    content: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    blank: list[Path] = field(default_factory=list)
    odd: list[tuple[int, str, str]] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """The line of `path`, or of the nearest part of it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


@dataclass
class _Open:
    """A mapping or list that is being read."""

    container: dict[str, Any] | list[Any]
    path: Path
    key: str | None = None


def read(text: str | bytes) -> Document:
    """Read one YAML document.

    Raises:
        Unreadable: the text is too large, not UTF-8, not YAML, or uses what is refused.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    reading = _Reading()
    try:
        for event in yaml.parse(_decode(text), Loader=loader):
            reading.take(event)
    except yaml.YAMLError as error:
        raise _not_yaml(error, text) from error
    return reading.document


def _not_yaml(error: Any, text: str | bytes) -> Unreadable:
    """What the parser refused, at the line where it can be mended."""
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    line = mark.line + 1 if mark else 0
    problem = getattr(error, "problem", None) or "it holds a character that YAML does not allow"
    rows = _decode(text).splitlines()
    if mark is not None and "cannot start any token" in problem and "\t" in rows[line - 1][: mark.column + 1]:
        return Unreadable("not-yaml", line, "this is not YAML: a tab indents this line.", "Indent with spaces.")
    if opened is not None and "flow" in (getattr(error, "context", None) or ""):
        bracket = "}" if "mapping" in error.context else "]"
        sentence = f"this is not YAML: what is opened in this line is not closed before line {line} ({problem})."
        return Unreadable("not-yaml", opened.line + 1, sentence, f"Add the missing {bracket} or comma.")
    return Unreadable("not-yaml", line, f"this is not YAML: {problem}.", "")


def _decode(text: str | bytes) -> str:
    try:
        data = text if isinstance(text, bytes) else text.encode()
        if len(data) > MAX_BYTES:
            raise Unreadable(
                "too-large",
                0,
                f"the file has {len(data):,} bytes; at most {MAX_BYTES:,} are read.",
                "Split the export.",
            )
        return data.decode("utf-8-sig")
    except UnicodeError as error:
        raise Unreadable("not-utf8", 0, f"the file is not UTF-8 ({error.reason}).", "Save it as UTF-8.") from error  # type: ignore[attr-defined] # both its subclasses that can arise here have it


class _Reading:
    """Builds plain data from YAML events, one at a time."""

    def __init__(self) -> None:
        from yaml import events

        self._events: Any = events
        self.document = Document()
        self._open: list[_Open] = []
        self._documents = 0

    def take(self, event: Any) -> None:
        kind, events, line = type(event), self._events, event.start_mark.line + 1
        if kind is events.ScalarEvent:
            if event.anchor or event.tag:
                self._refuse_names(event, line)
            self._scalar(event, line)
        elif kind is events.MappingEndEvent or kind is events.SequenceEndEvent:
            self._open.pop()
        elif kind is events.MappingStartEvent or kind is events.SequenceStartEvent:
            if event.anchor or event.tag:
                self._refuse_names(event, line)
            self._begin({} if kind is events.MappingStartEvent else [], line)
        elif kind is events.AliasEvent:
            self._refuse_names(event, line)
        elif kind is events.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                raise Unreadable("several-documents", line, "the file holds several documents.", "One export a file.")

    def _refuse_names(self, event: Any, line: int) -> None:
        """Refuse an alias or an anchor; note an explicit tag, which changes nothing."""
        if event.anchor:
            raise Unreadable("alias", line, "aliases and anchors (* and &) are refused.", "Write the value out.")
        self.document.odd.append((line, f"the tag {event.tag!r} changes nothing here.", "Take the tag out."))

    def _scalar(self, event: Any, line: int) -> None:
        top = self._open[-1] if self._open else None
        if top is None or not isinstance(top.container, dict) or top.key is not None:
            if "\0" in event.value:
                self.document.odd.append((line, "the text holds a NUL character.", "Take it out."))
            value = _resolve(event.value) if event.implicit[0] else event.value
            path = self._put(value, line)
            if value is None:
                self.document.blank.append(path)
            elif not isinstance(value, str):
                self.document.written[path] = event.value
        elif event.value in top.container:
            raise Unreadable("repeated-key", line, f"the key {event.value!r} is given twice.", "Keep one of them.")
        else:
            top.key = event.value

    def _begin(self, container: dict[str, Any] | list[Any], line: int) -> None:
        if self._open and isinstance(self._open[-1].container, dict) and self._open[-1].key is None:
            raise Unreadable("key-is-no-text", line, "a mapping or list stands where a key belongs.", "")
        if len(self._open) >= MAX_DEPTH:
            raise Unreadable("too-deep", line, f"the file is nested more than {MAX_DEPTH} levels deep.", "")
        self._open.append(_Open(container, self._put(container, line)))

    def _put(self, value: Any, line: int) -> Path:
        if not self._open:
            self.document.content = value
            return ()
        top = self._open[-1]
        if isinstance(top.container, list):
            path: Path = (*top.path, len(top.container))
            top.container.append(value)
        else:
            key = top.key or ""
            path = (*top.path, key)
            top.container[key] = value
            top.key = None
        self.document.lines[path] = line
        return path


def _resolve(text: str) -> Any:
    """A plain scalar's value by the core schema of YAML 1.2, numbers in decimal only."""
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
