"""Which column of a row feeds which attribute of an OCSF event: the whole mapping, as data.

`docs/ocsf.md` is generated from it.  One line is one or more columns (joined by +), an attribute, and the name of the
conversion in `attribute_values`.  Of several lines for one attribute the first that has a value counts.  A column that
no attribute has with its very value goes into `unmapped` under its own name.

Source: the schema of OCSF 1.8.0 (schema.ocsf.io), classes 0 and 2002 to 2004 with the profiles cloud and datetime.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

VERSION = "1.8.0"
"""The newest stable version whose compiled schema `ocsf-json-schema` carries, which the tests validate against."""
PROFILES = ("cloud", "datetime")
PRODUCT = {"name": "Microsoft Defender for Cloud", "vendor_name": "Microsoft"}


@dataclass(frozen=True)
class EventClass:
    """A class of events, by its number and names in the schema."""

    uid: int
    name: str
    caption: str

    @property
    def category(self) -> tuple[int, str]:
        """Number and caption of its category."""
        return (2, "Findings") if self.uid else (0, "Uncategorized")


BASE = EventClass(0, "base_event", "Base Event")
VULNERABILITY = EventClass(2002, "vulnerability_finding", "Vulnerability Finding")
COMPLIANCE = EventClass(2003, "compliance_finding", "Compliance Finding")
DETECTION = EventClass(2004, "detection_finding", "Detection Finding")
CLASSES = (DETECTION, COMPLIANCE, VULNERABILITY, BASE)


@dataclass(frozen=True)
class Line:
    """One line of the mapping: the columns, the attribute's path, and the conversion's name."""

    columns: tuple[str, ...]
    attribute: str
    conversion: str


def _lines(text: str) -> tuple[Line, ...]:
    """Read lines of columns, attribute and conversion."""
    split = [line.split() for line in text.strip().splitlines()]
    return tuple(Line(tuple(columns.split("+")), attribute, conversion) for columns, attribute, conversion in split)


def _vulnerabilities(*own: str) -> tuple[Line, ...]:
    """The line of the vulnerabilities: the columns that both models have, and those of one."""
    of_both = (
        "CveIds SoftwareName SoftwareVendor SoftwareVersions PackageType FixedVersion Patchable PublishedTime"
        " RemediationDescription"
    )
    return (Line((*of_both.split(), *own), "vulnerabilities", "vulnerabilities"),)


_EVERY = _lines("""
EventTime                 time                          time
TimeGenerated             time                          time
RecordKey                 metadata.uid                  text
RecordKind                metadata.event_code           text
ApiVersion                metadata.log_version          text
SourceTenantId            metadata.tenant_uid           text
SequenceNumber            metadata.sequence             number
EnqueuedTime              metadata.logged_time          time
Cloud                     cloud.provider                text
Location                  cloud.region                  text
SourceTenantId            cloud.org.uid                 text
ManagementGroupPath       cloud.org.ou_name             text
Cloud+CloudAccountId+SubscriptionId+SubscriptionName  cloud.account  account
""")

_FINDING = _lines("""
RecordId                  finding_info.uid              text
ResourceId                resources[0].uid              text
NativeResourceId          resources[0].uid_alt          text
NativeResourceId          resources[0].uid              text
ResourceName              resources[0].name             text
ResourceType              resources[0].type             text
ResourceGroup             resources[0].group.name       text
Location                  resources[0].region           text
Cloud                     resources[0].provider         text
Owner                     resources[0].owner.name       text
Criticality               resources[0].criticality      text
Tags                      resources[0].tags             tags
EntityId                  resources[1].uid              text
EntityType                resources[1].type             text
""")

_ALERT = _lines("""
SystemAlertId             finding_info.uid_alt          text
DisplayName               finding_info.title            text
DisplayName               message                       text
Description               finding_info.desc             text
AlertType                 finding_info.types            one
VendorName                finding_info.product.vendor_name    text
ProductName               finding_info.product.name     text
ProductComponentName      finding_info.product.feature.name   text
AlertLink                 finding_info.src_url          text
AlertTimeGenerated        finding_info.created_time     time
ProcessingEndTime         finding_info.modified_time    time
StartTime                 finding_info.first_seen_time  time
EndTime                   finding_info.last_seen_time   time
StartTime                 start_time                    time
EndTime                   end_time                      time
Tactics+Techniques+SubTechniques  finding_info.attacks  attacks
AlertSeverity             severity                      severity
ConfidenceLevel           confidence                    confidence
ConfidenceScore           confidence_score              percent
CorrelationKey            metadata.correlation_uid      text
CompromisedEntity         resources[0].name             text
Entities                  evidences                     evidences
RemediationSteps          remediation.desc              steps
""")

_RECOMMENDATION = _lines("""
RecommendationDisplayName  finding_info.title           text
RecommendationDisplayName  message                      text
Description               finding_info.desc             text
Categories                finding_info.types            texts
RecommendationLink        finding_info.src_url          text
FirstEvaluationDate       finding_info.first_seen_time  time
StatusChangeDate          finding_info.modified_time    time
ResolvedTime              end_time                      time
Tactics+Techniques        finding_info.attacks          attacks
RecommendationSeverity    severity                      severity
StateCause                status_code                   text
StateDescription          status_detail                 text
ToolName                  finding_info.data_sources     one
Namespace                 resources[1].namespace        text
ContainerName             resources[1].name             text
""")

_ASSESSMENT = _lines("""
RecommendationId          compliance.control            text
RecommendationCategory    compliance.category           text
RecommendationState       compliance.status             verdict
RemediationDescription    remediation.desc              text
""")

_INDIVIDUAL = _lines("""
RecommendationId          finding_info.analytic         rule
""") + _vulnerabilities("RuleId", "RecommendationId", "RecommendationAdditionalData")

_SUB_ASSESSMENT = _lines("""
RecommendationName        finding_info.title            text
RecommendationName        message                       text
Description               finding_info.desc             text
Category                  finding_info.types            one
ParentRecommendationId    finding_info.analytic         rule
SubAssessmentTimeGeneration  finding_info.modified_time  time
NestedRecommendationId    finding_info.uid_alt          text
RecommendationSeverity    severity                      severity
Cause                     status_code                   text
StateDescription          status_detail                 text
ToolName                  finding_info.data_sources     one
Namespace                 resources[1].namespace        text
ContainerName             resources[1].name             text
""") + _vulnerabilities("VulnerabilityId", "RuleId", "NestedRecommendationId", "Cvss", "AdditionalData")

_REGULATORY = _lines("""
RecommendationName        finding_info.title            text
RecommendationName        message                       text
AssessmentDetailsLink     finding_info.src_url          text
ComplianceStandard        compliance.standards          one
ComplianceControl         compliance.control            text
RecommendationCategory    compliance.category           text
State                     compliance.status             verdict
RecommendationId+RecommendationName+State  compliance.checks  checks
""")

_SECURE_SCORE = _lines("""
DisplayName               finding_info.title            text
DisplayName               message                       text
ScoreName                 compliance.control            text
PercentageScore           compliance.status             reached
""")

_SECURE_SCORE_CONTROL = _lines("""
ControlName               finding_info.title            text
ControlName               message                       text
ControlId                 compliance.control            text
ControlType               compliance.category           text
HealthyResources+UnhealthyResources  compliance.status  counted
RecommendationResourceIds  compliance.requirements      texts
""")

_ATTACK_PATH = _lines("""
AttackPathId              finding_info.uid_alt          text
DisplayName               finding_info.title            text
DisplayName               message                       text
Description               finding_info.desc             text
AttackPathType            finding_info.types            one
AttackStory               risk_details                  text
RiskLevel                 severity                      severity
RiskLevel                 risk_level                    risk
PotentialImpact           impact                        impact
Tactics+Techniques        finding_info.attacks          attacks
AttackPathId+EntryPointId+TargetId+AffectedResourceIds  finding_info.attack_graph  graph
AdditionalRemediationSteps  remediation.desc            text
""")

_OTHER = _lines("""
RecordId                  metadata.original_event_uid   text
RecordType                message                       text
""")

MAPPING: Mapping[tuple[str, EventClass], tuple[Line, ...]] = {
    ("Alert", DETECTION): _EVERY + _FINDING + _ALERT,
    ("AttackPath", DETECTION): _EVERY + _FINDING + _ATTACK_PATH,
    ("Assessment", COMPLIANCE): _EVERY + _FINDING + _RECOMMENDATION + _ASSESSMENT,
    ("Assessment", VULNERABILITY): _EVERY + _FINDING + _RECOMMENDATION + _INDIVIDUAL,
    ("SubAssessment", VULNERABILITY): _EVERY + _FINDING + _SUB_ASSESSMENT,
    ("RegulatoryCompliance", COMPLIANCE): _EVERY + _FINDING + _REGULATORY,
    ("SecureScore", COMPLIANCE): _EVERY + _FINDING + _SECURE_SCORE,
    ("SecureScoreControl", COMPLIANCE): _EVERY + _FINDING + _SECURE_SCORE_CONTROL,
    ("Other", BASE): _EVERY + _OTHER,
}
"""By kind and class; a recommendation is of the one or the other class (`class_of`)."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    "resources[0]": ("uid", "name"),
    "resources[1]": ("uid", "name"),
    "cloud.org": ("uid", "name"),
    "finding_info.product": ("name", "uid"),
}
"""Objects of which the schema wants at least one of these members; without it they are left out."""

