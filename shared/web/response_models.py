"""The bodies that the API gives and takes, as models: the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic.alias_generators import to_camel

from shared.canary.bundles import NAMES as BUNDLES


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", validate_by_name=True)


class FindingBody(_Body):
    """One thing that is wrong with an export, where, and what to do about it."""

    code: str
    severity: Literal["error", "warning"]
    where: str
    sentence: str
    fix: str


class Problem(_Body):
    """RFC 9457 problem details; branch on `type`."""

    type: str
    title: str
    status: int
    detail: str
    findings: list[FindingBody] | None = None


class ExportEntry(_Body):
    """A stored export; `size` in bytes."""

    name: str
    etag: str
    size: int
    modified: datetime


class ExportProblem(_Body):
    """An export whose newest version is invalid; `inForce`: an earlier, valid version stands in."""

    name: str
    in_force: bool
    findings: list[FindingBody]


class ExportList(_Body):
    """Stored exports, with what is wrong with them."""

    value: list[ExportEntry]
    continuation: str
    problems: list[ExportProblem]
    warnings: list[FindingBody]


class FileTest(_Body):
    """How one of an export's own tests went."""

    name: str
    passed: bool
    expected: bool
    reason: str


class Validation(_Body):
    """What the checks say about an export that was sent."""

    valid: bool
    findings: list[FindingBody]
    sentences: list[str] | None = None
    tests: list[FileTest] | None = None
    compiled: dict[str, Any] | None = None
    automations: list[dict[str, Any]] | None = None


class ExportStored(Validation):
    """A version that was stored or, with `dryRun`, only checked; a dry run also says what the checks say."""

    name: str
    etag: str
    dry_run: bool


