"""What Defender for Cloud exports: the event sources, the records each carries, and the fields of those records.

Field names and value sets come from the published automations API, the built-in policies' rule sets and the record
schemas of exported events.  Keys of records vary in casing, so every look-up here ignores it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.exports.known_values import (
    ALERT_SEVERITIES,
    ALERT_STATUS_WORDS,
    ALERT_STATUSES,
    ASSESSMENT_TYPES,
    CATEGORIES,
    COMPLIANCE_STATES,
    PLAN_WORDS,
    PLANS,
    RECOMMENDATION_SEVERITIES,
    RECOMMENDATION_STATUSES,
    RISK_LEVELS,
    SOURCES,
)

SNAPSHOT: Final = "Snapshot"


@dataclass(frozen=True)
class Field:
    """One field of a record: its path, JSON type, the words for it, and the values that it is known to have.

    `type` is String, Number, Boolean, Object for one whose members are listed, or Open for an object or array whose
    content is not fixed; `many` marks an
    array, or an object that may hold some, so that several values can stand at one path.  `closed` says that no other
    value than those of `values` can be.  `words` pairs what others call a value with the exported one.
    """

    path: str
    type: str = "String"
    label: str = ""
    values: tuple[str, ...] = ()
    bounds: tuple[float, float] | None = None
    many: bool = False
    closed: bool = False
    words: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Kind:
    """One kind of record, named after its streaming event source; `fields` is keyed by lower-cased path."""

    name: str
    noun: str
    record_type: str
    parent: str | None
    has_snapshot: bool
    fields: Mapping[str, Field]

    def field(self, path: str) -> Field | None:
        """The field at `path` (bare, any casing), or the open field above it; None when no record has it."""
        lowered = path.lower()
        if lowered in self.fields:
            return self.fields[lowered]
        while "." in lowered:
            lowered = lowered.rpartition(".")[0]
            above = self.fields.get(lowered)
            if above is not None and above.type == "Open":
                return above
        return None


def _kind(name: str, noun: str, record_type: str, parent: str | None, *fields: Field, snapshot: bool = True) -> Kind:
    known = {field.path.lower(): field for field in fields}
    for field in fields:
        above = field.path.rpartition(".")[0]
        while above:
            known.setdefault(above.lower(), Field(above, "Object"))
            above = above.rpartition(".")[0]
    return Kind(name, noun, record_type, parent, snapshot, known)


def _texts(*paths: str) -> tuple[Field, ...]:
    return tuple(Field(path) for path in paths)


def _open(*paths: str, many: bool = False) -> tuple[Field, ...]:
    return tuple(Field(path, "Open", many=many) for path in paths)


def _lists(*paths: str) -> tuple[Field, ...]:
    return tuple(Field(path, many=True) for path in paths)


def _numbers(*paths: str) -> tuple[Field, ...]:
    return tuple(Field(path, "Number") for path in paths)


_ENVELOPE = (
    Field("id", label="id"),
    Field("name", label="name"),
    Field("type", label="type"),
    *_texts("tenantId", "kind", "location", "subscriptionId", "resourceGroup", "etag"),
    *_open("tags", "systemData", "identity", "securityEventDataEnrichment"),
)
_SCORE = (
    *_texts("properties.environment"),
    *_texts("properties.displayName"),
    *_open("properties.definition", many=True),
    *_numbers("properties.score.max", "properties.score.current", "properties.weight"),
    Field("properties.score.percentage", "Number", "percentage", bounds=(0, 1)),
)

_ALERTS = _kind(
    "Alerts",
    "alerts",
    "",
    None,
    Field("Severity", label="severity", values=ALERT_SEVERITIES, closed=True),
    Field("ProductComponentName", label="plan", values=PLANS, words=tuple(PLAN_WORDS.items())),
    Field("AlertType", label="type"),
    Field("AlertDisplayName", label="display name"),
    Field("Status", label="status", values=ALERT_STATUSES, words=tuple(ALERT_STATUS_WORDS.items())),
    Field("Intent", label="intent"),
    Field("IsIncident", "Boolean", "incident flag"),
    *_texts("VendorName", "ProductName", "StartTimeUtc", "EndTimeUtc", "TimeGenerated", "ProcessingEndTime"),
    *_texts("ProviderAlertStatus", "ConfidenceLevel", "ConfidenceReasons", "SystemAlertId", "CorrelationKey"),
    *_texts("AzureResourceId", "AzureResourceSubscriptionId", "WorkspaceId", "WorkspaceSubscriptionId"),
    *_texts("WorkspaceResourceGroup", "AgentId", "CompromisedEntity", "Description", "Version", "AlertUri"),
    *_texts("TimeGeneratedUtc", "ProcessingEndTimeUtc", "Id", "Name", "Type", "TenantId", "SubscriptionId", "Kind"),
    *_texts("Location", "ProviderName", "VendorOriginalId", "AlertLink", "AlertName", "ResourceId"),
    *_lists("RemediationSteps", "Techniques", "SubTechniques", "Tactics"),
    *_numbers("ConfidenceScore"),
    *_open("ExtendedProperties", "securityEventDataEnrichment", "SupportingEvidence", "SystemData", "Tags"),
    *_open("Entities", "ExtendedLinks", "ResourceIdentifiers", many=True),
    snapshot=False,
)
_ASSESSMENTS = _kind(
    "Assessments",
    "recommendations",
    "microsoft.security/assessments",
    None,
    *_ENVELOPE,
    Field("properties.metadata.severity", label="severity", values=RECOMMENDATION_SEVERITIES),
    Field("properties.status.code", label="status", values=RECOMMENDATION_STATUSES),
    Field("properties.metadata.assessmentType", label="assessment type", values=ASSESSMENT_TYPES),
    Field("properties.metadata.recommendationCategory", label="category", values=CATEGORIES),
    Field("properties.resourceDetails.source", label="cloud", values=SOURCES),
    Field("properties.resourceDetails.resourceType", label="resource type"),
    Field("properties.resourceDetails.id", label="resource id"),
    Field("properties.additionalData.scanner", label="scanner"),
    Field("properties.displayName", label="display name"),
    *_texts("properties.status.cause", "properties.status.description", "properties.status.statusChangeDate"),
    *_texts("properties.status.firstEvaluationDate", "properties.status.severity", "properties.metadata.displayName"),
    *_texts("properties.metadata.policyDefinitionId", "properties.metadata.description"),
    *_texts("properties.metadata.remediationDescription", "properties.timeGenerated"),
    Field("properties.risk.level", label="risk level", values=("None", *RISK_LEVELS)),
    *_texts("properties.metadata.userImpact", "properties.metadata.implementationEffort"),
    *_texts("properties.links.azurePortal", "properties.links.azurePortalUri"),
    *_texts("properties.metadata.plannedDeprecationDate"),
    Field("properties.metadata.preview", "Boolean", "preview flag"),
    Field("properties.risk.isContextualRisk", "Boolean", "contextual risk flag"),
    *_lists("properties.metadata.categories", "properties.metadata.threats", "properties.metadata.tactics"),
    *_lists("properties.metadata.techniques", "properties.risk.riskFactors", "properties.risk.attackPathsReferences"),
    *_open("properties.resourceDetails", "assessmentEventDataEnrichment", "properties.metadata.partnerData"),
    *_open("properties.metadata.publishDates", "properties.partnersData", "properties.resourceAdditionalData"),
    *_open("properties.additionalData", "properties.risk.paths", "properties.statusPerInitiative", many=True),
)
_SUB_ASSESSMENTS = _kind(
    "SubAssessments",
    "findings",
    "microsoft.security/assessments/subassessments",
    "Assessments",
    *_ENVELOPE,
    Field("properties.status.severity", label="severity", values=RECOMMENDATION_SEVERITIES),
    Field("properties.status.code", label="status", values=RECOMMENDATION_STATUSES),
    Field("properties.id", label="vulnerability id"),
    Field("properties.category", label="category"),
    *_texts("properties.displayName", "properties.status.cause", "properties.status.description"),
    *_texts("properties.remediation", "properties.impact", "properties.description", "properties.timeGenerated"),
    *_open("properties.resourceDetails", "subAssessmentEventDataEnrichment", "assessmentEventDataEnrichment"),
    *_open("properties.resourceAdditionalData"),
    *_open("properties.additionalData", many=True),
)
_SECURE_SCORES = _kind("SecureScores", "secure scores", "microsoft.security/securescores", None, *_ENVELOPE, *_SCORE)
_SECURE_SCORE_CONTROLS = _kind(
    "SecureScoreControls",
    "secure score controls",
    "microsoft.security/securescores/securescorecontrols",
    "SecureScores",
    *_ENVELOPE,
    *_SCORE,
    *_numbers("properties.healthyResourceCount", "properties.unhealthyResourceCount"),
    *_numbers("properties.notApplicableResourceCount"),
)
_REGULATORY = _kind(
    "RegulatoryComplianceAssessment",
    "regulatory compliance states",
    "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments",
    None,
    *_ENVELOPE,
    Field("properties.state", label="state", values=COMPLIANCE_STATES),
    *_texts("properties.description", "properties.scope", "properties.assessmentType"),
    *_texts("properties.assessmentDetailsLink"),
    *_numbers("properties.passedResources", "properties.failedResources", "properties.skippedResources"),
    *_numbers("properties.unsupportedResources"),
)
_ATTACK_PATHS = _kind(
    "AttackPaths",
    "attack paths",
    "microsoft.security/attackpaths",
    None,
    *_ENVELOPE,
    Field("attackPath.riskLevel", label="risk level", values=RISK_LEVELS),
    *_open("attackPath", "properties", many=True),  # the published schema stops at the risk level
)

KINDS: Final[Mapping[str, Kind]] = {
    kind.name: kind
    for kind in (
        _ASSESSMENTS,
        _SUB_ASSESSMENTS,
        _ALERTS,
        _SECURE_SCORES,
        _SECURE_SCORE_CONTROLS,
        _REGULATORY,
        _ATTACK_PATHS,
    )
}
EVENT_SOURCES: Final[tuple[str, ...]] = tuple(
    name
    for kind in KINDS.values()
    for name in ((kind.name, kind.name + SNAPSHOT) if kind.has_snapshot else (kind.name,))
)
# The portal and published policies filter alerts by plan on ProductComponentName; exported alerts carry that
# field among their extended properties.
ALIASES: Final[Mapping[str, str]] = {"productcomponentname": "ExtendedProperties.ProductComponentName"}

_BY_TYPE: Final = {kind.record_type: kind.name for kind in KINDS.values() if kind.record_type}
_ENRICHMENTS: Final = (
    "securityEventDataEnrichment",
    "assessmentEventDataEnrichment",
    "subAssessmentEventDataEnrichment",
)
_ABSENT: Final = object()


def kind_of_source(event_source: str) -> Kind | None:
    """The kind of record that an event source carries; None for a source that does not exist."""
    return KINDS.get(event_source.removesuffix(SNAPSHOT)) if event_source in EVENT_SOURCES else None


def is_snapshot_source(event_source: str) -> bool:
    """Whether the source sends weekly snapshots rather than changes."""
    return event_source.endswith(SNAPSHOT)


def member(record: Mapping[str, Any], key: str) -> Any:
    """The value of `key` in `record` without regard to case, None when absent; an exact spelling wins."""
    value = record.get(key, _ABSENT)
    if value is not _ABSENT:
        return value
    lowered = key.lower()
    for name, candidate in record.items():
        if len(name) == len(key) and name.lower() == lowered:
            return candidate
    return None


def kind_of_record(record: Mapping[str, Any]) -> str | None:
    """The kind of an exported record in any casing, as the name of its streaming event source; None when unknown."""
    if member(record, "SystemAlertId") is not None:
        return "Alerts"
    record_type = member(record, "type")
    if isinstance(record_type, str) and (kind := _BY_TYPE.get(record_type.lower())):
        return kind
    return "AttackPaths" if isinstance(member(record, "attackPath"), Mapping) else None


def snapshot_flag(record: Mapping[str, Any]) -> bool | None:
    """Whether a record says that it belongs to a snapshot; None when it does not say."""
    for name in _ENRICHMENTS:
        enrichment = member(record, name)
        if isinstance(enrichment, Mapping) and (flag := member(enrichment, "isSnapshot")) is not None:
            return flag is True or str(flag).lower() == "true"
    return None


def event_source_of(record: Mapping[str, Any]) -> str | None:
    """The event source that sent `record`: its kind, with Snapshot when it says so; None when unknown."""
    kind = kind_of_record(record)
    if kind is None:
        return None
    return kind + SNAPSHOT if KINDS[kind].has_snapshot and snapshot_flag(record) else kind
