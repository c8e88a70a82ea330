"""Carry out a plan: confirm, write, read back; subscriptions side by side, each one's automations in turn.

Nothing is written because of Resource Graph alone: a GET just before decides anew, `If-Match` holds the etag it
gave, and a GET afterwards tells whether the write is visible.  One subscription's failure stays its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from shared.clock import Clock
from shared.exports.compiler import INSTANCE_TAG, NAME_TAG
from shared.exports.ownership import owned, tag
from shared.reconcile.arm.arm_client import Arm, ArmError, Halted
from shared.reconcile.arm.automation_contract import writable
from shared.reconcile.arm.error_explanations import Refusal, explain
from shared.reconcile.destinations.event_hub_keys import Destinations
from shared.reconcile.destinations.registration import not_registered
from shared.reconcile.model import Desired, Live, ResourceId
from shared.reconcile.plan.automation_diff import diff, merge
from shared.reconcile.plan.model import WRITES, Action, Cause, Item, Plan
from shared.reconcile.plan.ownership_record import Stripped
from shared.reconcile.plan.planner import decide
from shared.reconcile.plan.provenance_tags import MARK_TAGS, Writer, digest, mark_tags, read_mark

logger = logging.getLogger(__name__)

# After these pauses in seconds a write that still can't be read back is called unconfirmed; the next run looks again.
READ_BACK_PAUSES = (0, 1, 3)
REGISTRATION_PAUSES = (5, 10, 15, 30)
ROUNDS = 3
PRECONDITION_FAILED = 412
_CHANGING = "it changes while it is written, or is there although reads do not show it yet; the next run looks again"
_NOT_AS_REVIEWED = "it changed after the plan was made; make a new plan"
_REPLACED = (
    "reads showed nothing there, yet Azure says that this write replaced something: see in the subscription's activity "
    "log who made it, and whether its filters and destination are still needed"
)


class Status(StrEnum):
    """How one item of a plan ended."""

    CREATED = "created"
    UPDATED = "updated"
    ADOPTED = "adopted"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    FOREIGN = "foreign"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNCONFIRMED = "unconfirmed"
    NOT_REACHED = "not_reached"
    SKIPPED = "skipped"


DONE = {
    Action.CREATE: Status.CREATED,
    Action.UPDATE: Status.UPDATED,
    Action.ADOPT: Status.ADOPTED,
    Action.DELETE: Status.DELETED,
}
WRITTEN = frozenset({Status.CREATED, Status.UPDATED, Status.ADOPTED})
# What may be gone: an automation of its id that is there afterwards was not made by this app.
GONE = frozenset({Status.DELETED, Status.UNCONFIRMED})
SUCCESSES = frozenset({*DONE.values(), Status.UNCHANGED})
_LEFT_ALONE = {
    Action.UNCHANGED: Status.UNCHANGED,
    Action.FOREIGN: Status.FOREIGN,
    Action.BLOCKED: Status.BLOCKED,
    Action.SKIPPED: Status.SKIPPED,
}


@dataclass(frozen=True)
class Outcome:
    """What became of one automation; `reason` is a sentence where the status alone does not say."""

    id: ResourceId
    export: str
    status: Status
    reason: str = ""


# Why deletes are not to be carried out after all, by the automation's key; those that may are left out.
Agreed = Callable[[Sequence[Item]], Awaitable[Mapping[tuple[str, str, str], str]]]


class Apply:
    """One application of a plan.

    `outcomes` is right at every moment, so that a run that is cancelled can still say how far it came.  With `binding`
    an automation that is no longer as the plan saw it is left alone: what was reviewed is done, and nothing else.
    """

    def __init__(
        self,
        arm: Arm,
        destinations: Destinations,
        instance_id: str,
        *,
        writer: Writer | None = None,
        pause: Callable[[float], Awaitable[None]],
        now: Callable[[], datetime] | None = None,
        concurrency: int,
        register_provider: bool = False,
        binding: bool = False,
        progress: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._arm = arm
        self._destinations = destinations
        self._instance_id = instance_id
        self._writer = writer or Writer()
        self._pause = pause
        self._now = now or Clock().now
        self._concurrency = concurrency
        self._register_provider = register_provider
        self._binding = binding
        self._progress = progress
        self._outcomes: dict[tuple[str, str, str], Outcome] = {}
        self._missing: dict[str, str] = {}

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcome of every write in the plan, in its order."""
        return list(self._outcomes.values())

    async def carry_out(self, plan: Plan, agreed: Agreed | None = None) -> list[Outcome]:
        """Do everything that the plan would write and return the outcomes in its order; failures are outcomes.

        Deletes come last, after everything else was written, each only where nothing failed in its subscription and
        where `agreed`, asked once with all of them, has no reason against it.
        """
        self._outcomes = {
            item.id.key: Outcome(item.id, item.export, Status.NOT_REACHED, "the run ended before")
            for item in plan.writes
        }
        await self._side_by_side([item for item in plan.writes if item.action is not Action.DELETE])
        deletes = [item for item in plan.writes if item.action is Action.DELETE]
        reasons = dict(await agreed(deletes)) if deletes and agreed is not None and not self._arm.halt() else {}
        for item in deletes:
            missing = self._missing.get(item.id.key[0], "")
            if reason := reasons.get(item.id.key) or missing:
                reasons[item.id.key] = reason
                self._tell(self._outcome(item, Status.BLOCKED, reason))
        await self._side_by_side([item for item in deletes if item.id.key not in reasons])
        return self.outcomes

    async def _side_by_side(self, items: Sequence[Item]) -> None:
        waiting: dict[str, list[Item]] = {}
        for item in items:
            waiting.setdefault(item.id.key[0], []).append(item)
        queue = iter(waiting.values())

        async def work() -> None:
            for those in queue:
                await self._subscription(those)

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(self._concurrency, len(waiting))):
                workers.create_task(work())

    async def _subscription(self, items: Iterable[Item]) -> None:
        for item in items:
            outcome = await self._guarded(item)
            if item.declared and outcome.status not in SUCCESSES:
                said = f"{item.export} is not in force here ({outcome.reason or outcome.status.value})"
                self._missing.setdefault(item.id.key[0], f"nothing is deleted before its successor is there: {said}")
            self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        self._note(outcome)
        if self._progress:
            self._progress(outcome)

    async def _guarded(self, item: Item) -> Outcome:
        """The outcome of one item, whatever happens to it."""
        try:
            try:
                return await self._item(item)
            except ArmError as error:
                if not error.not_registered:
                    raise
            if refusal := await self._registered(item.id.subscription_id):
                return self._outcome(item, Status.NOT_REACHED if self._register_provider else Status.BLOCKED, refusal)
            return await self._item(item)
        except ArmError as error:
            if sentence := await self._sentence(item, error):
                return self._outcome(item, Status.BLOCKED, sentence)
            return self._outcome(item, Status.FAILED, str(error))
        except Halted as halted:
            written = halted.sent and self._outcomes[item.id.key].status is Status.UNCONFIRMED
            return self._outcome(item, Status.UNCONFIRMED if written else Status.NOT_REACHED, str(halted))
        except Exception as error:  # one subscription's failure ends no other's
            logger.exception("reconciling %s failed", item.id)
            return self._outcome(item, Status.FAILED, f"unexpected {type(error).__name__}")

    async def _sentence(self, item: Item, error: ArmError) -> str:
        """What mends a refusal, where people can."""
        tenant = item.desired.tenant_id if item.desired else ""
        app = await self._arm.assignee(tenant)
        return explain(Refusal(error.code, str(error), error.status, str(item.id), tenant, app))

    async def _item(self, item: Item) -> Outcome:
        sent = False
        for _ in range(ROUNDS):
            if reason := self._arm.halt():
                return self._outcome(item, Status.UNCONFIRMED if sent else Status.NOT_REACHED, reason)
            body = await self._arm.get(item.id)
            live = Live.from_body(body) if body else None
            if live is not None and (reason := self._others(live, item)):
                return self._outcome(item, Status.BLOCKED, reason)
            try:
                if item.retag:
                    return await self._retag(item, live)
                if item.action is Action.DELETE:
                    return await self._delete(item, live)
                outcome = await self._put(item, live, sent=sent)
            except ArmError as error:
                if error.status != PRECONDITION_FAILED:
                    raise
                sent = True  # a repeated PUT meets its own first try, so this may have been us
                continue
            return outcome
        return self._outcome(item, Status.UNCONFIRMED, _CHANGING)

    async def _put(self, item: Item, live: Live | None, *, sent: bool) -> Outcome:
        desired = item.desired
        if desired is None:
            return self._outcome(item, Status.FAILED, "the plan does not say what to write")
        now = decide(
            desired, live, self._instance_id, Stripped(item.export, taken_over=False) if item.stripped else None
        )
        if now is None:
            return self._outcome(item, Status.UNCHANGED, "there is nothing left to disable")
        if now.action not in WRITES:
            done = sent and now.action is Action.UNCHANGED
            return self._outcome(item, DONE[item.action] if done else _LEFT_ALONE[now.action], now.reason)
        if self._binding and (now.action, now.changes) != (item.action, item.changes):
            return self._outcome(item, Status.NOT_REACHED, _NOT_AS_REVIEWED)
        if live is None and (refusal := await self._group(desired)):
            return self._outcome(item, Status.BLOCKED, refusal)
        marked = merge(live, desired.body)
        marked["tags"] = _without(marked["tags"], MARK_TAGS) | self._marks(desired, live, item.cause)
        body = writable(self._destinations.seal(desired.export, marked))
        if refusal := await self._arm.validate(desired.id, body, desired.tenant_id):
            return self._outcome(item, Status.FAILED, f"Azure calls the body invalid: {refusal}")
        self._note(self._outcome(item, Status.UNCONFIRMED, "the run ended while it was written"))
        was_there = await self._arm.put(item.id, body, live.etag if live else None, desired.tenant_id)
        outcome = await self._read_back(
            item, DONE[now.action], lambda seen: bool(seen and not diff(seen, desired.body))
        )
        if live is None and was_there:
            return replace(outcome, reason="; ".join(filter(None, (_REPLACED, outcome.reason))))
        return outcome

    def _others(self, live: Live, item: Item) -> str:
        """Why an automation is left to another app, or to a later state of the store; empty when it is not."""
        if item.cause is Cause.CLAIM or not owned(live.tags, self._instance_id):
            return ""
        mark = read_mark(live.tags)
        if mark.trouble:
            return mark.trouble
        if self._writer.name and mark.writer not in {"", self._writer.name}:
            return f"another app wrote it last ({mark.writer}); take it over with `defender-export claim`"
        if mark.number > self._writer.number:
            return "it was written from a later state of the store of export files"
        return ""

    def _marks(self, desired: Desired, live: Live | None, cause: Cause | None = None) -> dict[str, str]:
        """The marks of a write; a part of a body leaves what is known of the body that was written whole before."""
        applied = "" if desired.partial else digest(desired.body)
        before = live.tags if live else {}
        return mark_tags(self._writer, applied, before, self._now(), let_through=cause is Cause.RELEASE)

    async def _retag(self, item: Item, live: Live | None) -> Outcome:
        """Write tags and nothing else."""
        if live is None:
            return self._outcome(item, Status.UNCHANGED, "it is gone")
        if item.stripped and tag(live.tags, INSTANCE_TAG):
            return self._outcome(item, Status.NOT_REACHED, "it changed since the plan; the next run looks again")
        if item.desired is not None:
            now = decide(item.desired, live, self._instance_id)
            tags_alone = now is not None and all(change.path.startswith("tags.") for change in now.changes)
            if now is None or now.action not in WRITES or not tags_alone:
                return self._outcome(item, Status.NOT_REACHED, "it changed since the plan; the next run looks again")
        wanted = dict(item.retag) | (self._marks(item.desired, live) if item.desired else {})
        tags = _without(live.tags, wanted) | wanted
        self._note(self._outcome(item, Status.UNCONFIRMED, "the run ended while it was written"))
        await self._arm.retag(item.id, tags, live.etag)
        return await self._read_back(
            item,
            DONE[item.action],
            lambda seen: bool(seen and all(tag(seen.tags, name) == value for name, value in wanted.items())),
        )

    async def _delete(self, item: Item, live: Live | None) -> Outcome:
        if live is None:
            return self._outcome(item, Status.DELETED, "it was gone already")
        if not owned(live.tags, self._instance_id):
            return self._outcome(item, Status.FOREIGN, "its tags no longer say that it is ours")
        if tag(live.tags, NAME_TAG).lower() != item.export:
            return self._outcome(item, Status.NOT_REACHED, "its tags changed since the plan; the next run looks again")
        self._note(self._outcome(item, Status.UNCONFIRMED, "the run ended while it was deleted"))
        await self._arm.delete(item.id, live.etag)
        return await self._read_back(item, Status.DELETED, lambda seen: seen is None)

    async def _read_back(self, item: Item, done: Status, visible: Callable[[Live | None], bool]) -> Outcome:
        for pause in READ_BACK_PAUSES:
            if pause:
                await self._pause(pause)
            try:
                body = await self._arm.get(item.id)
            except ArmError as error:
                return self._outcome(item, Status.UNCONFIRMED, f"it could not be read back: {error}")
            if visible(Live.from_body(body) if body else None):
                return self._outcome(item, done)
        return self._outcome(item, Status.UNCONFIRMED, "it is not visible yet; the next run looks again")

    async def _group(self, desired: Desired) -> str:
        """Make sure of the resource group of a new automation; returns why there is none."""
        if await self._arm.group_exists(desired.id):
            return ""
        group = desired.id.resource_group
        if not desired.create_group:
            return f"the resource group {group} is not there; make it, or set `createResourceGroup: true`"
        await self._arm.make_group(desired.id, str(desired.body["location"]), desired.group_tags)
        return ""

    async def _registered(self, subscription_id: str) -> str:
        """Register Microsoft.Security where that is allowed; returns why it is not registered."""
        if not self._register_provider:
            return not_registered(subscription_id)
        if await self._arm.register(subscription_id):
            return ""
        for pause in REGISTRATION_PAUSES:
            await self._pause(pause)
            if await self._arm.registered(subscription_id):
                return ""
        return "Microsoft.Security is still being registered; the next run goes on"

    def _note(self, outcome: Outcome) -> None:
        self._outcomes[outcome.id.key] = outcome

    @staticmethod
    def _outcome(item: Item, status: Status, reason: str = "") -> Outcome:
        return Outcome(item.id, item.export, status, reason)


def _without(tags: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Tags but for some names, in whatever case."""
    left_out = {name.lower() for name in names}
    return {name: value for name, value in tags.items() if name.lower() not in left_out}
