"""One reconcile run from discovery to report; the only file that knows the order.

Load the export files, discover the tenant, prepare destinations, plan; in mode apply take the lease first, write, and
leave a report.  Level-triggered: what a run does not reach, the next one finds again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import platform
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from shared import stored_format
from shared.azure.resource_graph import Graph
from shared.clock import Clock
from shared.exports.scope_findings import KnownNames, scope_findings
from shared.exports.scope_selection import depends_on_groups
from shared.reconcile.apply.executor import Apply, Outcome
from shared.reconcile.apply.run_lock import RENEW_SECONDS, LeaseHeld, RunLease
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.arm.token_buckets import Pacer
from shared.reconcile.destinations.event_hub_keys import Destinations, KeyedDestinations
from shared.reconcile.discover.inventory import from_graph, from_lists
from shared.reconcile.discover.missing_subscriptions import fallen
from shared.reconcile.discover.subscription_names import named
from shared.reconcile.model import Inventory
from shared.reconcile.narrowing import Narrowing
from shared.reconcile.plan.change_limits import Guards
from shared.reconcile.plan.desired import Prepared, desired_automations, oversized
from shared.reconcile.plan.model import Cause, Declaration, Plan
from shared.reconcile.plan.planner import Terms, make_claim, make_plan
from shared.reconcile.plan.provenance_tags import Writer, highest_number
from shared.reconcile.plan.saved_plan import StalePlan, refuse_if_stale
from shared.reconcile.report.report_store import Reports
from shared.reconcile.report.run_report import RUNS_TABLE, Caller, Report, new_run_id

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.azure.clients import Clients
    from shared.exports.last_known_good import LoadedExports
    from shared.exports.model import ExportConfig
    from shared.exports.store import ExportStore
    from shared.settings import Settings

RowSink = Callable[[str, Sequence[Mapping[str, Any]]], Awaitable[None]]

logger = logging.getLogger(__name__)


def _as_set(guards: Guards) -> Guards:
    return guards


@dataclass(frozen=True)
class Request:
    """What one run is asked to do beyond the settings.

    `reviewed` is a plan that the run must still find right; `accept_fewer` lets deletes go on although subscriptions
    or all export files are gone; `guards` may change those of the settings.  `subscriptions`, `management_groups` and
    `exports` narrow the run to those; None means all, and an empty list is refused.  `causes` lets through what waits
    for being named.  With `claim` the run only takes over automations that another app wrote last, and those of
    `former_instance`.  With `propose` the run plans what that makes of the stored exports; it leaves no report and no
    row, since it says nothing about what is in force.  `planned` is called before the first write, `progress` after
    each.

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
    guards: Callable[[Guards], Guards] = _as_set
    accept_fewer: bool = False
    planned: Callable[[Report], None] | None = None
    progress: Callable[[Outcome], None] | None = None

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
    loaded: LoadedExports | None = None


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
        clock: Clock | None = None,
        destinations: Callable[[Arm], Destinations] | None = None,
    ) -> None:
        self._settings = settings
        self._clients = clients
        self._exports = exports
        self._rows = rows
        self._clock = clock or Clock()
        self._destinations = destinations or (lambda arm: KeyedDestinations(arm, settings.security_provider_id))

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
        from datetime import timedelta

        return Reports(self._container, timedelta(days=self._settings.report_retention_days))

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
        """What the timer does: plan, or apply when RECONCILE_MODE says so."""
        return await self._carry_out(Request(Caller("timer", "reconcile_exports")), self._settings.reconcile_mode)

    async def discover(self, management_groups: Sequence[str] = ()) -> Inventory:
        """Every live automation; `management_groups` are those whose descendants matter to the caller."""
        arm = Arm(self._clients, self._clock, Pacer(self._clock))
        return await self._discover(Graph(self._clients, self._clock), arm, management_groups)

    async def accept_store(self) -> int:
        """Say that the stored files are meant as they are; gives the store's new number, above every one seen.

        Raises:
            ValueError: discovery is incomplete, so that a higher number may be overlooked.
        """
        inventory = await self.discover()
        if not inventory.complete:
            raise ValueError(f"discovery is incomplete: {'; '.join(inventory.reasons)}")
        baseline = await self.reports.baseline()
        in_force = highest_number(inventory.automations, self.instance_id)
        return await self._exports.accept(max(in_force, baseline.store_number))

    async def _carry_out(self, request: Request, mode: str) -> Report:
        run = self._begin(request, mode)
        run.kept = request.propose is None
        if run.kept:
            await self.reports.save(run.report)
        try:
            if mode == "plan":
                await self._look(run, request)
            else:
                async with self._leased(run) as run.lease:
                    await self._look(run, request)
                    await self._write(run, request)
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
        )
        deadline = self._clock.monotonic() + self._settings.apply_budget.total_seconds()
        arm = Arm(self._clients, self._clock, Pacer(self._clock), deadline=deadline)
        run = _Run(report, arm, Graph(self._clients, self._clock), self._destinations(arm))

        def halt() -> str:
            if self._clock.monotonic() >= deadline:
                return f"the time budget of {self._settings.apply_budget.total_seconds():g} s is spent"
            if run.lease is None or not run.lease.valid():
                return "this run does not hold the lease"
            return ""

        arm.halt = halt
        _log(run.report, "run started", actor=request.caller.actor, trigger=request.caller.trigger, mode=mode)
        return run

    def _leased(self, run: _Run) -> RunLease:
        holder = {
            "run": run.report.run_id,
            "trigger": run.report.caller.trigger,
            "actor": run.report.caller.actor.encode("ascii", "replace").decode(),
            "host": platform.node().encode("ascii", "replace").decode(),
            "since": run.report.started.isoformat(timespec="seconds"),
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
        unreadable = {
            problem.name: problem.findings[0].sentence if problem.findings else "it is invalid"
            for problem in loaded.problems
            if not problem.in_force
        }
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
        baseline = await self.reports.baseline()
        fewer = "" if request.accept_fewer else fallen(inventory, baseline.subscriptions)
        doubts = [*inventory.reasons, *filter(None, (fewer,))]
        run.report = replace(run.report, saw_all=not doubts, store_number=max(loaded.number, baseline.store_number))
        if not request.accept_fewer:
            doubts += filter(None, (baseline.trouble, "" if configs or unreadable or loaded.deleted else _NO_FILES))
        run.report = replace(run.report, subscriptions=inventory.subscriptions)
        inventory = Inventory(inventory.subscriptions, inventory.automations, tuple(doubts))
        run.writer = Writer(self.writer_name, loaded.number, baseline.store_number, loaded.trouble)
        if request.claim:
            plan = make_claim(inventory, settings.instance_id, run.writer, request.former_instance)
        else:
            plan = await self._plan(run, request, loaded, configs, inventory)
        run.report = replace(run.report, plan=plan)
        _log(run.report, "planned", **{action.value: number for action, number in plan.counts.items()})

    async def _plan(
        self,
        run: _Run,
        request: Request,
        loaded: LoadedExports,
        configs: Sequence[ExportConfig],
        inventory: Inventory,
    ) -> Plan:
        settings = self._settings
        prepared: Mapping[str, Prepared] = await run.destinations.prepare(configs)
        numbers = {export.name: export.number for export in loaded.exports}
        known = KnownNames.of(inventory.subscriptions)
        unknown = {config.name: scope_findings(config.scope, inventory.subscriptions, known) for config in configs}
        declaration = Declaration(
            desired_automations(configs, inventory.subscriptions, settings.instance_id, prepared, numbers),
            {config.name for config in configs},
            run.report.unreadable,
            tuple(f"{name}: {one}" for name, known in prepared.items() for one in known.warnings),
            loaded.deleted,
            {problem.name for problem in loaded.problems},
            {name: found for name, found in unknown.items() if found},
            tuple(f"{name}: {sentence}" for name, found in unknown.items() for sentence in found),
            {config.name for config in configs if depends_on_groups(config.scope)},
        )
        guards = request.guards(Guards(settings.max_deletes, settings.max_change_percent))
        terms = Terms(guards, run.writer, request.causes)
        chosen = Narrowing.of(request.scope).items(inventory.subscriptions)
        return make_plan(declaration, inventory, settings.instance_id, terms, chosen)

    async def _discover(self, graph: Graph, arm: Arm, management_groups: Sequence[str]) -> Inventory:
        if self._settings.inventory == "graph":
            return await from_graph(graph)
        return await from_lists(arm, management_groups, self._settings.apply_concurrency)

    async def _write(self, run: _Run, request: Request) -> None:
        if request.reviewed is not None:
            refuse_if_stale(request.reviewed, run.report.plan)
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
            concurrency=self._settings.apply_concurrency,
            register_provider=self._settings.register_provider,
            progress=request.progress,
        )
        await run.applying.carry_out(run.report.plan)

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
            await self.reports.expire()
        except AzureError:
            logger.exception("run %s: its report could not be kept", run.report.run_id)
        if self._rows is not None:
            try:
                await self._rows(RUNS_TABLE, [run.report.row()])
            except Exception:  # a run that is done stays done, whatever happens to its row
                logger.exception("run %s: its row could not be sent", run.report.run_id)


_NO_FILES = "the store holds no export file: put some into it with `push`; if none is meant, run `apply --accept-fewer`"


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error)
    return text.splitlines()[0] if text else ""


def _log(report: Report, event: str, **details: Any) -> None:
    """One structured line; it names the run, and no secret gets this far."""
    logger.info("%s", json.dumps({"event": event, "run": report.run_id, **details}))
