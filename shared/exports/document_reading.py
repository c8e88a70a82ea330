"""Reads small YAML files that people put beside the export files, and collects all that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.suggestions import suggest
from shared.exports.yaml_reader import Document, Path, Unreadable, read

T = TypeVar("T")


class DocumentReading:
    """Reads a document once and collects every diagnostic."""

    def __init__(self, document: Document, source: str) -> None:
        self._document = document
        self._source = source
        self.findings: list[Diagnostic] = []

    def _mapping(self, value: Any, path: Path, keys: Sequence[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self._wrong(path, "invalid", f"this must be a mapping of {', '.join(keys)}.", "")
            return {}
        for key in value:
            if key not in keys:
                self._wrong((*path, key), "unknown-key", f"{key!r} is not a key here.", nearest(str(key), keys))
        return value

    def _text(self, item: Mapping[str, Any], path: Path, key: str, *, required: bool = True) -> str:
        value = item.get(key, "")
        if not isinstance(value, str) or (required and not value):
            self._wrong((*path, key), "missing-key" if key not in item else "invalid", f"'{key}' must be text.", "")
            return ""
        return value

    def _wrong(self, path: Path, code: str, sentence: str, fix: str) -> None:
        where = f"{self._source}:{self._document.line_of(path)}: {'.'.join(map(str, path))}"
        self.findings.append(Diagnostic(code, "error", where, sentence, fix))


def nearest(given: str, known: Sequence[str]) -> str:
    """What was probably meant, else all there is."""
    return suggest(given, known) or f"One of {', '.join(known)}."


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
