"""The table schemas, once: rows, DCR streams, Bicep, documentation and the local workspace all come from here.

A column's `type` is the name that data collection rules use.  Names obey Azure's rules for custom tables: a letter
first, at most 45 letters, digits and underscores, none of the reserved names (domain rules: Logs Ingestion API).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from shared.exports.known_values import SIMULATED_PREFIX

ColumnType = Literal["string", "int", "long", "real", "boolean", "datetime", "dynamic"]
RESERVED_COLUMNS = frozenset({"_ResourceId", "id", "_SubscriptionId", "TenantId", "Type", "UniqueId", "Title"})


FIRST, ADDED = "0.1", "1.0"
"""Releases: of the first columns, and of those that are marked with a plus."""


@dataclass(frozen=True)
class Column:
    """One column: its name, its type in a data collection rule, what it means, and the release that it came with."""

    name: str
    type: ColumnType
    description: str
    since: str = FIRST

    @property
    def table_type(self) -> str:
        """The type's spelling in the Log Analytics tables API, which differs for one type."""
        return "dateTime" if self.type == "datetime" else self.type


@dataclass(frozen=True)
class Table:
    """One custom table; `kind` is the RecordKind of its rows, or what else it holds."""

    name: str
    columns: tuple[Column, ...]
    kind: str
    description: str

    @property
    def stream(self) -> str:
        """The stream of the data collection rule that feeds this table."""
        return f"Custom-{self.name}"

    @cached_property
    def types(self) -> dict[str, ColumnType]:
        """Type by column name, in the order of the columns."""
        return {column.name: column.type for column in self.columns}

    @property
    def holds_records(self) -> bool:
        """Whether rows are exported records and begin with the spine."""
        return self.columns[: len(SPINE)] == SPINE


def _columns(text: str) -> tuple[Column, ...]:
    """Read columns written one a line: name, type, description; a plus before the description marks those added."""
    columns = []
    for line in text.strip().splitlines():
        name, kind, description = line.split(maxsplit=2)
        added = description.startswith("+ ")
        columns.append(Column(name, kind, description.removeprefix("+ "), ADDED if added else FIRST))  # type: ignore[arg-type] # a test checks every type
    return tuple(columns)


SPINE = _columns("""
TimeGenerated        datetime  EventTime where Azure accepts it, else when the event was enqueued or parsed.
EventTime            datetime  The record's own time: when its state changed, or was found.
RecordKey            string    Which change of which record this is; duplicates share it.
RecordId             string    Which record this is: its id in lower case.
RecordKind           string    Alert, Assessment, SubAssessment ... as the table, or Other.
Action               string    Insert, Write, Delete or Backfill; empty where the exporter says nothing, as for alerts.
IsSnapshot           boolean   Whether the weekly snapshot sent it.
ApiVersion           string    + Version of the record's shape, as the exporter names it.
ExportInterval       string    + Interval that the exporter names, for compliance.
SourceTenantId       string    The tenant that the record names.
Cloud                string    Where the resource lives: Azure, AWS, GCP, or as the record says; MultiCloud for several.
SubscriptionId       string    The subscription that the record belongs to, in lower case.
SubscriptionName     string    Its display name, from Resource Graph.
ManagementGroupPath  string    Names of its management groups from the root down, joined by /.
ResourceId           string    The Azure resource concerned, in lower case.
NativeResourceId     string    Its id in its own cloud, such as an ARN.
EntityId             string    + What in the resource is concerned: an image, a container, a database, as its id says.
EntityType           string    + Its type, as sent: .containerimage, K8s-container, GitHubRepository ...
CloudAccountId       string    + The account or project in another cloud.
ConnectorId          string    + The security connector of another cloud or of a source code system.
ResourceName         string    The resource's name.
ResourceType         string    The resource's type, in lower case.
ResourceGroup        string    The resource's group, in lower case.
Location             string    The resource's region.
Owner                string    Value of the owner tag of the resource, its group or its subscription.
AssetEnvironment     string    Value of the environment tag, inherited likewise.
Criticality          string    Value of the criticality tag, inherited likewise.
Tags                 dynamic   The resource's own tags.
EnqueuedTime         datetime  When Event Hubs took the event.
PartitionId          string    The partition it came from.
SequenceNumber       long      Its sequence number in that partition.
TruncatedColumns     dynamic   Names of the columns cut to fit; the whole record is then in Blob Storage.
Raw                  dynamic   The fields of the record that no column carries, or the whole record, by setting.
""")