SEVERITIES = {
    "critical": (5, "Critical"),
    "high": (4, "High"),
    "medium": (3, "Medium"),
    "low": (2, "Low"),
    "informational": (1, "Informational"),
}
RISKS = {
    "critical": (4, "Critical"),
    "high": (3, "High"),
    "medium": (2, "Medium"),
    "low": (1, "Low"),
    "none": (0, "Info"),
}
CONFIDENCES = {"high": (3, "High"), "medium": (2, "Medium"), "low": (1, "Low"), "unknown": (0, "Unknown")}
OTHER = 99
"""What the schema calls Other: the text beside it is the source's own."""

NEW, IN_PROGRESS, SUPPRESSED, RESOLVED = (1, "New"), (2, "In Progress"), (3, "Suppressed"), (4, "Resolved")
STATES: Mapping[str, tuple[str, Mapping[str, tuple[int, str]]]] = {
    "Alert": (
        "Status",
        {"new": NEW, "active": NEW, "inprogress": IN_PROGRESS, "resolved": RESOLVED, "dismissed": SUPPRESSED},
    ),
    "Assessment": ("RecommendationState", {"unhealthy": NEW, "healthy": RESOLVED, "notapplicable": SUPPRESSED}),
    "SubAssessment": ("RecommendationState", {"unhealthy": NEW, "healthy": RESOLVED, "notapplicable": SUPPRESSED}),
    "RegulatoryCompliance": ("State", {"failed": NEW, "passed": RESOLVED}),
}
"""By kind: the column of its state, and the status of each state; another state is Other, none is Unknown."""
CREATE, UPDATE, CLOSE = (1, "Create"), (2, "Update"), (3, "Close")
ACTIVITIES = {"insert": CREATE, "write": UPDATE, "delete": CLOSE, "gone": CLOSE}
"""The activity of each Action; a finding whose status is Resolved or Suppressed is closed whatever the Action."""
ENDS = frozenset({"delete", "gone"})
"""Actions that end a finding: its status is Resolved, whatever its state was."""
PASS, WARNING, FAIL = (1, "Pass"), (2, "Warning"), (3, "Fail")
VERDICTS = {
    "healthy": PASS,
    "passed": PASS,
    "unhealthy": FAIL,
    "failed": FAIL,
    "skipped": WARNING,
    "unsupported": WARNING,
}
