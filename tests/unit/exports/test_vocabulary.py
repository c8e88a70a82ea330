"""The vocabulary of records: complete against the SDK's models, the reader of records and published captures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from azure.mgmt.security import models as sdk
from hypothesis import given
from hypothesis import strategies as st

from shared.enrich.records.field_mapping import KINDS as READ
from shared.exports.event_sources import EVENT_SOURCES, KINDS, SNAPSHOT
from shared.exports.file_tests import decide
from shared.exports.linter import CODES, lint_sources
from shared.exports.rule_sets import Rule, Source
from tests.unit.exports.examples import exporting

MODELS: dict[str, Any] = {
    "Assessments": sdk.SecurityAssessmentResponse,
    "SubAssessments": sdk.SecuritySubAssessment,
    "Alerts": sdk.Alert,
    "SecureScores": sdk.SecureScoreItem,
    "SecureScoreControls": sdk.SecureScoreControlDetails,
    "RegulatoryComplianceAssessment": sdk.RegulatoryComplianceAssessment,
}
# Fields of individual recommendations that Microsoft's workbooks and users' captures show.
CAPTURED = (
    "properties.resourceDetails.Source",
    "properties.resourceDetails.ResourceType",
    "properties.resourceDetails.Id",
    "properties.resourceDetails.ConnectorId",
    "properties.resourceDetails.AzureResourceId",
    "properties.resourceDetails.ResourceProvider",
    "properties.resourceDetails.NativeResourceId",
    "properties.status.firstEvaluationDate",
    "properties.status.statusChangeDate",
    "properties.metadata.severity",
    "properties.metadata.recommendationCategory",
    "properties.metadata.assessmentType",
    "properties.metadata.preview",
    "properties.metadata.categories",
    "properties.risk.level",
    "properties.risk.riskFactors",
    "properties.risk.isContextualRisk",
    "properties.risk.attackPathsReferences",
    "properties.risk.paths",
    "properties.additionalData.SoftwareName",
    "properties.additionalData.CvesDetails",
    "properties.additionalData.MaxCvssScore",
    "properties.additionalData.ScannersDetails",
    "properties.additionalData.Scanner",
    "properties.additionalData.RuleId",
    "properties.resourceAdditionalData",
    "properties.metadata.tactics",
    "properties.metadata.techniques",
    "properties.metadata.partnerData.partnerName",
    "properties.metadata.publishDates.GA",
    "properties.links.azurePortalUri",
)


def camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def fields(model: Any, above: str = "", depth: int = 0) -> Iterator[str]:
    """Every dotted path of a model of the SDK, in the API's casing."""
    for base in model.__mro__:
        for name in vars(base).get("__annotations__", {}):
            if name.startswith("_"):
                continue
            path = f"{above}{camel(name)}"
            yield path
            hint = get_type_hints(base, vars(sdk) | {"_models": sdk}).get(name) if depth < 4 else None
            for inner in [hint, *get_args(hint)]:
                if _is_model(inner):
                    yield from fields(inner, f"{path}.", depth + 1)


def _is_model(hint: Any) -> bool:
    ours = isinstance(hint, type) and hint.__module__.startswith("azure.mgmt.security")
    return ours and hasattr(hint, "__annotations__") and not hasattr(hint, "__members__")


def exported_paths(kind: str) -> set[str]:
    paths = set(fields(MODELS[kind])) if kind in MODELS else set()
    if kind == "Alerts":  # exported alerts are flat, and PascalCase
        paths = {path.removeprefix("properties.") for path in paths if path.startswith("properties.")}
    return paths


def codes(source: str, path: str) -> list[str]:
    return [one.code for one in lint_sources([Source(source, ((Rule(path, "String", "NotEquals", "x"),),))])]


@pytest.mark.parametrize("source", EVENT_SOURCES)
def test_every_field_of_the_sdk_and_of_the_reader_is_known(source: str) -> None:
    kind = source.removesuffix(SNAPSHOT)
    read = {path for one in READ if one.source == kind for path in one.fields}
    if kind == "Alerts":  # nested they are read from Resource Graph, but exports have them flat
        read = {path for path in read if not path.startswith("properties.")}
    paths = exported_paths(kind) | read | (set(CAPTURED) if kind == "Assessments" else set())
    assert kind == "AttackPaths" or len(paths) > 10
    assert [path for path in sorted(paths) if KINDS[kind].field(path) is None] == []
    assert [path for path in sorted(paths) if {"unknown-path", "alert-nested-path"} & set(codes(source, path))] == []


@pytest.mark.parametrize("source", [name for name in EVENT_SOURCES if not name.startswith(("Alerts", "AttackPaths"))])
def test_an_invented_leaf_is_a_warning(source: str) -> None:
    assert "unknown-path" in codes(source, "properties.inventedLeaf")
    assert CODES["unknown-path"] == "warning"