_ALERT = _columns("""
SystemAlertId            string    The alert's id.
AlertType                string    Its type, such as VM_SuspiciousActivity.
DisplayName              string    Its title.
AlertSeverity            string    High, Medium, Low or Informational.
Status                   string    New (Active where it was read back from Azure), InProgress, Resolved, Dismissed.
Description              string    What was seen.
Tactics                  dynamic   MITRE ATT&CK tactics.
Techniques               dynamic   MITRE ATT&CK technique ids.
SubTechniques            dynamic   MITRE ATT&CK sub-technique ids.
CompromisedEntity        string    The resource most affected, by name.
StartTime                datetime  First activity.
EndTime                  datetime  Last activity.
AlertTimeGenerated       datetime  When the provider raised it.
ProcessingEndTime        datetime  When Defender finished working on it; moves with each update.
IsIncident               boolean   Whether it groups other alerts.
VendorName               string    Microsoft, or the partner.
ProductName              string    The product that raised it.
ProductComponentName     string    The Defender plan.
ProviderAlertStatus      string    Status at the provider.
ConfidenceLevel          string    The provider's confidence.
ConfidenceScore          real      The same from 0 to 1.
ConfidenceReasons        dynamic   Why.
CorrelationKey           string    Alerts with one key belong together.
Entities                 dynamic   Hosts, accounts, files, addresses ... concerned.
ExtendedLinks            dynamic   Links to more.
ExtendedProperties       dynamic   Further details, by alert type.
RemediationSteps         dynamic   What to do.
ResourceIdentifiers      dynamic   Every identifier of the resource.
AlertLink                string    The alert in the portal.
WorkspaceId              string    The workspace of the agent.
WorkspaceSubscriptionId  string    That workspace's subscription.
WorkspaceResourceGroup   string    That workspace's resource group.
AgentId                  string    The agent that reported.
""")

_ASSESSMENT = _columns("""
RecommendationId              string    The recommendation's id: what is assessed, the same on every resource.
RecommendationDisplayName     string    Its title.
RecommendationState           string    Healthy, Unhealthy or NotApplicable.
RecommendationSeverity        string    Critical, High, Medium or Low; others as sent.
StateCause                    string    Why the state is what it is, as a code.
StateDescription              string    The same in words.
StatusChangeDate              datetime  When the state last changed.
FirstEvaluationDate           datetime  When the resource was first assessed.
ResolvedTime                  datetime  StatusChangeDate where the state is Healthy.
RiskLevel                     string    Risk of this finding on this resource.
RiskFactors                   dynamic   What the risk is made of.
AttackPathsReferences         dynamic   Attack paths that run through it.
Description                   string    What the recommendation is about.
RemediationDescription        string    What to do, as HTML.
Categories                    dynamic   Compute, Data, Networking ...
Threats                       dynamic   Threats it protects from.
Tactics                       dynamic   MITRE ATT&CK tactics.
Techniques                    dynamic   MITRE ATT&CK techniques.
UserImpact                    string    High, Moderate or Low.
ImplementationEffort          string    High, Moderate or Low.
AssessmentType                string    BuiltIn, DynamicBuiltIn, CustomPolicy, CustomerManaged or VerifiedPartner.
PolicyDefinitionId            string    The policy behind it.
RecommendationAdditionalData  dynamic   Further details, by recommendation.
RecommendationLink            string    The recommendation in the portal.
RecommendationCategory        string    + Category of an individual recommendation: SoftwareUpdate, ExposedSecrets ...
IsPreview                     boolean   + Whether the recommendation is in preview.
IsContextualRisk              boolean   + Whether RiskLevel takes the resource's surroundings into account.
RiskPaths                     dynamic   + Graph of what makes the risk.
ResourceAdditionalData        dynamic   + Details of the image, container or repository, as sent: JSON in a text.
SoftwareName                  string    + Package or product to update.
SoftwareVendor                string    + Who makes it.
SoftwareVersions              dynamic   + Versions found on the resource.
PackageType                   string    + OS, or the package manager's kind.
SoftwareLanguage              string    + Programming language of the package.
FixedVersion                  string    + Version that has the fix; empty where there is none.
FixStatus                     string    + FixAvailable, NoFix, NoFixAvailable, WillNotFix, as sent.
Patchable                     boolean   + Whether a fix exists.
CveIds                        dynamic   + CVE ids.
CvssScore                     real      + The highest CVSS base score given, of any version.
PublishedTime                 datetime  + When the oldest of the vulnerabilities was published.
RuleId                        string    + Rule of the scanner: VA1059, or the tool's own.
ToolName                      string    + Tool or scanner that found it.
SecretType                    string    + Kind of secret that is exposed.
ParentResource                string    + What the database belongs to, for SQL rules.
RepositoryName                string    + Container repository.
RegistryHost                  string    + Container registry.
ImageDigest                   string    + Container image.
ImageUri                      string    + The image's address.
ClusterName                   string    + Kubernetes cluster.
Namespace                     string    + Kubernetes namespace.
ContainerName                 string    + Container.
BranchName                    string    + Branch of the source code.
RepositoryUrl                 string    + Address of the source code.
""")

