# ruff: noqa: E501 - the table of messages is one line each
from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from shared.exports.model import ExportConfig, InvalidExport, parse_export
from shared.exports.rule_sets import normalise_rule
from tests.unit.exports.examples import HUB, OTHER_SUBSCRIPTION, SUBSCRIPTION, WORKSPACE, config, export, text


def findings(source: str, name: str = "f.yaml") -> list[tuple[str, str]]:
    with pytest.raises(InvalidExport) as caught:
        parse_export(source, name)
    assert all(finding.severity == "error" for finding in caught.value.findings)
    return [(finding.where, f"{finding.sentence} {finding.fix}".strip()) for finding in caught.value.findings]


def the_finding(**parts: Any) -> str:
    ((where, sentence),) = findings(text(**parts))
    return f"{where.removeprefix('f.yaml:1: ')}: {sentence}"


HAND_WRITTEN = f"""\
version: 1
name: soc
scope:
  managementGroups: [contoso]
automation:
  location: westeurope
export:
  alerts:
    severities: [Hgih, Low]
    minimumSeverty: High
destination:
  eventHub:
    resourceId: {HUB}
    trustedService: yes
"""


def test_a_finding_names_file_line_path_mistake_and_fix() -> None:
    assert findings(HAND_WRITTEN) == [
        (
            "f.yaml:9: export.alerts.severities[0]",
            "'Hgih' is not one of High, Medium, Low, Informational. Did you mean High?",
        ),
        (
            "f.yaml:10: export.alerts.minimumSeverty",
            "'minimumSeverty' is not a key here. Did you mean minimumSeverity?",
        ),
        ("f.yaml:14: destination.eventHub.trustedService", "'yes' is not true or false."),
    ]


