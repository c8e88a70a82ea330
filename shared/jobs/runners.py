"""What each kind of job does, from the services it is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.clock import Deadline
from shared.exports.event_sources import KINDS
from shared.exports.explain import explain
from shared.exports.export_blobs import ExportNotFound
from shared.exports.scope_findings import NotAllSeen, UnknownName
from shared.jobs.export_choice import ExportChoice, Subscriptions, all_of
from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.present_walk import REASONS_KEPT, PresentWalk
from shared.jobs.volume import ToRows, Volumes
from shared.jobs.worker import JobRefusedError, Runner, UnfinishedError, WaitingError
from shared.watch.present_records import Gaps, PresentRecords, Tally

if TYPE_CHECKING:
    from shared.enrich.dead_letters.dead_letter_store import LetterFilter
    from shared.exports.store import ExportStore
    from shared.jobs.canary_runner import CanaryRunner
    from shared.jobs.gone_everywhere import GoneChecks
    from shared.reconcile.report.run_report import Report
    from shared.reconcile.run import Reconciler, Request
    from shared.tenant_state import TenantStateReader

# Present records, as continuous export would send them, to the pipeline; gives the rows accepted or kept.
# All of a job's records count as enqueued when it was asked for.
# The last argument is the moment before which uploading ends.
Deliver = Callable[[Sequence[Mapping[str, Any]], datetime, Deadline], Awaitable[int]]
PAGES_A_CHECKPOINT = 20
"""Of a preview, which loses nothing when some of what it read is read again."""
EXAMPLES_KEPT = 12_000
"""Characters of examples in the state of a preview; a property of Table Storage holds 32,768."""
# A run ends within minutes, whatever it is; what holds the lease for longer than this is none.
WAITS_AT_MOST = timedelta(hours=1)


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
        discard: Callable[[str, str, str], Awaitable[None]],
        deliver: Deliver,
        deadline: Callable[[], Deadline],
        gone: Callable[[], Awaitable[GoneChecks]],
        canary: Callable[[], CanaryRunner],
        to_rows: ToRows,
    ) -> None:
        self._reconciler = reconciler
        self._exports = exports
        self._surveyor = tenant_state
        self._present = present
        self._replay = replay
        self._discard = discard
        self._deliver = deliver
        self._deadline = deadline
        self._gone = gone
        self._canary = canary
        self._to_rows = to_rows

    def by_kind(self) -> dict[str, Runner]:
        """Every runner by the kind of job it carries out."""
        return {
            "plan": self.plan,
            "reconcile": self.reconcile,
            "preview": self.preview,
            "backfill": self.backfill,
            "replay": self.replay,
            "discard": self.discard,
            "accept": self.accept,
            "claim": self.claim,
            "gone": self.gone,
            "canary": self.canary,
        }

    async def plan(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """What a reconcile would change."""
        progress.say("planning")
        with _refusing_unknown():
            return (await self._reconciler.plan(_request(job))).as_dict()

    async def reconcile(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Reconcile now: the caller has asked for it.  Under RECONCILE_MODE=approve only a plan that is approved."""
        from shared.reconcile.plan.saved_plan import StalePlan
        from shared.reconcile.report.run_report import Caller

        progress.say("reconciling")
        if self._reconciler.by_approval and not job.arguments.keys() - {"fingerprint"}:
            return _done(await self._reconciler.carry_out_approved(Caller("job", job.actor)), job, progress)
        try:
            with _refusing_unknown():
                return _done(await self._reconciler.apply(_watched(_request(job), progress)), job, progress)
        except StalePlan as stale:
            raise JobRefusedError(str(stale)) from None

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
        """How many present records each rule set of an export would send; goes on where it stopped.

        Raises:
            UnfinishedError: the time is used up.
        """
        export = await stored_choice(self._exports, str(job.arguments["export"]))
        subscriptions, reasons = await self._subscriptions(job, export)
        tally, of = _tally(export), export.digest
        volumes = Volumes(export.event_sources, self._to_rows, job.created)
        cursor = job.cursor if job.cursor.get("of") == of else {}  # an export that was changed is counted anew
        cursor = cursor if "volumes" in cursor else {}  # one of a release that did not count them
        if cursor:
            _restore(tally, cursor)
            volumes.restore(cursor["volumes"])
        walk = PresentWalk(self._present, export.kinds, subscriptions, cursor)
        deadline = self._deadline()
        pages = 0
        async for page in walk.pages():
            for found in page:
                volumes.add(found.kind, found.record, tally.add(found.kind, found.record))
            pages += 1
            progress.say(f"{tally.records:,} records read; {walk.left} of {len(subscriptions)} subscriptions to go")
            ended = deadline.left <= 0
            if ended or pages % PAGES_A_CHECKPOINT == 0:
                progress.checkpoint({**walk.cursor, **_kept(tally), "volumes": volumes.kept, "of": of})
            if ended:
                raise UnfinishedError
        told = _told(tally, volumes, len(subscriptions), [*reasons, *walk.reasons][:REASONS_KEPT])
        return {"export": job.arguments["export"], **told}

    async def backfill(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Send the present records through the pipeline, some subscriptions at a time; goes on where it stopped.

        Raises:
            UnfinishedError: the time is used up.
        """
        name = job.arguments.get("export")
        export = await stored_choice(self._exports, str(name)) if name else None
        kinds = list(job.arguments.get("kinds") or (export.kinds if export else KINDS))
        subscriptions, reasons = await self._subscriptions(job, export)
        records = job.cursor.get("records", 0)
        walk = PresentWalk(self._present, kinds, subscriptions, job.cursor)
        deadline = self._deadline()
        async for page in walk.pages():
            if deadline.left <= 0:
                raise UnfinishedError
            chosen = [found.record for found in page if export is None or export.sends(found.record)]
            records += await self._deliver(chosen, job.created, deadline)
            progress.say(f"{records:,} records sent; {walk.left} of {len(subscriptions)} subscriptions to go")
            progress.checkpoint({**walk.cursor, "records": records})
        reasons = [*reasons, *walk.reasons][:REASONS_KEPT]
        return {"subscriptions": len(subscriptions), "records": records, "reasons": reasons}

    async def gone(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Compare what the tables hold as open with Resource Graph now, of each place; goes on where it stopped.

        Raises:
            UnfinishedError: the time is used up.
            WaitingError: the timer is at it now.
        """
        from shared.lifecycle.open_in_tables import UnknownError
        from shared.reconcile.apply.run_lock import LeaseHeld
        from shared.settings import SettingsError
        from shared.stored_format import KeptAsIs

        progress.say("comparing")
        now = datetime.now(UTC)
        try:
            checks = await self._gone()
            under_way = await checks.own.go_on(now) if job.cursor else None
            state = under_way or await checks.own.begin(now, job.arguments.get("maxChangePercent"))
        except LeaseHeld as held:
            raise _waiting(job, now, progress, str(held)) from None
        except (UnknownError, SettingsError, KeptAsIs) as refusal:
            raise JobRefusedError(str(refusal)) from None
        progress.say(f"{state.seen:,} records compared; {len(state.left)} slices to go")
        if state.ended is None:
            progress.checkpoint({"began": state.began.isoformat()})
            raise UnfinishedError
        return {**state.told(), **await checks.places_told(now, job.arguments.get("maxChangePercent"))}

    async def canary(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Prove that an alert of some subscriptions reaches its table.

        Raises:
            WaitingError: something may still arrive.
        """
        return await self._canary().job(job, progress)

    async def replay(self, job: Job, progress: Progress) -> Mapping[str, Any]:
        """Deliver dead letters again now, whether they are due or not."""
        from shared.enrich.dead_letters.dead_letter_format import no_such_reason
        from shared.enrich.dead_letters.dead_letter_store import LetterFilter

        progress.say("replaying")
        arguments = job.arguments
        choice = LetterFilter(
            day=arguments.get("day", ""),
            reason=arguments.get("reason", ""),
            parked=arguments.get("parked"),
            due_only=False,
        )
        done = await self._replay(choice)
        if not (done.blobs or done.skipped or done.unreadable or done.refused):
            if wrong := no_such_reason(choice.reason):
                raise JobRefusedError(wrong)
            progress.say("no dead letters are kept of that day, reason and state" if arguments else "there are none")
        return asdict(done)

    async def discard(self, job: Job, progress: Progress) -> Mapping[str, Any]:  # noqa: ARG002 - every runner takes both
        """Delete one blob of dead letters; its records are lost."""
        from shared.azure.blob_container import StoreError

        name = str(job.arguments["name"])
        try:
            await self._discard(name, job.actor, job.id)
        except StoreError as refusal:
            raise JobRefusedError(f"{name} is not discarded ({refusal}); see which dead letters are kept now") from None
        return {"name": name}

    async def _subscriptions(self, job: Job, export: ExportChoice | None) -> Subscriptions:
        state = await self._surveyor.take()
        asked = (job.arguments.get("subscriptions", ()), job.arguments.get("managementGroups", ()))
        with _refusing_unknown():
            return export.of_those(state, *asked) if export else all_of(state, *asked)


async def stored_choice(exports: ExportStore, name: str) -> ExportChoice:
    """What a stored export chooses.

    Raises:
        JobRefusedError: there is none of this name.
    """
    from shared.exports.model import parse_export

    try:
        stored = await exports.get(name)
    except ExportNotFound:
        raise JobRefusedError(f"there is no export named {name}; put it first") from None
    return ExportChoice.of(parse_export(stored.text, name))


async def preview(
    present: PresentRecords, export: ExportChoice, chosen: Subscriptions, to_rows: ToRows
) -> dict[str, Any]:
    """How many present records each rule set would send, how many would be sent at all, and what rows they bring."""
    tally, gaps = _tally(export), Gaps()
    volumes = Volumes(export.event_sources, to_rows, datetime.now(UTC))
    async for found in present.read(export.kinds, chosen.ids, gaps):
        volumes.add(found.kind, found.record, tally.add(found.kind, found.record))
    return _told(tally, volumes, len(chosen.ids), [*chosen.reasons, *gaps.said])


def _tally(export: ExportChoice) -> Tally:
    return Tally(export.sources, [explain(source) for source in export.sources], export.holds)


def _told(tally: Tally, volumes: Volumes, subscriptions: int, reasons: Sequence[str]) -> dict[str, Any]:
    from pydantic.alias_generators import to_camel

    return {
        "subscriptions": subscriptions,
        "records": tally.records,
        "sent": tally.sent,
        "reasons": list(reasons),
        "counts": [{to_camel(name): value for name, value in asdict(line).items()} for line in tally.counts],
        "volume": volumes.told(complete=not reasons),
    }


def _kept(tally: Tally) -> dict[str, Any]:
    """What a later attempt needs of the counts so far; examples only as far as the job's state has room for them."""
    room, counts = EXAMPLES_KEPT, []
    for line in tally.counts:
        examples = []
        for example in line.examples:
            room -= len(example)
            if room >= 0:
                examples.append(example)
        counts.append([line.records, examples])
    return {"records": tally.records, "sent": tally.sent, "counts": counts}


def _restore(tally: Tally, cursor: Mapping[str, Any]) -> None:
    """Go on from what an earlier attempt counted."""
    tally.records, tally.sent = cursor.get("records", 0), cursor.get("sent", 0)
    for line, (records, examples) in zip(tally.counts, cursor.get("counts", ()), strict=False):
        line.records, line.examples = records, list(examples)


def _done(report: Report, job: Job, progress: Progress) -> Mapping[str, Any]:
    """The report of a run that wrote.

    Raises:
        WaitingError: another run was writing, so that nothing was done yet.
        JobRefusedError: another run has been writing for as long as a job waits.
    """
    if not report.skipped:
        return report.as_dict()
    raise _waiting(job, report.ended, progress, report.skipped)


def _waiting(job: Job, now: datetime, progress: Progress, why: str) -> Exception:
    """What to raise where another has the lease: that the job waits, or that it has waited for as long as it does."""
    if now - job.created > WAITS_AT_MOST:
        return JobRefusedError(f"it waited for {WAITS_AT_MOST}, and {why}")
    progress.say(f"waiting: {why}")
    return WaitingError()


@contextmanager
def _refusing_unknown() -> Iterator[None]:
    """An unknown name ends the job, with the nearest known one."""
    try:
        yield
    except (UnknownName, NotAllSeen) as unknown:
        raise JobRefusedError(str(unknown)) from None


def _request(job: Job) -> Request:
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
        accept_fewer=arguments.get("acceptFewer", False),
        fingerprint=arguments.get("fingerprint", ""),
    )


def _watched(request: Request, progress: Progress) -> Request:
    """The same request, which tells how much of its plan is written."""
    written, of = 0, 0

    def planned(report: Report) -> None:
        nonlocal of
        of = len(report.plan.writes)

    def step(_: Any) -> None:
        nonlocal written
        written += 1
        progress.say(f"{written:,} of {max(of, written):,} written")

    return replace(request, planned=planned, progress=step)