_SUB_ASSESSMENT = _columns("""
ParentRecommendationId       string    The recommendation that the finding belongs to.
NestedRecommendationId       string    The finding's own id.
VulnerabilityId              string    The scanner's id of the vulnerability.
RecommendationName           string    The finding's title.
RecommendationState          string    Healthy, Unhealthy or NotApplicable.
RecommendationSeverity       string    Critical, High, Medium or Low; others, such as Unknown, as sent.
Cause                        string    Why the state is what it is, as a code.
StateDescription             string    The same in words.
Category                     string    Category of the finding.
Impact                       string    What it may lead to.
Description                  string    What was found.
RemediationDescription       string    What to do.
SubAssessmentTimeGeneration  datetime  When the scanner produced it.
AssessedResourceType         string    ServerVulnerabilityTvm, AzureContainerRegistryVulnerability, as sent.
CveIds                       dynamic   CVE ids.
CvssScore                    real      The highest CVSS base score given, of any version.
Cvss                         dynamic   CVSS data as sent.
Patchable                    boolean   Whether a patch exists.
PublishedTime                datetime  When the vulnerability was published; the oldest of several.
RepositoryName               string    Container repository.
RegistryHost                 string    Container registry.
ImageDigest                  string    Container image.
AdditionalData               dynamic   The scanner's other details.
ResourceAdditionalData       dynamic   + Details of the image, container or repository, as sent.
SoftwareName                 string    + Package or product to update.
SoftwareVendor               string    + Who makes it.
SoftwareVersions             dynamic   + Versions found on the resource.
PackageType                  string    + OS, or the package manager's kind.
SoftwareLanguage             string    + Programming language of the package.
FixedVersion                 string    + Version that has the fix.
FixStatus                    string    + FixAvailable, NoFix, NoFixAvailable, WillNotFix, as sent.
RuleId                       string    + Rule of the scanner.
ToolName                     string    + Tool or scanner that found it.
ImageUri                     string    + The image's address.
ClusterName                  string    + Kubernetes cluster.
Namespace                    string    + Kubernetes namespace.
ContainerName                string    + Container.
""")

_SECURE_SCORE = _columns("""
ScoreName        string  ascScore, or the initiative's name.
DisplayName      string  Its title.
CurrentScore     real    Points reached.
MaxScore         int     Points possible.
PercentageScore  real    CurrentScore / MaxScore, from 0 to 1.
Weight           long    Weight of the subscription among others.
""")

