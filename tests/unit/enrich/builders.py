"""Records by hand, small enough to read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.enrich.records import Event, Parsed, Parser, Row

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
ENQUEUED = datetime(2026, 11, 10, 11, 30, tzinfo=UTC)
SUB = "0a1b2c3d-0000-4000-8000-000000000001"
VM = f"/subscriptions/{SUB}/resourceGroups/RG-Web/providers/Microsoft.Compute/virtualMachines/Web01"
REC = "4FB67663-9ab9-475d-b026-8c544cced439"


def event(record: Any, **changes: Any) -> Event:
    """An event that carries a record (or bytes) and was enqueued half an hour ago."""
    body = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    return Event(body, ENQUEUED, "3", 42)._replace(**changes)


def parse(*records: Any, parser: Parser | None = None) -> Parsed:
    """What a batch of records becomes."""
    return (parser or Parser()).parse([event(record) for record in records], NOW)


def row(record: Any, parser: Parser | None = None, **changes: Any) -> Row:
    """The one row of a record."""
    parsed = (parser or Parser()).parse([event(record, **changes)], NOW)
    assert not parsed.bad
    (only,) = parsed.rows
    return only


def columns(record: Any, parser: Parser | None = None) -> dict[str, Any]:
    """The columns that have a value in the one row of a record."""
    loaded = orjson.loads(row(record, parser).json)
    return {name: value for name, value in loaded.items() if value is not None}


def enrichment(action: str = "Write", *, snapshot: bool | None = False) -> dict[str, Any]:
    """What the exporter adds to a record."""
    flag = {} if snapshot is None else {"isSnapshot": snapshot}
    return {"securityEventDataEnrichment": {"action": action, "apiVersion": "2019-01-01", **flag}}


def assessment(**properties: Any) -> dict[str, Any]:
    """An unhealthy virtual machine."""
    return {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/assessments",
        "kind": None,
        "location": "westeurope",
        "id": f"{VM}/providers/Microsoft.Security/assessments/{REC}",
        "name": REC,
        "tags": None,
        "properties": {
            "resourceDetails": {
                "source": "Azure",
                "id": VM,
                "resourceName": "Web01",
                "resourceType": "virtualMachines",
                "resourceProvider": "Microsoft.Compute",
                "nativeResourceId": VM,
            },
            "displayName": "Machines should be patched",
            "status": {
                "code": "Unhealthy",
                "statusChangeDate": "2026-11-10T09:00:00.1234567Z",
                "firstEvaluationDate": "2026-10-01T00:00:00Z",
            },
            "additionalData": {"subAssessmentsLink": "/x"},
            "metadata": {
                "displayName": "Machines should be patched",
                "assessmentType": "BuiltIn",
                "policyDefinitionId": "/providers/Microsoft.Authorization/policyDefinitions/p",
                "description": "About patches",
                "remediationDescription": "<b>Patch</b>",
                "categories": ["Compute"],
                "severity": "High",
                "userImpact": "Low",
                "implementationEffort": "Moderate",
                "threats": ["accountBreach"],
            },
            "links": {"azurePortal": "portal.azure.com/#blade/x"},
        }
        | properties,
        **enrichment(),
        "assessmentEventDataEnrichment": {"action": "Write", "apiVersion": "2019-01-01", "isSnapshot": False},
    }


def finding(data: dict[str, Any], **properties: Any) -> dict[str, Any]:
    """A finding below that recommendation, with a scanner's additional data."""
    return {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/assessments/subAssessments",
        "id": f"{VM}/providers/Microsoft.Security/assessments/{REC}/subassessments/F1",
        "name": "F1",
        "properties": {
            "id": "91426",
            "displayName": "OpenSSL is old",
            "status": {"code": "Unhealthy", "severity": "High", "cause": "c", "description": "d"},
            "remediation": "Update",
            "impact": "Remote code",
            "category": "Ubuntu",
            "description": "Old library",
            "timeGenerated": "2026-11-10T08:00:00Z",
            "resourceDetails": {"source": "Azure", "id": VM},
            "additionalData": data,
        }
        | properties,
        **enrichment(),
    }


def alert(**changes: Any) -> dict[str, Any]:
    """An alert on that virtual machine, shouted as Defender sometimes does."""
    return {
        "VendorName": "Microsoft",
        "AlertType": "VM_SuspiciousActivity",
        "ProductName": "Microsoft Defender for Cloud",
        "StartTimeUtc": "2026-11-10T07:00:00Z",
        "EndTimeUtc": "2026-11-10T07:30:00Z",
        "TimeGenerated": "2026-11-10T07:31:00Z",
        "ProcessingEndTime": "2026-11-10T07:45:00Z",
        "Severity": "High",
        "Status": "New",
        "IsIncident": False,
        "SystemAlertId": "2518_AB12",
        "Intent": "Persistence, CredentialAccess",
        "AzureResourceId": VM.upper(),
        "CompromisedEntity": "Web01",
        "AlertDisplayName": "Suspicious activity",
        "Description": "Something ran",
        "Entities": [{"$id": "4", "Type": "host"}, {"$id": "5", "Host": {"$ref": "4"}, "Type": "ip"}],
        "ExtendedLinks": None,
        "RemediationSteps": ["Look", "Act"],
        "ExtendedProperties": {
            "ProductComponentName": "Servers",
            "EffectiveSubscriptionId": SUB.upper(),
            "techniques": '["T1078", "T1059.001"]',
        },
        "ResourceIdentifiers": [{"$id": "2", "AzureResourceId": VM, "Type": "AzureResource"}],
        "AlertUri": "https://portal.azure.com/#blade/a/subscriptionId/x",
    } | changes


def recased(value: Any, case: Any) -> Any:
    """The same JSON with every name in another casing."""
    if isinstance(value, dict):
        return {case(name): recased(inner, case) for name, inner in value.items()}
    return [recased(item, case) for item in value] if isinstance(value, list) else value
