"""Reads small YAML files that people put beside the export files, and collects all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from shared.exports.diagnostics import MAX_FINDINGS, Diagnostic, InvalidExport, more_findings
from shared.exports.suggestions import suggest
from shared.exports.yaml_reader import Document, Path, Unreadable, read

T = TypeVar("T")
_SHOWN: Final = 1_000


class DocumentReading:
    """Reads a document once and collects diagnostics: the first hundred, and how many are left."""

    def __init__(self, document: Document, source: str) -> None:
        self._document = document
        self._source = source
        self._found: list[Diagnostic] = []
        self._left = 0

    @property
    def findings(self) -> list[Diagnostic]:
        """What is wrong; where that is too much to show, the last one says how much more there is."""
        return [*self._found, more_findings(self._left, "error", self._source)] if self._left else self._found

    def _mapping(self, value: Any, path: Path, keys: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._wrong(path, "invalid", f"this must be a mapping of {', '.join(keys)}.", "")
            return {}
        for key in value:
            if key not in keys:
                self._wrong((*path, key), "unknown-key", f"{key!r} is not a key here.", self._near(str(key), keys))
        return value

    def _text(self, item: Mapping[str, Any], path: Path, key: str, *, required: bool = True) -> str:
        value = item.get(key, "")
        if not isinstance(value, str) or (required and not value):
            self._wrong((*path, key), "missing-key" if key not in item else "invalid", f"'{key}' must be text.", "")
            return ""
        return value

    def _near(self, value: str, known: Sequence[str], otherwise: str = "One of {}.") -> str:
        """The nearest name, or all; of findings that are not shown, nothing: looking for it takes time."""
        if len(self._found) >= MAX_FINDINGS:
            return ""
        return suggest(value, known) or otherwise.format(", ".join(known))

    def _wrong(self, path: Path, code: str, sentence: str, fix: str) -> None:
        if len(self._found) >= MAX_FINDINGS:
            self._left += 1
            return
        where = f"{self._source}:{self._document.line_of(path)}: {'.'.join(map(str, path))}"
        self._found.append(Diagnostic(code, "error", where, _cut(sentence), _cut(fix)))


def _cut(text: str) -> str:
    """A line of a terminal or two: a name may be as long as the file."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def read_document(text: str | bytes, source: str, interpret: Callable[[Document], tuple[T, Sequence[Diagnostic]]]) -> T:
    """What `interpret` makes of a YAML file.

    Raises:
        InvalidExport: the file is wrong; its findings say where and what would be right.
    """
    try:
        document = read(text)
    except Unreadable as error:
        place = f"{source}:{error.line}" if error.line else source
        raise InvalidExport([Diagnostic(error.code, "error", place, error.sentence, error.fix)]) from error
    found, findings = interpret(document)
    if findings:
        raise InvalidExport(findings)
    return found
