"""The built-in policies that deploy continuous export, restated, and the files that say the same.

The restatement follows the policies' own template (Azure/azure-policy, "Deploy export to Event Hub", "... as a trusted
service" and "... to Log Analytics workspace" for Microsoft Defender for Cloud data): it takes their parameters and
gives the `sources` that they would deploy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import pytest

from shared.exports.compiler import compile_sources
from shared.exports.diagnostics import errors
from shared.exports.model import ExportConfig
from shared.exports.rule_sets import build_sources, normalise, parse_sources
from shared.exports.validation import check_config
from tests.unit.exports.examples import exporting

pytestmark = pytest.mark.slow  # thousands of combinations

DATA_TYPES = {
    "Security recommendations": "Assessments",
    "Security alerts": "Alerts",
    "Overall secure score": "SecureScores",
    "Secure score controls": "SecureScoreControls",
    "Regulatory compliance": "RegulatoryComplianceAssessment",
    "Overall secure score - snapshot": "SecureScoresSnapshot",
    "Secure score controls - snapshot": "SecureScoreControlsSnapshot",
    "Regulatory compliance - snapshot": "RegulatoryComplianceAssessmentSnapshot",
    "Security recommendations - snapshot": "AssessmentsSnapshot",
    "Security findings - snapshot": "SubAssessmentsSnapshot",
}
STREAMING = [name for name in DATA_TYPES if "snapshot" not in name]
IDS = ["82e20e14-edc5-4373-bfc4-f13121257c37", "f97aa83c-9b63-4f9a-99f6-b22c4398f936"]
CONTROLS = ["99232bd4-fd2d-43a6-be12-e2d9ef6b6d8f", "4cc8f8c5-8ee1-4b2c-8bb1-4b3b1a8f3d57"]
STANDARDS = ["Azure-CIS-1.3.0", "PCI-DSS-3.2.1"]
ALL_LEVELS = ("High", "Medium", "Low")


@dataclass(frozen=True)
class Parameters:
    """What a policy assignment chooses."""

    data_types: tuple[str, ...]
    names: tuple[str, ...] = ()
    severities: tuple[str, ...] = ALL_LEVELS
    findings: bool = False
    controls: tuple[str, ...] = ()
    alert_severities: tuple[str, ...] = ALL_LEVELS
    standards: tuple[str, ...] = ()


def deployed(chosen: Parameters) -> list[dict[str, Any]]:
    """The sources that a policy's template deploys."""

    def one(path: str, value: str, operator: str) -> dict[str, str]:
        return {"propertyJPath": path, "propertyType": "string", "expectedValue": value, "operator": operator}

    assessments = [
        {
            "rules": [
                one("name", name, "Contains") if name else one("type", "Microsoft.Security/assessments", "Contains"),
                one("properties.metadata.severity", severity, "Equals"),
            ]
        }
        for name in (chosen.names or ("",))
        for severity in chosen.severities
    ]
    findings = [{"rules": [one("id", f"/assessments/{name}/", "Contains")]} for name in chosen.names] or None
    controls = [{"rules": [one("name", name, "Equals")]} for name in chosen.controls] or None
    standards = [{"rules": [one("id", name, "Contains")]} for name in chosen.standards] or None
    alerts = [{"rules": [one("Severity", level.lower(), "Equals")]} for level in chosen.alert_severities]
    by_kind = {
        "Assessments": assessments,
        "SubAssessments": findings,
        "Alerts": alerts,
        "SecureScores": None,
        "SecureScoreControls": controls,
        "RegulatoryComplianceAssessment": standards,
    }
    names = [DATA_TYPES[data_type] for data_type in chosen.data_types]
    if chosen.findings:
        names.insert(0, "SubAssessments")
    return [{"eventSource": name, "ruleSets": by_kind[name.removesuffix("Snapshot")]} for name in names]


def file_for(chosen: Parameters) -> ExportConfig:
    """The file that one would write for the same."""
    wanted = {DATA_TYPES[data_type] for data_type in chosen.data_types} | (
        {"SubAssessments"} if chosen.findings else set()
    )
    sections: dict[str, Any] = {}

    def frequency(kind: str) -> list[str]:
        return [name for name, source in (("streaming", kind), ("snapshot", f"{kind}Snapshot")) if source in wanted]

    if "Alerts" in wanted:
        sections["alerts"] = {"severities": list(chosen.alert_severities), "frequency": ["streaming"]}
    if frequency("Assessments"):
        sections["recommendations"] = {
            "severities": list(chosen.severities),
            "frequency": frequency("Assessments"),
            **({"ids": list(chosen.names)} if chosen.names else {}),
            **({"findings": True} if frequency("SubAssessments") else {}),
        }
    if frequency("SecureScores"):
        controls: Any = list(chosen.controls) or True
        sections["secureScore"] = {
            "frequency": frequency("SecureScores"),
            "controls": controls if frequency("SecureScoreControls") else False,
        }
    if frequency("RegulatoryComplianceAssessment"):
        sections["regulatoryCompliance"] = {
            "frequency": frequency("RegulatoryComplianceAssessment"),
            **({"standards": list(chosen.standards)} if chosen.standards else {}),
        }
    return exporting(**sections)


