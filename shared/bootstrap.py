"""The composition root: each service is built once per process, from settings and clients, on first use."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from shared.azure.clients import Clients
from shared.clock import Clock, Deadline
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.trail import Trail, Witness
    from shared.enrich.invocation.pipeline import Pipeline
    from shared.enrich.invocation.preparation import Context
    from shared.enrich.records.model import Parsed
    from shared.enrich.records.parser import Parser
    from shared.enrich.shapes.record_shapes import Shapes
    from shared.enrich.shapes.shape_request import ShapeRequest
    from shared.enrich.shapes.shape_sources import Reading
    from shared.exports.management_groups import GroupNames
    from shared.exports.store import ExportStore
    from shared.jobs.canary_runner import CanaryRunner
    from shared.jobs.gone_everywhere import GoneChecks
    from shared.jobs.store import JobStore
    from shared.jobs.worker import JobWorker
    from shared.lifecycle.cve_refresh import CveRefresh
    from shared.lifecycle.gone_check import GoneCheck
    from shared.lifecycle.open_counts import OpenCounts
    from shared.lifecycle.open_in_tables import OpenInTables
    from shared.muting.mutes import Mute, Muting
    from shared.muting.mutes_file import Known
    from shared.muting.stored_mutes import Grouped, StoredMutes
    from shared.notify.http_sender import HttpSender
    from shared.notify.notifier import Notifier
    from shared.notify.stored_rules import StoredRules
    from shared.reconcile.run import Reconciler
    from shared.routed_workspaces import RoutedWorkspaces
    from shared.tenant_state import TenantState, TenantStateReader
    from shared.watch.freshness_check import FreshnessCheck
    from shared.watch.freshness_outcome import StoredDay
    from shared.watch.last_seen import LastSeen
    from shared.watch.open_items import OpenItems
    from shared.watch.present_records import PresentRecords
    from shared.watch.stored_requirements import StoredRequirements
    from shared.watch.timer_runs import TimerRuns
    from shared.watch.trend_figures import Figures
    from shared.watch.trend_rows import Standing
    from shared.watch.trends import TrendQueries

log = logging.getLogger(__name__)
T = TypeVar("T")
CUT_OFF, CLEANING_UP = 0.76, 0.02
"""Shares of the function's timeout: when an invocation is cut off, and what it then has to clean up or to note."""

_GONE, _GONE_ELSEWHERE, _OWN_ROWS = 0.4, 0.25, 0.05
"""The same for one tick of the comparison, for those of further places in all, and for a send of what they found."""

_OPTIONAL = 0.3
"""The share of a request's time for what its answer can do without."""
_PROVEN_SECONDS = 10


class OutOfTimeError(Exception):
    """An invocation was cut off before the host would have killed the worker."""


