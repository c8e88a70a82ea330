"""Which field of a record feeds which column: the whole mapping, as data.

A path is dotted, in the casing that Defender for Cloud uses most for that kind; both readers are built from it, and
so is `docs/tables.md`.  What a path maps to:

- a column's name: the field is that column.  Several paths may name one column: the first that has a value wins, and
  another value that differs stays in `Raw`.
- `@name`: an input from which `derived` works out columns.  `carried` checks afterwards that a column has its value;
  where none has, it is put into `Raw` at its path.
- an empty text: kept in `Raw` like every field that is not listed; listed because it is there as a rule, null or not.

Every other field is kept in `Raw`, so that each scalar of a record stands in a column or in `Raw` at its path.  What is
left out: nulls, the type names that JSON.NET adds (`$type`), and `type` where it is the kind's own, which RecordKind
says.  Source: records seen in published samples, and Microsoft's table reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from shared.enrich.tables import BY_KIND, Table


@dataclass(frozen=True, eq=False)
class Kind:
    """One kind of record: its ARM type in lower case, its event source in exports, and its fields.

    `layouts` are the sets of fields that come together in one record: flat or under `properties`, say.
    """

    name: str
    type: str
    source: str
    layouts: tuple[Mapping[str, str], ...]

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """The fields of every layout; of several for one column, the first is the one that counts."""
        return {path: target for layout in self.layouts for path, target in layout.items()}

    @cached_property
    def table(self) -> Table:
        """Where its rows go."""
        return BY_KIND[self.name]


def _enrichment(*twins: str) -> dict[str, str]:
    members = {"action": "Action", "isSnapshot": "IsSnapshot", "apiVersion": "ApiVersion", "interval": "ExportInterval"}
    parents = ("securityEventDataEnrichment", *twins)
    return {f"{parent}.{member}": column for parent in parents for member, column in members.items()}


_ENVELOPE = {
    "tenantId": "SourceTenantId",
    "type": "@type",
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
    "ProductComponentName": "@plan",
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
}
_ALERT_ENVELOPE = {
    "TenantId": "SourceTenantId",
    "Type": "@type",
    "Id": "@id",
    "Name": "@name",
    "Kind": "",
    "Location": "Location",
    "Tags": "Tags",
    **_enrichment(),
}
_ALERT_IN_PROPERTIES = {
    **{name[0].lower() + name[1:]: target for name, target in _ALERT_ENVELOPE.items()},
    "subscriptionId": "@subscription",
    **{f"properties.{name[0].lower()}{name[1:]}": target for name, target in _ALERT.items()},
}

_RESOURCE_DETAILS = {
    f"properties.resourceDetails.{name}": target
    for name, target in {
        "source": "@cloud",
        "id": "@resource",
        "azureResourceId": "@resource",
        "resourceName": "@resource_name",
        "resourceType": "@resource_type",
        "resourceProvider": "@resource_provider",
        "nativeResourceId": "NativeResourceId",
        "nativeCloudUniqueIdentifier": "NativeResourceId",
        "region": "Location",
        "connectorId": "ConnectorId",
        "hierarchyId": "CloudAccountId",
    }.items()
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
    "properties.resourceAdditionalData": "ResourceAdditionalData",
    "properties.metadata.displayName": "RecommendationDisplayName",
    "properties.metadata.assessmentType": "AssessmentType",
    "properties.metadata.policyDefinitionId": "PolicyDefinitionId",
    "properties.metadata.description": "Description",
    "properties.metadata.remediationDescription": "RemediationDescription",
    "properties.metadata.categories": "Categories",
    "properties.metadata.severity": "RecommendationSeverity",
    "properties.status.severity": "RecommendationSeverity",
    "properties.metadata.recommendationCategory": "RecommendationCategory",
    "properties.metadata.preview": "IsPreview",
    "properties.metadata.userImpact": "UserImpact",
    "properties.metadata.implementationEffort": "ImplementationEffort",
    "properties.metadata.threats": "Threats",
    "properties.metadata.tactics": "Tactics",
    "properties.metadata.techniques": "Techniques",
    "properties.links.azurePortal": "RecommendationLink",
    "properties.risk.level": "RiskLevel",
    "properties.risk.riskFactors": "RiskFactors",
    "properties.risk.isContextualRisk": "IsContextualRisk",
    "properties.risk.attackPathsReferences": "AttackPathsReferences",
    "properties.risk.paths": "RiskPaths",
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
    "properties.resourceAdditionalData": "ResourceAdditionalData",
    **_enrichment("subAssessmentEventDataEnrichment", "assessmentEventDataEnrichment"),
}

_SCORE = {
    "properties.displayName": "DisplayName",
    "properties.environment": "",
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
    "properties.definition.id": "",
    "properties.definition.name": "",
    "properties.definition.type": "",
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
    "properties.unsupportedResources": "UnsupportedResources",
    "properties.scope": "Scope",
    "properties.assessmentType": "AssessmentType",
    "properties.assessmentDetailsLink": "AssessmentDetailsLink",
    **_enrichment(),
}

_PATH = {
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
    "entryPointId": "@entry_point_id",
    "entryPointEntityInternalID": "@entry_point_id",
    "target": "@target",
    "targetId": "@target_id",
    "targetEntityInternalID": "@target_id",
    "attackPathSteps": "Path",
    "path": "Path",
    "graphComponent": "@graph",
    "assessments": "Assessments",
    "manualRemediationSteps": "@steps",
    "additionalRemediationSteps": "@steps",
    "isPartialAttackPath": "IsPartial",
}

_ATTACK_PATHS = tuple(
    {**_ENVELOPE, **{f"{parent}.{path}": column for path, column in {**_PATH, spelt: "@attack_path_id"}.items()}}
    | _enrichment()
    for parent, spelt in (("attackPath", "attackPathId"), ("properties", "attackPathID"))
)

KINDS: tuple[Kind, ...] = (
    Kind(
        "Alert", "microsoft.security/locations/alerts", "Alerts", ({**_ALERT, **_ALERT_ENVELOPE}, _ALERT_IN_PROPERTIES)
    ),
    Kind("Assessment", "microsoft.security/assessments", "Assessments", (_ASSESSMENT,)),
    Kind("SubAssessment", "microsoft.security/assessments/subassessments", "SubAssessments", (_SUB_ASSESSMENT,)),
    Kind("SecureScore", "microsoft.security/securescores", "SecureScores", (_SECURE_SCORE,)),
    Kind(
        "SecureScoreControl",
        "microsoft.security/securescores/securescorecontrols",
        "SecureScoreControls",
        (_SECURE_SCORE_CONTROL,),
    ),
    Kind(
        "RegulatoryCompliance",
        "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments",
        "RegulatoryComplianceAssessment",
        (_REGULATORY,),
    ),
    Kind("AttackPath", "microsoft.security/attackpaths", "AttackPaths", _ATTACK_PATHS),
    Kind("Other", "", "", ()),
)
BY_NAME = {kind.name: kind for kind in KINDS}
BY_TYPE = {kind.type: kind for kind in KINDS if kind.type}
OTHER = BY_NAME["Other"]
