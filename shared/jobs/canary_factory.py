"""Puts a canary's parts together from settings and clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.azure.event_hub import HubUnreadableError, NewestEvents, arrived_since, newest_events
from shared.azure.quota import Holders, Quota, QuotaExceededError
from shared.azure.role_permissions import OwnPermissions
from shared.canary.canary_history import CanaryHistory
from shared.canary.hops import allowed_in
from shared.canary.pipeline_notes import PipelineNotes
from shared.canary.security_alerts import SecurityAlerts, UnansweredError
from shared.canary.stored_alerts import StoredAlerts
from shared.enrich.tables import BY_KIND
from shared.jobs.canary_hub import look_at_hub
from shared.jobs.canary_path import KeepsRow, PathCheck
from shared.jobs.canary_ports import BudgetSpentError, Elsewhere, Ports
from shared.jobs.canary_run import CanaryRun
from shared.jobs.canary_runner import CanaryRunner

if TYPE_CHECKING:
    from shared.azure.clients import Clients
    from shared.settings import Settings
    from shared.tenant_state import TenantState

MOST_EVENTS = 1_000
"""Of the hub's newest ones, looked at where nothing else told of the event."""
_DAY = timedelta(days=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def canary_runner(
    settings: Settings,
    clients: Clients,
    read_tenant: Callable[[], Awaitable[TenantState]],
    now: Callable[[], datetime] = _utc_now,
    elsewhere: Elsewhere | None = None,
) -> CanaryRunner:
    """What carries canaries out."""
    seen = clients.data_tables.get_table_client(settings.freshness_table)
    notes = PipelineNotes(seen)
    alerts = SecurityAlerts(clients)
    hub_id = settings.event_hub_resource_id

    async def look(hub: str, trusted: bool) -> str:
        return await look_at_hub(clients, settings.security_provider_id, hub, trusted=trusted)

    path = PathCheck(
        alerts,
        OwnPermissions(clients),
        read_tenant=read_tenant,
        look_at_hub=look,
        keeps=_keeps(settings),
        hub_id=hub_id,
    )

    def stored() -> StoredAlerts | None:
        if not settings.workspace_id:
            return None
        return StoredAlerts(clients.logs_query, settings.workspace_id, BY_KIND["Alert"].name)

    def run_for(job_id: str) -> CanaryRun:
        spend = partial(_spend, settings, clients, job_id)
        ports = Ports(path, alerts, notes, stored(), partial(_newest, settings, clients), spend, elsewhere)
        allowed = allowed_in(settings.canary_minutes)
        return CanaryRun(ports, allowed, now, forwards=bool(settings.forward_event_hub))

    retention = timedelta(days=settings.report_retention_days)
    return CanaryRunner(settings.canary, run_for, CanaryHistory(seen), notes, retention, now)


def _keeps(settings: Settings) -> KeepsRow:
    def keeps(record: Mapping[str, Any]) -> bool:
        import orjson

        from shared.enrich.invocation.parser_factory import parser
        from shared.enrich.records.model import Event

        now = _utc_now()
        return bool(parser(settings).parse([Event(orjson.dumps(record), now)], now).rows)

    return keeps


async def _newest(settings: Settings, clients: Clients, since: datetime) -> NewestEvents:
    """The hub's newest events; none where no partition took any since then, which it says without being read.

    The group that enrich_records reads with is left to it.
    """
    if not await arrived_since(clients.input_hub, since):
        return NewestEvents()
    group = settings.canary_consumer_group
    if group.lower() == settings.event_hub_consumer_group.lower():
        raise HubUnreadableError("CANARY_CONSUMER_GROUP is the group of enrich_records: name another")
    async with clients.hub_reader(group) as hub:
        return await newest_events(hub, MOST_EVENTS)


async def _spend(settings: Settings, clients: Clients, job_id: str, subscription: str) -> None:
    """Take a place of each budget; a job that has one keeps it.

    Raises:
        BudgetSpentError: there is none left.
        UnansweredError: the table of quotas does not answer, and without it nothing is asked for.
    """
    from azure.core.exceptions import AzureError

    table = clients.tables.get_table_client(settings.jobs_table)
    budgets = (
        (f"canary-{subscription.lower()}", settings.canary_per_subscription, "of this subscription"),
        ("canary", settings.canary_per_day, "of all subscriptions"),
    )
    for name, places, whose in budgets:
        try:
            await Quota(table, name, places, _of_a_day).take(f"{job_id}-{subscription}")
        except QuotaExceededError:
            raise BudgetSpentError(f"there were {places} canaries {whose} within 24 hours") from None
        except AzureError as error:
            raise UnansweredError(f"the budget can't be read ({type(error).__name__})") from None


async def _of_a_day(holders: Holders) -> Holders:
    now = _utc_now()
    return {holder: since for holder, since in holders.items() if abs(now - since) <= _DAY}
