"""What coverage and freshness look like as JSON, for the API and the command line alike.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.watch.coverage import Exporter, SubscriptionCoverage
from shared.watch.requirement_checks import Verdict


def coverage_row(
    coverage: SubscriptionCoverage, management_groups: Sequence[str], verdicts: Iterable[Verdict], source: str = ""
) -> dict[str, Any]:
    """One subscription; `management_groups` from the root down; with `source`, only that event source."""
    return {
        "subscriptionId": coverage.subscription_id,
        "subscription": coverage.name,
        "tenantId": coverage.tenant_id,
        "managementGroups": list(management_groups),
        "sources": {
            name: [exporter_row(exporter) for exporter in exporters]
            for name, exporters in coverage.exporters.items()
            if source in {"", name}
        },
        "verdicts": [
            {
                "requirement": verdict.requirement,
                "met": verdict.met,
                "reason": verdict.reason,
                **({"note": verdict.note} if verdict.note else {}),
            }
            for verdict in verdicts
        ],
    }


def exporter_row(exporter: Exporter) -> dict[str, Any]:
    """One automation that exports one event source."""
    return {
        "automation": exporter.automation_id,
        "owner": exporter.owner,
        "export": exporter.export,
        "enabled": exporter.enabled,
        "wholeSubscription": exporter.whole_subscription,
        "destinations": [destination.resource_id for destination in exporter.destinations],
        "filter": exporter.filter,
        "findings": list(exporter.findings),
    }