_Guid = Annotated[str, Field(pattern="^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
_Name = Annotated[str, Field(pattern="^[-A-Za-z0-9_.()]{1,90}$")]
_Kind = Literal[
    "Assessments",
    "SubAssessments",
    "Alerts",
    "SecureScores",
    "SecureScoreControls",
    "RegulatoryComplianceAssessment",
    "AttackPaths",
]


def _some(description: str) -> Any:
    """A list that is left out to mean all, and never empty."""
    return Field(default_factory=list, min_length=1, max_length=1000, description=description)


class _Scoped(_Body):
    subscriptions: list[_Guid] = _some("Only these subscriptions, by id.")
    management_groups: list[_Name] = _some("Only subscriptions below these.")


class _Guarded(_Scoped):
    max_deletes: int | None = Field(None, ge=0, le=100_000, description="In place of MAX_DELETES for this run.")
    max_change_percent: int | None = Field(None, ge=0, le=100, description="In place of MAX_CHANGE_PERCENT.")
    accept_fewer: bool = Field(False, description="Subscriptions, or all export files, are gone, and that is meant.")


class PlanRequest(_Guarded):
    """Say what a reconcile would change; it writes nothing."""

    kind: Literal["plan"]
    exports: list[_Name] = _some("Only these exports.")
    causes: list[Literal["release"]] = _some("Let through what waits for this cause.")


class ReconcileRequest(_Guarded):
    """Make every live export equal to its file now; the guards hold, and raising them needs Exports.Approve too.

    Under RECONCILE_MODE=approve it carries out a plan that is approved, and nothing else.
    """

    kind: Literal["reconcile"]
    exports: list[_Name] = _some("Only these exports.")
    causes: list[Literal["release"]] = _some("Let through what waits for this cause.")
    fingerprint: str = Field(
        "", pattern="^[0-9a-f]{64}$", description="Carry out the plan of this fingerprint, or nothing."
    )


class PreviewRequest(_Scoped):
    """Count the present records that an export would send."""

    kind: Literal["preview"]
    export: _Name


class BackfillRequest(_Scoped):
    """Send the present records through the pipeline: what streaming never sent, being there before."""

    kind: Literal["backfill"]
    kinds: list[_Kind] = _some("Only these kinds of record.")
    export: _Name = Field("", description="Only what this export would send.")


class ReplayRequest(_Body):
    """Deliver dead letters again now."""

    kind: Literal["replay"]
    day: str = Field("", pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="Only those of this day.")
    reason: _Name = Field("", description="Only those of this reason.")
    parked: bool = Field(False, description="Only parked ones, or only those that are not; both when left out.")


class DiscardRequest(_Body):
    """Delete one blob of dead letters; its records are lost."""

    kind: Literal["discard"]
    name: str = Field(max_length=700, description="As `GET /api/dead-letters` lists it.")


class AcceptRequest(_Body):
    """Say that the stored files are meant as they are, after the store was put back or filled anew."""

    kind: Literal["accept"]


class ClaimRequest(_Body):
    """Take over the automations that another app wrote for this instance; stop that app first."""

    kind: Literal["claim"]
    former_instance: _Name = Field("", description="Also those of this former INSTANCE_ID.")


class GoneRequest(_Body):
    """Compare what the tables hold as open with Resource Graph now, and say what ended."""

    kind: Literal["gone"]
    max_change_percent: int | None = Field(None, ge=0, le=100, description="In place of GONE_MAX_PERCENT.")


class CanaryRequest(_Body):
    """Prove that an alert of some subscriptions reaches its table, by one that Defender for Cloud simulates."""

    kind: Literal["canary"]
    subscriptions: list[_Guid] = Field(min_length=1, max_length=10, description="Whose paths to prove, by id.")
    bundle: str = Field(
        "",
        pattern=f"^({'|'.join(BUNDLES)})$",
        description="Which alert to simulate; else the first that the filters let through.",
    )


_AnyRequest = (
    PlanRequest
    | ReconcileRequest
    | PreviewRequest
    | BackfillRequest
    | ReplayRequest
    | DiscardRequest
    | AcceptRequest
    | ClaimRequest
    | GoneRequest
    | CanaryRequest
)


class JobRequest(RootModel[_AnyRequest]):
    """What to do: `kind`, and what that kind takes beside it."""

    root: Annotated[_AnyRequest, Field(discriminator="kind")]


class Change(_Body):
    """One difference between an automation and its file."""

    model_config = ConfigDict(extra="allow")

    path: str = ""
    old: Any = None
    new: Any = None


class RunItem(_Body):
    """What a run did, or would do, about one automation."""

    model_config = ConfigDict(extra="allow")

    action: str
    id: str
    export: str = ""
    changes: list[Change] = []
    reason: str = ""
    wanted: str = ""
    cause: str = ""
    outcome: str = ""
    outcome_reason: str = ""


class JobArguments(_Body):
    """What was asked of a job; a job of another release may have been asked for more."""

    model_config = ConfigDict(extra="allow")

    subscriptions: list[str] = []
    management_groups: list[str] = []
    exports: list[str] = []
    causes: list[str] = []
    kinds: list[str] = []
    export: str = ""
    day: str = ""
    reason: str = ""
    parked: bool = False
    former_instance: str = ""


class JobResult(_Body):
    """What came of a job, by its kind; a plan or reconcile has every member of a run's report."""

    model_config = ConfigDict(extra="allow")

    run_id: str = ""
    outcome: str = ""
    reason: str = ""
    items: list[RunItem] = []
    subscriptions: int = 0
    records: int = 0
    sent: int = 0
    reasons: list[str] = []
    store_number: int = 0


class Job(_Body):
    """A piece of work and how far it is; `result` is there once it has finished.

    `state` is queued, running, succeeded, failed, dead or cancelled; `cancelledBy` asked for its end, which a job that
    runs comes to within half a minute.  A job of another release may have other kinds and states:
    then `trouble` says why it is left as it is, and what helps.
    """

    id: str
    kind: str
    state: str
    arguments: JobArguments
    actor: str
    attempt: int
    progress: str
    error: str
    cancelled_by: str = ""
    release: str = ""
    trouble: str = ""
    created: datetime
    started: datetime | None
    finished: datetime | None
    result: JobResult | None = None


class JobList(_Body):
    """Jobs, newest first."""

    value: list[Job]
    continuation: str


class CoverageExporter(_Body):
    """One automation that exports a kind of record of a subscription."""

    automation: str
    owner: Literal["ours", "foreign"]
    export: str
    enabled: bool
    whole_subscription: bool
    destinations: list[str]
    filter: str
    findings: list[str]


class CoverageVerdict(_Body):
    """Whether a subscription meets a requirement."""

    requirement: str
    met: bool
    reason: str
    note: str = ""


class MutedBy(_Body):
    """By which mute something raises nothing, until when, and who answers for that."""

    until: datetime
    mute: str
    owner: str
    reason: str


class CoverageRow(_Body):
    """What one subscription exports, by event source; `open` is told where one subscription is asked for.

    It holds what waits or is blocked, by the newest run that looked at it.
    """

    subscription_id: str
    subscription: str
    tenant_id: str
    management_groups: list[str]
    sources: dict[str, list[CoverageExporter]]
    verdicts: list[CoverageVerdict]
    open: list[RunItem] = []
    muted: MutedBy | None = None


class CoverageList(_Body):
    """Coverage, a row per subscription."""

    value: list[CoverageRow]
    continuation: str
    generated: datetime
    complete: bool
    reasons: list[str]
    mute_trouble: str = ""


class EvidenceException(_Body):
    """Who answers for a requirement that is not met, why, and until the end of which day (UTC)."""

    owner: str
    reason: str
    until: str
    state: Literal["valid", "ran out"]


class EvidenceGranted(EvidenceException):
    """An exception with what it is for; `covers` counts the subscriptions of the report."""

    requirement: str
    subscriptions: list[str]
    management_groups: list[str]
    covers: int


class EvidenceBenchmark(_Body):
    """A recommendation of a published benchmark."""

    name: str
    versions: list[str]
    number: str
    title: str
    level: int
    assessment: str


class EvidenceQuestion(_Body):
    """What an auditor asks, paraphrased, and what of the report answers it."""

    asks: str
    answered_by: str


class EvidenceRequirement(_Body):
    """A requirement with what the verdicts on it come to."""

    name: str
    description: str
    benchmark: EvidenceBenchmark | None = None
    conclusion: Literal["met", "met with exceptions", "met as far as judged", "not met", "not judged"]
    counts: dict[str, int]
    questions: list[EvidenceQuestion]


class EvidenceRow(_Body):
    """The verdict on one subscription and requirement."""

    requirement: str
    subscription_id: str
    subscription: str
    tenant_id: str
    management_groups: list[str]
    state: str
    verdict: Literal["met", "not met", "excepted", "not judged"]
    reason: str
    note: str
    exception: EvidenceException | None = None


class EvidenceSources(_Body):
    """What the report was made from, with its digests (SHA-256); pages of one report have the same."""

    subscriptions: int
    automations: int
    sha256: str
    requirements_sha256: str


class Figure(_Body):
    """One figure of a month or a day; without a value it is not known, which is never zero."""

    period: str
    measure: Literal["coverage", "silent time", "silent share", "time to repair", "secure score"]
    name: str
    value: float | None
    over: float
    days: int
    unit: Literal["%", "hours"]
    stands_on: str


class EvidenceTrend(_Body):
    """Figures of the whole deployment over three months; `problem` says in a sentence why there are none."""

    problem: str
    since: datetime
    until: datetime
    months: list[Figure]
    not_counted: list[str] = []


class EvidenceMute(_Body):
    """What raised nothing at some time in the months of the report; no verdict is changed by it."""

    name: str
    what: str
    owner: str
    reason: str
    from_: Annotated[datetime, Field(alias="from")]
    until: datetime
    weekly: str
    in_force: bool


class Evidence(_Body):
    """The report for auditors, a row per requirement and subscription."""

    value: list[EvidenceRow]
    continuation: str
    generated: datetime
    taken: datetime
    by: str
    instance: str
    tenant: str
    release: str
    complete: bool
    reasons: list[str]
    sources: EvidenceSources
    requirements: list[EvidenceRequirement]
    exceptions: list[EvidenceGranted]
    trend: EvidenceTrend
    limits: list[str]
    mutes: list[EvidenceMute]
    mute_trouble: str


class RequirementInFile(_Body):
    """One requirement of one's own."""

    name: str
    kind: str
    description: str | None = None
    records: list[dict[str, Any]] | None = None
    destination: str | None = None


class ExceptionInFile(_Body):
    """Subscriptions that may miss a requirement until the end of a day."""

    requirement: str
    subscriptions: list[str] | None = None
    management_groups: list[str] | None = None
    owner: str
    reason: str
    until: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class RequirementsFile(_Body):
    """The file of requirements and exceptions; it names one of either at least."""

    version: Literal[1]
    requirements: Annotated[list[RequirementInFile], Field(min_length=1)] | None = None
    exceptions: Annotated[list[ExceptionInFile], Field(min_length=1)] | None = None


class ReceiverInFile(_Body):
    """Who is told, and in which form; the address is in the app setting NOTIFY_RECEIVERS."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    channel: Literal["teams", "slack", "webhook", "mail"]


EventName = Literal[
    "subscription-silent", "run-failed", "guard-refused", "destination-broken", "drift-put-back",
    "dead-letters-parked", "timer-stopped", "exception-expired",
]  # fmt: skip


class RuleInFile(_Body):
    """Whom to tell of which events; what is left out narrows nothing."""

    send: Annotated[list[str], Field(min_length=1)]
    when: Literal["at-once", "daily"] | None = None
    events: Annotated[list[EventName], Field(min_length=1)] | None = None
    severity: Literal["Low", "Medium", "High"] | None = None
    management_groups: Annotated[list[str], Field(min_length=1)] | None = None
    owners: Annotated[list[str], Field(min_length=1)] | None = None


class NotifyFile(_Body):
    """The file of receivers and rules."""

    version: Literal[1]
    digest_at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] | None = None
    receivers: Annotated[list[ReceiverInFile], Field(min_length=1, max_length=50)]
    rules: Annotated[list[RuleInFile], Field(min_length=1, max_length=200)]


class WeeklyInFile(_Body):
    """A window of each week, in UTC."""

    day: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    start: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    duration: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,3}(h|m)$")]


_Time = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z$")]
_Line = Annotated[str, Field(min_length=1, max_length=500)]


class MuteInFile(_Body):
    """What raises nothing, from when until when, and who answers for that; all that it names must fit."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,59}$")]
    subscription: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")] | None = None
    management_group: Annotated[str, Field(min_length=1)] | None = None
    export: Annotated[str, Field(min_length=1)] | None = None
    destination: Annotated[str, Field(min_length=1)] | None = None
    owner: _Line
    reason: _Line
    from_: Annotated[_Time, Field(alias="from")]
    until: _Time
    weekly: WeeklyInFile | None = None


