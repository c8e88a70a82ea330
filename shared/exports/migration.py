"""Bring an export file from grouped to individual recommendations, changing nothing else in its text.

Retired ids with one successor become that id or an entry of `categories`; the severities of `findings` go with them,
since a finding is a recommendation now.  What has no single successor stays as it is, with a remark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from shared.exports.file_tests import run_tests
from shared.exports.known_values import RECOMMENDATION_SEVERITIES
from shared.exports.model import ExportConfig, parse_document, read_document
from shared.exports.retired_recommendations import RETIRED, RetiredRecommendation, Successor
from shared.exports.yaml_writer import write

_SEVERITY_KEYS: Final = ("minimumSeverity", "severities")
_LOWEST: Final = RECOMMENDATION_SEVERITIES[-1]
_ORDER: Final = (
    "frequency", *_SEVERITY_KEYS, "ids", "categories", "resourceTypes", "clouds", "findings"
)  # fmt: skip


@dataclass(frozen=True)
class Migrated:
    """A file in the new model: its text, and what its author has to look at."""

    text: str
    remarks: tuple[str, ...] = ()


@dataclass
class _Section:
    """A `recommendations` section on its way, with the words for its lines and for people."""

    content: dict[str, Any]
    comments: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


def migrate(text: str | bytes, source: str = "<text>") -> Migrated:
    """The file in the model of individual recommendations; the same text when there is nothing to change.

    Raises:
        InvalidExport: the file can't be read.
    """
    document = read_document(text, source)
    before = parse_document(document, source)
    written = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    section = (document.content.get("export") or {}).get("recommendations")
    remarks = list(_custom_remarks(before))
    if not isinstance(section, dict):
        return Migrated(written, tuple(remarks))
    moved = _move(section)
    remarks = [*moved.remarks, *remarks]
    if moved.content == section:
        return Migrated(written, tuple(remarks))
    result = _replace(written, moved)
    after = parse_document(read_document(result, source), source)
    return Migrated(result, (*remarks, *_test_remarks(before, after)))


def _move(section: Mapping[str, Any]) -> _Section:
    new = _Section({key: value for key, value in section.items() if key not in {"ids", "categories", "findings"}})
    severity = {key: section[key] for key in _SEVERITY_KEYS if section.get(key) is not None}
    findings = section.get("findings")
    ids = [str(one) for one in section.get("ids") or ()]
    override = _override(severity, findings) if ids else {}
    kept: dict[str, None] = {}
    categories: list[Any] = list(section.get("categories") or ())
    for name in ids:
        entry = RETIRED.get(name.lower())
        if entry is None or entry.retiring or not entry.single:
            kept[name] = None
            if entry is not None:
                new.remarks.append(f"left as it is: {name} ({entry.title}); {entry.instead}.")
        elif entry.successor is None:
            kept[entry.ids[0]] = None
            new.comments[entry.ids[0]] = f"was {name}"
        else:
            item = _item(entry.successor, override)
            if item not in categories:
                categories.append(item)
                new.comments[f"categories {len(categories) - 1}"] = entry.title
    if kept:
        new.content["ids"] = list(kept)
    if categories:
        new.content["categories"] = categories
    if findings is not None and not ids and not _covers(severity, findings):
        new.content["findings"] = findings
        new.remarks.append(
            "left as it is: findings let through more severities than the recommendations do, and are recommendations "
            "themselves now; lower the section's severity and take findings out."
        )
    new.content = {key: new.content[key] for key in _ORDER if key in new.content}
    return new


def _override(severity: Mapping[str, Any], findings: Any) -> dict[str, Any]:
    """The severity that an entry needs of its own: that of the findings where it is another than the section's."""
    if findings is None:
        return {}
    own = {key: findings[key] for key in _SEVERITY_KEYS if findings.get(key)} if isinstance(findings, dict) else {}
    if own == severity:
        return {}
    return own or {"minimumSeverity": _LOWEST}


def _covers(severity: Mapping[str, Any], findings: Any) -> bool:
    """Whether the section lets through every severity that its findings do."""
    own = findings if isinstance(findings, dict) else {}
    return _levels(severity) >= _levels(own)


def _levels(severity: Mapping[str, Any]) -> frozenset[str]:
    if minimum := severity.get("minimumSeverity"):
        return frozenset(RECOMMENDATION_SEVERITIES[: RECOMMENDATION_SEVERITIES.index(minimum) + 1])
    return frozenset(severity.get("severities") or RECOMMENDATION_SEVERITIES)


