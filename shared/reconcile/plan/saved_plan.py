"""A plan as JSON: what `plan --out` writes, people review, and `apply PLAN` holds the tenant to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from shared import stored_format
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.automation_diff import Change
from shared.reconcile.plan.model import WRITES, Action, Cause, Item, Plan, Written

_KIND = "saved plan"
_MEMBERS = frozenset(
    {"instanceId", "fingerprint", "incompleteBecause", "guards", "warnings", "counts", "written", "items"}
)
_ITEM_MEMBERS = frozenset({"action", "id", "export", "changes", "reason", "wanted", "cause", "digest"})
# Plans of earlier formats do not say what they create.
_BINDS_SINCE = 3


class StalePlan(Exception):  # noqa: N818 - says what is the case
    """The plan no longer fits: the tenant or the files changed since; the message names where."""


def plan_as_dict(plan: Plan, instance_id: str) -> dict[str, Any]:
    """The plan as JSON-ready data, without the automations that need nothing."""
    return {
        **stored_format.stamp(_KIND),
        "instanceId": instance_id,
        "fingerprint": fingerprint(plan),
        "incompleteBecause": list(plan.reasons),
        "guards": list(plan.guards),
        "warnings": list(plan.warnings),
        "counts": {action.value: number for action, number in sorted(plan.counts.items())},
        "written": [words._asdict() for words in plan.written],
        "items": [item_as_dict(item) for item in plan.items if item.action is not Action.UNCHANGED or item.reason],
    }


def plan_from_dict(document: Any, instance_id: str) -> Plan:
    """Read a plan that `plan_as_dict` wrote; it can be shown and compared, but holds no bodies to write.

    Raises:
        ValueError: it is no plan of this app and instance, or was edited.
    """
    if not isinstance(document, Mapping) or document.get("format") in {None, 0}:
        raise ValueError("this is no plan that this version can read")
    written = stored_format.admit(_KIND, document, _MEMBERS)
    if written < _BINDS_SINCE:
        raise ValueError("the plan was made by an earlier release, and does not bind what it creates; make a new one")
    if document.get("instanceId") != instance_id:
        raise ValueError(f"the plan was made for the instance {document.get('instanceId')}, this is {instance_id}")
    try:
        items = tuple(_item_from_dict(entry) for entry in document["items"])
        words = tuple(_written_from_dict(entry) for entry in document.get("written") or ())
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the plan can't be read: {error}") from error
    notes = [document.get(name) or [] for name in ("incompleteBecause", "guards", "warnings")]
    if not all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in notes):
        raise ValueError("the plan can't be read: its notes are no lists of sentences")
    reasons, guards, warnings = (tuple(each) for each in notes)
    plan = Plan(items, reasons, guards, warnings, written=words)
    if fingerprint(plan) != document.get("fingerprint"):
        raise ValueError("the plan was edited; make a new one")
    return plan


def fingerprint(plan: Plan) -> str:
    """SHA-256 over everything that the plan would write, bodies included; how a reason is worded is no part of it."""
    texts = [*map(_canonical, plan.writes), *(json.dumps(words, ensure_ascii=False) for words in plan.written)]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def digest_of(item: Item) -> str:
    """What identifies all that an item would write but for the key itself; empty for one that writes no body."""
    desired = item.desired
    if desired is None:
        return item.digest
    what = [desired.body, desired.tenant_id, desired.create_group, dict(desired.group_tags), dict(item.retag)]
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def refuse_if_stale(reviewed: Plan, current: Plan) -> None:
    """Compare a reviewed plan with what would be done now.

    Raises:
        StalePlan: they differ in anything they would write.
    """
    if fingerprint(reviewed) == fingerprint(current):
        return
    then = {item.id.key: item for item in reviewed.writes}
    now = {item.id.key: item for item in current.writes}
    differing = sorted(key for key in {*then, *now} if _canonical(then.get(key)) != _canonical(now.get(key)))
    named = "; ".join(_then_and_now(then.get(key), now.get(key)) for key in differing[:5])
    more = f"; and {len(differing) - 5} more" if len(differing) > 5 else ""  # noqa: PLR2004 - as many as one reads
    raise StalePlan(f"the plan no longer fits, make a new one: {named}{more}")


def item_as_dict(item: Item) -> dict[str, Any]:
    """One item as JSON-ready data."""
    entry: dict[str, Any] = {"action": item.action.value, "id": str(item.id)}
    if item.export:
        entry["export"] = item.export
    if item.changes:
        entry["changes"] = [change._asdict() for change in item.changes]
    if item.reason:
        entry["reason"] = item.reason
    if item.wanted:
        entry["wanted"] = item.wanted.value
    if item.cause:
        entry["cause"] = item.cause.value
    if item.action in WRITES and (digest := digest_of(item)):
        entry["digest"] = digest
    return entry


def _canonical(item: Item | None) -> str:
    """The item as text; in one case, since Azure spells the same id differently from one answer to the next."""
    if item is None:
        return ""
    entry = {name: value for name, value in item_as_dict(item).items() if name not in {"reason", "cause"}}
    return json.dumps(entry, sort_keys=True).lower()


def _item_from_dict(entry: Any) -> Item:
    if not isinstance(entry, Mapping) or not {*entry} <= _ITEM_MEMBERS:
        raise TypeError("an item has members that this release does not know, or is none")
    return Item(
        Action(entry["action"]),
        ResourceId.parse(entry["id"]),
        entry.get("export", ""),
        tuple(Change(change["path"], change["old"], change["new"]) for change in entry.get("changes", ())),
        entry.get("reason", ""),
        Action(entry["wanted"]) if "wanted" in entry else None,
        cause=Cause(entry["cause"]) if "cause" in entry else None,
        digest=str(entry.get("digest", "")),
    )


def _written_from_dict(entry: Any) -> Written:
    if not isinstance(entry, Mapping) or {*entry} != {*Written._fields}:
        raise TypeError("what is written is not said as this release says it")
    return Written(entry["export"], entry["destination"], tuple(entry["sends"]), entry["automations"])


def _then_and_now(then: Item | None, now: Item | None) -> str:
    item = then or now
    before, after = (entry.action.value if entry else "nothing" for entry in (then, now))
    if then and now and then.changes == now.changes:
        return f"{now.id}: {before}, of another content than was reviewed"
    if before == after:
        return f"{item.id if item else ''}: {before}, with other changes"
    return f"{item.id if item else ''}: {before} was planned, now {after}"