class MutesFile(_Body):
    """The file of mutes and maintenance windows."""

    version: Literal[1]
    mutes: Annotated[list[MuteInFile], Field(max_length=200)]


class MutesStored(_Body):
    """How many mutes were stored, and which of them mute nothing."""

    mutes: int
    warnings: list[str]


class StatusRow(_Body):
    """One subscription in the operations matrix: a state in one word per kind, and what needs a person."""

    subscription_id: str
    subscription: str
    tenant_id: str
    management_groups: list[str]
    subscription_state: str
    takes_writes: bool
    owner: str
    exports: list[str]
    destinations: list[str]
    states: dict[str, str]
    notes: dict[str, str]
    verdicts: dict[str, bool]
    muted: dict[str, MutedBy] = {}
    subscription_muted: MutedBy | None = None


class FreshnessRow(_Body):
    """The verdict on one subscription and kind."""

    subscription_id: str
    kind: str
    export: str
    verdict: str
    since: datetime | None
    reason: str
    last_seen: datetime | None
    present: int | None
    muted: MutedBy | None = None


class FreshnessList(_Body):
    """Freshness as of the last check."""

    value: list[FreshnessRow]
    continuation: str
    checked: datetime | None
    complete: bool
    reasons: list[str]
    mute_trouble: str = ""