def _item(successor: Successor, override: Mapping[str, Any]) -> Any:
    """An entry of `categories`: a name where that is all."""
    item: dict[str, Any] = {
        key: value
        for key, value in (
            ("category", successor.category),
            ("scanner", successor.scanner),
            ("resourceTypes", list(successor.resource_types)),
            ("exceptResourceTypes", list(successor.except_resource_types)),
            ("clouds", list(successor.clouds)),
            ("resourceIdContains", list(successor.resource_id_contains)),
        )
        if value
    } | dict(override)
    return successor.category if list(item) == ["category"] else item


def _custom_remarks(config: ExportConfig) -> Iterator[str]:
    """Retired ids and sources in the API's own words: rules written by hand have to be rewritten by hand."""
    told: dict[str, RetiredRecommendation] = {}
    for custom in config.export.custom:
        if custom.event_source.startswith("SubAssessments"):
            yield f"left as it is: custom exports {custom.event_source}, which has no records any more."
        for rule in (rule for rule_set in custom.rule_sets or () for rule in rule_set.rules or ()):
            for name in re.findall(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", rule.expected_value.lower()):
                if name in RETIRED:
                    told[name] = RETIRED[name]
    for name, entry in told.items():
        yield f"left as it is: a custom rule on {name} ({entry.title}); now {entry.instead}."


def _test_remarks(before: ExportConfig, after: ExportConfig) -> Iterator[str]:
    """Tests of the file that held and don't any more: they show records of the old model."""
    passed = {outcome.label for outcome in run_tests(before) if outcome.passed}
    for outcome in run_tests(after):
        if not outcome.passed and outcome.label in passed:
            yield f"{outcome.label} no longer holds: it shows a record that is not sent any more; rewrite it."


def _replace(text: str, section: _Section) -> str:
    """The text with another `recommendations` section; every line outside of it stays as it is."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    key, value, inside_flow = _nodes(yaml.compose(text, Loader=loader))
    lines = text.splitlines(keepends=True)
    if inside_flow:
        start, end = _offset(lines, value.start_mark), _offset(lines, value.end_mark)
        return text[:start] + _flow(section.content) + text[end:]
    last = value.end_mark.line + (1 if value.end_mark.column else 0)
    while last - 1 > key.start_mark.line and lines[last - 1].strip()[:1] in {"", "#"}:
        last -= 1  # a block ends where the next begins; blank lines and comments between belong to neither
    column = key.start_mark.column
    old = lines[key.start_mark.line : last]
    block = _block(section, " " * column, _comments(old))
    first = lines[key.start_mark.line][:column]
    replaced = [first + block[column:]] if block else []
    return "".join([*lines[: key.start_mark.line], *replaced, *lines[last:]])


def _nodes(root: Any) -> tuple[Any, Any, bool]:
    """The key and the value of `export.recommendations`, and whether they stand inside braces."""
    export = next(value for key, value in root.value if key.value == "export")
    key, value = next(pair for pair in export.value if pair[0].value == "recommendations")
    return key, value, bool(export.flow_style)


def _offset(lines: Sequence[str], mark: Any) -> int:
    return sum(map(len, lines[: mark.line])) + int(mark.column)


def _comments(lines: Iterable[str]) -> dict[str, str]:
    """The remarks behind ids in a list, by id in lower case."""
    found = {}
    for line in lines:
        if match := re.match(r"\s*-\s*['\"]?([\w.-]+)['\"]?\s+#\s*(.*?)\s*$", line):
            found[match[1].lower()] = match[2]
    return found


def _block(section: _Section, indent: str, known: Mapping[str, str]) -> str:
    """The section in block style, with a remark behind each id that had one and each entry that is new."""
    lines = ["recommendations:" + ("" if section.content else " {}")]
    for key, value in section.content.items():
        if key not in {"ids", "categories"}:
            lines += [f"  {line}" for line in write({key: value}).splitlines()]
            continue
        lines.append(f"  {key}:")
        for number, item in enumerate(value):
            name = str(item).lower() if key == "ids" else f"categories {number}"
            comment = section.comments.get(name) or known.get(name, "")
            first, *rest = write({"items": [item]}).splitlines()[1:]
            lines.append(f"    {first}" + (f"   # {comment}" if comment else ""))
            lines += [f"    {line}" for line in rest]
    return "".join(f"{indent}{line}\n" for line in lines)


def _flow(content: Mapping[str, Any]) -> str:
    import yaml

    written: str = yaml.safe_dump(dict(content), default_flow_style=True, sort_keys=False, width=1_000_000)
    return written.strip()