def test_the_error_is_readable_as_it_stands() -> None:
    with pytest.raises(InvalidExport) as caught:
        parse_export("version: 1\nname: [", "f.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith("f.yaml:3: error not-yaml: this is not YAML: ")


@pytest.mark.parametrize(
    ("source", "where", "sentence"),
    [
        ("", "f.yaml:1", "the file is empty. Begin with `version: 1`."),
        ("[]", "f.yaml:1", "the file is not a mapping of keys to values. Begin with `version: 1`."),
        ("a: 1\n--- {}", "f.yaml:2", "the file holds several documents. One export a file."),
    ],
)
def test_what_is_no_export_at_all(source: str, where: str, sentence: str) -> None:
    assert findings(source) == [(where, sentence)]


def test_a_text_without_a_name_is_called_text() -> None:
    with pytest.raises(InvalidExport) as caught:
        parse_export(b"")
    assert caught.value.findings[0].where == "<text>:1"


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"version": 2}, "version: 2 is not 1. Write 1."),
        ({"version": "1"}, "version: '1' is not 1. Did you mean 1?"),
        ({"extra": 1}, "extra: 'extra' is not a key here. Known: version, name, renamedFrom, description, enabled, scope, rollout, automation, export, destination, waive, tests."),
        ({"name": "SOC alerts"}, "name: 'SOC alerts' is not a name: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end. Write soc-alerts."),
        ({"name": "../../x"}, "name: '../../x' is not a name: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end. Write x."),
        ({"name": 7}, 'name: 7 is not text. Put it in quotes: "7".'),
        ({"name": True}, 'name: true is not text. Put it in quotes: "true".'),
        ({"name": None}, "name: 'name' is blank. Give it a value, or take the key out."),
        ({"enabled": "yes"}, "enabled: 'yes' is not true or false."),
        ({"scope": {}}, "scope: the scope selects nothing; give managementGroups or subscriptions."),
        ({"scope": []}, "scope: a list is not a mapping of keys to values. Write keys with values below it."),
        ({"scope": {"subscriptions": ["prod"]}}, "scope.subscriptions[0]: 'prod' is not a GUID. Give the subscription's id, not its name: `az account list` shows both."),
        ({"scope": {"subscriptions": SUBSCRIPTION}}, f"scope.subscriptions: '{SUBSCRIPTION}' is not a list. Write [{SUBSCRIPTION}]."),
        ({"scope": {"managementGroups": ["My group"]}}, "scope.managementGroups[0]: 'My group' is not a management group's id (not its display name), or <tenant>/<id>."),
        ({"scope": {"subscriptions": [SUBSCRIPTION], "tags": {"a": 1}}}, 'scope.tags.a: 1 is not text. Put it in quotes: "1".'),
        ({"automation": {}}, "automation.location: 'location' is missing."),
        ({"automation": {"location": "w"}}, "automation.location: 'w' is not an Azure location such as westeurope."),
        ({"automation": {"location": "westeurope", "name": "a b"}}, "automation.name: 'a b' is not an automation's name: letters, digits, _ - @ . ( ) only."),
        ({"automation": {"location": "westeurope", "resourceGroup": "a."}}, "automation.resourceGroup: 'a.' is not a resource group's name: letters, digits, . _ - ( ), no dot at the end."),
        ({"automation": {"location": "westeurope", "tags": {"Managed-By": "me"}}}, "automation: tags: 'Managed-By' is one of the tags that mark ownership; choose another."),
        ({"automation": {"location": "westeurope", "tags": {"defender-export-name": "me"}}}, "automation: tags: 'defender-export-name' is one of the tags that mark ownership; choose another."),
        ({"automation": {"location": "westeurope", "tags": {"a/b": "me"}}}, "automation: tags: 'a/b' holds one of < > % & \\ ? /, which Azure does not allow in a tag's name."),
        ({"automation": {"location": "westeurope", "tags": {f"t{i}": "" for i in range(41)}}}, "automation: tags: 41 are given; at most 40 fit."),
        ({"export": {}}, "export: nothing is exported; give alerts, recommendations, secureScore, regulatoryCompliance, attackPaths or custom."),
        ({"export": {"alerts": None}}, "export.alerts: nothing is given; write {} to export all of it, or take the key out."),
        ({"export": {"alerts": False}}, "export.alerts: false is not a mapping of keys to values. Write keys with values below it."),
        ({"export": {"alerts": {"severities": []}}}, "export.alerts.severities: the list is empty. List something, or take the key out to mean all."),
        ({"export": {"alerts": {"severities": ["High"], "minimumSeverity": "Low"}}}, "export.alerts: give either minimumSeverity or severities, not both."),
        ({"export": {"recommendations": {"minimumSeverity": "Informational"}}}, "export.recommendations.minimumSeverity: 'Informational' is not one of Critical, High, Medium, Low."),
        ({"export": {"recommendations": {"findings": {"severities": ["Low"], "minimumSeverity": "Low"}}}}, "export.recommendations.findings: give either minimumSeverity or severities, not both."),
        ({"export": {"recommendations": {"ids": ["SQL databases should be fine"]}}}, "export.recommendations.ids[0]: 'SQL databases should be fine' is not an id; a display name or a whole resource id matches nothing."),
        ({"export": {"findings": {}}}, "export.findings: 'findings' is not a key here. It belongs under export.recommendations."),
        ({"export": {"attackPaths": {"riskLevels": ["Low"], "minimumRiskLevel": "Low"}}}, "export.attackPaths: give either minimumRiskLevel or riskLevels, not both."),
        ({"export": {"attackPaths": {"minimumRiskLevel": "critical"}}}, "export.attackPaths.minimumRiskLevel: 'critical' is not one of Critical, High, Medium, Low. Did you mean Critical?"),
        ({"export": {"secureScore": {"controls": []}}}, "export.secureScore.controls: the list is empty. List something, or take the key out to mean all."),
        ({"export": {"secureScore": {"controls": "x"}}}, "export.secureScore.controls: 'x' is not a list. Write [x]."),
        ({"export": {"frequency": ["weekly"], "alerts": {}}}, "export.frequency[0]: 'weekly' is not one of streaming, snapshot."),
        ({"export": {"frequency": ["snapshot"], "alerts": {}}}, "export: alerts have no snapshot, so with frequency [snapshot] none is ever sent; add streaming, or give alerts a frequency of their own: [streaming]."),
        ({"export": {"alerts": {"frequency": ["snapshot"]}}}, "export.alerts.frequency[0]: 'snapshot' is not streaming. Write streaming."),
        ({"export": {"custom": [{"eventSource": "Alert"}]}}, "export.custom[0].eventSource: 'Alert' is not one of Assessments, AssessmentsSnapshot, SubAssessments, SubAssessmentsSnapshot, Alerts, SecureScores, SecureScoresSnapshot, SecureScoreControls, SecureScoreControlsSnapshot, RegulatoryComplianceAssessment, RegulatoryComplianceAssessmentSnapshot, AttackPaths, AttackPathsSnapshot. Did you mean Alerts?"),
        ({"destination": {}}, "destination: give exactly one of eventHub and logAnalyticsWorkspace; two destinations are two files."),
        ({"destination": {"eventHub": {"resourceId": HUB, "trustedService": True}, "logAnalyticsWorkspace": {"resourceId": WORKSPACE}}}, "destination: give exactly one of eventHub and logAnalyticsWorkspace; two destinations are two files."),
        ({"destination": {"eventHub": {"resourceId": HUB}}}, "destination.eventHub: give either trustedService: true or authorizationRule: <name>."),
        ({"destination": {"eventHub": {"resourceId": HUB, "trustedService": True, "authorizationRule": "r"}}}, "destination.eventHub: give either trustedService: true or authorizationRule: <name>."),
        ({"destination": {"logAnalyticsWorkspace": {"resourceId": "/x"}}}, "destination.logAnalyticsWorkspace.resourceId: '/x' is not the resource id of a workspace (/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.OperationalInsights/workspaces/<4 to 63 letters, digits and hyphens>)."),
        ({"destination": {"logAnalyticsWorkspace": {"resourceId": WORKSPACE}, "tenantId": "contoso"}}, "destination.tenantId: 'contoso' is not a GUID."),
        ({"tests": [{"record": {}}]}, "tests[0].exported: 'exported' is missing."),
        ({"tests": [{"record": [], "exported": True}]}, "tests[0].record: a list is not a mapping of keys to values. Write keys with values below it."),
        ({"waive": [{"code": "x"}]}, "waive[0].reason: 'reason' is missing."),
        ({"waive": [{"code": "x", "reason": ""}]}, "waive[0].reason: String should have at least 3 characters."),
    ],
)  # fmt: skip
def test_each_mistake_is_named_with_what_would_be_right(parts: dict[str, Any], message: str) -> None:
    assert the_finding(**parts) == message


