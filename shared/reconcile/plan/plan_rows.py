"""A plan as rows, one an automation: for a spreadsheet or another program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from shared.reconcile.model import Subscription
from shared.reconcile.plan.automation_diff import destinations_of
from shared.reconcile.plan.model import Item, Plan
from shared.shown_text import cell

COLUMNS = (
    "action", "export", "subscription", "subscriptionId", "managementGroup", "resourceGroup", "automation",
    "destination", "wanted", "reason", "changes",
)  # fmt: skip


def plan_csv(plan: Plan, subscriptions: Iterable[Subscription] = ()) -> str:
    """Every item of the plan as comma-separated values with a head line; lines end with CR LF (RFC 4180)."""
    known = {one.id.lower(): one for one in subscriptions}
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for item in plan.items:
        writer.writerow([cell(text) for text in _row(item, known.get(item.id.key[0]))])
    return out.getvalue()


def _row(item: Item, subscription: Subscription | None) -> Iterable[str]:
    properties = (item.desired.body.get("properties") or {}) if item.desired else {}
    yield from (item.action.value, item.export)
    yield subscription.name if subscription else ""
    yield item.id.subscription_id
    yield subscription.ancestors[0] if subscription and subscription.ancestors else ""
    yield from (item.id.resource_group, item.id.name)
    yield "; ".join(destinations_of(properties))
    yield item.wanted.value if item.wanted else ""
    yield item.reason
    yield "; ".join(f"{change.path}: {json.dumps(change.old)} -> {json.dumps(change.new)}" for change in item.changes)
