"""Where exports send to: what a destination adds to an automation, and whether it can be written to at all.

A connection string is fetched when it is needed, kept for one run in memory, and goes nowhere but into the PUT; its
SHA-256 in a tag shows a rotated key, which a GET can't.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from shared.exports.compile import FINGERPRINT_TAG
from shared.reconcile.arm import Arm, ArmError
from shared.reconcile.declared import Prepared

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig


class Destinations(Protocol):
    """What a run asks about destinations."""

    async def prepare(self, configs: Sequence[ExportConfig]) -> Mapping[str, Prepared]:
        """What is known about each export's destination, by export name; asked once a run, before the plan."""
        ...

    def seal(self, export: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body ready to PUT, with its secret; only ever handed to the request itself."""
        ...


class KeyedDestinations:
    """Destinations with an authorization rule get its connection string, others are as they are."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._secrets: dict[str, str] = {}

    async def prepare(self, configs: Sequence[ExportConfig]) -> Mapping[str, Prepared]:
        """Fetch each connection string once, however many exports use it."""
        by_rule: dict[tuple[str, str], str | ArmError] = {}
        prepared: dict[str, Prepared] = {}
        for config in configs:
            hub = config.destination.event_hub
            if hub is None or hub.authorization_rule is None:
                prepared[config.name] = Prepared()
                continue
            key = (hub.resource_id.lower(), hub.authorization_rule.lower())
            if key not in by_rule:
                by_rule[key] = await self._fetch(hub.resource_id, hub.authorization_rule)
            secret = by_rule[key]
            if isinstance(secret, ArmError):
                reason = f"the key of {hub.authorization_rule} on {hub.resource_id} can't be read: {secret}"
                prepared[config.name] = Prepared(blocked=reason)
            else:
                self._secrets[config.name] = secret
                prepared[config.name] = Prepared({FINGERPRINT_TAG: hashlib.sha256(secret.encode()).hexdigest()})
        return prepared

    def seal(self, export: str, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the connection string in its event hub action, where the export has one."""
        secret = self._secrets.get(export)
        if secret is None:
            return body
        properties = body["properties"]
        actions = [
            {**action, "connectionString": secret} if action.get("actionType") == "EventHub" else action
            for action in properties["actions"]
        ]
        return {**body, "properties": {**properties, "actions": actions}}

    async def _fetch(self, hub_id: str, rule: str) -> str | ArmError:
        try:
            return await self._arm.connection_string(hub_id, rule)
        except ArmError as error:
            return error