class DeadLetterRow(_Body):
    """One blob of records that could not be delivered; `trouble` says why one is left as it is, and what helps."""

    name: str
    day: str
    reason: str
    records: int
    replays: int
    outage: bool
    parked: bool
    due: datetime
    size: int
    written: datetime
    trouble: str = ""


class DeadLetterList(_Body):
    """Dead letters, oldest first."""

    value: list[DeadLetterRow]
    continuation: str


class DeadLetter(_Body):
    """One record that could not be delivered: a `row` for `table`, or an `event` that no row can be made of."""

    reason: str
    message: str = ""
    status: int = 0
    code: str = ""
    outage: bool = False
    tries: int = 0
    replays: int = 0
    outages: int = 0
    target: Literal["workspace", "hub"] = "workspace"
    route: str = ""
    form: str = ""
    place: str
    table: str = ""
    row: dict[str, Any] | None = None
    event: str | None = None
    key: str = ""
    record: str = ""
    partition: str = ""
    sequence: int = 0
    enqueued: datetime
    failed: datetime


class DeadLetterContents(_Body):
    """The letters of one blob; `trouble` says why one that this release leaves as it is shows none."""

    name: str
    trouble: str
    value: list[DeadLetter]
    continuation: str


class RecordShape(_Body):
    """One structure among records: the first that has it, with every value invented."""

    shape: str
    kind: str
    record: dict[str, Any]
    columns: list[str]
    differs: list[str]
    records: int
    largest: int


