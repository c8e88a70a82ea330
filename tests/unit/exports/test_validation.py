from __future__ import annotations

from typing import Any

import pytest

from shared.exports.diagnostics import Diagnostic, InvalidExport, errors
from shared.exports.file_tests import decide, run_tests
from shared.exports.model import ExportConfig
from shared.exports.validation import check_config, check_text, check_together
from tests.unit.exports.examples import HUB, OTHER_SUBSCRIPTION, SUBSCRIPTION, WORKSPACE, config, exporting, text

ORPHANS = {"custom": [{"eventSource": "SubAssessments"}]}
TO_HUB = {"eventHub": {"resourceId": HUB, "trustedService": True}}
TO_WORKSPACE = {"logAnalyticsWorkspace": {"resourceId": WORKSPACE}}
ALERT = {"SystemAlertId": "x", "Severity": "High"}


def codes(parsed: ExportConfig) -> list[str]:
    return [finding.code for finding in check_config(parsed, "f.yaml")]


def test_a_text_is_read_and_linted_and_never_raises() -> None:
    fine = check_text(text(), "f.yaml")
    assert (fine.valid, fine.findings, fine.source) == (True, (), "f.yaml")
    broken = check_text("a: [", "f.yaml")
    assert (broken.valid, broken.config, broken.findings[0].code) == (False, None, "not-yaml")
    linted = check_text(text(export=ORPHANS), "f.yaml")
    assert (linted.valid, linted.config is None) == (False, False)
    assert linted.findings[0].where == "f.yaml:1: export"


def test_warnings_don_t_make_a_file_invalid() -> None:
    checked = check_text(text(export={"alerts": {}, "frequency": ["streaming", "snapshot"]}))
    assert [finding.code for finding in checked.findings] == ["alerts-have-no-snapshot"]
    assert checked.valid


def test_saying_that_alerts_stream_quiets_the_warning() -> None:
    assert codes(exporting(alerts={"frequency": ["streaming"]}, attackPaths={}, frequency=["snapshot"])) == []


def test_a_waived_code_is_left_out_and_a_waiver_must_name_a_code_and_be_needed() -> None:
    def waiving(*waived: str, **sections: Any) -> list[str]:
        return codes(config(export=sections, waive=[{"code": code, "reason": "taken over"} for code in waived]))

    assert waiving("findings-without-recommendations", "retired-source", **ORPHANS) == []
    assert waiving("unused", alerts={}) == ["unknown-waiver"]
    assert waiving("unknown-path", alerts={}) == ["unused-waiver"]
    assert waiving("alerts-have-no-snapshot", alerts={}, frequency=["streaming", "snapshot"]) == [
        "alerts-have-no-snapshot",
        "unknown-waiver",
    ]
    found = check_config(config(waive=[{"code": "unused", "reason": "why"}]))
    assert errors(found) == found
    assert found[0].fix.startswith("One of malformed, no-sources, ")


@pytest.mark.parametrize(
    ("sections", "found"),
    [
        ({"alerts": {}, "custom": [{"eventSource": "Alerts"}]}, ["custom-adds-nothing"]),
        ({"alerts": {"severities": ["Low"]}, "custom": [{"eventSource": "Alerts"}]}, ["custom-adds-nothing"]),
        ({"alerts": {"severities": ["Low"]}, "custom": [{"eventSource": "SecureScores"}]}, []),
    ],
)
def test_custom_rule_sets_beside_a_whole_source_count_for_nothing(sections: dict[str, Any], found: list[str]) -> None:
    assert codes(exporting(**sections)) == found


def test_custom_rule_sets_beside_others_are_fine() -> None:
    rule = {"propertyJPath": "Severity", "propertyType": "String", "operator": "Equals", "expectedValue": "High"}
    custom = [{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}]
    assert codes(exporting(alerts={"severities": ["Low"]}, custom=custom)) == []
    assert codes(exporting(alerts={}, custom=custom)) == ["custom-adds-nothing"]


@pytest.mark.parametrize(
    ("name", "destination", "fix"),
    [
        ("ExportToWorkspace", TO_HUB, "Name it ExportToEventHub, or anything else."),
        ("exportToEventHub", TO_WORKSPACE, "Name it ExportToWorkspace, or anything else."),
        ("exportToEventHub", TO_HUB, None),
        ("ExportToWorkspace", TO_WORKSPACE, None),
    ],
)
def test_the_portal_s_names_are_for_their_own_destination(name: str, destination: Any, fix: str | None) -> None:
    found = check_config(config(automation={"location": "westeurope", "name": name}, destination=destination))
    assert [(finding.code, finding.fix) for finding in found] == ([("portal-name-mismatch", fix)] if fix else [])


