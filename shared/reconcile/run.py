"""One reconcile run from discovery to report; the only file that knows the order.

Load the export files, discover the tenant, prepare destinations, plan; in mode apply take the lease first, write, and
leave a report.  Level-triggered: what a run does not reach, the next one finds again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import platform
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from shared import deployment_file, stored_format
from shared.azure.resource_graph import Graph
from shared.clock import Clock, utc_text
from shared.exports.last_known_good import LoadedExports
from shared.exports.management_groups import GroupNames
from shared.exports.scope_selection import selects
from shared.reconcile.apply.executor import GONE, WRITTEN, Apply, Outcome
from shared.reconcile.apply.run_lock import RENEW_SECONDS, LeaseHeld, RunLease
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.destinations.event_hub_keys import Destinations, KeyedDestinations
from shared.reconcile.destinations.registration import closed, unregistered, without_automations
from shared.reconcile.discover.export_policies import rewriting
from shared.reconcile.discover.inventory import from_graph, from_lists
from shared.reconcile.discover.missing_subscriptions import fallen, hidden, hidden_now, not_shown, remembered
from shared.reconcile.discover.subscription_names import named
from shared.reconcile.model import Inventory, ResourceId
from shared.reconcile.narrowing import Narrowing
from shared.reconcile.plan.change_limits import Done, Guards, raised
from shared.reconcile.plan.declaration import declared, first_sentence
from shared.reconcile.plan.delete_records import Grace
from shared.reconcile.plan.desired import Prepared, oversized
from shared.reconcile.plan.model import WRITES, Action, Cause, Item, Plan
from shared.reconcile.plan.ownership_record import OwnershipRecord, Seen
from shared.reconcile.plan.planner import Terms, make_claim, make_plan
from shared.reconcile.plan.provenance_tags import Writer, highest_number
from shared.reconcile.plan.saved_plan import StalePlan, fingerprint, refuse_if_stale
from shared.reconcile.report.approvals import VALID, Approval, ApprovalRefused, Approvals
from shared.reconcile.report.last_run_state import LastRunState
from shared.reconcile.report.report_store import Reports
from shared.reconcile.report.run_deeds import approve_deed, lifting_deed
from shared.reconcile.report.run_report import RUNS_TABLE, Caller, Report, new_run_id

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.audit.deed import Deed
    from shared.audit.trail import Trail
    from shared.azure.clients import Clients
    from shared.exports.model import ExportConfig
    from shared.exports.store import ExportStore
    from shared.muting.stored_mutes import StoredMutes
    from shared.settings import Settings

RowSink = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]

logger = logging.getLogger(__name__)


def _as_set(guards: Guards) -> Guards:
    return guards


@dataclass(frozen=True)
class Request:
    """What one run is asked to do beyond the settings.

    `reviewed` is a plan that the run must still find right, `fingerprint` that of one; `accept_fewer` lets deletes
    go on although subscriptions or all export files are gone; `guards` may change those of the settings.
    `subscriptions`, `management_groups` and `exports` narrow the run to those; None means all, and an empty list is
    refused.  `causes` lets through what waits for being named.  With `claim` the run only takes over automations
    that another app wrote last, and those of `former_instance`.  With `propose` the run plans what that makes of
    the stored exports; it leaves no report and no row, since it says nothing about what is in force.  Nor does a
    plan without `keep`, which so needs no right to write.  `planned` is called before the first write, `progress`
    after each.  With `waive_grace` what left a scope may go at once: for a plan that people review first.

    Raises:
        ValueError: a list that narrows the run is empty.
    """

    caller: Caller
    subscriptions: Collection[str] | None = None
    management_groups: Collection[str] | None = None
    exports: Collection[str] | None = None
    propose: Callable[[LoadedExports], LoadedExports] | None = None
    causes: Collection[Cause] = ()
    claim: bool = False
    former_instance: str = ""
    reviewed: Plan | None = None
    fingerprint: str = ""
    guards: Callable[[Guards], Guards] = _as_set
    accept_fewer: bool = False
    planned: Callable[[Report], None] | None = None
    progress: Callable[[Outcome], None] | None = None
    keep: bool = True
    waive_grace: bool = False

    def __post_init__(self) -> None:
        for given in (self.subscriptions, self.management_groups, self.exports):
            if given is not None and not given:
                raise ValueError("a list that narrows a run is empty: name something, or leave it out to mean all")

    @property
    def scope(self) -> dict[str, list[str]]:
        """What the run is narrowed to; empty for the whole tenant."""
        parts = {
            "subscriptions": self.subscriptions,
            "managementGroups": self.management_groups,
            "exports": self.exports,
        }
        return {name: sorted(given) for name, given in parts.items() if given}


@dataclass
class _Run:
    """A run under way: what the report will say, filled in as it becomes known."""

    report: Report
    arm: Arm
    graph: Graph
    destinations: Destinations
    kept: bool = True
    lease: RunLease | None = None
    applying: Apply | None = None
    writer: Writer = field(default_factory=Writer)
    done: Done = field(default_factory=Done)
    loaded: LoadedExports | None = None
    record: OwnershipRecord = field(default_factory=OwnershipRecord)
    inventory: Inventory | None = None


class Reconciler:
    """Plans and applies for one deployment.  `rows` takes the row of each run, when there is somewhere to send it."""

    renew_seconds: float = RENEW_SECONDS

    def __init__(
        self,
        settings: Settings,
        clients: Clients,
        exports: ExportStore,
        *,
        rows: RowSink | None = None,
        trail: Trail | None = None,
        mutes: StoredMutes | None = None,
        clock: Clock | None = None,
        destinations: Callable[[Arm], Destinations] | None = None,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._exports = exports
        self._rows = rows
        self._trail = trail
        self._mutes = mutes
        self._clock = clock or Clock()
        self._destinations = destinations or self._keyed

    def _keyed(self, arm: Arm, *, only_looks: bool = False) -> Destinations:
        return KeyedDestinations(arm, self._settings.security_provider_id, only_looks=only_looks)

    @property
    def instance_id(self) -> str:
        """The deployment that this reconciler writes for."""
        return self._settings.instance_id

    @property
    def writer_name(self) -> str:
        """Who writes for the instance here: the storage account and the container of export files."""
        return f"{self._clients.blobs.account_name}/{self._settings.exports_container}".lower()

    @property
    def reports(self) -> Reports:
        """The reports of past runs."""
        return Reports(self._container, timedelta(days=self._settings.report_retention_days))

    @property
    def last_run(self) -> LastRunState:
        """What the runs before left for the next to know."""
        return LastRunState(self._container)

    @property
    def _container(self) -> ContainerClient:
        return self._clients.blobs.get_container_client(self._settings.reports_container)

    async def plan(self, request: Request) -> Report:
        """Say what would change, of what is stored or of what is proposed; Azure Resource Manager sees no write."""
        return await self._carry_out(request, "plan")

    async def apply(self, request: Request) -> Report:
        """Plan and carry it out.  A run that finds another one writing is skipped, and names the holder.

        Raises:
            StalePlan: the reviewed plan no longer fits; nothing was written.
            ValueError: the request proposes what is not stored.
        """
        if request.propose:
            raise ValueError("what is proposed can't be applied before it is stored")
        return await self._carry_out(request, "apply")

    async def tick(self) -> Report:
        """What the timer does: plan, or apply, or carry out what is approved, as RECONCILE_MODE says."""
        await self._keep_settings()
        caller = Caller("timer", "reconcile_exports")
        if self.by_approval:
            return await self.carry_out_approved(caller)
        return await self._carry_out(Request(caller), self._settings.reconcile_mode)

    @property
    def by_approval(self) -> bool:
        """Whether nothing is written but plans that are approved."""
        return self._settings.reconcile_mode == "approve"

    async def carry_out_approved(self, caller: Caller) -> Report:
        """Carry out the approval that has waited longest, or say what waits for one."""
        now = self._clock.now()
        waiting = await self.approvals.open(now)
        if not waiting:
            return await self._carry_out(Request(caller, waive_grace=True), "plan")  # it is reviewed before anything
        approval = waiting[0]
        report = await self._carry_out(_again(approval.asked, caller), "apply")
        if not (report.approved_by or report.skipped or report.failure or report.plan.reasons):
            await self.approvals.end(approval, f"run {report.run_id} found another plan")
        return report

    @property
    def approvals(self) -> Approvals:
        """Which plans were approved, and what became of that."""
        return Approvals(self._container)

    async def approve(self, run_id: str, actor: str) -> Approval:
        """Approve what a run planned, for one run within a day; `actor` is who does, as the log names callers.

        Raises:
            LookupError: there is no such run.
            ApprovalRefused: there is nothing to approve, or this one may not.
        """
        report = await self.reports.read(run_id)
        if report is None:
            raise LookupError(f"there is no run {run_id}")
        now = self._clock.now()
        if report["instanceId"] != self.instance_id or not report["fingerprint"]:
            raise ApprovalRefused("this run planned nothing that could be approved")
        if report["approvedBy"]:
            raise ApprovalRefused("this run carried out a plan that was approved; look at a newer one")
        if now - datetime.fromisoformat(report["started"]) > VALID:
            raise ApprovalRefused("this plan is more than a day old; look at a newer one")
        if self._settings.approval == "four-eyes":
            await self._four_eyes(report, actor)
        approval = Approval(report["fingerprint"], run_id, actor, now, report["asked"])
        noted = self._trail.doing(approve_deed(approval), (ApprovalRefused,)) if self._trail else nullcontext()
        async with noted:
            return await self.approvals.approve(approval, now)

    async def approval_witness(self, deed: Deed, others: Sequence[Deed]) -> bool | None:  # noqa: ARG002 - as every one
        """Whether an approval was given: it bears its time."""
        found = await self.approvals.find(deed.target)
        if found is None:
            return None if await self.approvals.exists(deed.target) else False
        return True if found.at.isoformat() == deed.marks.get("at") else None

    async def _four_eyes(self, report: Mapping[str, Any], actor: str) -> None:
        """Refuse the approval of a person who wrote an export of the plan, or may have.

        Raises:
            ApprovalRefused: with the name of the export.
        """
        if not actor.startswith(_PERSON):
            raise ApprovalRefused("APPROVAL=four-eyes takes approvals by people signed in with Entra", forbidden=True)
        names = {item["export"] for item in report["items"] if item.get("action") in WRITES and item.get("export")}
        authors = await self._exports.authors(names)
        for name in sorted(names):
            author = authors.get(name, "")
            if author == actor:
                raise ApprovalRefused(f"{name} was written by whoever asks; somebody else has to", forbidden=True)
            if not author.startswith(_PERSON):
                raise ApprovalRefused(
                    f"it is not known who wrote {name} ({author or 'nobody is named'}): put it again, signed in with "
                    "Entra",
                    forbidden=True,
                )

    async def _keep_settings(self) -> None:
        """Leave the settings for direct work; that this fails is no reason for no run."""
        from azure.core.exceptions import AzureError

        container = self._clients.blobs.get_container_client(self._settings.exports_container)
        try:
            await deployment_file.keep(container, self._settings)
        except AzureError:
            logger.exception("the settings could not be kept for direct work")

    async def discover(self, management_groups: Sequence[str] = ()) -> Inventory:
        """Every live automation; `management_groups` are those whose descendants matter to the caller."""
        arm = Arm(self._clients, self._clock, Pacer(self._clock))
        return await self._discover(Graph(self._clients, self._clock), arm, management_groups)

    async def policies_behind(self, automations: Iterable[ResourceId], inventory: Inventory) -> list[str]:
        """A sentence for each policy assignment that writes one of these automations again, with what ends that."""
        return await rewriting(
            Arm(self._clients, self._clock, Pacer(self._clock)), automations, inventory.subscriptions
        )

    async def accept_store(self, by: str = "") -> int:
        """Say that the stored files are meant as they are; gives the store's new number, above every one seen.

        `by` is who says so, where no job was noted for it.

        Raises:
            ValueError: discovery is incomplete, so that a higher number may be overlooked.
        """
        inventory = await self.discover()
        if not inventory.complete:
            raise ValueError(f"discovery is incomplete: {'; '.join(inventory.reasons)}")
        baseline = await self.last_run.baseline()
        in_force = highest_number(inventory.automations, self.instance_id)
        return await self._exports.accept(max(in_force, baseline.store_number), by)

    async def _carry_out(self, request: Request, mode: str) -> Report:
        run = self._begin(request, mode)
        run.kept = request.propose is None and (request.keep or mode != "plan")
        if run.kept:
            await self.reports.save(run.report)
        try:
            if mode == "plan":
                await self._look(run, request)
            else:
                async with self._leased(run) as run.lease:
                    await self._look(run, request)
                    await self._write(run, request)
                    await self._note_owned(run)
        except LeaseHeld as held:
            run.report = replace(run.report, skipped=str(held))
        except StalePlan as stale:
            run.report = replace(run.report, failure=str(stale))
            raise
        except asyncio.CancelledError:
            run.report = replace(run.report, failure="the run was cancelled")
            raise
        except Exception as error:
            run.report = replace(run.report, failure=f"{type(error).__name__}: {_first_line(error)}")
            raise
        finally:
            await asyncio.shield(self._finish(run))
        return run.report

    def _begin(self, request: Request, mode: str) -> _Run:
        self._settings.require("INSTANCE_ID")
        now = self._clock.now()
        report = Report(
            new_run_id(now),
            self._settings.instance_id,
            request.caller,
            mode,
            now,
            now,
            running=True,
            writer=self.writer_name,
            asked=self._asked(request),
            scope=request.scope,
        )
        deadline = self._clock.monotonic() + self._settings.run_budget.total_seconds()
        arm = Arm(self._clients, self._clock, Pacer(self._clock), deadline=deadline)
        run = _Run(report, arm, Graph(self._clients, self._clock), self._destinations(arm))

        def halt() -> str:
            if self._clock.monotonic() >= deadline:
                return f"the time budget of {self._settings.run_budget.total_seconds():g} s is spent"
            if run.lease is None or not run.lease.valid():
                return "this run does not hold the lease"
            return ""

        arm.halt = halt
        _log(run.report, "run started", actor=request.caller.actor, trigger=request.caller.trigger, mode=mode)
        return run

    def _asked(self, request: Request) -> dict[str, Any]:
        guards = request.guards(self._guards)
        return {
            **request.scope,
            "causes": sorted(cause.value for cause in request.causes),
            "claim": request.claim,
            "formerInstance": request.former_instance,
            "acceptFewer": request.accept_fewer,
            "waiveGrace": request.waive_grace,
            **({} if guards == self._guards else asdict(guards)),
        }

    def _leased(self, run: _Run) -> RunLease:
        holder = {
            "run": run.report.run_id,
            "trigger": run.report.caller.trigger,
            "actor": run.report.caller.actor.encode("ascii", "replace").decode(),
            "host": platform.node().encode("ascii", "replace").decode(),
            "since": utc_text(run.report.started, "seconds"),
            **stored_format.stamp_texts("run lease"),
        }
        return RunLease(self._container, holder, renew_every=self.renew_seconds)

    async def _look(self, run: _Run, request: Request) -> None:
        """Discover and plan."""
        settings = self._settings
        loaded = await self._exports.load_all()
        if request.propose:
            loaded = request.propose(loaded)
        run.loaded = loaded
        configs = [export.config for export in loaded.exports]
        unreadable = {problem.name: first_sentence(problem) for problem in loaded.problems if not problem.in_force}
        too_large = oversized(configs, settings.instance_id)
        configs = [config for config in configs if config.name not in too_large]
        unreadable |= too_large
        run.report = replace(run.report, exports=[config.name for config in configs], unreadable=unreadable)
        scopes = [config.scope for config in configs]
        groups = {group for scope in scopes for group in (*scope.management_groups, *scope.exclude.management_groups)}
        asked = {*groups, *(request.management_groups or ())}
        inventory = await self._discover(run.graph, run.arm, sorted(asked))
        if request.subscriptions:
            request = replace(request, subscriptions=named(request.subscriptions, inventory.subscriptions))
        Narrowing.of(request.scope).refuse_unknown(loaded, inventory, settings.instance_id)
        baseline = await self.last_run.baseline()
        identity = await run.arm.assignee()
        other_eyes = baseline.identity not in {"", identity}
        if other_eyes and not run.kept and self._destinations == self._keyed:
            run.destinations = self._keyed(run.arm, only_looks=True)
        # What could not be read is no sign of rights that were lost.
        judged = not (request.accept_fewer or other_eyes or inventory.reasons)
        # Other eyes may see less: what they don't see is remembered too, or it would be forgotten with their first run.
        known = remembered(inventory, {} if request.accept_fewer else baseline.known)
        explained = len(baseline.known.keys() - known.keys())
        fewer = fallen(inventory, max(len(known), baseline.subscriptions - explained)) if judged else ""
        run.done, unknown = await self.last_run.done(self._clock.now())
        run.record = await self.last_run.owned(settings.instance_id)
        doubts = [*inventory.reasons, *hidden(inventory, settings.instance_id), *filter(None, (fewer, unknown))]
        run.report = replace(
            run.report,
            scope=request.scope,  # by id, whatever the subscriptions were called
            saw_all=not doubts,
            unread=inventory.unread,
            known=known,
            store_number=max(loaded.number, baseline.store_number),
            identity=identity,
            subscriptions=inventory.subscriptions,
        )
        if not request.accept_fewer:
            doubts += filter(None, (baseline.trouble, "" if configs or unreadable or loaded.deleted else _NO_FILES))
        inventory = Inventory(inventory.subscriptions, inventory.automations, tuple(doubts))
        run.inventory = inventory
        run.writer = Writer(self.writer_name, loaded.number, baseline.store_number, loaded.trouble)
        if request.claim:
            plan = make_claim(inventory, settings.instance_id, run.writer, request.former_instance)
        else:
            guards = request.guards(self._guards)
            terms = Terms(
                guards,
                run.writer,
                request.causes,
                await self._grace(request),
                _seen_by_another(baseline.identity, identity) if other_eyes and not request.accept_fewer else "",
                # Limits that were raised for this run are for what this run does.
                run.done if guards == self._guards else Done(),
                self._clock.now(),
                run.record,
            )
            plan = await self._plan(run, request, configs, inventory, terms)
            if judged and not fewer and not request.subscriptions:
                lost = hidden_now(inventory.subscriptions, baseline.known)
                plan = replace(plan, findings=(*plan.findings, *not_shown(lost)))
        run.report = replace(run.report, plan=plan, waiting=self.by_approval and bool(plan.writes))
        _log(run.report, "planned", **{action.value: number for action, number in plan.counts.items()})

    async def _grace(self, request: Request) -> Grace:
        return Grace(
            self._clock.now(),
            timedelta(hours=self._settings.delete_grace_hours),
            await self.last_run.left(),
            waived=request.waive_grace,
        )

    async def _plan(
        self, run: _Run, request: Request, configs: Sequence[ExportConfig], inventory: Inventory, terms: Terms
    ) -> Plan:
        prepared: Mapping[str, Prepared] = await run.destinations.prepare(configs)
        declaration = declared(
            run.loaded or LoadedExports(()), configs, inventory, self._settings.instance_id, prepared
        )
        declaration = replace(declaration, unreadable=run.report.unreadable)
        if reasons := await self._unregistered(run, configs, inventory):
            declaration = replace(declaration, desired=closed(declaration.desired, reasons))
        chosen = Narrowing.of(request.scope).items(inventory.subscriptions)
        plan = make_plan(declaration, inventory, self._settings.instance_id, terms, chosen)
        warnings = plan.warnings
        if request.exports:  # what is odd about others' destinations was not asked for
            warnings = tuple(one for one in warnings if one.partition(": ")[0] in request.exports)
        again = await rewriting(run.arm, _may_be_written_again(plan), inventory.subscriptions)
        return replace(plan, warnings=(*warnings, *again))

    async def _agreed(self, run: _Run, request: Request, deletes: Sequence[Item]) -> Mapping[tuple[str, str, str], str]:
        """Look at files and tenant once more: why a delete that was planned is not to be carried out after all."""
        again = replace(run)
        await self._look(again, request)
        plan = again.report.plan
        items = {item.id.key: item for item in plan.items}
        if plan.reasons:
            return dict.fromkeys((item.id.key for item in deletes), f"the second discovery: {'; '.join(plan.reasons)}")
        return {
            item.id.key: f"the second discovery does not agree: {found.reason if found else 'it is not there'}"
            for item in deletes
            for found in (items.get(item.id.key),)
            if found is None or found.action is not Action.DELETE
        }

    async def _unregistered(
        self, run: _Run, configs: Sequence[ExportConfig], inventory: Inventory
    ) -> Mapping[str, str]:
        """Why nothing can be written in subscriptions where Microsoft.Security is not registered."""
        if self._settings.register_provider:
            return {}
        scopes = [config.scope for config in configs if config.enabled]
        asked = [one.id for one in without_automations(inventory) if any(selects(scope, one) for scope in scopes)]
        return await unregistered(run.arm, asked, self._settings.apply_concurrency)

    @property
    def _guards(self) -> Guards:
        return Guards(self._settings.max_deletes, self._settings.max_change_percent)

    async def _discover(self, graph: Graph, arm: Arm, management_groups: Sequence[str]) -> Inventory:
        if self._settings.inventory == "graph":
            return await from_graph(graph)
        return await from_lists(arm, management_groups, self._settings.apply_concurrency)

    async def _write(self, run: _Run, request: Request) -> None:
        if request.reviewed is not None:
            refuse_if_stale(request.reviewed, run.report.plan)
        if request.fingerprint and request.fingerprint != fingerprint(run.report.plan):
            raise StalePlan("the plan no longer fits: files or tenant changed since it was made; make a new one")
        if run.report.waiting and not await self._let_through(run):
            return
        if self._trail and (deed := lifting_deed(run.report)):
            await self._trail.note(deed)
        if request.planned:
            request.planned(run.report)
        if run.loaded is not None and not (request.claim or run.report.plan.hold):
            run.writer = replace(run.writer, number=await self._exports.take_on(run.loaded))
            run.report = replace(run.report, store_number=max(run.writer.number, run.report.store_number))
        run.applying = Apply(
            run.arm,
            run.destinations,
            self._settings.instance_id,
            writer=run.writer,
            pause=self._clock.sleep,
            now=self._clock.now,
            concurrency=self._settings.apply_concurrency,
            register_provider=self._settings.register_provider,
            binding=request.reviewed is not None or bool(request.fingerprint or run.report.approved_by),
            progress=request.progress,
        )
        asked_for = bool(run.report.approved_by) or request.guards(self._guards) != self._guards
        if not asked_for:  # before it is done, so that a run that is killed counts
            done = run.done.with_items(run.report.plan.writes, self._clock.now())
            if done != run.done:
                await self.last_run.note_done(done)
        await run.applying.carry_out(run.report.plan, lambda deletes: self._agreed(run, request, deletes))

    async def _note_owned(self, run: _Run) -> None:
        """Keep which automations are ours, should they lose their tags; that this fails undoes nothing."""
        from azure.core.exceptions import AzureError

        if run.inventory is None:
            return
        stripped = {item.id.key for item in run.report.plan.items if item.stripped}
        ended = run.applying.outcomes if run.applying else ()
        written = {one.id.key: one.export for one in ended if one.status in WRITTEN}
        gone = {item.id.key for item in run.report.plan.writes if item.action is Action.DELETE}
        record = run.record.after(
            Seen(
                self.instance_id,
                self._clock.now(),
                run.inventory.automations,
                run.inventory.complete,
                written,
                frozenset(stripped & {*written}),
                frozenset(one.id.key for one in ended if one.id.key in gone and one.status in GONE),
            )
        )
        try:
            if record != run.record:
                await self.last_run.note_owned(record, self.instance_id)
        except AzureError:
            logger.exception("run %s: which automations are this instance's could not be kept", run.report.run_id)

    async def _let_through(self, run: _Run) -> bool:
        """Whether the plan is approved, by its fingerprint; then this run has taken the approval, and no other can."""
        approval = await self.approvals.find(fingerprint(run.report.plan))
        is_open = approval is not None and approval.open(self._clock.now())
        if approval is None or not is_open or not await self.approvals.take(approval, run.report.run_id):
            run.report = replace(run.report, mode="plan")
            return False
        run.report = replace(run.report, waiting=False, approved_by=approval.by, approved_at=approval.at)
        _log(run.report, "approved", by=approval.by, at=utc_text(approval.at))
        await self.reports.save(run.report)  # who let it through is known even of a run that is killed
        return True

    async def _finish(self, run: _Run) -> None:
        """Leave the report, the row and the log line; a report that can't be kept does not undo the run."""
        from azure.core.exceptions import AzureError

        requests = dict(run.arm.requests) | {"resource graph": run.graph.requests}
        outcomes = run.applying.outcomes if run.applying else ()
        run.report = replace(run.report, ended=self._clock.now(), outcomes=outcomes, requests=requests, running=False)
        _log(run.report, "run ended", outcome=run.report.outcome, reason=run.report.reason, **run.report.counts)
        if not run.kept:
            return
        try:
            await self.reports.save(run.report)
            await self.last_run.note_seen(run.report)
            await self.reports.expire()
        except AzureError:
            logger.exception("run %s: its report could not be kept", run.report.run_id)
        if self._rows is not None:
            try:
                await self._rows(RUNS_TABLE, [(await self._with_mutes(run.report)).row()])
            except Exception:  # a run that is done stays done, whatever happens to its row
                logger.exception("run %s: its row could not be sent", run.report.run_id)

    async def _with_mutes(self, report: Report) -> Report:
        async def groups() -> GroupNames:
            return GroupNames.of(report.subscriptions, complete=report.saw_all)

        return replace(report, muting=await self._mutes.muting(groups)) if self._mutes else report