class ShapeList(_Body):
    """The structures of records, the most frequent first."""

    value: list[RecordShape]
    unreadable: dict[str, int]
    more: bool
    withheld: list[str] | None = None


class ApprovalRequest(_Body):
    """The run whose plan was reviewed."""

    run_id: str = Field(pattern=r"^20[0-9]{6}T[0-9]{12}Z-[0-9a-f]{8}$")


class ApprovalBody(_Body):
    """An approval: of which plan, by whom, and until when a run may carry it out."""

    run_id: str
    fingerprint: str
    by: str
    at: datetime
    expires: datetime


class ReasonCount(_Body):
    """Why an export is not in force, and in how many subscriptions; 0 where its file can't be read."""

    reason: str
    count: int


class ExportInForce(_Body):
    """In how many subscriptions an export is declared, in force, or skipped since they take no writes."""

    export: str
    declared: int
    in_force: int
    skipped: int
    rest: list[ReasonCount]


class DestinationKnown(_Body):
    """What a run knows of a destination: `state` is ready, broken or unverified, with reasons, for these exports.

    `verify` is what their files say: false takes an unverified destination as it is.
    """

    id: str
    state: str
    reasons: list[str]
    exports: list[str]
    verify: bool
    muted: MutedBy | None = None


class Run(_Body):
    """A reconcile run: who asked, what came of it, and numbers; `counts` are of automations.

    `outcome` is Succeeded, Partial, Failed, Blocked, Skipped, Running (also of a run that was killed) or Unreadable,
    with the reason.  `release` wrote the report, `writer` names who writes for the instance, `storeNumber` the files.
    `waiting`: its changes wait for an approval; `approvedBy` and `approvedAt` tell of the one that it carried out.
    `fingerprint` stands for all that its plan would write, `written` says it in words.
    `inForce` answers for each export where it is in force, within `scope`, which is empty for the whole tenant;
    `identity` is whose rights the tenant was read with; `findings` are what is wrong with the files as a set.
    """

    run_id: str
    instance_id: str
    trigger: str
    actor: str
    mode: str
    started: datetime
    ended: datetime
    seconds: float
    outcome: str
    reason: str
    release: str = ""
    writer: str = ""
    store_number: int = 0
    format: int = 0
    complete: bool
    incomplete_because: list[str]
    guards: list[str]
    warnings: list[str] = []
    findings: list[str] = []
    destinations: list[DestinationKnown] = []
    scope: dict[str, list[str]] = {}
    identity: str = ""
    in_force: list[ExportInForce] = []
    exports: list[str]
    unreadable: dict[str, str]
    subscriptions: int
    tenants: dict[str, dict[str, int]]
    counts: dict[str, int]
    requests: dict[str, int]
    asked: dict[str, Any] = {}
    fingerprint: str = ""
    waiting: bool = False
    approved_by: str = ""
    approved_at: str = ""
    written: list[dict[str, Any]] = []