_SECURE_SCORE_CONTROL = _columns("""
ControlId                  string   The control's id.
ControlName                string   Its title.
ControlType                string   BuiltIn or Custom.
CurrentScore               real     Points reached.
MaxScore                   int      Points possible.
PercentageScore            real     CurrentScore / MaxScore, from 0 to 1.
HealthyResources           int      Resources that comply.
UnhealthyResources         int      Resources that do not.
NotApplicableResources     int      Resources it does not concern.
Weight                     long     Weight of the control.
RecommendationResourceIds  dynamic  The recommendations in the control.
""")

_REGULATORY = _columns("""
ComplianceStandard     string  The standard, from the id.
ComplianceControl      string  The control, from the id.
RecommendationId       string  The assessment behind it; empty where a category is.
RecommendationName     string  What is assessed.
State                  string  Passed, Failed, Skipped or Unsupported.
PassedResources        int     Resources that comply.
FailedResources        int     Resources that do not.
SkippedResources       int     Resources left out.
AssessmentType         string  Type of the assessment.
AssessmentDetailsLink  string  The assessment's details, as a full link.
UnsupportedResources   int     + Resources that can't be assessed.
Scope                  string  + Subscription, or MultiCloudAggregation.
RecommendationCategory string  + The category that the row stands for, where AssessmentType is assessmentCategory.
""")

_ATTACK_PATH = _columns("""
AttackPathId                string   The attack path's id.
DisplayName                 string   Its title.
Description                 string   What an attacker could do.
AttackStory                 string   The story of the attack.
AttackPathType              string   Type of the path.
RiskLevel                   string   Critical, High, Medium or Low.
RiskFactors                 dynamic  What the risk is made of.
PotentialImpact             string   What it may lead to.
Tactics                     dynamic  MITRE ATT&CK tactics.
Techniques                  dynamic  MITRE ATT&CK technique ids.
EntryPointId                string   Where the path begins.
TargetId                    string   Where it leads.
Path                        dynamic  Its steps, or its graph.
Graph                       dynamic  + Its graph, where Path holds its steps.
Assessments                 dynamic  Recommendations that would break it.
AffectedResourceIds         dynamic  Azure resources along the path.
AdditionalRemediationSteps  string   What to do by hand.
IsPartial                   boolean  Whether only a part of the path is visible.
""")

_OTHER = _columns("""
RecordType  string  The type that the record names, as sent.
""")

_RUNS = _columns("""
TimeGenerated     datetime  When the run ended.
RunId             string    The run; its report in Blob Storage has the same id.
InstanceId        string    The deployment.
Trigger           string    timer, http, job or cli.
Actor             string    Who asked for it.
Mode              string    plan or apply.
StartTime         datetime  When the run began.
EndTime           datetime  When it ended.
DurationSeconds   real      How long it took.
Outcome           string    Succeeded, Partial, Failed, Blocked or Skipped.
Reason            string    Why, where the outcome is not Succeeded.
Complete          boolean   Whether discovery saw every subscription; deletes wait until it does.
Tenants           dynamic   Tenants of the subscriptions seen.
Exports           int       Export files in force.
Subscriptions     int       Subscriptions seen.
Created           int       Automations to create, or created.
Updated           int       Automations to update, or updated.
Deleted           int       Automations to delete, or deleted.
Adopted           int       Automations to take over, or taken over.
Unchanged         int       Automations that already are as declared.
Foreign           int       Automations of others, left alone.
Blocked           int       Subscriptions that could not be planned for.
Failed            int       Changes that failed.
Unconfirmed       int       Changes not yet visible when read back.
NotReached        int       Changes left for the next run by the time budget.
Requests          int       Requests made.
Guard             string    The guard that stopped updates or deletes, where one did.
Problems          dynamic   What went wrong, findings about files and scopes first.
ReportName        string    Name of the report's blob.
Release           string    Release of the app that wrote the row.
Scope             dynamic   + What the run was narrowed to: subscriptions, management groups, exports; empty for all.
Identity          string    + Who read the tenant: two identities may see different subscriptions.
Declared          int       + Automations that the files ask for, one for each export and subscription.
InForce           int       + Those of them that are in force.
Skipped           int       + Automations in subscriptions that take no writes.
Leaving           int       + Automations out of their export's scope, still there for the grace.
ApprovedBy        string    + Who approved the plan that the run carried out.
ApprovedTime      datetime  + When it was approved.
MutedUntil        datetime  + Until when all that it updated is muted; Problems have a mutedUntil of their own.
""")

