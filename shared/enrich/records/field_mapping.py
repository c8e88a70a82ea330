"""Which field of a record feeds which column: the whole mapping, as data.

A path is dotted, in the casing that Defender for Cloud uses most for that kind; both readers are built from it, and
so is `docs/tables.md`.  What a path maps to:

- a column's name: the field is that column.  Several paths may name one column: the first that has a value wins, and
  another value that differs stays in `Raw`.
- `@name`: an input from which `derive` works out columns.
- `-`: says nothing that a column does not say (type names, the twin of the enrichment).
- an empty text: kept in `Raw` like every field that is not listed; listed because it is there as a rule, null or not.

Every other field is kept in `Raw`.  Source: records seen in published samples, and
Microsoft's table reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from shared.enrich.tables import BY_KIND, Table


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of record: its ARM type in lower case, its event source in exports, and its fields."""

    name: str
    type: str
    source: str
    fields: Mapping[str, str]

    @cached_property
    def table(self) -> Table:
        """Where its rows go."""
        return BY_KIND[self.name]


def _enrichment(*twins: str) -> dict[str, str]:
    fields = {
        "securityEventDataEnrichment.action": "Action",
        "securityEventDataEnrichment.isSnapshot": "IsSnapshot",
        "securityEventDataEnrichment.apiVersion": "-",
        "securityEventDataEnrichment.interval": "-",
    }
    for twin in twins:
        fields |= {
            f"{twin}.action": "Action",
            f"{twin}.isSnapshot": "IsSnapshot",
            f"{twin}.apiVersion": "-",
            f"{twin}.interval": "-",
        }
    return fields


_ENVELOPE = {
    "tenantId": "SourceTenantId",
    "type": "-",
    "kind": "",
    "location": "Location",
    "id": "@id",
    "name": "@name",
    "tags": "Tags",
    "subscriptionId": "@subscription",
}

_ALERT = {
    "SystemAlertId": "SystemAlertId",
    "AlertType": "AlertType",
    "AlertDisplayName": "DisplayName",
    "Severity": "AlertSeverity",
    "Status": "Status",
    "Description": "Description",
    "Intent": "@intent",
    "Techniques": "@techniques",
    "SubTechniques": "@sub_techniques",
    "CompromisedEntity": "CompromisedEntity",
    "StartTimeUtc": "StartTime",
    "EndTimeUtc": "EndTime",
    "TimeGenerated": "AlertTimeGenerated",
    "TimeGeneratedUtc": "AlertTimeGenerated",
    "ProcessingEndTime": "ProcessingEndTime",
    "ProcessingEndTimeUtc": "ProcessingEndTime",
    "IsIncident": "IsIncident",
    "VendorName": "VendorName",
    "ProductName": "ProductName",
    "ProductComponentName": "ProductComponentName",
    "ProviderAlertStatus": "ProviderAlertStatus",
    "ConfidenceLevel": "ConfidenceLevel",
    "ConfidenceScore": "ConfidenceScore",
    "ConfidenceReasons": "ConfidenceReasons",
    "CorrelationKey": "CorrelationKey",
    "Entities": "Entities",
    "ExtendedLinks": "ExtendedLinks",
    "ExtendedProperties": "ExtendedProperties",
    "RemediationSteps": "RemediationSteps",
    "ResourceIdentifiers": "ResourceIdentifiers",
    "AlertUri": "AlertLink",
    "WorkspaceId": "WorkspaceId",
    "WorkspaceSubscriptionId": "WorkspaceSubscriptionId",
    "WorkspaceResourceGroup": "WorkspaceResourceGroup",
    "AgentId": "AgentId",
    "AzureResourceId": "@resource",
    "AzureResourceSubscriptionId": "@subscription",
    "SubscriptionId": "@subscription",
    "TenantId": "SourceTenantId",
    "Type": "-",
    "Id": "@id",
    "Name": "@name",
    **_enrichment(),
}

_RESOURCE_DETAILS = {
    "properties.resourceDetails.source": "Cloud",
    "properties.resourceDetails.id": "@resource",
    "properties.resourceDetails.resourceName": "ResourceName",
    "properties.resourceDetails.resourceType": "@resource_type",
    "properties.resourceDetails.resourceProvider": "-",
    "properties.resourceDetails.nativeResourceId": "NativeResourceId",
}

_ASSESSMENT = {
    **_ENVELOPE,
    **_RESOURCE_DETAILS,
    "properties.displayName": "RecommendationDisplayName",
    "properties.status.code": "RecommendationState",
    "properties.status.cause": "StateCause",
    "properties.status.description": "StateDescription",
    "properties.status.statusChangeDate": "StatusChangeDate",
    "properties.status.firstEvaluationDate": "FirstEvaluationDate",
    "properties.additionalData": "RecommendationAdditionalData",
    "properties.metadata.displayName": "RecommendationDisplayName",
    "properties.metadata.assessmentType": "AssessmentType",
    "properties.metadata.policyDefinitionId": "PolicyDefinitionId",
    "properties.metadata.description": "Description",
    "properties.metadata.remediationDescription": "RemediationDescription",
    "properties.metadata.categories": "Categories",
    "properties.metadata.severity": "RecommendationSeverity",
    "properties.metadata.userImpact": "UserImpact",
    "properties.metadata.implementationEffort": "ImplementationEffort",
    "properties.metadata.threats": "Threats",
    "properties.metadata.tactics": "Tactics",
    "properties.metadata.techniques": "Techniques",
    "properties.links.azurePortal": "RecommendationLink",
    "properties.risk.level": "RiskLevel",
    "properties.risk.riskFactors": "RiskFactors",
    "properties.risk.attackPathsReferences": "AttackPathsReferences",
    **_enrichment("assessmentEventDataEnrichment"),
}

