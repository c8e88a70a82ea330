"""Requirements of one's own: a small file, read strictly."""

from __future__ import annotations

import time
from datetime import date

import pytest

from shared.exports.diagnostics import MAX_FINDINGS, InvalidExport
from shared.watch.requirement_checks import GrantedException, Requirement
from shared.watch.requirements_file import read_requirements
from tests.unit.exports.test_worst_files import MOST_SECONDS

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


MANY = "version: 1\nrequirements: [{name: a, kind: Alerts}]\nexceptions:\n"
WORST = {
    "unknown keys": "version: 1\n" + "".join(f"k{number}: 1\n" for number in range(90_000)),
    "names": "version: 1\nrequirements:\n" + "".join(f"- {{name: n{at}, kind: Alerts}}\n" for at in range(30_000)),
    "exceptions": MANY + "- {requirement: b}\n" * 50_000,
    "a long name": f"version: 1\nrequirements: [{{name: {'n' * 900_000}, kind: Alerts}}]\nexceptions:\n"
    + "- {requirement: b, subscriptions: [x], owner: o, reason: r}\n" * 1_500,
    "records": "version: 1\nrequirements: [{name: a, kind: Alerts, records: [" + "{a: 1}, " * 100_000 + "]}]\n",
    "paths": "version: 1\nrequirements: [{name: a, kind: Alerts, records: [{"
    + "".join(f"a{number}: 1, " for number in range(80_000))
    + "}]}]\n",
    "dots": f"version: 1\nrequirements: [{{name: a, kind: Alerts, records: [{{{'a.' * 400_000}b: 1}}]}}]\n",
    "steps": "version: 1\nrequirements: [{name: a, kind: Alerts, records: [" + "{a: " * 35 + "1" + "}" * 35 + "]}]\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("text", WORST.values(), ids=WORST)
def test_no_file_costs_more_than_it_should(text: str) -> None:
    begun = time.process_time()
    with pytest.raises(InvalidExport) as refused:
        read_requirements(text)
    assert time.process_time() - begun < MOST_SECONDS
    findings = refused.value.findings
    assert len(findings) <= MAX_FINDINGS + 1
    assert sum(len(each.sentence) + len(each.fix) for each in findings) < len(findings) * 2_100
