"""Files of the worst kinds: time grows with their size, and findings are few."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable

import pytest

from shared.exports.compiler import compile_sources
from shared.exports.diagnostics import MAX_FINDINGS
from shared.exports.model import _rules_of
from shared.exports.validation import check_text

HEAD = """version: 1
name: soc-alerts
scope: {managementGroups: [contoso]}
automation: {location: westeurope}
destination:
  logAnalyticsWorkspace: {resourceId: /subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc/\
providers/Microsoft.OperationalInsights/workspaces/law-soc}
"""
RULE = "{{propertyJPath: {path}, propertyType: String, operator: {operator}, expectedValue: v{number}}}"
ALERTS = HEAD + "export:\n  custom:\n  - eventSource: Alerts\n    ruleSets:\n"
KINDS: dict[str, tuple[str, Callable[[int], str]]] = {
    "rules on one path": (
        ALERTS + "    - rules:\n",
        lambda number: "      - " + RULE.format(path="AlertType", operator="NotEquals", number=number) + "\n",
    ),
    "rules on unknown paths": (
        ALERTS + "    - rules:\n",
        lambda number: "      - " + RULE.format(path=f"a{number}", operator="StartsWith", number=number) + "\n",
    ),
    "rule sets": (
        ALERTS,
        lambda number: "    - rules: [" + RULE.format(path="x", operator="Equals", number=number) + "]\n",
    ),
    "sources": (
        HEAD + "export:\n  custom:\n",
        lambda number: (
            "  - {eventSource: Alerts, ruleSets: [{rules: ["
            + RULE.format(path="x", operator="Equals", number=number)
            + "]}]}\n"
        ),
    ),
    "unknown keys": (HEAD + "export: {alerts: true}\n", lambda number: f"k{number}: 1\n"),
    "unknown keys of a section": (HEAD + "export:\n  alerts:\n", lambda number: f"    k{number}: 1\n"),
    "plans": (HEAD + "export:\n  alerts:\n    plans:\n", lambda number: f"    - plan{number}\n"),
    "ids": (HEAD + "export:\n  recommendations:\n    ids:\n", lambda number: f"    - id{number}\n"),
    "categories": (
        HEAD + "export:\n  recommendations:\n    categories:\n",
        lambda number: f"    - {{category: c{number}, clouds: [Azure]}}\n",
    ),
    "blank keys": (HEAD + "export: {alerts: true}\nwaive:\n", lambda _number: "- {code: , reason: }\n"),
    "waivers": (HEAD + "export: {alerts: true}\nwaive:\n", lambda number: f"- {{code: x{number}, reason: why}}\n"),
}

ROUNDS = 6
DOUBLING = 2.5
"""How much longer twice the text may take, on an average of two doublings: 2 is linear, 4 quadratic."""
MOST_SECONDS = 4.0
"""Of CPU for 1 MB: 2 where nothing else runs, and each hyper-thread of a core that two share does half."""


def filled(kind: str, size: int) -> str:
    head, row = KINDS[kind]
    lines, length, number = [head], len(head), 0
    while length < size - 400:
        lines.append(row(number))
        length += len(lines[-1])
        number += 1
    return "".join(lines)


def seconds(text: str) -> float:
    """CPU time without garbage collection, whose time depends on what other tests keep alive."""
    gc.disable()
    begun = time.process_time()
    checked = check_text(text, "f.yaml")
    taken = time.process_time() - begun
    gc.enable()
    assert len(checked.findings) <= MAX_FINDINGS + 1
    if len(checked.findings) > MAX_FINDINGS:
        assert checked.findings[-1].code == "more-findings"
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_size(kind: str) -> None:
    """Each size by its least time, the sizes in turn: a busy machine slows one measurement, not each of a size."""
    texts = [filled(kind, size) for size in (250_000, 1_000_000)]
    least = [math.inf] * len(texts)
    for _ in range(ROUNDS):
        least = [min(known, seconds(text)) for known, text in zip(least, texts, strict=True)]
        quarter, whole = least
        if whole < MOST_SECONDS and whole <= max(DOUBLING**2 * quarter, 0.2):
            return
    pytest.fail(f"250 KB and 1 MB took {least} s")


def many(name: str, number: int) -> str:
    return f"[{', '.join(f'{name}{index}' for index in range(number))}]"


@pytest.mark.parametrize(
    "section",
    [
        f"{{categories: {many('c', 2000)}, resourceTypes: {many('a.b/c', 2000)}}}",
        f"{{ids: {many('i', 300)}, clouds: {many('c', 300)}, resourceTypes: {many('a.b/c', 300)}}}",
        f"{{categories: [{{category: x, clouds: {many('c', 300)}, resourceIdContains: {many('t', 300)}}}]}}",
        f"{{categories: [{{category: x, clouds: {many('c', 900)}, exceptResourceTypes: {many('a.b/c', 900)}}}]}}",
        f"{{clouds: {many('c', 50)}, categories: [{', '.join(f'{{scanner: s{one}}}' for one in range(300))}]}}",
    ],
    ids=["categories", "ids", "an entry", "exclusions", "entries"],
)
def test_what_a_short_file_combines_is_counted_and_not_made(section: str) -> None:
    text = f"{HEAD}export: {{recommendations: {section}}}\n"
    assert len(text) < 40_000
    began = time.process_time()
    (finding,) = check_text(text, "f.yaml").findings
    assert time.process_time() - began < 1
    assert "split the export into several files" in finding.sentence


@pytest.mark.parametrize(
    "section",
    [
        "{}",
        "{minimumSeverity: Low}",
        "{minimumSeverity: High, clouds: [Azure, AWS]}",
        "{ids: [a, b], severities: [High, Medium, Low], resourceTypes: [a.b/c]}",
        "{categories: [x, y, {category: z, scanner: s, exceptResourceTypes: [a.b/c, a.b/d], clouds: [AWS]}]}",
        "{ids: [a], categories: [{category: z, minimumSeverity: High}, {scanner: q}], severities: [Low], clouds: [X]}",
    ],
)
def test_the_count_is_that_of_the_rules_that_are_made(section: str) -> None:
    config = check_text(f"{HEAD}export: {{recommendations: {section}}}\n", "f.yaml").config
    assert config is not None
    assert config.export.recommendations is not None
    (source,) = [one for one in compile_sources(config) if one.event_source == "Assessments"]
    made = sum(len(rules) for rules in source.rule_sets)
    type_rules = sum(rule.path == "type" for rules in source.rule_sets for rule in rules)
    assert _rules_of(config.export.recommendations) == made - type_rules