def test_a_body_that_is_too_large_is_a_finding() -> None:
    ids = [f"{number:0>120}" for number in range(2000)]
    (finding,) = check_config(exporting(recommendations={"ids": ids, "severities": ["High", "Medium", "Low"]}), "f")
    assert (finding.code, finding.severity, finding.where) == ("too-large", "error", "f")


def together(*parts: dict[str, Any]) -> list[Diagnostic]:
    return check_together([(f"{index}.yaml", config(**one)) for index, one in enumerate(parts)])


AUTOMATION = {"location": "westeurope", "name": "same"}


def test_a_name_can_be_used_once() -> None:
    (finding,) = together({"name": "a"}, {"name": "b"}, {"name": "a"})
    assert (finding.code, finding.severity, finding.where) == ("duplicate-name", "error", "2.yaml: name")
    assert finding.sentence == "'a' is also the name in 0.yaml."


@pytest.mark.parametrize(
    ("one", "other", "severity"),
    [
        ({"subscriptions": [SUBSCRIPTION]}, {"subscriptions": [OTHER_SUBSCRIPTION, SUBSCRIPTION]}, "error"),
        ({"managementGroups": ["Prod"]}, {"managementGroups": ["dev", "prod"]}, "error"),
        ({"subscriptions": [SUBSCRIPTION]}, {"subscriptions": [OTHER_SUBSCRIPTION]}, None),
        ({"managementGroups": ["prod"]}, {"managementGroups": ["dev"]}, "warning"),
        ({"managementGroups": ["prod"]}, {"subscriptions": [SUBSCRIPTION]}, "warning"),
        (
            {"managementGroups": ["prod"], "tags": {"a": "1"}},
            {"managementGroups": ["prod"], "tags": {"a": "2"}},
            "warning",
        ),
        (
            {"managementGroups": ["prod"], "exclude": {"subscriptions": [SUBSCRIPTION]}},
            {"managementGroups": ["prod"]},
            "warning",
        ),
    ],
)
def test_two_exports_that_would_own_the_same_automation(one: Any, other: Any, severity: str | None) -> None:
    found = together(
        {"name": "a", "scope": one, "automation": AUTOMATION},
        {
            "name": "b",
            "scope": other,
            "automation": {**AUTOMATION, "name": "SAME", "resourceGroup": "RG-Defender-Export"},
        },
    )
    assert [finding.severity for finding in found] == ([severity] if severity else [])
    assert all(finding.code == "same-automation" and finding.where == "1.yaml: automation" for finding in found)


@pytest.mark.parametrize("other", [{"name": "other"}, {"resourceGroup": "other"}])
def test_another_automation_is_no_conflict(other: dict[str, str]) -> None:
    assert together({"name": "a", "automation": AUTOMATION}, {"name": "b", "automation": AUTOMATION | other}) == []


def test_a_file_s_tests_say_which_rule_set_decided_and_why() -> None:
    tests = [
        {"record": ALERT, "exported": True},
        {"name": "a low one", "record": ALERT | {"Severity": "Low"}, "exported": True},
        {"record": ALERT, "exported": False},
    ]
    one, two, three = run_tests(config(export={"alerts": {"minimumSeverity": "Medium"}}, tests=tests))
    assert (one.label, one.passed) == ("tests[0]", True)
    assert (two.label, two.passed, two.expected) == ("tests[1] a low one", False, True)
    assert two.reason == (
        "none of 2 rule sets of Alerts holds; nearest is rule set 1, "
        "which fails at Severity Equals 'High' (it is 'Low')"
    )
    assert (three.passed, three.expected) == (False, False)
    assert three.reason == "Alerts rule set 1 holds: Severity Equals 'High' (it is 'High')"


def test_the_deciding_source_is_the_one_that_carries_the_record() -> None:
    everything = exporting(attackPaths={}, alerts={"minimumSeverity": "High"}, recommendations={})
    assert decide(everything, ALERT).reason.startswith("Alerts rule set 1 holds")
    assert decide(everything, ALERT | {"Severity": "Low"}).reason.startswith("none of 1 rule sets of Alerts holds")
    score = decide(everything, {"type": "Microsoft.Security/secureScores"})
    assert not score.exported
    assert score.reason.startswith("no source of this export carries the record: Assessments carries recommendations")
    assert decide(exporting(alerts={}), {}).reason == "Alerts carries alerts; the record is of no known kind"


def test_findings_are_data_and_text() -> None:
    finding = Diagnostic("code", "warning", "f.yaml:1: name", "wrong.", "Do this.")
    assert str(finding) == "f.yaml:1: name: warning code: wrong. Do this."
    assert str(Diagnostic("code", "error", "f", "wrong.", "")) == "f: error code: wrong."
    assert finding.as_dict() == {
        "code": "code",
        "severity": "warning",
        "where": "f.yaml:1: name",
        "sentence": "wrong.",
        "fix": "Do this.",
    }
    assert str(InvalidExport([finding, finding])) == f"{finding}\n{finding}"
