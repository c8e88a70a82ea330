"""Where in an export file a rule of the compiled automation comes from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from shared.exports.event_sources import SNAPSHOT
from shared.exports.rule_sets import Rule, RuleSet, Source
from shared.exports.validation_errors import dotted

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig
    from shared.exports.yaml_reader import Document, Path

_SECTIONS: Final = {
    "Alerts": ("export", "alerts"),
    "Assessments": ("export", "recommendations"),
    "SubAssessments": ("export", "recommendations", "findings"),
    "SecureScores": ("export", "secureScore"),
    "SecureScoreControls": ("export", "secureScore"),
    "RegulatoryComplianceAssessment": ("export", "regulatoryCompliance"),
    "AttackPaths": ("export", "attackPaths"),
}


class SourceMap:
    """Names places in compiled sources by line and path of the file that they were compiled from."""

    def __init__(self, document: Document, config: ExportConfig, sources: Sequence[Source], source: str) -> None:
        self._document = document
        self._config = config
        self._sources = sources
        self._file = source
        self._known: dict[tuple[int, int], Path | None] = {}

    def name(self, index: int, rule_set: int | None, rule: int | None) -> str:
        """A place as `file:line: path`, from the numbers of a source, a rule set and a rule, all from 0."""
        path = self._path(index, rule_set, rule)
        return f"{self._file}:{self._document.line_of(path)}: {dotted(path)}"

    def _path(self, index: int, rule_set: int | None, rule: int | None) -> Path:
        if index < 0:
            return ("export",)
        source = self._sources[index]
        if rule_set is not None:
            rules = source.rule_sets[rule_set]
            if (index, rule_set) not in self._known:  # hashing a rule set takes as long as it has rules
                self._known[index, rule_set] = self._custom.get((source.event_source, rules))
            custom = self._known[index, rule_set]
            if custom is not None:
                return custom if rule is None else (*custom, "rules", rule)
            section = _SECTIONS[source.event_source.removesuffix(SNAPSHOT)]
            return self._value(section, rules[rule]) if rule is not None else section
        whole = self._custom_sources.get(source.event_source)
        section = _SECTIONS.get(source.event_source.removesuffix(SNAPSHOT), ("export",))
        return whole if whole is not None and section not in self._document.lines else section

    def _value(self, section: Path, rule: Rule) -> Path:
        """Where in a section the value of a rule is written; an id of a finding is written above it."""
        value = rule.value.casefold()
        for part in (section, section[:2]):
            texts = self._texts.get(part, {})
            if path := texts.get(value) or texts.get(value.removeprefix("/assessments/").rstrip("/")):
                return path
        return section

    @cached_property
    def _custom(self) -> dict[tuple[str, RuleSet], Path]:
        """The paths of the rule sets under `custom`, the first of those that are equal."""
        found: dict[tuple[str, RuleSet], Path] = {}
        for number, custom in enumerate(self._config.export.custom):
            source = custom.source()
            for position, rules in enumerate(source.rule_sets):
                found.setdefault((source.event_source, rules), ("export", "custom", number, "ruleSets", position))
        return found

    @cached_property
    def _custom_sources(self) -> dict[str, Path]:
        return {
            custom.event_source: ("export", "custom", number, "eventSource")
            for number, custom in reversed(list(enumerate(self._config.export.custom)))
        }

    @cached_property
    def _texts(self) -> dict[Path, dict[str, Path]]:
        """The texts of each section, case folded, and where each is written first."""
        found: dict[Path, dict[str, Path]] = {}
        for path in self._document.lines:
            value: Any = self._document.content
            if path[:1] != ("export",) or path[1:2] == ("custom",):
                continue
            for step in path:
                value = value[step]
            if isinstance(value, str):
                for length in (2, 3):
                    found.setdefault(path[:length], {}).setdefault(value.casefold(), path)
        return found
