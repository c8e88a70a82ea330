"""What each kind of job does, from the services it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from pydantic.alias_generators import to_camel

from shared.exports.compiler import compile_sources
from shared.exports.evaluator import accepts
from shared.exports.event_sources import KINDS, SNAPSHOT
from shared.exports.explain import explain
from shared.exports.export_blobs import ExportNotFound
from shared.exports.rule_sets import Source
from shared.exports.scope_findings import UnknownName
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.worker import JobRefusedError, Runner, UnfinishedError, WaitingError
from shared.watch.present_records import Found, PresentRecords, count

if TYPE_CHECKING:
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter
    from shared.exports.store import ExportStore
    from shared.reconcile.report.run_report import Report
    from shared.reconcile.run import Reconciler
    from shared.tenant_state import TenantStateReader

# Present records, as continuous export would send them, to the pipeline; gives the rows accepted or kept.
# All of a job's records count as enqueued when it was asked for.
Deliver = Callable[[Sequence[Mapping[str, Any]], datetime], Awaitable[int]]
SUBSCRIPTIONS_A_STEP = 20
# A run ends within minutes, whatever it is; what holds the lease for longer than this is none.
WAITS_AT_MOST = timedelta(hours=1)
RECORDS_A_BATCH = 1000


class Clocked(Protocol):
    """How long an attempt may go on."""

    def __call__(self) -> bool:
        """Whether there is time for another step."""


class Runners:
    """The runner of each kind."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        exports: ExportStore,
        tenant_state: TenantStateReader,
        present: PresentRecords,
        replay: Callable[[LetterFilter], Awaitable[Any]],
        deliver: Deliver,
        has_time: Callable[[], Clocked],
    ) -> None:
        self._reconciler = reconciler
        self._exports = exports
        self._surveyor = tenant_state
        self._present = present
        self._replay = replay
        self._deliver = deliver
        self._has_time = has_time

    def by_kind(self) -> dict[str, Runner]:
        """Every runner by the kind of job it carries out."""
        return {
            "plan": self.plan,
            "reconcile": self.reconcile,
            "preview": self.preview,
            "backfill": self.backfill,
            "replay": self.replay,
            "accept": self.accept,
            "claim": self.claim,
        }

    async def plan(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """What a reconcile would change."""
        progress.say("planning")
        with _refusing_unknown():
            return (await self._reconciler.plan(_request(job))).as_dict()

    async def reconcile(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Reconcile now: the caller has asked for it.  Under RECONCILE_MODE=approve only a plan that is approved."""
        progress.say("reconciling")
        if self._reconciler.by_approval and not job.arguments:
            from shared.reconcile.report.run_report import Caller

            return _done(await self._reconciler.carry_out_approved(Caller("job", job.actor)), job, progress)
        with _refusing_unknown():
            return _done(await self._reconciler.apply(_request(job)), job, progress)

    async def accept(self, job: Job, progress: Progress) -> Mapping[str, Any]:  # noqa: ARG002 - every runner takes both
        """Say that the stored files are meant as they are."""
        try:
            return {"storeNumber": await self._reconciler.accept_store()}
        except ValueError as refusal:
            raise JobRefusedError(str(refusal)) from None

    async def claim(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Take over the automations that another app wrote for this instance, and those of a former one."""
        progress.say("taking over")
        former = str(job.arguments.get("formerInstance", ""))
        request = replace(_request(job), claim=True, former_instance=former)
        return _done(await self._reconciler.apply(request), job, progress)

    async def preview(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """How many present records each rule set of an export would send."""
        sources = await self._sources(str(job.arguments["export"]))
        subscriptions = await self._subscriptions(job)
        progress.say(f"reading the present records of {len(subscriptions)} subscriptions")
        return {"export": job.arguments["export"], **await preview(self._present, sources, subscriptions)}

    async def backfill(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Send the present records through the pipeline, some subscriptions at a time; goes on where it stopped.

        Raises:
            UnfinishedError: the time is used up.
        """
        name = job.arguments.get("export")
        sources = await self._sources(str(name)) if name else ()
        kinds = list(job.arguments.get("kinds") or (_kinds(sources) if sources else KINDS))
        subscriptions = await self._subscriptions(job)
        # `step` are the subscriptions in hand, of which everything up to the record `inside` is sent.
        done = {"after": "", "step": [], "inside": "", "records": 0, "reasons": [], **job.cursor}
        has_time = self._has_time()
        left = [subscription for subscription in subscriptions if subscription > done["after"]]
        while left:
            step = done["step"] = done["step"] or left[:SUBSCRIPTIONS_A_STEP]
            left = [subscription for subscription in left if subscription > step[-1]]
            reasons: list[str] = []
            async for batch in self._batches(kinds, step, done["inside"], reasons):
                if not has_time():
                    raise UnfinishedError
                records = [found.record for found in batch if not sources or _sends(sources, found.record)]
                sent = await self._deliver(records, job.created)
                done |= {"inside": batch[-1].id, "records": done["records"] + sent}
                progress.say(
                    f"{done['records']:,} records sent; {len(left)} of {len(subscriptions)} subscriptions to go"
                )
                progress.checkpoint(done)
            done |= {"after": step[-1], "step": [], "inside": "", "reasons": sorted({*done["reasons"], *reasons})}
            progress.checkpoint(done)
        return {"subscriptions": len(subscriptions), "records": done["records"], "reasons": done["reasons"]}

    async def _batches(
        self, kinds: Sequence[str], subscriptions: Sequence[str], inside: str, reasons: list[str]
    ) -> AsyncIterator[list[Found]]:
        """The present records past the one whose id is `inside`; all of them when it is gone."""
        batch: list[Found] = []
        skipping = bool(inside)
        async for found in self._present.read(kinds, subscriptions, reasons):
            if skipping:
                skipping = found.id != inside
                continue
            batch.append(found)
            if len(batch) == RECORDS_A_BATCH:
                yield batch
                batch = []
        if batch:
            yield batch
        if skipping:
            async for batch in self._batches(kinds, subscriptions, "", reasons):
                yield batch

    async def replay(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Deliver dead letters again now, whether they are due or not."""
        from shared.enrich.dead_letters.dead_letter_store import LetterFilter

        progress.say("replaying")
        arguments = job.arguments
        choice = LetterFilter(
            day=arguments.get("day", ""),
            reason=arguments.get("reason", ""),
            parked=arguments.get("parked"),
            due_only=False,
        )
        return asdict(await self._replay(choice))

    async def _sources(self, name: str) -> tuple[Source, ...]:
        return await stored_sources(self._exports, name)

    async def _subscriptions(self, job: Job) -> list[str]:
        survey = await self._surveyor.take()
        with _refusing_unknown():
            chosen = survey.below(job.arguments.get("subscriptions", ()), job.arguments.get("managementGroups", ()))
        return sorted(subscription.id.lower() for subscription in chosen)


async def stored_sources(exports: ExportStore, name: str) -> tuple[Source, ...]:
    """The sources of a stored export.

    Raises:
        JobRefusedError: there is none of this name.
    """
    from shared.exports.model import parse_export

    try:
        stored = await exports.get(name)
    except ExportNotFound:
        raise JobRefusedError(f"there is no export named {name}; put it first") from None
    return compile_sources(parse_export(stored.text, name))


async def preview(present: PresentRecords, sources: Sequence[Source], subscriptions: Sequence[str]) -> dict[str, Any]:
    """How many present records each rule set would send, and how many records would be sent at all."""
    reasons: list[str] = []
    records = [found.record async for found in present.read(_kinds(sources), subscriptions, reasons)]
    counts = count(sources, [explain(source) for source in sources], records)
    return {
        "subscriptions": len(subscriptions),
        "records": len(records),
        "sent": sum(_sends(sources, record) for record in records),
        "reasons": reasons,
        "counts": [{to_camel(name): value for name, value in asdict(line).items()} for line in counts],
    }


def _done(report: Report, job: Job, progress: Progress) -> Mapping[str, Any]:
    """The report of a run that wrote.

    Raises:
        WaitingError: another run was writing, so that nothing was done yet.
        JobRefusedError: another run has been writing for as long as a job waits.
    """
    if not report.skipped:
        return report.as_dict()
    if report.ended - job.created > WAITS_AT_MOST:
        raise JobRefusedError(f"it waited for {WAITS_AT_MOST}, and {report.skipped}")
    progress.say(f"waiting: {report.skipped}")
    raise WaitingError


@contextmanager
def _refusing_unknown() -> Iterator[None]:
    """An unknown name ends the job, with the nearest known one."""
    try:
        yield
    except UnknownName as unknown:
        raise JobRefusedError(str(unknown)) from None


def _request(job: Job) -> Any:
    from shared.reconcile.plan.change_limits import raised
    from shared.reconcile.plan.model import Cause
    from shared.reconcile.report.run_report import Caller
    from shared.reconcile.run import Request

    arguments = job.arguments
    return Request(
        Caller("job", job.actor),
        subscriptions=arguments.get("subscriptions"),
        management_groups=arguments.get("managementGroups"),
        exports=arguments.get("exports"),
        causes=[Cause(cause) for cause in arguments.get("causes", ())],
        guards=partial(raised, max_deletes=arguments.get("maxDeletes"), percent=arguments.get("maxChangePercent")),
    )


def _kinds(sources: Sequence[Source]) -> list[str]:
    return sorted({source.event_source.removesuffix(SNAPSHOT) for source in sources})


def _sends(sources: Sequence[Source], record: Mapping[str, Any]) -> bool:
    return any(accepts(source, record) for source in sources)
