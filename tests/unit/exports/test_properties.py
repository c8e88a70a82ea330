"""Whatever file one writes: it compiles, it is clean, and it sends exactly what it says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.exports.compiler import compile_automation, compile_sources
from shared.exports.evaluator import accepts, evaluate
from shared.exports.file_tests import decide
from shared.exports.linter import lint_automation, lint_sources
from shared.exports.rule_sets import normalise, parse_sources
from tests.unit.exports.examples import exporting

pytestmark = pytest.mark.slow  # draws many examples

ALERT_LEVELS = ["High", "Medium", "Low", "Informational"]
SEVERITIES = RISK_LEVELS = ["Critical", "High", "Medium", "Low"]
IDS = ["aaa-1", "bbb-2", "ccc-3"]
STANDARDS = ["PCI-DSS-4", "Azure-CIS-1.4.0"]
PLANS = ["Storage", "Servers"]
STREAM, SNAPSHOT = "streaming", "snapshot"

frequencies = st.lists(st.sampled_from([STREAM, SNAPSHOT]), min_size=1, max_size=2, unique=True)


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


def ranked(levels: list[str], single: str, several: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.just({}),
        st.sampled_from(levels).map(lambda level: {single: level}),
        some(levels).map(lambda listed: {several: listed}),
    )


def section(*parts: st.SearchStrategy[dict[str, Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fixed = st.fixed_dictionaries({}, optional=optional)
    return st.tuples(fixed, *parts).map(lambda given_: {k: v for part in given_ for k, v in part.items()})


severity = ranked(SEVERITIES, "minimumSeverity", "severities")
sections = st.fixed_dictionaries(
    {"frequency": frequencies},
    optional={
        "alerts": section(
            ranked(ALERT_LEVELS, "minimumSeverity", "severities"), st.just({"frequency": [STREAM]}), plans=some(PLANS)
        ),
        "recommendations": section(severity, ids=some(IDS), findings=severity, frequency=frequencies),
        "secureScore": section(controls=st.one_of(st.booleans(), some(IDS)), frequency=frequencies),
        "regulatoryCompliance": section(standards=some(STANDARDS), frequency=frequencies),
        "attackPaths": section(ranked(RISK_LEVELS, "minimumRiskLevel", "riskLevels"), frequency=frequencies),
    },
).filter(lambda given_: len(given_) > 1)


def recased(draw: st.DrawFn, value: str) -> str:
    return draw(st.sampled_from([value, value.lower(), value.upper()]))


@st.composite
def records(draw: st.DrawFn) -> tuple[str, bool | None, dict[str, str], dict[str, Any]]:
    """A record of any kind: its kind, whether it says that it is a snapshot, what is in it, and itself."""
    kind = draw(st.sampled_from(["alert", "recommendation", "finding", "score", "control", "compliance", "path"]))
    flag = draw(st.sampled_from([None, False, True]))
    level = draw(st.sampled_from([*ALERT_LEVELS, "Critical", "Catastrophic", ""]))
    name = draw(st.sampled_from([*IDS, "ddd-4"]))
    standard = draw(st.sampled_from([*STANDARDS, "ISO-27001"]))
    plan = draw(st.sampled_from([*PLANS, "Dns"]))
    written = recased(draw, level)
    prefix = "/subscriptions/s/providers/Microsoft.Security"
    regulatory = (
        f"regulatoryComplianceStandards/{standard}/regulatoryComplianceControls/1/regulatoryComplianceAssessments/x"
    )
    bodies: dict[str, dict[str, Any]] = {
        "alert": {"SystemAlertId": "x", "Severity": written, "ProductComponentName": recased(draw, plan)},
        "recommendation": {
            "type": "Microsoft.Security/assessments",
            "name": recased(draw, name),
            "properties": {"metadata": {"severity": written}},
        },
        "finding": {
            "Type": "Microsoft.Security/assessments/subassessments",
            "Id": f"{prefix}/assessments/{name}/subAssessments/x",
            "Properties": {"Status": {"Severity": written}},
        },
        "score": {"type": "Microsoft.Security/secureScores", "name": "ascScore"},
        "control": {"type": "Microsoft.Security/secureScores/secureScoreControls", "name": recased(draw, name)},
        "compliance": {
            "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
            "/regulatoryComplianceAssessments",
            "id": recased(draw, f"{prefix}/{regulatory}"),
        },
        "path": {"attackPath": {"riskLevel": written}},
    }
    body = bodies[kind]
    if flag is not None and kind != "alert":
        body |= {"securityEventDataEnrichment": {"isSnapshot": flag}}
    facts = {"level": level, "name": name, "standard": standard, "plan": plan}
    return kind, flag, facts, body


def within(chosen: dict[str, Any], level: str, levels: list[str]) -> bool:
    if "minimumSeverity" in chosen or "minimumRiskLevel" in chosen:
        minimum = chosen.get("minimumSeverity") or chosen["minimumRiskLevel"]
        if minimum == levels[-1]:
            return True
        return level in levels[: levels.index(minimum) + 1]
    listed = chosen.get("severities") or chosen.get("riskLevels")
    return listed is None or level in listed


def sends(export: dict[str, Any], kind: str, flag: bool | None, facts: dict[str, str]) -> bool:
    """What a file means, said plainly and without rule sets."""
    home = {
        "finding": "recommendations",
        "recommendation": "recommendations",
        "alert": "alerts",
        "score": "secureScore",
    }
    home |= {"control": "secureScore", "compliance": "regulatoryCompliance", "path": "attackPaths"}
    part = export.get(home[kind])
    if part is None:
        return False
    frequency = part.get("frequency", export["frequency"])
    if kind != "alert" and flag is not None and (SNAPSHOT if flag else STREAM) not in frequency:
        return False
    if kind == "alert":
        return within(part, facts["level"], ALERT_LEVELS) and facts["plan"] in part.get("plans", [facts["plan"]])
    named = facts["name"] in part.get("ids", [facts["name"]])
    if kind == "recommendation":
        return named and within(part, facts["level"], SEVERITIES)
    if kind == "finding":
        return "findings" in part and named and within(part["findings"], facts["level"], SEVERITIES)
    if kind == "control":
        controls = part.get("controls", False)
        return bool(controls is True or (controls and facts["name"] in controls))
    if kind == "compliance":
        return facts["standard"] in part.get("standards", [facts["standard"]])
    return kind == "score" or within(part, facts["level"], RISK_LEVELS)


@settings(max_examples=400, deadline=None)
@given(sections, st.lists(records(), min_size=1, max_size=12))
def test_an_export_sends_exactly_what_its_file_says(
    export: dict[str, Any], drawn: list[tuple[str, bool | None, dict[str, str], dict[str, Any]]]
) -> None:
    config = exporting(**export)
    sources = compile_sources(config)
    for kind, flag, facts, record in drawn:
        expected = sends(export, kind, flag, facts)
        assert decide(config, record).exported is expected, record
        assert any(accepts(source, record) for source in sources) is expected
        # The same rule sets say the same after a trip through the API, in their normal form.
        again = normalise(parse_sources(compile_automation(config, "s", "i")))
        assert any(evaluate(source, record).exported for source in again) is expected


@settings(max_examples=300, deadline=None)
@given(sections)
def test_every_valid_file_compiles_and_its_rule_sets_are_clean(export: dict[str, Any]) -> None:
    config = exporting(**export)
    body = compile_automation(config, "s", "i")
    expected = {"drops-critical", "retired-source"}  # severities without Critical, and findings
    assert {finding.code for finding in lint_sources(compile_sources(config))} <= expected
    assert {finding.code for finding in lint_automation(body)} <= expected
    assert parse_sources(body) == compile_sources(config)