_HEALTH = _columns("""
TimeGenerated     datetime  When it was checked.
CheckName         string    freshness, stored, service level, gone, notice; coverage, silence, repair (docs/trend.md).
InstanceId        string    The deployment.
Verdict           string    fresh, silent, quiet, not observable; stored, missing; met, missed; compared, held back ...
Reason            string    The likely reason, in a sentence.
SourceTenantId    string    The subscription's tenant.
SubscriptionId    string    The subscription, for freshness.
SubscriptionName  string    Its display name.
RecordKind        string    The kind of record checked.
Exports           dynamic   Names of the exports that should send it.
LastSeen          datetime  When such a record last arrived.
LastSnapshot      datetime  When a snapshot's record last arrived.
DueBy             datetime  When the next snapshot is due.
RecordsFound      long      Such records in Resource Graph now.
TableName         string    The table, for stored and service level.
WindowStart       datetime  Start of the time compared.
WindowEnd         datetime  End of the time compared.
RowsUploaded      long      Rows that the API accepted.
RowsStored        long      Rows in the table.
Release           string    Release of the app that wrote the row.
Details           dynamic   Whatever else the check found.
Requirement       string    + The requirement, for coverage.
MutedUntil        datetime  + Until when it is muted, as of the check (docs/mutes.md).
""")

_AUDIT = _columns("""
TimeGenerated     datetime  When the row was sent; a deed is noted in storage first, and sent from there.
DeedTime          datetime  When it was done.
DeedId            string    The deed; rows of the same id tell of the same deed.
InstanceId        string    The deployment.
Deed              string    PutExport, DeleteExport, EndExport, ApprovePlan, LiftGuard, ... as docs/audit.md lists them.
Target            string    What it was done to: an export, a plan's fingerprint, a job, a run, a dead letter.
Actor             string    Who did it.
Channel           string    api, or direct: on the storage itself, from a terminal.
Address           string    The caller's address as the platform saw it, or the terminal's host.
Agent             string    What the caller's program calls itself.
DigestBefore      string    SHA-256 of the target's contents before; empty where there were none.
DigestAfter       string    SHA-256 of its contents after; for an approval the plan's fingerprint.
Outcome           string    Done; Unknown where it was cut off and its target does not tell.
Reason            string    Why the outcome is not known.
Release           string    Release of the app that wrote the row.
Details           dynamic   Arguments of a job or a run, why an export was deleted, which letters were shown.
""")

_GONE = _columns("""
TimeGenerated   datetime  When it was concluded.
Action          string    Missing (one complete answer did not have it), Gone, Retired (not fixed), or Back.
RecordId        string    The record, as in the table of its kind.
RecordKind      string    Assessment, SubAssessment or AttackPath.
SubscriptionId  string    The record's subscription.
FirstSeen       datetime  Since when it had been open.
LastSeen        datetime  When its newest row reached the hub.
GoneTime        datetime  When Resource Graph first did not have it; empty where it is back.
DaysOpen        real      Days from FirstSeen to GoneTime, where it ended.
Reason          string    Why it is concluded, in a sentence.
InstanceId      string    The deployment.
Release         string    Release of the app that wrote the row.
""")