class RunReport(Run):
    """A run with every automation that was not simply unchanged: the action, its reason and each change."""

    items: list[RunItem]


class RunList(_Body):
    """Reconcile runs, newest first."""

    value: list[Run]
    continuation: str


class PlaceKnown(_Body):
    """A place of the file of routes: where it is, how it does, and rows that it took or that wait for it."""

    name: str
    kind: Literal["", "rule", "hub"]
    where: str
    tenant_id: str
    state: Literal["well", "behind", "unavailable", "refused", "misconfigured", "undeclared"]
    reason: str
    waiting: int
    parked: int
    today: int
    yesterday: int
    unseen: str = ""


class RoutesKnown(_Body):
    """The routes in force: what is wrong with their file, the places, and which of them need a person."""

    fault: str
    rules: list[str]
    places: list[PlaceKnown]
    needs: list[str]


class StatusList(_Body):
    """The operations matrix; `run` is the newest of the whole tenant, whatever narrower ones came later.

    `destinations` has what is known of each, by the newest run that looked at it.
    """

    value: list[StatusRow]
    continuation: str
    generated: datetime
    complete: bool
    reasons: list[str]
    destinations: list[DestinationKnown] = []
    run: Run | None = None
    run_muted: MutedBy | None = None
    mute_trouble: str = ""
    routes: RoutesKnown | None = None


class PlanQuestion(_Body):
    """What to plan: the stored exports, or as if `files` (texts by name) were stored; nothing of it is kept."""

    files: dict[str, str] | None = Field(None, description="Export files, YAML or JSON, by a name for findings.")
    prune: bool = Field(False, description="As if stored exports that are not among the files were deleted.")
    subscriptions: list[str] = Field([], max_length=1000, description="Only these subscriptions, by id or name.")
    management_groups: list[_Name] = Field([], max_length=1000, description="Only subscriptions below these.")
    exports: list[_Name] = Field([], max_length=1000, description="Only these exports.")
    causes: list[Literal["release"]] = Field([], description="Let through what waits for this cause.")
    max_deletes: int | None = Field(None, ge=0, le=100_000, description="In place of MAX_DELETES.")
    max_change_percent: int | None = Field(None, ge=0, le=100, description="In place of MAX_CHANGE_PERCENT.")
    accept_fewer: bool = Field(False, description="As if fewer subscriptions, or no export file, were meant.")
    output: Literal["text", "json", "yaml", "csv", "markdown"] = Field("text", description="The form of `shown`.")
    full: bool = Field(False, description="Every automation, whatever the length.")
    colour: bool = Field(False, description="With colours for a terminal, in `text`.")


class PlanAnswer(_Body):
    """The plan, as `plan --out` keeps it, and as it is shown to people; one that is not `complete` deletes nothing."""

    plan: dict[str, Any]
    shown: str
    complete: bool
    reasons: list[str]


