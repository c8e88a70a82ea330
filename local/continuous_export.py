"""Continuous export of alerts: from Defender for Cloud through the automations in force to event hubs.

What is published decides: an enabled automation whose scope covers the record's subscription and whose source lets the
record through sends it; to a hub as a trusted service with Defender's right to send and a firewall that lets trusted
services in, or with the key that it was given, past a firewall that is open.  How long it takes is not published.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any, Self

from local.rule_evaluation import lets_through
from local.sample_alerts import sample_alert
from local.tenant import Tenant, ids
from local.tenant.destinations import DEFENDER

Record = dict[str, Any]
Send = Callable[[str, bytes], Awaitable[None]]
_SEND = "Microsoft.EventHub/namespaces/messages/send/action"
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Outcome:
    """What became of an alert at one automation's action.

    `state` is sent, disabled, filtered, no hub, firewall, no right, wrong key, hub down, or another destination.
    """

    alert: str
    automation: str
    state: str


@dataclass(order=True)
class _Due:
    at: float
    number: int
    record: Record = field(compare=False)
    subscription: str = field(compare=False)


class ContinuousExport:
    """Sends alerts that become due, as an async context manager; `send(hub, body)` puts an event into a hub.

    Switches that tests turn: `delay`, seconds of the tenant's clock from an alert to its export, and `paused`, as
    when Defender for Cloud itself is behind.  `outcomes` says what became of each alert at each automation,
    `alerts` are those that its list shows, with subscription and location.
    """

    def __init__(self, tenant: Tenant, send: Send | None = None) -> None:
        self.send = send
        self.delay = 0.0
        self.paused = False
        self.outcomes: list[Outcome] = []
        self.alerts: list[tuple[str, str, Record]] = []
        self._tenant = tenant
        self._due: list[_Due] = []
        self._numbers = count()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def simulate(self, subscription_id: str, location: str, bundles: list[str]) -> list[Record]:
        """Make the sample alerts of these bundles, to be exported after `delay`."""
        now = self._tenant.clock()
        made = [sample_alert(bundle, subscription_id, location, datetime.fromtimestamp(now, UTC)) for bundle in bundles]
        for record in made:
            self.alerts.append((subscription_id, location, record))
            heapq.heappush(self._due, _Due(now + self.delay, next(self._numbers), record, subscription_id))
        return made

    async def export_due(self) -> None:
        """Export what is due by the tenant's clock."""
        while self._due and not self.paused and self._due[0].at <= self._tenant.clock():
            due = heapq.heappop(self._due)
            self.outcomes += [outcome async for outcome in self._exported(due.record, due.subscription)]

    async def _work(self) -> None:
        while True:
            await self.export_due()
            await asyncio.sleep(_POLL_SECONDS)

    async def _exported(self, record: Record, subscription: str) -> AsyncIterator[Outcome]:
        for automation in [*self._tenant.all_automations()]:
            properties = automation["properties"]
            connections = self._tenant.secrets.get(automation["id"].lower())
            for place, action in enumerate(properties["actions"]):
                given = connections.connection_strings if connections else ()
                state = self._stopped(properties, record, subscription)
                state = state or self._refused(action, given[place] if place < len(given) else None)
                state = state or await self._sent(action["eventHubResourceId"], json.dumps(record).encode())
                if state != "out of scope":
                    yield Outcome(record["SystemAlertId"], automation["id"], state)

    def _stopped(self, properties: Mapping[str, Any], record: Record, subscription: str) -> str:
        """Why an automation does not send a record; empty when it does."""
        scope = f"/subscriptions/{subscription}"
        resource = str(record["AzureResourceId"])
        if not any(ids.covers(each["scopePath"], resource) for each in properties["scopes"]) and not any(
            ids.covers(each["scopePath"], scope) for each in properties["scopes"]
        ):
            return "out of scope"
        if not properties["isEnabled"]:
            return "disabled"
        return "" if any(lets_through(source, record) for source in properties["sources"]) else "filtered"

    def _refused(self, action: Mapping[str, Any], connection: str | None) -> str:
        """Why a destination does not take what an automation sends; empty when it does."""
        if action["actionType"] != "EventHub":
            return "another destination"
        hub = action["eventHubResourceId"]
        if "/eventhubs/" not in hub.lower() or self._tenant.resource(hub) is None:
            return "no hub"
        trusted = action["isTrustedServiceEnabled"]
        if not self._let_in(hub, trusted=trusted):
            return "firewall"
        if trusted:
            if not any(role.permits_data(_SEND) for role in self._tenant.roles_at(DEFENDER.object_id, hub)):
                return "no right"
        elif not self._is_key_of(hub, connection):
            return "wrong key"
        return ""

    async def _sent(self, hub: str, body: bytes) -> str:
        if self.send is None:
            return "no hub"
        try:
            await self.send(hub, body)
        except Exception:  # noqa: BLE001 - whatever the client raises, Defender for Cloud goes on with the next
            return "hub down"
        return "sent"

    def _let_in(self, hub: str, *, trusted: bool) -> bool:
        namespace = hub.lower().partition("/eventhubs/")[0]
        rules = self._tenant.resource(f"{namespace}/networkRuleSets/default")
        if rules is None:
            return True
        about = rules["properties"]
        is_open = about.get("publicNetworkAccess") != "Disabled" and about.get("defaultAction") != "Deny"
        return is_open or (trusted and about.get("trustedServiceAccessEnabled") is True)

    def _is_key_of(self, hub: str, connection: str | None) -> bool:
        """Whether a connection string holds a key of today, of a rule of the hub or its namespace that may send."""
        parts = dict(part.split("=", 1) for part in (connection or "").split(";") if "=" in part)
        for owner in (hub, hub[: hub.lower().index("/eventhubs/")]):
            rule_id = f"{owner}/authorizationRules/{parts.get('SharedAccessKeyName', '')}"
            rule = self._tenant.resource(rule_id)
            keys = self._tenant.keys.get(rule_id.lower(), {})
            if rule and "Send" in rule["properties"]["rights"] and parts.get("SharedAccessKey") in keys.values():
                return True
        return False