@pytest.mark.parametrize("key", ["version", "name", "scope", "automation", "export", "destination"])
def test_what_every_file_needs(key: str) -> None:
    whole = export()
    del whole[key]
    with pytest.raises(InvalidExport) as caught:
        parse_export(str(whole).replace("True", "true"), "f.yaml")
    (finding,) = caught.value.findings
    assert (finding.code, finding.where, finding.sentence) == (
        "missing-key",
        f"f.yaml:1: {key}",
        f"{key!r} is missing.",
    )


@pytest.mark.parametrize("id_", [HUB.upper(), HUB.lower(), HUB.replace("rg-soc", "rg_(x).y")])
def test_resource_ids_may_have_any_casing(id_: str) -> None:
    parsed = config(destination={"eventHub": {"resourceId": id_, "trustedService": True}})
    assert parsed.destination.event_hub is not None
    assert parsed.destination.event_hub.resource_id == id_


@pytest.mark.parametrize(
    "id_",
    [
        HUB.replace("/namespaces/", "/namespaces/x/"),
        HUB + "/authorizationRules/x",
        HUB[1:],
        HUB + "\n",
        HUB.replace(SUBSCRIPTION, "prod"),
        WORKSPACE,
        HUB + "/",
    ],
)
def test_what_is_no_hub_is_refused(id_: str) -> None:
    assert "is not the resource id of an event hub" in the_finding(
        destination={"eventHub": {"resourceId": id_, "trustedService": True}}
    )


def test_a_namespace_whose_name_is_too_short_is_told_how_long_it_must_be() -> None:
    short = re.sub("/namespaces/[^/]+", "/namespaces/evh", HUB)
    assert "/namespaces/<6 to 50 letters, digits and hyphens>/" in the_finding(
        destination={"eventHub": {"resourceId": short, "trustedService": True}}
    )


