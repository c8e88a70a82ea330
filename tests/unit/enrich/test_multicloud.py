"""Records on resources of other clouds, and inside of Azure resources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.enrich.builders import alert, assessment, columns
from tests.unit.enrich.golden.base import CONNECTOR, SUB, VM

TENANT = "aa40685b-0000-4000-8000-000000000001"
ARN = "arn:aws:ec2:us-east-1:544047870946:instance/i-1"
ENTITY = f"{CONNECTOR}/securityentitydata/gcp-clusters-shop"


def of(record: dict[str, Any], *names: str) -> tuple[Any, ...]:
    row = columns(record)
    return tuple(row.get(name) for name in names)


@pytest.mark.parametrize(
    ("changes", "cloud", "native", "account", "region"),
    [
        ({}, "Azure", None, None, None),
        ({"AzureResourceId": ENTITY}, "GCP", None, None, None),
        ({"AzureResourceId": f"{CONNECTOR}/securityentitydata/aws-instances-i-1"}, "AWS", None, None, None),
        (
            {"Entities": [{"$id": "4", "AmazonResourceId": ARN, "AmazonAccountId": "1", "Type": "amazon-resource"}]},
            "AWS",
            ARN,
            "1",
            "us-east-1",
        ),
        (
            {
                "Entities": [
                    {"ProjectId": "shop", "ResourceName": "vm-1", "Location": "europe-west1", "Type": "gcp-resource"}
                ]
            },
            "GCP",
            "projects/shop/vm-1",
            "shop",
            "europe-west1",
        ),
        ({"ResourceIdentifiers": [{"AwsResourceId": ARN}]}, "AWS", ARN, "544047870946", "us-east-1"),
    ],
)
def test_an_alert_names_the_cloud_of_its_resource(
    changes: dict[str, Any], cloud: str, native: str | None, account: str | None, region: str | None
) -> None:
    row = of(alert(**changes), "Cloud", "NativeResourceId", "CloudAccountId", "Location")
    assert row == (cloud, native, account, region)


@pytest.mark.parametrize(
    "identifier", [{"AzureResourceTenantId": TENANT}, {"AadTenantId": TENANT}, {"aadTenantId": TENANT, "type": "AAD"}]
)
def test_an_alert_names_its_tenant_among_its_identifiers(identifier: dict[str, Any]) -> None:
    record = alert(ResourceIdentifiers=[{"AzureResourceId": VM, "Type": "AzureResource"}, identifier])
    assert of(record, "SourceTenantId") == (TENANT,)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            {
                "source": "AWS",
                "id": f"{CONNECTOR}/securityentitydata/aws-instances-i-1",
                "region": "us-east-1",
                "hierarchyId": "544047870946",
                "connectorId": "c-1",
                "nativeCloudUniqueIdentifier": ARN,
                "resourceType": "instance",
            },
            ("AWS", ARN, "544047870946", "us-east-1", "c-1", "instance"),
        ),
        (
            {"Source": "GCP", "Id": ENTITY, "NativeResourceId": "//x.googleapis.com/projects/p1/zones/z1/instances/i"},
            ("GCP", "//x.googleapis.com/projects/p1/zones/z1/instances/i", "p1", "z1", CONNECTOR, None),
        ),
    ],
)
def test_a_recommendation_names_account_region_and_connector(
    details: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    record = assessment(resourceDetails=details)
    del record["location"]
    names = ("Cloud", "NativeResourceId", "CloudAccountId", "Location", "ConnectorId", "ResourceType")
    assert of(record, *names)[:5] == expected[:5]


@pytest.mark.parametrize("name", ["awsResourceId", "AmazonResourceId"])
def test_a_path_that_no_azure_resource_is_on_is_of_its_own_cloud(name: str) -> None:
    ends = {"entityIdentifiers": {name: ARN}}
    record = {"attackPath": {"attackPathId": "P-1", "entryPoint": ends, "target": ends}}
    assert of(record, "Cloud", "NativeResourceId", "TargetId") == ("AWS", ARN, ARN)


@pytest.mark.parametrize(
    ("owner", "entity"),
    [
        (f"/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.ContainerRegistry/registries/acr1", "r-1"),
        (f"/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.Sql/managedInstances/mi1", "db:1"),
        (VM, "sqlservers:X:databases:y"),
    ],
)
def test_what_an_entity_is_part_of_is_the_resource(owner: str, entity: str) -> None:
    whole = f"{owner}/securityEntityData/{entity}"
    record = assessment(resourceDetails={"source": "Azure", "id": whole})
    record["id"] = f"{whole}/providers/Microsoft.Security/assessments/r1"
    assert of(record, "ResourceId", "EntityId", "SubscriptionId") == (owner.lower(), whole.lower(), SUB)
    without_details = assessment(resourceDetails=None) | {"id": record["id"]}
    assert of(without_details, "ResourceId", "EntityId") == (owner.lower(), whole.lower())


@pytest.mark.parametrize(
    ("resource", "kind"),
    [
        (f"/subscriptions/{SUB}/identities/0a1b", "microsoft.resources/subscriptions/identities"),
        (f"{VM}/providers/Microsoft.Security/assessments/a/subAssessments/b", "microsoft.compute/virtualmachines"),
    ],
)
def test_odd_resources_have_their_own_type(resource: str, kind: str) -> None:
    record = assessment(resourceDetails={"source": "Azure", "id": resource})
    assert of(record, "ResourceType") == (kind,)


def test_a_management_group_is_a_resource_of_its_own_type() -> None:
    group = "/providers/Microsoft.Management/managementGroups/mg1"
    record = assessment(resourceDetails=None) | {"id": f"{group}/providers/Microsoft.Security/assessments/r1"}
    assert of(record, "ResourceId", "ResourceType", "ResourceName") == (
        group.lower(),
        "microsoft.management/managementgroups",
        "mg1",
    )


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (ARN, ("AWS", ARN, None)),
        (
            "//compute.googleapis.com/projects/p1/zones/z1/instances/i",
            ("GCP", "//compute.googleapis.com/projects/p1/zones/z1/instances/i", None),
        ),
        ("a machine", ("Azure", "a machine", None)),
    ],
)
def test_an_alert_whose_resource_is_named_by_its_own_clouds_id_is_of_that_cloud(
    resource: str, expected: tuple[Any, ...]
) -> None:
    record = alert(AzureResourceId=resource, ResourceIdentifiers=None, Entities=None, ExtendedProperties=None)
    assert of(record, "Cloud", "NativeResourceId", "ResourceId") == expected


def test_parts_of_an_attack_path_that_are_json_in_a_text_are_read() -> None:
    path = {
        "attackPathId": "P-1",
        "mitre": json.dumps([{"tactic": "Initial Access", "techniques": ["T1190"]}]),
        "target": json.dumps({"entityIdentifiers": {"awsResourceId": ARN}}),
        "entryPoint": json.dumps({"resourceId": VM}),
        "attackPathSteps": json.dumps([{"resourceId": VM}]),
        "manualRemediationSteps": '["one", "two"]',
    }
    names = ("Tactics", "Techniques", "TargetId", "EntryPointId", "AffectedResourceIds", "AdditionalRemediationSteps")
    expected = (["Initial Access"], ["T1190"], ARN, VM.lower(), [VM.lower()], "one\ntwo")
    assert of({"attackPath": path}, *names) == expected
    broken = {"attackPathId": "P-1", "mitre": "[Initial Access", "target": "{no"}
    assert of({"attackPath": broken}, "Tactics", "TargetId") == (["[Initial Access"], "{no")


@pytest.mark.parametrize(
    ("intent", "tactics"), [("Unknown", None), ("unknown, Execution", ["Execution"]), ("PreAttack", ["PreAttack"])]
)
def test_that_the_tactic_is_not_known_is_no_tactic(intent: str, tactics: list[str] | None) -> None:
    assert of(alert(Intent=intent), "Tactics") == (tactics,)
