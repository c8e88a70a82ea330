"""Say live sources in an export file's own words: sections where they compile to the same, `custom` for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from shared.exports.compiler import compile_sources
from shared.exports.event_sources import SNAPSHOT
from shared.exports.known_values import ALERT_SEVERITIES, RECOMMENDATION_SEVERITIES, RISK_LEVELS
from shared.exports.rule_sets import Rule, RuleSet, Source, bare_path, build_sources, normalise

_NAMES = {"": "streaming", SNAPSHOT: "snapshot"}
_FREQUENCIES = (("", SNAPSHOT), ("",), (SNAPSHOT,))
_SEVERITY = ("minimumSeverity", "severities")
_RISK = ("minimumRiskLevel", "riskLevels")
_SEVERITY_PATH = "properties.metadata.severity"
_CATEGORY = "properties.metadata.recommendationCategory"
_TYPE = "properties.resourceDetails.ResourceType"
_CLOUD = "properties.resourceDetails.Source"
# The key of an entry of `categories` that a rule's path and operator stand for, and whether it may stand twice.
_ENTRY_KEYS = {
    (_CATEGORY.lower(), "Equals"): ("category", False),
    ("properties.additionaldata.scanner", "Equals"): ("scanner", False),
    (_TYPE.lower(), "Equals"): ("resourceTypes", True),
    (_TYPE.lower(), "NotEquals"): ("exceptResourceTypes", True),
    (_CLOUD.lower(), "Equals"): ("clouds", True),
    ("properties.resourcedetails.id", "Contains"): ("resourceIdContains", True),
}
# Stands for the rest of a file while a section is tried.
_ANY = {
    "version": 1,
    "name": "probe",
    "scope": {"subscriptions": ["00000000-0000-0000-0000-000000000000"]},
    "automation": {"location": "westeurope"},
    "destination": {
        "logAnalyticsWorkspace": {
            "resourceId": "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg"
            "/providers/Microsoft.OperationalInsights/workspaces/probe"
        }
    },
}


class Unsayable(ValueError):  # noqa: N818 - names the state of the automation
    """An automation that no export file can stand for; the message says why."""


def export_section(sources: Sequence[Source]) -> dict[str, Any]:
    """The `export` of a file that compiles to what the sources mean.

    Raises:
        Unsayable: there is nothing to export.
    """
    live = {source.event_source: source for source in _merged(sources)}
    if not live:
        raise Unsayable("it has no sources, so it exports nothing")
    wanted = {source.event_source: source for source in normalise(live.values())}
    found: dict[str, Any] = {}
    for name, parent, candidates in _SECTIONS:
        for suffixes in _FREQUENCIES:
            if not all(parent + suffix in live for suffix in suffixes):
                continue
            # A file streams unless it says otherwise.
            frequency = {} if suffixes == ("",) else {"frequency": [_NAMES[suffix] for suffix in suffixes]}
            tried = (frequency | candidate for candidate in candidates(live, suffixes[0]))
            fitting = next((one for one in tried if _fits(name, one, wanted)), None)
            if fitting is not None:
                found[name] = fitting
                for source in _compiled(name, fitting):
                    del live[source.event_source]
                break
    if live:
        found["custom"] = [_custom(source) for source in live.values()]
    return found


def _merged(sources: Iterable[Source]) -> list[Source]:
    """One entry for each event source, in the order of the automation, rule sets as they were written."""
    merged: dict[str, list[RuleSet] | None] = {}
    for source in sources:
        known = merged.setdefault(source.event_source, [])
        everything = known is None or not source.rule_sets or () in source.rule_sets
        merged[source.event_source] = None if everything else [*(known or ()), *source.rule_sets]
    return [Source(name, tuple(dict.fromkeys(rule_sets or ()))) for name, rule_sets in merged.items()]


def _custom(source: Source) -> dict[str, Any]:
    (built,) = build_sources([source])
    return built if built["ruleSets"] else {"eventSource": source.event_source}


def _compiled(name: str, section: dict[str, Any]) -> tuple[Source, ...]:
    from shared.exports.model import ExportConfig

    return compile_sources(ExportConfig.model_validate({**_ANY, "export": {name: section}}))


def _fits(name: str, section: dict[str, Any], wanted: dict[str, Source]) -> bool:
    """Whether a section compiles to nothing but what is live."""
    try:
        compiled = normalise(_compiled(name, section))
    except ValueError:  # an id that a section can't hold
        return False
    return all(wanted.get(source.event_source) == source for source in compiled)


Sources = dict[str, Source]
Candidates = Iterator[dict[str, Any]]


def _alerts(live: Sources, _suffix: str) -> Candidates:
    rules = _rules(live["Alerts"])
    plans = _values(rules, "ProductComponentName")
    yield _ranks(rules, "Severity", _SEVERITY, ALERT_SEVERITIES) | ({"plans": plans} if plans else {})


def _recommendations(live: Sources, suffix: str) -> Candidates:
    source = live["Assessments" + suffix]
    rules = _rules(source)
    section = _ranks(rules, _SEVERITY_PATH, _SEVERITY, RECOMMENDATION_SEVERITIES)
    for key, path in (("ids", "name"), ("categories", _CATEGORY), ("resourceTypes", _TYPE), ("clouds", _CLOUD)):
        if values := _values(rules, path):
            section[key] = values
    yield from _with_findings(section, live, suffix)
    if (categories := _categories(source)) is not None:
        yield from _with_findings(categories, live, suffix)


def _with_findings(section: dict[str, Any], live: Sources, suffix: str) -> Candidates:
    if findings := live.get("SubAssessments" + suffix):
        ranks = _ranks(_rules(findings), "properties.status.severity", _SEVERITY, RECOMMENDATION_SEVERITIES)
        yield section | {"findings": ranks}
    yield section


def _categories(source: Source) -> dict[str, Any] | None:
    """Ids and an entry of `categories` for each kind of rule set; None where a rule set is neither."""
    severities: dict[tuple[Rule, ...], list[Rule]] = {}
    for rule_set in source.rule_sets:
        rest = tuple(sorted(rule for rule in rule_set if not _same(rule.path, _SEVERITY_PATH)))
        severities.setdefault(rest, []).extend(rule for rule in rule_set if _same(rule.path, _SEVERITY_PATH))
    entries = []
    for rest, on_severity in severities.items():
        entry: dict[str, Any] = {}
        for rule in rest:
            key, many = _ENTRY_KEYS.get((bare_path(rule.path).lower(), rule.operator), ("", False))
            if not key or (not many and key in entry):
                return None
            entry[key] = [*entry.get(key, []), rule.value] if many else rule.value
        entries.append(entry | _ranks(on_severity, _SEVERITY_PATH, _SEVERITY, RECOMMENDATION_SEVERITIES))
    return {"categories": entries} if entries else None


def _secure_score(live: Sources, suffix: str) -> Candidates:
    if controls := live.get("SecureScoreControls" + suffix):
        yield {"controls": _values(_rules(controls), "name") or True}
    yield {}


def _regulatory_compliance(live: Sources, suffix: str) -> Candidates:
    standards = _values(_rules(live["RegulatoryComplianceAssessment" + suffix]), "id")
    yield {"standards": standards} if standards else {}


def _attack_paths(live: Sources, suffix: str) -> Candidates:
    yield _ranks(_rules(live["AttackPaths" + suffix]), "attackPath.riskLevel", _RISK, RISK_LEVELS)


# The section, the event source that its records have, and what it may say.
_SECTIONS: tuple[tuple[str, str, Callable[[Sources, str], Candidates]], ...] = (
    ("alerts", "Alerts", _alerts),
    ("recommendations", "Assessments", _recommendations),
    ("secureScore", "SecureScores", _secure_score),
    ("regulatoryCompliance", "RegulatoryComplianceAssessment", _regulatory_compliance),
    ("attackPaths", "AttackPaths", _attack_paths),
)


def _rules(source: Source) -> list[Rule]:
    return [rule for rule_set in source.rule_sets for rule in rule_set]


def _values(rules: Iterable[Rule], path: str) -> list[str]:
    """The values that rules on a path compare with, in their first spelling."""
    found = {rule.value.casefold(): rule.value for rule in reversed(list(rules)) if _same(rule.path, path)}
    return sorted(found.values())


def _same(path: str, other: str) -> bool:
    return path.removeprefix("$.").lower() == other.lower()


def _ranks(rules: Iterable[Rule], path: str, words: tuple[str, str], ranks: tuple[str, ...]) -> dict[str, Any]:
    """`minimumSeverity` where the values are the highest ones, `severities` where they are others."""
    minimum, listed = words
    values = {value.casefold() for value in _values(rules, path)}
    chosen = [rank for rank in ranks if rank.casefold() in values]
    if not chosen:
        return {}
    if chosen == list(ranks[: len(chosen)]) and len(chosen) < len(ranks):  # the lowest minimum is no rule at all
        return {minimum: chosen[-1]}
    return {listed: chosen}