_CVES = _columns("""
TimeGenerated        datetime  When it was read.
CveId                string    The CVE, as rows name it, in capital letters.
RenamedTo            string    The id that Microsoft's record has, where it is another.
Severity             string    Severity, as given.
Status               string    Status, as given: Reject for one that was withdrawn.
IsWithdrawn          boolean   Whether it was withdrawn.
Cvss2                real      Base score of CVSS 2.
Cvss3                real      Base score of CVSS 3.
Cvss4                real      Base score of CVSS 4.
CvssScore            real      The highest of them.
Cvss                 dynamic   CVSS data as given, with its vectors.
EpssScore            real      Probability that it is exploited within 30 days, from 0 to 1 (EPSS).
EpssPercentile       real      Share of CVEs with at most that score, from 0 to 1.
IsInExploitKit       boolean   Whether an exploit kit has it; null where that is not known.
IsExploitVerified    boolean   Whether an exploit was verified; null where that is not known.
IsPubliclyDisclosed  boolean   Whether an exploit is public; null where that is not known.
ExploitUris          dynamic   Addresses of exploits.
PublishedTime        datetime  When it was published.
ModifiedTime         datetime  When it was last changed.
Weaknesses           dynamic   CWE ids.
InstanceId           string    The deployment.
Release              string    Release of the app that wrote the row.
""")

TABLES: tuple[Table, ...] = (
    Table("DefenderAlerts_CL", SPINE + _ALERT, "Alert", "Security alerts."),
    Table("DefenderAssessments_CL", SPINE + _ASSESSMENT, "Assessment", "Recommendations per resource."),
    Table("DefenderSubAssessments_CL", SPINE + _SUB_ASSESSMENT, "SubAssessment", "Findings below recommendations."),
    Table("DefenderSecureScores_CL", SPINE + _SECURE_SCORE, "SecureScore", "Secure score per subscription."),
    Table("DefenderSecureScoreControls_CL", SPINE + _SECURE_SCORE_CONTROL, "SecureScoreControl", "Score per control."),
    Table(
        "DefenderRegulatoryCompliance_CL",
        SPINE + _REGULATORY,
        "RegulatoryCompliance",
        "State per control.",
    ),
    Table("DefenderAttackPaths_CL", SPINE + _ATTACK_PATH, "AttackPath", "Attack paths."),
    Table("DefenderOther_CL", SPINE + _OTHER, "Other", "Records of unknown kinds, whole in Raw."),
    Table("DefenderExportRuns_CL", _RUNS, "Run", "One row per reconcile run."),
    Table("DefenderExportHealth_CL", _HEALTH, "Health", "Verdicts on the flow of data."),
    Table("DefenderExportAudit_CL", _AUDIT, "Audit", "One row per deed of a person."),
    Table("DefenderCves_CL", _CVES, "Cve", "Details of the CVEs that open records name."),
    Table("DefenderGone_CL", _GONE, "Gone", "Records that Resource Graph no longer has: what ended, and when."),
)
RECORD_TABLES = tuple(table for table in TABLES if table.holds_records)
OWN_TABLES = tuple(table for table in TABLES if not table.holds_records)
OWN_STREAMS = frozenset(table.stream for table in OWN_TABLES)
"""Streams of what the app says of itself; they have a data collection rule of their own."""
BY_NAME = {table.name: table for table in TABLES}
BY_KIND = {table.kind: table for table in TABLES}

KIND_OF_RECORD = {
    "Alert": "Alerts",
    "Assessment": "Assessments",
    "SubAssessment": "SubAssessments",
    "SecureScore": "SecureScores",
    "SecureScoreControl": "SecureScoreControls",
    "RegulatoryCompliance": "RegulatoryComplianceAssessment",
    "AttackPath": "AttackPaths",
}
"""A row's kind to the streaming event source that carries such records."""


NOT_SIMULATED = f"AlertType !startswith '{SIMULATED_PREFIX}'"
"""The KQL condition that leaves simulated alerts out; rows of other kinds have no such type and stay."""


def stream_declarations(tables: Iterable[Table]) -> dict[str, dict[str, list[dict[str, str]]]]:
    """The `streamDeclarations` of a data collection rule: stream name to its columns' names and types."""
    return {
        table.stream: {"columns": [{"name": column.name, "type": column.type} for column in table.columns]}
        for table in tables
    }


def table_schema(table: Table) -> dict[str, object]:
    """The `properties.schema` of one Log Analytics table (tables API: name, and columns with descriptions)."""
    return {
        "name": table.name,
        "columns": [
            {"name": column.name, "type": column.table_type, "description": column.description}
            for column in table.columns
        ],
    }