class ImportQuestion(_Body):
    """Whose automations to write files for; `adopt` marks the files, so that a reconcile takes them over."""

    subscriptions: list[str] = Field([], max_length=1000, description="Only these subscriptions, by id or name.")
    management_groups: list[_Name] = Field([], max_length=1000, description="Only subscriptions below these.")
    adopt: bool = Field(False, description="Mark the files to take the automations over.")


class ImportedFile(_Body):
    """An export file, the automations that it stands for, and what the linter has against it."""

    name: str
    text: str
    automations: list[str]
    findings: list[FindingBody]


class LeftAutomation(_Body):
    """An automation that no file was written for, and why."""

    automation: str
    reason: str


class ImportAnswer(_Body):
    """Files for what is live; when not `complete`, `reasons` say what may be missing.

    `warnings` name policy assignments that write the same exports again, with what ends that.
    """

    files: list[ImportedFile]
    left: list[LeftAutomation]
    complete: bool
    reasons: list[str]
    warnings: list[str] = []


class SecureScoreDay(_Body):
    """The tenant's secure score on a day, in percent, over as many subscriptions as had one."""

    day: str
    percentage: float
    subscriptions: int


class OpenRecords(_Body):
    """What is open and what was fixed, counted once an hour; `problem` says in a sentence why nothing is."""

    counted: datetime | None
    problem: str
    open: int | None
    fixed_in_seven_days: int | None
    reopened: int | None
    oldest: datetime | None
    exploitable_and_exposed: int | None
    exposed_and_not_known: int | None
    cves: str


class Metrics(_Body):
    """Series with one value for each of `times`; `problem` says in a sentence why they are empty."""

    generated: datetime
    since: datetime
    until: datetime
    bin_minutes: int
    problem: str
    not_counted: list[str] = []
    times: list[datetime]
    records_per_minute: dict[str, list[float]]
    lag_seconds: list[float | None]
    secure_score: list[SecureScoreDay]
    open_records: OpenRecords | None = None


class Trend(_Body):
    """Figures over time; `problem` says in a sentence why there are none."""

    generated: datetime
    since: datetime
    until: datetime
    problem: str
    not_counted: list[str] = []
    months: list[Figure]
    days: list[Figure]


class Health(_Body):
    """The process answers; `broken` where its packages were built for another Python, with both in `detail`."""

    status: Literal["alive", "broken"]
    version: str
    commit: str
    detail: str = ""


class Check(_Body):
    """One thing that `ready` looked at."""

    name: str
    ok: bool
    detail: str


class Readiness(_Body):
    """Whether everything the app depends on answers."""

    ready: bool
    release: str
    checks: list[Check]
    warnings: list[str]


class CanaryHop(_Body):
    """One hop of a canary: when it was reached, and how long after the one before."""

    hop: str
    state: str
    at: datetime | None
    seconds: float | None
    reason: str


class CanaryResult(_Body):
    """What a canary ended with."""

    subscription: str
    outcome: Literal["proven", "not-proven", "not-possible"]
    hop: str
    reason: str
    mend: str
    bundle: str
    begun: datetime
    ended: datetime
    by: str
    hops: list[CanaryHop]


class CanaryList(_Body):
    """Canaries that ended."""

    value: list[CanaryResult]
    continuation: str


class Document(_Body):
    """This API, as OpenAPI 3.1 describes it."""

    model_config = ConfigDict(extra="allow")

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


# What the API takes and gives at the top of a body.
BODIES: tuple[type[BaseModel], ...] = (
    Problem, ExportList, ExportStored, Validation, JobRequest, Job, JobList, CoverageList, StatusList,
    Evidence, FreshnessList, DeadLetterList, DeadLetterContents, ShapeList, CanaryList, RunList, RunReport, Metrics,
    Trend, Health, Readiness, ApprovalRequest, ApprovalBody, MutesStored, Document, PlanQuestion, PlanAnswer,
    ImportQuestion, ImportAnswer,
)  # fmt: skip
