"""Secure scores, their controls, and states of regulatory compliance: all of a subscription, without a time."""

from __future__ import annotations

from tests.unit.enrich.golden.base import ON_THE_SUBSCRIPTION, REC, SECURITY, Golden

WITHOUT_TIME = {
    **ON_THE_SUBSCRIPTION,
    "TimeGenerated": "2026-11-10T11:30:00Z",
    "EventTime": "2026-11-10T11:30:00Z",
    "SourceTenantId": "tenant-1",
}
SCORE = Golden(
    "secure score",
    {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/secureScores",
        "id": f"{SECURITY}/secureScores/ascScore",
        "name": "ascScore",
        "properties": {
            "displayName": "ASC score",
            "score": {"max": 58, "current": 29.5, "percentage": 0.5086},
            "weight": 199,
        },
        "securityEventDataEnrichment": {"action": "Write", "apiVersion": "2020-01-01", "isSnapshot": False},
    },
    {
        **WITHOUT_TIME,
        "RecordId": f"{SECURITY}/secureScores/ascScore".lower(),
        "RecordKind": "SecureScore",
        "Action": "Write",
        "IsSnapshot": False,
        "ApiVersion": "2020-01-01",
        "ScoreName": "ascScore",
        "DisplayName": "ASC score",
        "CurrentScore": 29.5,
        "MaxScore": 58,
        "PercentageScore": 0.5086,
        "Weight": 199,
    },
)
IN_RESOURCE_GRAPH = Golden(
    "secure score in Resource Graph",
    {
        "id": f"{SECURITY}/secureScores/ascScore",
        "name": "ascScore",
        "type": "microsoft.security/securescores",
        "tenantId": "tenant-1",
        "properties": {
            "displayName": "ASC score",
            "environment": "Azure",
            "score": {"max": 58.0, "current": 58, "percentage": 1},
            "weight": 199,
        },
        "securityEventDataEnrichment": {"action": "Backfill", "isSnapshot": False},
    },
    {
        **WITHOUT_TIME,
        "RecordId": f"{SECURITY}/secureScores/ascScore".lower(),
        "RecordKind": "SecureScore",
        "Action": "Backfill",
        "IsSnapshot": False,
        "ScoreName": "ascScore",
        "DisplayName": "ASC score",
        "CurrentScore": 58.0,
        "MaxScore": 58,
        "PercentageScore": 1.0,
        "Weight": 199,
        "Raw": {"properties": {"environment": "Azure"}},
    },
)
CONTROL = Golden(
    "secure score control",
    {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/secureScores/secureScoreControls",
        "id": f"{SECURITY}/secureScores/ascScore/secureScoreControls/C-1",
        "name": "C-1",
        "properties": {
            "displayName": "Apply updates",
            "healthyResourceCount": 7,
            "unhealthyResourceCount": 2,
            "notApplicableResourceCount": 1,
            "score": {"max": 6, "current": 4.67, "percentage": 0.7783},
            "definition": {
                "id": "/providers/Microsoft.Security/secureScoreControlDefinitions/C-1",
                "name": "C-1",
                "type": "Microsoft.Security/secureScoreControlDefinitions",
                "properties": {
                    "source": {"sourceType": "BuiltIn"},
                    "displayName": "Apply updates",
                    "maxScore": 6,
                    "assessmentDefinitions": [{"id": "/a/1"}, {"id": "/a/2"}],
                },
            },
            "weight": 9,
        },
        "securityEventDataEnrichment": {"action": "Write", "apiVersion": "2020-01-01", "isSnapshot": True},
    },
    {
        **WITHOUT_TIME,
        "RecordId": f"{SECURITY}/secureScores/ascScore/secureScoreControls/C-1".lower(),
        "RecordKind": "SecureScoreControl",
        "Action": "Write",
        "IsSnapshot": True,
        "ApiVersion": "2020-01-01",
        "ControlId": "c-1",
        "ControlName": "Apply updates",
        "ControlType": "BuiltIn",
        "CurrentScore": 4.67,
        "MaxScore": 6,
        "PercentageScore": 0.7783,
        "HealthyResources": 7,
        "UnhealthyResources": 2,
        "NotApplicableResources": 1,
        "Weight": 9,
        "RecommendationResourceIds": ["/a/1", "/a/2"],
        "Raw": {
            "properties": {
                "definition": {
                    "id": "/providers/Microsoft.Security/secureScoreControlDefinitions/C-1",
                    "name": "C-1",
                    "type": "Microsoft.Security/secureScoreControlDefinitions",
                }
            }
        },
    },
)
COMPLIANCE = Golden(
    "regulatory compliance",
    {
        "tenantId": "tenant-1",
        "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
        "/regulatoryComplianceAssessments",
        "id": f"{SECURITY}/regulatoryComplianceStandards/PCI-DSS-4/regulatoryComplianceControls/1.2"
        f"/regulatoryComplianceAssessments/{REC}",
        "name": REC,
        "properties": {
            "description": "Machines should be patched",
            "state": "Failed",
            "passedResources": 3,
            "failedResources": 4,
            "skippedResources": 5,
            "assessmentType": "Assessment",
            "assessmentDetailsLink": "portal.azure.com/#details",
        },
        "securityEventDataEnrichment": {
            "action": "Write",
            "apiVersion": "2019-01-01-preview",
            "isSnapshot": False,
            "interval": "00:00:00",
        },
    },
    {
        **WITHOUT_TIME,
        "RecordId": f"{SECURITY}/regulatoryComplianceStandards/PCI-DSS-4/regulatoryComplianceControls/1.2"
        f"/regulatoryComplianceAssessments/{REC}".lower(),
        "RecordKind": "RegulatoryCompliance",
        "Action": "Write",
        "IsSnapshot": False,
        "ApiVersion": "2019-01-01-preview",
        "ExportInterval": "00:00:00",
        "ComplianceStandard": "PCI-DSS-4",
        "ComplianceControl": "1.2",
        "RecommendationId": REC.lower(),
        "RecommendationName": "Machines should be patched",
        "State": "Failed",
        "PassedResources": 3,
        "FailedResources": 4,
        "SkippedResources": 5,
        "AssessmentType": "Assessment",
        "AssessmentDetailsLink": "https://portal.azure.com/#details",
    },
)
OF_A_CATEGORY = Golden(
    "regulatory compliance of a category",
    {
        "securityEventDataEnrichment": {
            "action": "Insert",
            "apiVersion": "2019-01-01-preview",
            "isSnapshot": True,
            "interval": "7.00:00:00",
        },
        "id": f"{SECURITY}/regulatoryComplianceStandards/Azure-CSPM/regulatoryComplianceControls/PV.6"
        f"/regulatoryComplianceAssessments/{REC}",
        "name": REC,
        "type": "Microsoft.Security/regulatoryComplianceStandards/regulatoryComplianceControls"
        "/regulatoryComplianceAssessments",
        "properties": {
            "description": "SoftwareUpdate",
            "assessmentType": "assessmentCategory",
            "state": "Failed",
            "scope": "Subscription",
            "failedResources": 4,
            "passedResources": 0,
            "unsupportedResources": 1,
        },
    },
    {
        **{name: value for name, value in WITHOUT_TIME.items() if name != "SourceTenantId"},
        "RecordId": f"{SECURITY}/regulatoryComplianceStandards/Azure-CSPM/regulatoryComplianceControls/PV.6"
        f"/regulatoryComplianceAssessments/{REC}".lower(),
        "RecordKind": "RegulatoryCompliance",
        "Action": "Insert",
        "IsSnapshot": True,
        "ApiVersion": "2019-01-01-preview",
        "ExportInterval": "7.00:00:00",
        "ComplianceStandard": "Azure-CSPM",
        "ComplianceControl": "PV.6",
        "RecommendationName": "SoftwareUpdate",
        "RecommendationCategory": "SoftwareUpdate",
        "State": "Failed",
        "FailedResources": 4,
        "PassedResources": 0,
        "UnsupportedResources": 1,
        "Scope": "Subscription",
        "AssessmentType": "assessmentCategory",
    },
)
"""Microsoft's compliance workbook of August 2026 joins such rows by their description; order of names as captured."""
GOLDENS = (SCORE, IN_RESOURCE_GRAPH, CONTROL, COMPLIANCE, OF_A_CATEGORY)
