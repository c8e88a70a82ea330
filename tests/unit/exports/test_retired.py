"""Retired recommendations: every id gives a finding, and migration exports what the old id stood for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.exports.file_tests import decide
from shared.exports.migration import migrate
from shared.exports.model import parse_export
from shared.exports.retired_recommendations import RETIRED, RetiredRecommendation
from shared.exports.validation import check_text
from tests.unit.exports.examples import exporting, text

OLD_SAMPLES = sorted((Path(__file__).parents[2] / "data" / "old_samples").glob("*.yaml"))
S = "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg"
CASES = {
    "machine": (
        "SoftwareUpdate",
        "Azure",
        "Microsoft.Compute/virtualMachines",
        f"{S}/providers/Microsoft.Compute/virtualMachines/vm",
    ),
    "arc machine": (
        "SoftwareUpdate",
        "Azure",
        "Microsoft.HybridCompute/machines",
        f"{S}/providers/Microsoft.HybridCompute/machines/m",
    ),
    "ec2": (
        "SoftwareUpdate",
        "AWS",
        "ec2.instance",
        f"{S}/providers/Microsoft.Security/securityConnectors/c/securityentitydata/i",
    ),
    "gcp": (
        "SoftwareUpdate",
        "GCP",
        "compute.instance",
        f"{S}/providers/Microsoft.Security/securityConnectors/c/securityentitydata/g",
    ),
    "image": (
        "SoftwareUpdate",
        "Azure",
        ".containerimage",
        f"{S}/providers/Microsoft.ContainerRegistry/registries/r/securityentitydata/x",
    ),
    "container": (
        "SoftwareUpdate",
        "Azure",
        "K8s-container",
        f"{S}/providers/Microsoft.ContainerService/managedClusters/k/securityentitydata/x",
    ),
    "aws container": ("SoftwareUpdate", "AWS", "K8s-container", f"{S}/providers/x/securityentitydata/x"),
    "gcp container": ("SoftwareUpdate", "GCP", "K8s-container", f"{S}/providers/x/securityentitydata/y"),
    "dependency": (
        "SoftwareUpdate",
        "GitHub",
        "microsoft.security/securityconnectors/devops/githubowners/repos",
        f"{S}/devops/default/r",
    ),
    "machine secret": (
        "ExposedSecrets",
        "Azure",
        "Microsoft.Compute/virtualMachines",
        f"{S}/providers/Microsoft.Compute/virtualMachines/vm",
    ),
    "ec2 secret": ("ExposedSecrets", "AWS", "ec2.instance", f"{S}/providers/x/securityentitydata/i"),
    "gcp secret": ("ExposedSecrets", "GCP", "compute.instance", f"{S}/providers/x/securityentitydata/g"),
    "repository secret": (
        "ExposedSecrets",
        "GitLab",
        "microsoft.security/securityconnectors/devops/gitlabgroups/projects",
        f"{S}/devops/default/r",
    ),
    "code": (
        "CodeVulnerabilities",
        "AzureDevOps",
        "microsoft.security/securityconnectors/devops/azuredevopsorgs/projects/repos",
        f"{S}/devops/default/r",
    ),
    "api": (
        "ApiVulnerabilities",
        "GitHub",
        "microsoft.security/securityconnectors/devops/githubowners/repos",
        f"{S}/devops/default/r",
    ),
    "iac": (
        "IacVulnerabilities",
        "GitHub",
        "microsoft.security/securityconnectors/devops/githubowners/repos",
        f"{S}/devops/default/r",
    ),
    "host": (
        "HostMisconfigurations",
        "Azure",
        "Microsoft.Compute/virtualMachines",
        f"{S}/providers/Microsoft.Compute/virtualMachines/vm",
    ),
    "update": (
        "SystemUpdate",
        "Azure",
        "Microsoft.Compute/virtualMachines",
        f"{S}/providers/Microsoft.Compute/virtualMachines/vm",
    ),
    "node": (
        "ServiceUpgrade",
        "Azure",
        "Microsoft.ContainerService/managedClusters",
        f"{S}/providers/Microsoft.ContainerService/managedClusters/k",
    ),
    "sql database": ("Unknown", "Azure", "", f"{S}/providers/Microsoft.Sql/servers/s/databases/d"),
    "sql on a machine": (
        "Unknown",
        "Azure",
        "",
        f"{S}/providers/Microsoft.Compute/virtualMachines/sqlvm/securityentitydata/sqlservers:MSSQLSERVER:databases:db1",
    ),
    "classic": ("Unknown", "Azure", "virtualMachines", f"{S}/providers/Microsoft.Compute/virtualMachines/vm"),
}
STOOD_FOR = {
    "Machines: vulnerability findings": {"machine", "arc machine"},
    "EC2 instances: vulnerability findings": {"ec2"},
    "GCP compute instances: vulnerability findings": {"gcp"},
    "System updates (Azure Update Manager)": {"update"},
    "Windows security configuration": {"host"},
    "Linux security configuration": {"host"},
    "Machines: secrets findings": {"machine secret"},
    "EC2 instances: secrets findings": {"ec2 secret"},
    "GCP VM instances: secrets findings": {"gcp secret"},
    "SQL databases: vulnerability findings": {"sql database"},
    "SQL servers on machines: vulnerability findings": {"sql on a machine"},
    "AKS nodes: vulnerability findings": {"node"},
    "Container images in Azure registries: vulnerability findings": {"image"},
    "Azure running container images: vulnerability findings": {"container"},
    "AWS running container images: vulnerability findings": {"aws container"},
    "GCP running container images: vulnerability findings": {"gcp container"},
    "Repositories: API security testing findings": {"api"},
    "Repositories: dependency findings": {"dependency"},
    "Repositories: Shai-Hulud 2.0 compromised packages": {"dependency"},
    "Repositories: code scanning findings": {"code"},
    "Azure DevOps security posture findings": {"code"},
    "Repositories: infrastructure as code findings": {"iac"},
    "Repositories: secrets findings": {"repository secret"},
}
GONE = [entry for entry in RETIRED.values() if not entry.retiring]


def record(case: str, *, camel: bool, severity: str = "Medium", name: str = "") -> dict[str, Any]:
    """A record in the shape of individual recommendations, keys in either casing."""
    category, cloud, resource_type, resource_id = CASES[case]
    details = {"Source": cloud, "ResourceType": resource_type, "Id": resource_id}
    additional = {"Scanner": "SQL Vulnerability Assessment", "RuleId": "VA1059"} if case.startswith("sql") else {}
    if camel:
        details, additional = (
            {key[0].lower() + key[1:]: value for key, value in part.items()} for part in (details, additional)
        )
    return {
        "type": "microsoft.security/assessments",
        "id": f"{resource_id}/providers/Microsoft.Security/assessments/own",
        "name": name or "5d7ab1f0-6f0f-4c34-9a77-0d2d0b1a7e11",
        "properties": {
            "resourceDetails": {key: value for key, value in details.items() if value},
            "status": {"code": "Unhealthy"},
            "metadata": {"severity": severity, "recommendationCategory": category},
            "additionalData": additional,
        },
    }


@pytest.mark.parametrize("entry", RETIRED.values(), ids=lambda entry: entry.id)
def test_each_id_gives_a_finding_that_names_its_successor(entry: RetiredRecommendation) -> None:
    checked = check_text(text(export={"recommendations": {"ids": [entry.id.upper()]}}), "f.yaml")
    (finding,) = checked.findings
    assert finding.severity == "warning"
    assert finding.code == ("retiring-recommendation" if entry.retiring else "retired-recommendation")
    assert entry.date in finding.sentence
    successor = entry.successor.category or entry.successor.scanner if entry.successor else entry.note
    assert successor in finding.fix
    assert all(name in finding.fix for name in entry.ids)


@pytest.mark.parametrize("entry", GONE, ids=lambda entry: entry.id)
@pytest.mark.parametrize("findings", [None, {}, {"minimumSeverity": "Medium"}])
def test_migration_exports_what_the_id_stood_for_and_nothing_else(
    entry: RetiredRecommendation, findings: dict[str, Any] | None
) -> None:
    section: dict[str, Any] = {"ids": [entry.id]} | ({} if findings is None else {"findings": findings})
    old = text(export={"recommendations": section})
    migrated = migrate(old, "f.yaml")
    if not entry.single:
        assert entry.id in migrated.text
        assert any(entry.id in remark for remark in migrated.remarks)
        assert [one.code for one in check_text(migrated.text).findings] == ["retired-recommendation"]
        return
    checked = check_text(migrated.text)
    assert checked.findings == ()
    assert checked.config is not None
    if entry.ids:
        assert decide(checked.config, record("classic", camel=False, name=entry.ids[0])).exported
        assert not decide(checked.config, record("classic", camel=False)).exported
        return
    for camel in (False, True):
        sent = {case for case in CASES if decide(checked.config, record(case, camel=camel)).exported}
        assert sent == STOOD_FOR[entry.title]
        low = {case for case in CASES if decide(checked.config, record(case, camel=camel, severity="Low")).exported}
        assert low == (set() if findings else STOOD_FOR[entry.title])


@pytest.mark.parametrize("path", OLD_SAMPLES, ids=lambda path: path.stem)
def test_old_samples_migrate_to_files_without_a_warning(path: Path) -> None:
    migrated = migrate(path.read_bytes(), path.name)
    assert check_text(migrated.text).findings == ()
    assert migrate(migrated.text).text == migrated.text


def test_what_surrounds_the_section_stays_as_it_is_and_comments_of_kept_ids_too() -> None:
    path = next(path for path in OLD_SAMPLES if path.stem == "chosen-recommendations-to-event-hub")
    old, new = path.read_text(), migrate(path.read_bytes()).text
    assert old.partition("    ids:")[0] == new.partition("    ids:")[0]
    assert old.partition("destination:")[2] == new.partition("destination:")[2]
    assert "4ab6e3c5-74dd-8b35-9ab9-f61b30875b27   # system updates" in new


@pytest.mark.parametrize(
    ("section", "becomes"),
    [
        ({"findings": {}}, {}),
        ({"minimumSeverity": "Medium", "findings": {"minimumSeverity": "High"}}, {"minimumSeverity": "Medium"}),
        (
            {"minimumSeverity": "High", "findings": {"minimumSeverity": "Medium"}},
            {"minimumSeverity": "High", "findings": {"minimumSeverity": "Medium"}},
        ),
    ],
)
def test_findings_of_all_recommendations_go_where_nothing_is_lost(
    section: dict[str, Any], becomes: dict[str, Any]
) -> None:
    migrated = migrate(text(export={"recommendations": section}))
    parsed = parse_export(migrated.text).export.recommendations
    assert parsed == exporting(recommendations=becomes).export.recommendations
    assert bool(migrated.remarks) == ("findings" in becomes)


def test_a_severity_of_findings_does_not_narrow_ids_that_stay() -> None:
    ids = ["1195afff-c881-495e-9bc5-1486211ae03f", "22489c48-27d1-4e40-9420-4303ad9cffef"]
    migrated = migrate(text(export={"recommendations": {"ids": ids, "findings": {"minimumSeverity": "High"}}}))
    config = parse_export(migrated.text)
    assert decide(config, record("classic", camel=False, severity="Low", name=ids[1])).exported
    assert not decide(config, record("machine", camel=False, severity="Low")).exported
    assert decide(config, record("machine", camel=False, severity="Critical")).exported


def test_rules_by_hand_are_left_and_named() -> None:
    rule = {"propertyJPath": "name", "propertyType": "String", "operator": "Contains"}
    retired = rule | {"expectedValue": "1195afff-c881-495e-9bc5-1486211ae03f"}
    custom = [{"eventSource": "Assessments", "ruleSets": [{"rules": [retired]}]}, {"eventSource": "SubAssessments"}]
    old = text(export={"custom": custom})
    migrated = migrate(old)
    assert migrated.text == old
    assert len(migrated.remarks) == 2