class Services:
    """What the triggers, the HTTP side and the command line call; `await close()` when the process is done."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._sender: HttpSender | None = None
        self._judged: tuple[object, dict[str, Any]] | None = None
        self._shown: tuple[object, dict[str, Any]] | None = None

    @cached_property
    def clients(self) -> Clients:
        """Credentials and SDK clients, made on first use."""
        return Clients(self.settings)

    @cached_property
    def exports(self) -> ExportStore:
        """Export files, the only source of truth."""
        from shared.exports.store import ExportStore

        return ExportStore(self.clients.blobs.get_container_client(self.settings.exports_container), self.trail)

    @cached_property
    def trail(self) -> Trail:
        """Who did what, beside the export files: who may write those may note that they did."""
        from shared.audit.trail import Trail

        return Trail(self.clients.blobs.get_container_client(self.settings.exports_container), self._witness)

    def _witness(self, kind: str) -> Witness | None:
        """What tells whether a deed of this kind was done that was cut off."""
        from shared.audit.deed import APPROVE, CLAIM, DISCARD, LIFT, MUTE, NOTIFY, REQUIRE
        from shared.enrich.dead_letters.letter_deeds import DiscardWitness

        if kind == DISCARD:
            return DiscardWitness(self.pipeline.dead_letters)
        if kind == APPROVE:
            return self.reconciler.approval_witness
        if kind == REQUIRE:
            return self.requirements.witness
        if kind == NOTIFY:
            return self.notify_rules.witness
        if kind == MUTE:
            return self.mutes.witness
        if kind in {LIFT, CLAIM}:
            return self.jobs.witness
        return self.exports.witness(kind) or self.jobs.witness

    @cached_property
    def requirements(self) -> StoredRequirements:
        """What is required of every subscription, and what is excepted."""
        from shared.watch.stored_requirements import StoredRequirements

        container = self.clients.blobs.get_container_client(self.settings.exports_container)
        return StoredRequirements(container, self.trail)

    @cached_property
    def mutes(self) -> StoredMutes:
        """What raises nothing until an agreed end."""
        from shared.muting.stored_mutes import StoredMutes

        container = self.clients.blobs.get_container_client(self.settings.exports_container)
        return StoredMutes(container, self.trail)

    async def muting(self, read: Grouped | None = None) -> Muting:
        """What is muted; with a reading of the tenant, by its management groups."""

        async def groups() -> GroupNames:
            return (read or await self._tenant()).group_names

        return await self.mutes.muting(groups)

    async def mute_warnings(self, mutes: Sequence[Mute]) -> list[str]:
        """What mutes nothing, as far as what there is can be read in time."""
        from shared.muting.mutes_file import warnings

        return warnings(mutes, await self._known(mutes), datetime.now(UTC))

    async def _known(self, mutes: Sequence[Mute]) -> Known:
        from shared.muting.mutes_file import Known

        found = Known()
        try:
            async with asyncio.timeout(self.settings.request_deadline_seconds * _OPTIONAL):
                loaded = await self.exports.load_all()
                places = {each.config.destination.place_id for each in loaded.exports}
                places |= {self.settings.workspace_id, self.settings.event_hub_resource_id}
                names = {each.name.lower() for each in loaded.exports} | {each.lower() for each in loaded.unknown}
                destinations = frozenset(each.strip("/").lower() for each in places)
                found = Known(frozenset(names), destinations=None if loaded.unknown else destinations)
                if any(mute.subscription or mute.management_group for mute in mutes):
                    state = await self.tenant_state.take()
                    if not state.unseen and not state.failed:
                        subscriptions = frozenset(each.id.lower() for each in state.subscriptions)
                        found = replace(found, subscriptions=subscriptions, management_groups=state.group_names)
        except Exception as error:  # noqa: BLE001 - the file is stored; what can't be read is not warned of
            log.warning("mutes: not all of what they name could be looked up: %s", type(error).__name__)
        return found

    @cached_property
    def notify_rules(self) -> StoredRules:
        """Who is informed of what."""
        from shared.notify.stored_rules import StoredRules

        container = self.clients.blobs.get_container_client(self.settings.exports_container)
        return StoredRules(container, self.trail)

    @cached_property
    def notifier(self) -> Notifier:
        """Tells people what is news."""
        from shared.notify.http_sender import HttpSender
        from shared.notify.looking import Looking, Sources, placing
        from shared.notify.notifier import Deployment, Looks, Notifier

        settings, reports = self.settings, self.reconciler.reports
        host = os.environ.get("WEBSITE_HOSTNAME", "")
        sources = Sources(
            freshness=self.freshness.latest,
            newest=self.open_items.newest,
            summaries=reports.newest,
            report=reports.read,
            dead_letters=self.pipeline.dead_letters.kept,
            timers=self.timer_runs.read,
            requirements=self.requirements.read,
            muting=self.muting,
            hub_id=settings.event_hub_resource_id,
        )
        self._sender = HttpSender(settings.notify_receivers)
        return Notifier(
            self.clients.blobs.get_container_client(settings.reports_container),
            Looks(Looking(sources).observe, placing(self._tenant, settings.owner_tags)),
            self._sender,
            self.pipeline.offer if self._rows is not None else None,
            Deployment(settings.instance_id, f"https://{host}/api/operations" if host else ""),
            clock=Clock(),
            receiver_seconds=min(60.0, settings.function_timeout.total_seconds() * 0.1),
        )

    async def _tenant(self) -> TenantState:
        state = await self.tenant_state.take()
        if state.failed:
            raise ValueError("the tenant could not be read")
        return state

    async def send_news(self) -> None:
        """What the timer does: send the audit trail, and whatever came of it, the notices."""
        try:
            await self.send_audit()
        finally:
            await self.send_notices()

    async def send_notices(self) -> None:
        """Tell people what is news, where that is switched on and there are rules."""
        if not self.settings.send_notices:
            return
        rules = await self.notify_rules.read()
        if rules.receivers:
            await self.notifier.look(rules)

    async def evidence(self, state: TenantState, chosen: Collection[str], by: str) -> dict[str, Any]:
        """The report for auditors on some subscriptions, by their lower-case ids, with the figures of three months.

        Raises:
            shared.exports.diagnostics.InvalidExport: the stored requirements can't be read.
        """
        report = await self._verdicts(state, chosen, by)
        key = self._judged and self._judged[0]
        if self._shown is None or self._shown[0] != key:  # else each page would ask for them
            from shared.watch.trend_figures import FIGURES_SHOWN

            seconds = self.settings.request_deadline_seconds * _OPTIONAL
            told = (await self.figures(datetime.now(UTC), 3, seconds, by_day=False)).document()
            self._shown = key, {name: told[name] for name in FIGURES_SHOWN}
        from shared.watch.evidence.muted_months import since_of, with_mutes

        whole = {**report, "trend": self._shown[1]}
        return with_mutes(whole, await self.muting(state), since_of(whole), datetime.now(UTC))

    async def _verdicts(self, state: TenantState, chosen: Collection[str], by: str) -> dict[str, Any]:
        """The report without figures; one at hand is given again."""
        from shared.watch.evidence.document import Made, evidence

        required, digest = await self.requirements.read()
        proven = await self.proven()
        broken = (await self.open_items.newest(datetime.now(UTC))).broken
        key = (state.taken, state.digest, digest, frozenset(chosen), broken, frozenset(proven.items()))
        judged = self._judged
        if judged is None or judged[0] != key:  # else a report of ten pages would be made ten times
            made = Made(datetime.now(UTC), by, self.settings.instance_id, self.settings.tenant_id)
            basis = state.basis(chosen, digest, broken)
            judged = key, await asyncio.to_thread(evidence, basis, required, made, proven)
            self._judged = judged
        return {**judged[1], "by": by}

    async def proven(self) -> Mapping[str, str]:
        """When a canary last proved the path of each subscription's alerts; nothing while canaries are off."""
        from azure.core.exceptions import AzureError

        if not self.settings.canary:
            return {}
        from shared.canary.canary_history import proven

        try:
            async with asyncio.timeout(_PROVEN_SECONDS):
                return proven(await self.canary.history.read())
        except (AzureError, TimeoutError) as error:  # a note less, and the answer stands
            log.warning("what canaries have proven can't be read: %s", type(error).__name__)
            return {}

    async def discard(self, name: str, actor: str, job: str = "") -> None:
        """Delete one blob of dead letters, and note who did; the errors of `letter_deeds.discard`."""
        from shared.enrich.dead_letters import letter_deeds

        await letter_deeds.discard(self.pipeline.dead_letters, self.trail, name, actor, job)

    async def send_audit(self) -> None:
        """Send the deeds that are noted, where there is somewhere to send them to, and forget those sent long ago."""
        if self._rows is not None:
            sending = await self.trail.send(self.pipeline.offer, self.settings.instance_id)
            log.info("audit trail: %s", sending)
        await self.trail.expire(timedelta(days=self.settings.report_retention_days))

    @cached_property
    def jobs(self) -> JobStore:
        """The states of on-demand jobs."""
        from azure.storage.queue import TextBase64EncodePolicy

        from shared.jobs.store import JobStore

        settings = self.settings
        return JobStore(
            self.clients.tables.get_table_client(settings.jobs_table),
            self.clients.blobs.get_container_client(settings.reports_container),
            # The queue trigger reads base64 (host.json: messageEncoding).
            self.clients.queues.get_queue_client(settings.jobs_queue, message_encode_policy=TextBase64EncodePolicy()),
            self.trail,
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """Plans and applies across every subscription."""
        from shared.reconcile.run import Reconciler

        return Reconciler(
            self.settings, self.clients, self.exports, rows=self._rows, trail=self.trail, mutes=self.mutes
        )

    @cached_property
    def tenant_state(self) -> TenantStateReader:
        """Reads the tenant for coverage, freshness and previews."""
        from shared.reconcile.report.last_run_state import LastRunState
        from shared.tenant_state import TenantStateReader

        quotas = self.clients.tables.get_table_client(self.settings.jobs_table)
        return TenantStateReader(
            self.clients,
            self.exports,
            self.settings.instance_id,
            quotas=quotas,
            keeps_live=bool(self.settings.readers_file),
            last_run=LastRunState(self.clients.blobs.get_container_client(self.settings.reports_container)),
        )

    @cached_property
    def pipeline(self) -> Pipeline:
        """Delivers events, dead letters and the app's own rows."""
        from shared.enrich.invocation.pipeline_factory import pipeline

        return pipeline(
            self.settings,
            self.clients,
            os.environ,
            make_context=self._context,
            observer=self._note,
            follower=self._follower,
        )

    @property
    def _follower(self) -> Callable[[Sequence[Any]], Awaitable[None]] | None:
        """What notes what became of simulated alerts; none while canaries are off."""
        if not self.settings.canary:
            return None
        from shared.canary.pipeline_notes import PipelineNotes

        return PipelineNotes(self.clients.data_tables.get_table_client(self.settings.freshness_table)).write

    def _context(self) -> Context:
        from shared.azure.resource_graph import Graph
        from shared.enrich.context import context_factory

        return context_factory.context(self.settings, Graph(self.clients))

    async def shapes(self, asked: ShapeRequest) -> Shapes:
        """The structure of records met in this tenant, without what they say.

        Raises:
            shared.enrich.shapes.shape_request.ShapeRequestError: the request means nothing.
            shared.azure.blob_container.StoreError: the blobs can't be read.
            shared.azure.event_hub.HubUnreadableError: the hub can't be read.
        """
        from shared.enrich.shapes.record_shapes import shapes_of

        asked.check(self.settings.event_hub_consumer_group)
        reading = await self._met(asked)
        shapes = await asyncio.to_thread(shapes_of, reading.met, asked.names, asked.most)
        shapes.unreadable += reading.passed_over
        shapes.more |= reading.more
        return shapes

    async def _met(self, asked: ShapeRequest) -> Reading:
        from shared.azure.blob_container import Container
        from shared.azure.event_hub import newest_events
        from shared.enrich.shapes import shape_sources
        from shared.enrich.shapes.shape_request import DEFAULT_GROUP

        if asked.source == "dead-letters":
            return await shape_sources.from_dead_letters(self.pipeline.dead_letters, asked.day, asked.most)
        if asked.source == "oversize":
            whole = Container(self.clients, self.settings.oversize_container)
            return await shape_sources.from_oversize(whole, asked.day, asked.most)
        async with self.clients.hub_reader(asked.group or DEFAULT_GROUP) as hub:
            return shape_sources.from_hub(await newest_events(hub, asked.most), asked.most)

    @cached_property
    def last_seen(self) -> LastSeen:
        """When each subscription last sent each kind."""
        from shared.watch.last_seen import LastSeen

        settings = self.settings
        return LastSeen(
            self.clients.data_tables.get_table_client(settings.freshness_table), settings.freshness_interval
        )

    @cached_property
    def timer_runs(self) -> TimerRuns:
        """When each timer last succeeded."""
        from shared.watch.timer_runs import TimerRuns

        return TimerRuns(self.clients.data_tables.get_table_client(self.settings.freshness_table))

    @cached_property
    def open_items(self) -> OpenItems:
        """What waits or is blocked, by the newest run that looked at it."""
        from shared.watch.open_items import OpenItems

        reports = self.reconciler.reports
        return OpenItems(reports.newest, reports.read)

    @cached_property
    def present(self) -> PresentRecords:
        """The security records that exist now."""
        from shared.azure.resource_graph import Graph
        from shared.azure.role_permissions import OwnPermissions
        from shared.watch.present_records import PresentRecords

        return PresentRecords(Graph(self.clients), OwnPermissions(self.clients))

    @cached_property
    def freshness(self) -> FreshnessCheck:
        """The check of what flows and what was stored, and its latest answer."""
        from shared.watch.freshness_check import FreshnessCheck

        settings = self.settings
        return FreshnessCheck(
            self.last_seen,
            self.present,
            self.clients.blobs.get_container_client(settings.reports_container),
            self._rows,
            self._stored,
            hub_id=settings.event_hub_resource_id,
            due=timedelta(days=settings.snapshot_due_days),
            instance_id=settings.instance_id,
            on_time_percent=settings.on_time_percent,
            seconds=settings.function_timeout.total_seconds() * 0.4,
            workspace_id=settings.workspace_id,
        )

    @cached_property
    def gone(self) -> GoneCheck:
        """The comparison of what the tables hold as open with what is there now.

        Raises:
            shared.settings.SettingsError: there is no workspace to ask, or none to write to.
        """
        from shared.lifecycle.gone_check import LATEST

        tables, rows = self._open_in_tables("close_gone")
        return self._gone_check(tables, LATEST, rows, _GONE)

    async def gone_checks(self) -> GoneChecks:
        """The same, with that of each further place where there are routes; raises as `gone` does."""
        from shared.jobs.gone_everywhere import GoneChecks

        own = self.gone
        if (places := self.routed_workspaces) is None:
            return GoneChecks(own)
        from shared.lifecycle.gone_check import ELSEWHERE

        _, passes = self._open_in_tables("close_gone")
        open_there, unseen = await places.open_in_tables()
        share = _GONE_ELSEWHERE / max(1, len(open_there))
        found = {
            one.name: self._gone_check(
                tables,
                ELSEWHERE.format(one.workspace_id),
                partial(self._send_to, one.places[0]),
                share,
                passes=passes,
                place=one.name,
            )
            for one, tables in open_there
        }
        return GoneChecks(own, found, unseen)

    def _gone_check(
        self, tables: OpenInTables, kept: str, rows: Callable[..., Awaitable[None]], share: float, **more: Any
    ) -> GoneCheck:
        """A comparison of one workspace, which may take a share of the function's timeout."""
        from shared.azure.resource_graph import Graph
        from shared.azure.role_permissions import OwnPermissions
        from shared.lifecycle.gone_check import GoneCheck
        from shared.lifecycle.gone_pass import dumped, loaded
        from shared.lifecycle.kept_state import KeptState
        from shared.lifecycle.present_ids import PresentIds

        settings = self.settings
        return GoneCheck(
            tables,
            PresentIds(Graph(self.clients), OwnPermissions(self.clients)),
            KeptState(self._reports, kept, dumped, loaded),
            rows,
            instance_id=settings.instance_id,
            every=timedelta(hours=settings.gone_interval_hours),
            most_percent=settings.gone_max_percent,
            seconds=settings.function_timeout.total_seconds() * share,
            **more,
        )

    async def _send_to(self, place: str, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        from shared.enrich.invocation.own_rows_elsewhere import send_to

        pipeline, seconds = self.pipeline, self.settings.function_timeout.total_seconds() * _OWN_ROWS
        if (routed := pipeline.routed) is not None:
            await send_to(place, table, rows, routed=routed, dead_letters=pipeline.dead_letters, seconds=seconds)

    @cached_property
    def open_counts(self) -> OpenCounts:
        """How much is open and was fixed, as the page tells it.

        Raises:
            shared.settings.SettingsError: there is no workspace to ask.
        """
        from shared.lifecycle.kept_state import KeptState
        from shared.lifecycle.open_counts import LATEST, OpenCounts, dumped, loaded

        tables, _ = self._open_in_tables("close_gone")
        return OpenCounts(tables, KeptState(self._reports, LATEST, dumped, loaded))

    @cached_property
    def cves(self) -> CveRefresh:
        """Details of the CVEs that open rows name.

        Raises:
            shared.settings.SettingsError: there is no workspace to ask, or none to write to.
        """
        from shared.azure.resource_graph import Graph
        from shared.lifecycle.cve_refresh import LATEST, CveRefresh, dumped, loaded
        from shared.lifecycle.kept_state import KeptState

        tables, rows = self._open_in_tables("refresh_cves")
        return CveRefresh(
            tables,
            Graph(self.clients),
            KeptState(self._reports, LATEST, dumped, loaded),
            rows,
            instance_id=self.settings.instance_id,
            seconds=self.settings.function_timeout.total_seconds() * 0.4,
        )

    @cached_property
    def canary(self) -> CanaryRunner:
        """Proves on demand that an alert of a subscription reaches its table."""
        from shared.jobs.canary_factory import canary_runner

        return canary_runner(self.settings, self.clients, self.tenant_state.take, elsewhere=self.routed_workspaces)

    @cached_property
    def trends(self) -> TrendQueries:
        """Arrivals and scores over time, from the workspace."""
        from shared.watch.trends import TrendQueries

        return TrendQueries(self.clients.logs_query, self.settings.workspace_id, self.routed_workspaces)

    async def figures(self, now: datetime, months: int, seconds: float = 30, *, by_day: bool = True) -> Figures:
        """Coverage, silent time, time to repair and secure score, by month and day; a problem where none can be had."""
        from shared.watch.trend_figures import Figures, first_month

        if not self.settings.workspace_id:
            told = "No workspace is configured: set WORKSPACE_ID to the workspace's id."
            return Figures(first_month(now, months), now, problem=told)
        return await self.trends.figures(now, months, self.settings.instance_id, seconds, by_day=by_day)

    @cached_property
    def job_worker(self) -> JobWorker:
        """Carries out queued jobs."""
        from shared.jobs.runners import Runners
        from shared.jobs.worker import JobWorker

        runners = Runners(
            reconciler=self.reconciler,
            exports=self.exports,
            tenant_state=self.tenant_state,
            present=self.present,
            replay=self.pipeline.replay,
            discard=self.discard,
            deliver=self._deliver_present,
            deadline=self._job_deadline,
            gone=self.gone_checks,
            canary=lambda: self.canary,
            to_rows=self.to_rows,
        )
        retention = timedelta(days=self.settings.report_retention_days)
        return JobWorker(self.jobs, runners.by_kind(), retention=retention)

    async def routes(self) -> dict[str, Any] | None:
        """How each place of the file of routes does, and what is wrong with the file; None where there is none."""
        if (routed := self.pipeline.routed) is None:
            return None
        from shared.enrich.invocation import place_report

        return await place_report.of(self.settings, routed, self.pipeline.dead_letters, self._uploaded)

    async def _uploaded(self, day: date) -> Mapping[str, int]:
        """Rows accepted on a day; raises StoreError where that can't be read."""
        from azure.core.exceptions import AzureError

        from shared.azure.blob_container import StoreError

        try:
            return await self.last_seen.uploaded(day)
        except AzureError as error:
            raise StoreError("rows accepted can't be read") from error

    async def check_freshness(self, *, as_of: datetime | None = None) -> Mapping[str, Any]:
        """What the timer does: read the tenant, then check everything once.

        With `as_of` the answer is for that time, and nothing is noted or written.
        """
        from datetime import UTC

        from shared.watch.freshness_check import Tenant

        survey = await self.tenant_state.take()
        # What is lost has its own verdicts, and leaves those of the others as they are.
        reasons = [each for each in survey.reasons if each not in survey.lost]
        tenant = Tenant(survey.declared, survey.coverage, reasons, hidden=await self.hidden_subscriptions(survey))
        if as_of is not None:
            return await self.freshness.judge(tenant, as_of)
        tenant = replace(tenant, standings=await self._standings(survey), muting=await self.muting(survey))
        found = await self.freshness.run(tenant, datetime.now(UTC))
        if self.settings.canary and self.settings.canary_every_days:
            await self._ask_for_canary(survey)
        return found

    async def hidden_subscriptions(self, state: TenantState) -> Collection[str]:
        """Subscriptions that the last complete run knew and that are not shown any more."""
        from shared.reconcile.discover.missing_subscriptions import hidden_now

        baseline = await self.reconciler.last_run.baseline()
        return hidden_now(state.subscriptions, baseline.known)

    async def _ask_for_canary(self, state: TenantState) -> None:
        """Queue a canary of the subscription that is due longest, if one is; freshness does not fail for it."""
        from azure.core.exceptions import AzureError

        from shared.jobs.canary_schedule import due
        from shared.jobs.store import TooManyJobsError

        now, settings = datetime.now(UTC), self.settings
        every = timedelta(days=settings.canary_every_days)
        try:
            async with asyncio.timeout(_PROVEN_SECONDS):
                history = await self.canary.history.read()
                if chosen := due(state.coverage, history, settings.event_hub_resource_id, every, now):
                    arguments = {"subscriptions": [chosen]}
                    await self.jobs.submit("canary", arguments, "timer", now=now, key=f"canary {now.date()} {chosen}")
        except (AzureError, TimeoutError, TooManyJobsError) as error:
            log.warning("a canary that is due could not be asked for: %s", type(error).__name__)

    async def _standings(self, state: TenantState) -> Sequence[Standing]:
        """How many subscriptions meet what is required of them; none where that can't be known."""
        from shared.exports.diagnostics import InvalidExport
        from shared.watch.trend_rows import Standing

        if state.failed:
            return ()
        try:
            report = await self._verdicts(state, {each.id.lower() for each in state.subscriptions}, "app")
        except InvalidExport as invalid:
            log.warning("who meets what is not noted: the stored requirements can't be read: %s", invalid)
            return ()
        complete = not state.unseen
        return [Standing(one["name"], one["conclusion"], one["counts"], complete) for one in report["requirements"]]

    async def close_gone(self) -> None:
        """What the timer does: one tick of the comparison, where it is switched on."""
        from datetime import UTC

        if self.settings.close_gone:
            checks = await self.gone_checks()
            await _unless_held("close_gone", checks.own.tick(datetime.now(UTC)))
            await checks.tick_places(datetime.now(UTC))
            await self.open_counts.refresh(datetime.now(UTC))

    async def read_cves(self) -> None:
        """What the timer does: one tick of the refresh, where it is switched on."""
        from datetime import UTC

        if self.settings.refresh_cves:
            await _unless_held("refresh_cves", self.cves.tick(datetime.now(UTC)))

    async def timer_succeeded(self, name: str) -> None:
        """Note it, so that a timer that stops is noticed; work that was done does not fail for a note."""
        from datetime import UTC

        from azure.core.exceptions import AzureError

        try:
            async with asyncio.timeout(self.settings.function_timeout.total_seconds() * CLEANING_UP):
                await self.timer_runs.note(name, datetime.now(UTC))
        except (AzureError, TimeoutError) as error:
            log.warning("the success of %s could not be noted: %s", name, type(error).__name__)

    @property
    def _rows(self) -> Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]] | None:
        """Where the app's own rows go; nowhere as long as no data collection rule is given."""
        settings = self.settings
        named = {"LOGS_INGESTION_ENDPOINT", "LOGS_INGESTION_OWN_ENDPOINT"} & settings.problems.keys()
        return self.pipeline.sink if settings.ingestion_endpoint or settings.own_ingestion_endpoint or named else None

    @property
    def _reports(self) -> ContainerClient:
        return self.clients.blobs.get_container_client(self.settings.reports_container)

    def _open_in_tables(self, who: str) -> tuple[OpenInTables, Callable[..., Awaitable[None]]]:
        from shared.lifecycle.open_in_tables import OpenInTables
        from shared.settings import SettingsError

        workspace, rows = self.settings.workspace_id, self._rows
        if not workspace or rows is None:
            raise SettingsError(f"{who} needs WORKSPACE_ID, and an endpoint and rule to write to")
        return OpenInTables(self.clients.logs_query, workspace), rows

    async def _note(
        self,
        sightings: Mapping[tuple[str, str, bool], datetime],
        uploads: Mapping[tuple[str, date], int],
        now: datetime,
    ) -> None:
        from shared.enrich.tables import KIND_OF_RECORD

        known = {
            (subscription, KIND_OF_RECORD[kind], snapshot): seen
            for (subscription, kind, snapshot), seen in sightings.items()
            if subscription and kind in KIND_OF_RECORD
        }
        await self.last_seen.note(known, uploads, now)

    async def _stored(self, day: date) -> StoredDay:
        from shared.enrich.tables import KIND_OF_RECORD, TABLES
        from shared.watch.freshness_outcome import StoredDay
        from shared.watch.stored_rows import StoredRows

        settings, found = self.settings, StoredDay()
        if settings.workspace_id:
            tables = tuple(table.name for table in TABLES if table.kind in {*KIND_OF_RECORD, "Other"})
            found = await StoredRows(self.clients.logs_query, settings.workspace_id, tables, settings.late_after)(day)
        if (places := self.routed_workspaces) is not None:
            found = await places.with_stored(found, day, await self.last_seen.uploaded(day))
        return found

    @cached_property
    def routed_workspaces(self) -> RoutedWorkspaces | None:
        """Where the rows of further places lie; None where all rows go to the default one."""
        if not self.settings.routes_file or (routed := self.pipeline.routed) is None:
            return None
        from shared.routed_workspaces import RoutedWorkspaces

        return RoutedWorkspaces(self.settings, self.clients, routed)

    def to_rows(self, records: Sequence[Mapping[str, Any]], enqueued: datetime) -> Parsed:
        """Present records as rows, with the filters and columns of the settings."""
        from shared.jobs.backfill_events import as_events

        return self._row_parser.parse(as_events(records, enqueued), enqueued)

    @cached_property
    def _row_parser(self) -> Parser:
        from shared.enrich.invocation.parser_factory import parser

        return parser(self.settings)

    async def _deliver_present(self, records: Sequence[Mapping[str, Any]], enqueued: datetime, before: Deadline) -> int:
        from shared.jobs.backfill_events import as_events

        summary = await self.pipeline.run(as_events(records, enqueued), counts_as_seen=False, before=before)
        return sum(summary.kinds.values())

    def _job_deadline(self) -> Deadline:
        settings = self.settings
        spent = settings.function_timeout.total_seconds() * settings.delivery_deadline_percent / 100
        return Clock().deadline(spent)

    async def in_time(self, work: Awaitable[T]) -> T:
        """Do the work of one invocation; what is under way when the function's time is nearly over is cut off.

        The host kills the worker, with whatever else it does, when an invocation outlives functionTimeout; cut off
        before, it fails alone and its trigger tries again.

        Raises:
            OutOfTimeError: it was cut off.
        """
        timeout = self.settings.function_timeout.total_seconds()
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task], timeout=timeout * CUT_OFF)
            if task.done():
                return task.result()
        finally:
            task.cancel()
        await asyncio.wait([task], timeout=timeout * CLEANING_UP)
        raise OutOfTimeError(f"cut off after {CUT_OFF:.0%} of the function's timeout of {timeout:g} s")

    async def close(self) -> None:
        """Close what was opened."""
        if self._sender is not None:
            await self._sender.close()
        await self.clients.close()


async def _unless_held(who: str, tick: Awaitable[object]) -> None:
    """One tick of a timer; where another worker is at it, that one does the work."""
    from shared.reconcile.apply.run_lock import LeaseHeld

    try:
        await tick
    except LeaseHeld as held:
        log.info("%s left to another: %s", who, held)


@cache
def services() -> Services:
    """This process's services, from its environment; what can't be read of it is logged, and `ready` names it."""
    # At INFO, the SDKs log every request and every AMQP link.
    logging.getLogger("azure").setLevel(logging.WARNING)
    settings = Settings.load()
    for problem in settings.problems.values():
        log.error("%s", problem)
    return Services(settings)
