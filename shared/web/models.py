"""The bodies that the API gives and takes, as models: the OpenAPI document is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


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


class ExportStored(_Body):
    """A version that was stored."""

    name: str
    etag: str


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


class JobRequest(BaseModel):
    """What to do; each kind takes its own arguments beside `kind`."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    kind: Literal["plan", "reconcile", "preview", "backfill", "replay"]
    subscriptions: list[str] | None = Field(None, description="Only these subscriptions, by id.")
    managementGroups: list[str] | None = Field(None, description="Only subscriptions below these.")  # noqa: N815 - wire


class Job(_Body):
    """A piece of work and how far it is; `result` is there once it has finished."""

    id: str
    kind: Literal["plan", "reconcile", "preview", "backfill", "replay"]
    state: Literal["queued", "running", "succeeded", "failed", "dead"]
    arguments: dict[str, Any]
    actor: str
    attempt: int
    progress: str
    error: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    result: dict[str, Any] | None = None


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


class CoverageRow(_Body):
    """What one subscription exports, by event source."""

    subscription_id: str
    subscription: str
    tenant_id: str
    management_groups: list[str]
    sources: dict[str, list[CoverageExporter]]
    verdicts: list[CoverageVerdict]


class CoverageList(_Body):
    """Coverage, a row per subscription."""

    value: list[CoverageRow]
    continuation: str
    generated: datetime
    complete: bool
    reasons: list[str]


class StatusRow(_Body):
    """One subscription in the operations matrix: a state in one word per kind, and what needs a person."""

    subscription_id: str
    subscription: str
    tenant_id: str
    management_groups: list[str]
    states: dict[str, str]
    notes: dict[str, str]
    verdicts: dict[str, bool]


class StatusList(_Body):
    """The operations matrix."""

    value: list[StatusRow]
    continuation: str
    generated: datetime
    complete: bool
    reasons: list[str]


class FreshnessRow(_Body):
    """The verdict on one subscription and kind."""

    subscription_id: str
    kind: str
    export: str
    verdict: Literal["fresh", "silent", "quiet", "not observable"]
    since: datetime | None
    reason: str
    last_seen: datetime | None
    present: int | None


class FreshnessList(_Body):
    """Freshness as of the last check."""

    value: list[FreshnessRow]
    continuation: str
    checked: datetime | None


class DeadLetterRow(_Body):
    """One blob of records that could not be delivered."""

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


class DeadLetterList(_Body):
    """Dead letters, oldest first."""

    value: list[DeadLetterRow]
    continuation: str


class RunList(_Body):
    """Reconcile runs, newest first."""

    value: list[dict[str, Any]]
    continuation: str


class Check(_Body):
    """One thing that `ready` looked at."""

    name: str
    ok: bool
    detail: str


class Readiness(_Body):
    """Whether everything the app depends on answers."""

    ready: bool
    checks: list[Check]
    warnings: list[str]