def _may_be_written_again(plan: Plan) -> list[ResourceId]:
    """What others wrote or changed, and this app is to write."""
    taken = (item for item in plan.items if item.declared and (item.action in _OF_OTHERS or item.cause is Cause.DRIFT))
    return [item.id for item in taken]


_OF_OTHERS = frozenset({Action.ADOPT, Action.FOREIGN})
_PERSON = "entra:"


def _again(asked: Mapping[str, Any], caller: Caller) -> Request:
    """The request of a run that was reviewed, made again by its approval."""
    limits = partial(raised, max_deletes=asked.get("max_deletes"), percent=asked.get("max_change_percent"))
    return Request(
        caller,
        subscriptions=asked.get("subscriptions"),
        management_groups=asked.get("managementGroups"),
        exports=asked.get("exports"),
        causes=[Cause(cause) for cause in asked.get("causes", ())],
        claim=asked.get("claim", False),
        former_instance=asked.get("formerInstance", ""),
        guards=limits,
        accept_fewer=asked.get("acceptFewer", False),
        waive_grace=asked.get("waiveGrace", False),
    )


_NO_FILES = "the store holds no export file: put some into it with `push`; if none is meant, run `apply --accept-fewer`"


def _seen_by_another(before: str, now: str) -> str:
    return (
        f"the last complete run saw the tenant as {before}, this one as {now}: nothing is deleted before a second run "
        "as the same"
    )


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error)
    return text.splitlines()[0] if text else ""


def _log(report: Report, event: str, **details: Any) -> None:
    """One structured line; it names the run, and no secret gets this far."""
    logger.info("%s", json.dumps({"event": event, "run": report.run_id, **details}))
