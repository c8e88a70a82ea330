"""Checks that were added after files had been accepted: errors when a file is put or validated.

The model still reads such files, so that a version which an earlier release accepted stays in force until it is
edited.  None of these can be waived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic.alias_generators import to_camel

from shared.exports.diagnostics import Diagnostic
from shared.exports.validation_errors import BLANK_FIX, dotted

if TYPE_CHECKING:
    from shared.exports.yaml_reader import Document, Path

_NAMED_PARTS: Final = ("scope", "automation", "destination")
_EMPTY_IS_ALL: Final = ("ruleSets", "rules")
_RESERVED_PREFIXES: Final = ("microsoft", "azure", "windows")


def check_tightened(document: Document, source: str) -> list[Diagnostic]:
    """Errors for blank keys, empty lists, keys in another spelling, dot segments, refused tags, and odd YAML."""
    found = [Diagnostic("odd-yaml", "error", f"{source}:{line}", sentence, fix) for line, sentence, fix in document.odd]

    def wrong(code: str, path: Path, sentence: str, fix: str) -> None:
        where = f"{source}:{document.line_of(path)}: {dotted(path)}"
        found.append(Diagnostic(code, "error", where, sentence, fix))

    for path in document.blank:
        if not _in_record(path):
            wrong("blank-key", path, f"{str(path[-1])!r} is blank.", BLANK_FIX)
    for path, value in _walk(document.content):
        key = path[-1]
        if isinstance(key, str) and "_" in key and not _free(path):
            wrong("unknown-key", path, f"{key!r} is not a key here.", f"Did you mean {to_camel(key)}?")
        if isinstance(value, str) and path[0] in _NAMED_PARTS and not _free(path) and _has_dot_segment(value):
            wrong("dot-segment", path, f"{value!r} has a part that is only dots.", "Write the name itself.")
        if value in ([], {}) and _means_all(path):
            wrong("empty-list", path, f"{dotted(path)} is empty.", "List something, or take the key out.")
        if isinstance(value, Mapping) and key == "tags":
            for name, sentence in _tag_problems(value, reserved=path[0] == "automation"):
                wrong("bad-tag", (*path, name), sentence, "Rename it, or take it out.")
    return found


def _in_record(path: Path) -> bool:
    """Whether a path is inside a test's record, which may hold anything."""
    return path[:1] == ("tests",) and len(path) > 3 and path[2] == "record"  # noqa: PLR2004 - tests, index, record, ...


def _free(path: Path) -> bool:
    """Whether the last key is one that the author chooses: inside a record or among tags."""
    return _in_record(path) or "tags" in path[:-1]


def _means_all(path: Path) -> bool:
    """Whether something empty there would mean all; the model refuses the other lists that do."""
    if path[0] == "scope":
        return not _free(path)
    return path[:2] == ("export", "custom") and path[-1] in _EMPTY_IS_ALL


def _has_dot_segment(value: str) -> bool:
    return any(part in {".", ".."} for part in value.split("/"))


def _walk(content: Any) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, from the top down, without recursion."""
    open_: list[tuple[Path, Any]] = [((), content)]
    while open_:
        path, value = open_.pop()
        if path:
            yield path, value
        if _in_record((*path, "")):
            continue
        if isinstance(value, dict):
            open_ += [((*path, key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list):
            open_ += [((*path, index), inner) for index, inner in reversed(list(enumerate(value)))]


def _tag_problems(tags: Mapping[str, Any], *, reserved: bool) -> Iterator[tuple[str, str]]:
    """Tags that Azure Resource Manager refuses: names that differ in case only, and reserved prefixes."""
    seen: dict[str, str] = {}
    for name in tags:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield name, f"the tag {name!r} is given twice, as {first!r} too: names of tags ignore case."
        if reserved and name.lower().startswith(_RESERVED_PREFIXES):
            yield name, f"names of tags that begin with {', '.join(_RESERVED_PREFIXES)} are reserved by Azure."
        if any(not char.isprintable() for char in name):
            yield name, f"the tag {name!r} holds a control character."
