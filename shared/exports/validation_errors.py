"""Put pydantic's errors into words for people who write export files: what is wrong, and what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

from shared.exports.diagnostics import MAX_FINDINGS, Diagnostic, more_findings
from shared.exports.suggestions import suggest

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from shared.exports.yaml_reader import Document, Path

BLANK_FIX = "Give it a value, or take the key out."
_ADD = {"version": "Begin with `version: 1`."}
_EXPECTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}


def word_errors(error: ValidationError, model: type[BaseModel], document: Document, source: str) -> list[Diagnostic]:
    """One finding for each of the first errors, with the file, line and path of its place, and a count of the rest."""
    details = error.errors(include_url=False)
    placed = [(tuple(_path(document.content, one["loc"])), one) for one in details[:MAX_FINDINGS]]
    inner = {path[:length] for path, _ in placed for length in range(len(path))}
    findings = []
    for path, one in placed:
        # A list whose only item is wrong is also reported as too short.
        if one["type"] == "too_short" and path in inner:
            continue
        code, sentence, fix = _say(one, model, path, document.written.get(path, ""))
        where = f"{source}:{document.line_of(path)}: {dotted(path)}" if path else f"{source}:1"
        findings.append(Diagnostic(code, "error", where, sentence, fix))
    if len(details) > MAX_FINDINGS:
        findings.append(more_findings(len(details) - MAX_FINDINGS, "error", source))
    return findings


def dotted(path: Path) -> str:
    """A path as one writes it: `export.alerts.severities[0]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _path(content: Any, location: Path) -> Iterator[str | int]:
    """The part of pydantic's location that is in the file: it also names the members of unions."""
    last = len(location) - 1
    for position, step in enumerate(location):
        if isinstance(content, dict) and (step in content or position == last):
            yield step
            content = content.get(step)
        elif isinstance(content, list) and isinstance(step, int) and step < len(content):
            yield step
            content = content[step]


def _say(details: ErrorDetails, model: type[BaseModel], path: Path, written: str) -> tuple[str, str, str]:
    """The code, sentence and fix for one error."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    key = str(path[-1]) if path else ""
    code, sentence, fix = "wrong-value", f"{details['msg']}.", ""
    if kind == "extra_forbidden":
        known = _keys(model, path[:-1])
        code, sentence = "unknown-key", f"{key!r} is not a key here."
        fix = suggest(key, known) or _elsewhere(key, model) or f"Known: {', '.join(known)}."
    elif value is None and kind != "value_error":
        code, sentence, fix = "blank-key", f"{key!r} is blank.", BLANK_FIX
    elif kind == "missing":
        code, sentence, fix = "missing-key", f"{key!r} is missing.", _ADD.get(key, "")
    elif kind == "literal_error":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", ")
        sentence = f"{_show(value)} is not {'one of ' if len(allowed) > 1 else ''}{', '.join(allowed)}."
        fix = suggest(str(value), allowed) or (f"Write {allowed[0]}." if len(allowed) == 1 else "")
    elif kind == "value_error":
        sentence, fix = f"{context['error']}.", _right(value, path)
    elif kind == "too_short":
        sentence, fix = "the list is empty.", "List something, or take the key out to mean all."
    elif kind in _EXPECTED:
        code, sentence, fix = (
            "wrong-type",
            f"{_show(value)} is not {_EXPECTED[kind]}.",
            _quote_or_list(kind, value, written),
        )
    return code, sentence, fix


def _right(value: Any, path: Path) -> str:
    """What a name or an id that breaks its pattern was probably meant to be."""
    if not isinstance(value, str):
        return ""
    if path == ("name",) and (name := re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[:63].strip("-")):
        return f"Write {name}."
    if path[-1:] == ("resourceId",) and re.search(r"(?i)/Microsoft\.EventHub/namespaces/[^/]+/?$", value):
        return "This is its namespace: append /eventhubs/<hub>."
    if "subscriptions" in path:
        return "Give the subscription's id, not its name: `az account list` shows both."
    return ""


def _elsewhere(key: str, model: type[BaseModel]) -> str:
    """Where a key that does not belong here does belong; empty when it is known nowhere or in several places."""
    places = sorted({place for name, place in _places(model, "") if name == key})
    return f"It belongs under {places[0]}." if len(places) == 1 else ""


@lru_cache(maxsize=4)
def _places(model: type[BaseModel], above: str) -> tuple[tuple[str, str], ...]:
    """Every key of the model with the dotted path of what holds it."""
    found = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        if above:
            found.append((key, above))
        for inner in _models(field.annotation):
            found += _places(inner, f"{above}.{key}".removeprefix("."))
    return tuple(found)


def _quote_or_list(kind: str, value: Any, written: str) -> str:
    if kind == "string_type" and isinstance(value, (bool, int, float)):
        return f'Put it in quotes: "{written or (str(value).lower() if isinstance(value, bool) else value)}".'
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return "Write keys with values below it."
    return f"Write [{value}]." if kind == "tuple_type" and isinstance(value, str) else ""


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value) if len(str(value)) <= 80 else f"{str(value)[:80]!r}..."  # noqa: PLR2004 - one line of a terminal


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys that the part of the model at `path` knows."""
    for step in path:
        if isinstance(step, str):
            inner = next((f.annotation for f in model.model_fields.values() if f.alias == step), None)
            model = next(_models(inner), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