@pytest.mark.parametrize(
    "path",
    [
        "properties.metadata.severity",
        "properties.severity",
        "properties.status.code",
        "$.Properties.displayName",
        "properties.metadata.recommendationCategory",
    ],
)
def test_a_recommendation_s_path_on_alerts_is_an_error(path: str) -> None:
    (code,) = codes("Alerts", path)
    assert CODES[code] == "error"


@pytest.mark.parametrize(
    "path",
    [
        "properties.additionalData.*",
        "properties.additionalData[?(@.k=='a')].v",
        "properties.additionalData[-1]",
        "properties..severity",
        "properties.additionalData[0:2]",
        "properties.additionalData['a','b']",
        "*",
        "properties.metadata.categories[0,1]",
        "$..name",
        "properties.additionalData[(@.length-1)]",
        "properties.additionalData.length()",
        "properties.additionalData[",
        "properties.additionalData[x]",
        "properties.additionalData[ * ]",
        "properties.additionalData['x']y",
        "properties.additionalData['']",
        "properties.additionalData.",
    ],
)
def test_paths_that_cannot_be_followed_say_so(path: str) -> None:
    assert codes("Assessments", path) == ["unsupported-path"]


@pytest.mark.parametrize(
    "path",
    [
        "properties.additionalData[0].x",
        "properties.additionalData[*].x",
        "['id']",
        "$['id']",
        "properties.additionalData['a.b'].x (y)",
        "properties.additionalData.@odata",
        "properties.additionalData.assessed resource",
    ],
)
def test_paths_that_can_be_followed_are_left_alone(path: str) -> None:
    assert codes("Assessments", path) == []


@pytest.mark.parametrize(
    ("source", "rule", "words"),
    [
        ("Alerts", ("Status", "Equals", "Active"), "New"),
        ("Alerts", ("ProductComponentName", "Equals", "KeyVault"), "KeyVaults"),
        ("Assessments", ("properties.status.code", "Equals", "Open"), "Healthy, Unhealthy, NotApplicable"),
        ("Assessments", ("properties.metadata.recommendationCategory", "Equals", "SoftwareUpdates"), "SoftwareUpdate"),
        ("Assessments", ("properties.resourceDetails.source", "Equals", "Amazon"), "AWS"),
        ("Assessments", ("id", "Contains", "PCI-DSS-4"), "regulatoryCompliance.standards"),
        ("AssessmentsSnapshot", ("id", "Contains", "ISO-27001"), "regulatoryCompliance.standards"),
        ("Assessments", ("id", "Contains", "/Microsoft.Security/secureScores/"), "event source"),
        ("Assessments", ("type", "Contains", "Microsoft.Security/alerts"), "microsoft.security/assessments"),
        ("Assessments", ("name", "Equals", "SQL databases should be fine"), "Give the key"),
        ("SecureScoreControls", ("name", "Equals", "Enable MFA"), "Give the key"),
    ],
)
def test_a_value_that_no_record_bears_is_a_warning_with_what_would_match(
    source: str, rule: tuple[str, str, str], words: str
) -> None:
    path, operator, value = rule
    found = lint_sources([Source(source, ((Rule(path, "String", operator, value),),))])
    (finding,) = [one for one in found if one.code == "unknown-value"]
    assert finding.severity == "warning"
    assert words in f"{finding.sentence} {finding.fix}"


ORDER = {"recommendations": ["Critical", "High", "Medium", "Low"], "alerts": ["High", "Medium", "Low", "Informational"]}


def of_severity(section: str, severity: str) -> dict[str, Any]:
    if section == "alerts":
        return {"SystemAlertId": "a", "Severity": severity}
    return {"type": "Microsoft.Security/assessments", "name": "a", "properties": {"metadata": {"severity": severity}}}


@given(st.sampled_from(list(ORDER)), st.text() | st.sampled_from(["Critical", "Catastrophic", "high"]))
def test_the_lowest_minimum_exports_every_severity(section: str, severity: str) -> None:
    lowest = exporting(**{section: {"minimumSeverity": ORDER[section][-1]}})
    assert decide(lowest, of_severity(section, severity)).exported
    if section == "recommendations":
        narrowed = exporting(recommendations={"ids": ["a"], "minimumSeverity": "Low"})
        assert decide(narrowed, of_severity(section, severity)).exported


@pytest.mark.parametrize("section", ORDER)
def test_for_each_known_level_the_order_holds(section: str) -> None:
    levels = ORDER[section]
    for place, minimum in enumerate(levels):
        config = exporting(**{section: {"minimumSeverity": minimum}})
        sent = [level for level in levels if decide(config, of_severity(section, level.upper())).exported]
        assert sent == levels[: place + 1]