_SUB_ASSESSMENT = {
    **_ENVELOPE,
    **_RESOURCE_DETAILS,
    "properties.id": "VulnerabilityId",
    "properties.displayName": "RecommendationName",
    "properties.status.code": "RecommendationState",
    "properties.status.severity": "RecommendationSeverity",
    "properties.status.cause": "Cause",
    "properties.status.description": "StateDescription",
    "properties.remediation": "RemediationDescription",
    "properties.impact": "Impact",
    "properties.category": "Category",
    "properties.description": "Description",
    "properties.timeGenerated": "SubAssessmentTimeGeneration",
    "properties.additionalData": "AdditionalData",
    **_enrichment("subAssessmentEventDataEnrichment", "assessmentEventDataEnrichment"),
}

_SCORE = {
    "properties.displayName": "DisplayName",
    "properties.score.current": "CurrentScore",
    "properties.score.max": "MaxScore",
    "properties.score.percentage": "PercentageScore",
    "properties.weight": "Weight",
}

_SECURE_SCORE = {**_ENVELOPE, **_SCORE, **_enrichment()}

_SECURE_SCORE_CONTROL = {
    **_ENVELOPE,
    **_SCORE,
    "properties.displayName": "ControlName",
    "properties.healthyResourceCount": "HealthyResources",
    "properties.unhealthyResourceCount": "UnhealthyResources",
    "properties.notApplicableResourceCount": "NotApplicableResources",
    "properties.definition.id": "-",
    "properties.definition.name": "-",
    "properties.definition.type": "-",
    "properties.definition.properties.source.sourceType": "ControlType",
    "properties.definition.properties.displayName": "ControlName",
    "properties.definition.properties.maxScore": "MaxScore",
    "properties.definition.properties.assessmentDefinitions": "@definitions",
    **_enrichment(),
}

_REGULATORY = {
    **_ENVELOPE,
    "properties.description": "RecommendationName",
    "properties.state": "State",
    "properties.passedResources": "PassedResources",
    "properties.failedResources": "FailedResources",
    "properties.skippedResources": "SkippedResources",
    "properties.assessmentType": "AssessmentType",
    "properties.assessmentDetailsLink": "AssessmentDetailsLink",
    **_enrichment(),
}

_PATH = {
    "attackPathId": "AttackPathId",
    "attackPathID": "AttackPathId",
    "displayName": "DisplayName",
    "description": "Description",
    "attackStory": "AttackStory",
    "attackPathType": "AttackPathType",
    "refreshInterval": "",
    "riskLevel": "RiskLevel",
    "riskFactors": "RiskFactors",
    "riskCategories": "RiskFactors",
    "potentialImpact": "PotentialImpact",
    "mITRETacticsAndTechniques": "@mitre",
    "mitre": "@mitre",
    "entryPoint": "@entry_point",
    "entryPointId": "EntryPointId",
    "entryPointEntityInternalID": "EntryPointId",
    "target": "@target",
    "targetId": "TargetId",
    "targetEntityInternalID": "TargetId",
    "attackPathSteps": "Path",
    "path": "Path",
    "graphComponent": "Path",
    "assessments": "Assessments",
    "manualRemediationSteps": "AdditionalRemediationSteps",
    "additionalRemediationSteps": "AdditionalRemediationSteps",
    "isPartialAttackPath": "IsPartial",
}

_ATTACK_PATH = {
    **_ENVELOPE,
    **{f"attackPath.{path}": column for path, column in _PATH.items()},
    **{f"properties.{path}": column for path, column in _PATH.items()},
    **_enrichment(),
}

KINDS: tuple[Kind, ...] = (
    Kind("Alert", "microsoft.security/locations/alerts", "Alerts", _ALERT),
    Kind("Assessment", "microsoft.security/assessments", "Assessments", _ASSESSMENT),
    Kind("SubAssessment", "microsoft.security/assessments/subassessments", "SubAssessments", _SUB_ASSESSMENT),
    Kind("SecureScore", "microsoft.security/securescores", "SecureScores", _SECURE_SCORE),
    Kind(
        "SecureScoreControl",
        "microsoft.security/securescores/securescorecontrols",
        "SecureScoreControls",
        _SECURE_SCORE_CONTROL,
    ),
    Kind(
        "RegulatoryCompliance",
        "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments",
        "RegulatoryComplianceAssessment",
        _REGULATORY,
    ),
    Kind("AttackPath", "microsoft.security/attackpaths", "AttackPaths", _ATTACK_PATH),
    Kind("Other", "", "", {}),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_TYPE = {kind.type: kind for kind in KINDS if kind.type}
OTHER = BY_NAME["Other"]
