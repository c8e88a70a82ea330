"""Requirements of one's own: a small file, read strictly."""

from __future__ import annotations

from datetime import date

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.watch.requirement_checks import GrantedException, Requirement
from shared.watch.requirements_file import read_requirements

GOOD = """
version: 1
requirements:
  - name: soc
    description: High alerts reach the SOC
    kind: Alerts
    records: [{Severity: High}]
    destination: contoso-soc
  - name: findings
    kind: SubAssessmentsSnapshot
  - name: recommendations
    kind: Assessments
    records:
      - properties.metadata.severity: High
      - {properties: {metadata: {severity: Medium}, status: {code: Unhealthy}}}
"""


def excepted(**members: str) -> str:
    """A file with one exception, some of it said otherwise."""
    usual = {
        "requirement": "cis-8.1.5.2", "subscriptions": "[A-1]", "owner": "Payments", "reason": "x",
        "until": "2027-01-31",
    }  # fmt: skip
    said = ", ".join(f"{name}: {value}" for name, value in (usual | members).items())
    return f"version: 1\nexceptions:\n - {{{said}}}"


def test_a_file_becomes_requirements() -> None:
    soc, findings, recommendations = read_requirements(GOOD).requirements
    assert soc == Requirement("soc", "Alerts", ({"Severity": "High"},), "contoso-soc", "High alerts reach the SOC")
    assert findings == Requirement("findings", "SubAssessmentsSnapshot")
    assert recommendations.samples == (
        {"properties": {"metadata": {"severity": "High"}}},
        {"properties": {"metadata": {"severity": "Medium"}, "status": {"code": "Unhealthy"}}},
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("version: 2\nrequirements: [{name: a, kind: Alerts}]", "f:1: version: error invalid: the version must be 1."),
        ("version: 1\nrequirements: []", "f:2: requirements: error missing-key"),
        ("- a", "f:1: : error invalid: this must be a mapping of version, requirements, exceptions."),
        ("version: 1\nrequirements:\n - {name: a, kind: Alert}", "error unknown-event-source: 'Alert' is not an event"),
        ("version: 1\nrequirements:\n - {name: a, kind: Alerts, knid: b}", "unknown-key: 'knid' is not a key here."),
        ("version: 1\nrequirements:\n - {kind: Alerts}", "missing-key: 'name' must be text."),
        ("version: 1\nrequirements:\n - {name: cis-8.1.5.2, kind: Alerts}", "duplicate: 'cis-8.1.5.2' is taken."),
        ("version: 1\nrequirements:\n - {name: a, kind: Alerts, records: [{Severty: High}]}", "Did you mean Severity?"),
        ("version: 1\nrequirements:\n - {name: a, kind: Alerts, records: [{Severity: Hgih}]}", "One of High, Medium,"),
        ("version: 1\nrequirements:\n - {name: a, kind: Alerts, records: []}", "a list of at least one record"),
        (
            "version: 1\nrequirements:\n - {name: a, kind: Alerts, records: [High]}",
            "a mapping of paths to plain values",
        ),
        ("version: 1\nrequirements: &a []", "f:2: error alias"),
        ("version: 1\nexceptions: []", "f:2: exceptions: error missing-key"),
        ("version: 1\nexceptions: [{owner: a}]", "missing-key: 'requirement' must be text."),
        (excepted(requirement="cis-8.1.5"), "unknown-requirement: there is no requirement 'cis-8.1.5'. Did you"),
        (excepted(until="2027-02-30"), "f:3: exceptions.0.until: error invalid: '2027-02-30' is no day."),
        (excepted(until="\u0662\u0660\u0662\u0667-\u0660\u0661-\u0660\u0661"), "is no day."),
        (excepted(subscriptions="[]"), "missing-key: it is for no subscription."),
        (excepted(subscriptions="[{a: b}]"), "'subscriptions' must be a list of ids."),
        (excepted(owner="''"), "invalid: 'owner' must be text."),
        (excepted(reasons="none"), "unknown-key: 'reasons' is not a key here."),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, finding: str) -> None:
    with pytest.raises(InvalidExport) as caught:
        read_requirements(text, "f")
    assert any(finding in str(each) for each in caught.value.findings), caught.value


def test_a_file_may_hold_exceptions_alone() -> None:
    found = read_requirements(excepted(managementGroups="[Sandbox]"))
    assert found.requirements == ()
    assert found.exceptions == (
        GrantedException("cis-8.1.5.2", "Payments", "x", date(2027, 1, 31), ("a-1",), ("sandbox",)),
    )