def said_by_sections(chosen: Parameters) -> bool:
    """Whether the sections can say it: a child at each frequency of its parent, or at none."""
    wanted = {DATA_TYPES[data_type] for data_type in chosen.data_types} | (
        {"SubAssessments"} if chosen.findings else set()
    )
    for parent, child in (("Assessments", "SubAssessments"), ("SecureScores", "SecureScoreControls")):
        with_parent = {suffix for suffix in ("", "Snapshot") if parent + suffix in wanted}
        with_child = {suffix for suffix in ("", "Snapshot") if child + suffix in wanted}
        if with_child and with_child != with_parent:
            return False
    return True


EACH_DATA_TYPE = [
    Parameters(chosen) for size in range(1, len(DATA_TYPES) + 1) for chosen in combinations(DATA_TYPES, size)
]
EACH_WITH_FINDINGS = [Parameters(chosen.data_types, findings=True) for chosen in EACH_DATA_TYPE]
SAYABLE = [chosen for chosen in EACH_DATA_TYPE + EACH_WITH_FINDINGS if said_by_sections(chosen)]
CUSTOM_ONLY = [chosen for chosen in EACH_DATA_TYPE + EACH_WITH_FINDINGS if not said_by_sections(chosen)]
SEVERITIES = [chosen for size in (1, 2, 3) for chosen in combinations(ALL_LEVELS, size)]
FILTERS = [
    Parameters(
        tuple(STREAMING),
        names=tuple(IDS[:names]),
        severities=severities,
        findings=findings,
        controls=tuple(CONTROLS[:controls]),
        alert_severities=alert_severities,
        standards=tuple(STANDARDS[:standards]),
    )
    for names, severities, findings, controls, alert_severities, standards in product(
        range(3), SEVERITIES, (False, True), range(3), SEVERITIES, range(3)
    )
]


def test_every_combination_of_data_types_that_the_sections_can_say_compiles_to_what_the_policy_deploys() -> None:
    assert len(SAYABLE) + len(CUSTOM_ONLY) == 2 * (2 ** len(DATA_TYPES) - 1)
    assert len(SAYABLE) == 391
    wrong = [
        chosen
        for chosen in SAYABLE
        if normalise(compile_sources(file_for(chosen))) != normalise(parse_sources(deployed(chosen)))
    ]
    assert wrong == []


def test_every_combination_of_filters_compiles_to_what_the_policy_deploys() -> None:
    assert len(FILTERS) == 3 * 7 * 2 * 3 * 7 * 3
    wrong = [
        chosen
        for chosen in FILTERS
        if normalise(compile_sources(file_for(chosen))) != normalise(parse_sources(deployed(chosen)))
    ]
    assert wrong == []


def test_what_the_sections_can_t_say_custom_says_or_the_file_is_refused_with_the_reason() -> None:
    for chosen in CUSTOM_ONLY:
        said = exporting(custom=deployed(chosen))
        assert normalise(compile_sources(said)) == normalise(parse_sources(deployed(chosen)))
        wanted = {source.event_source for source in compile_sources(said)}
        refused = [finding.code for finding in errors(check_config(said))]
        orphans = "SubAssessments" in wanted and "Assessments" not in wanted
        assert refused == (["findings-without-recommendations"] if orphans else []), chosen


REFUSED = {
    "findings without recommendations": (
        Parameters(("Security alerts",), findings=True),
        "SubAssessments is exported without Assessments, to which its records belong.",
    ),
    "findings with a snapshot of recommendations only": (
        Parameters(("Security recommendations - snapshot",), findings=True),
        "SubAssessments is exported without Assessments, to which its records belong.",
    ),
}
WARNED = {
    "a snapshot of findings alone": (
        Parameters(("Security findings - snapshot",)),
        "snapshot-findings-without-recommendations",
    ),
    "controls alone": (Parameters(("Secure score controls",)), "controls-without-score"),
    "a snapshot of controls alone": (
        Parameters(("Secure score controls - snapshot",)),
        "snapshot-controls-without-score",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_combinations_that_a_file_refuses(case: str) -> None:
    chosen, reason = REFUSED[case]
    (finding,) = errors(check_config(exporting(custom=deployed(chosen))))
    assert (finding.severity, finding.sentence) == ("error", reason)


@pytest.mark.parametrize("case", WARNED)
def test_combinations_that_a_file_warns_of(case: str) -> None:
    chosen, code = WARNED[case]
    found = check_config(exporting(custom=deployed(chosen)))
    (finding,) = [one for one in found if one.code != "retired-source"]
    assert (finding.severity, finding.code) == ("warning", code)


def test_what_policies_write_by_hand() -> None:
    """The restatement itself, held against one deployment written out."""
    chosen = Parameters(
        ("Security recommendations", "Overall secure score"), names=("a",), severities=("High",), findings=True
    )
    assert deployed(chosen) == [
        {
            "eventSource": "SubAssessments",
            "ruleSets": [
                {
                    "rules": [
                        {
                            "propertyJPath": "id",
                            "propertyType": "string",
                            "expectedValue": "/assessments/a/",
                            "operator": "Contains",
                        }
                    ]
                }
            ],
        },
        {
            "eventSource": "Assessments",
            "ruleSets": [
                {
                    "rules": [
                        {
                            "propertyJPath": "name",
                            "propertyType": "string",
                            "expectedValue": "a",
                            "operator": "Contains",
                        },
                        {
                            "propertyJPath": "properties.metadata.severity",
                            "propertyType": "string",
                            "expectedValue": "High",
                            "operator": "Equals",
                        },
                    ]
                }
            ],
        },
        {"eventSource": "SecureScores", "ruleSets": None},
    ]
    assert parse_sources(build_sources(parse_sources(deployed(chosen)))) == parse_sources(deployed(chosen))