def test_true_is_short_for_all_of_a_section() -> None:
    short = dict.fromkeys(("alerts", "recommendations", "secureScore", "regulatoryCompliance", "attackPaths"), True)
    assert config(export=short) == config(export={key: {} for key in short})
    assert config(export={"recommendations": {"findings": True}}) == config(
        export={"recommendations": {"findings": {}}}
    )


def test_what_is_left_out_has_the_documented_default() -> None:
    parsed = config()
    assert parsed.enabled
    assert parsed.description is None
    assert parsed.automation.name is None
    assert parsed.automation.resource_group == "rg-defender-export"
    assert parsed.automation.create_resource_group
    assert not parsed.automation.adopt
    assert parsed.export.frequency == ("streaming",)
    assert (parsed.tests, parsed.waive, parsed.export.custom) == ((), (), ())
    assert parsed.scope.exclude.subscriptions == ()


def test_unquoted_off_is_text() -> None:
    source = text(scope={"subscriptions": [OTHER_SUBSCRIPTION], "exclude": {"tags": {"defender-export": "OFF"}}})
    assert parse_export(source.replace('"OFF"', "off")).scope.exclude.tags == {"defender-export": "off"}


def test_an_export_can_t_be_changed() -> None:
    with pytest.raises(ValidationError):
        config().name = "other"  # type: ignore[misc] # the point


@pytest.mark.parametrize(("value", "text_"), [(7, "7"), (0.5, "0.5"), (True, "true"), ("x", "x")])
def test_custom_rules_are_written_as_the_api_has_them_in_any_casing(value: Any, text_: str) -> None:
    rule = {"propertyJPath": "x", "propertyType": "string", "operator": "equals", "expectedValue": value}
    parsed = config(export={"custom": [{"eventSource": "alerts", "ruleSets": [{"rules": [rule]}]}]})
    source = parsed.export.custom[0].source()
    assert source.event_source == "Alerts"
    ((one,),) = source.rule_sets
    assert (one.path, one.type, one.operator, one.value) == ("x", "String", "Equals", text_)


NUMBERS = [
    ("Integer", "5.0", "5"),
    ("Integer", "1e3", "1000"),
    ("Integer", " 7 ", "7"),
    ("Integer", "-0.0", "-0"),
    ("Integer", "12345678901234567890", "12345678901234567890"),
    ("Number", "1e-5", "0.00001"),
    ("Number", "0.00001", "0.00001"),
    ("Number", "1.50E+2", "150"),
    ("Number", "5.", "5."),
    ("Number", "\u0665", "5"),
    ("Number", "1e999", "1e999"),
    ("Number", "x", "x"),
    ("String", "1e3", "1e3"),
]


@pytest.mark.parametrize(("kind", "written", "sent"), NUMBERS)
def test_a_number_is_sent_in_plain_digits(kind: str, written: str, sent: str) -> None:
    rule = {"propertyJPath": "x", "propertyType": kind, "operator": "Equals", "expectedValue": written}
    parsed = config(export={"custom": [{"eventSource": "Alerts", "ruleSets": [{"rules": [rule]}]}]})
    (((one,),),) = (parsed.export.custom[0].source().rule_sets,)
    assert one.value == sent
    assert normalise_rule(one) == normalise_rule(replace(one, value=written)), "it means the same as before"


@pytest.mark.parametrize("nothing", [{}, {"ruleSets": None}, {"ruleSets": []}])
def test_a_custom_source_without_rule_sets_is_the_whole_source(nothing: dict[str, Any]) -> None:
    parsed = config(export={"custom": [{"eventSource": "Alerts", **nothing}]})
    assert parsed.export.custom[0].source().rule_sets == ()


def test_the_model_takes_its_own_json() -> None:
    parsed = config(export={"recommendations": {"ids": ["a"], "findings": True}, "alerts": True})
    again = ExportConfig.model_validate(parsed.model_dump(by_alias=True, exclude_none=True))
    assert again == parsed
