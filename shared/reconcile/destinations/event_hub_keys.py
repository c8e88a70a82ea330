"""Where exports send to: what a destination adds to an automation, and whether it can be written to at all.

A connection string is fetched when it is needed, kept for one run in memory, and goes nowhere but into the PUT; its
SHA-256 in a tag shows a rotated key, which a GET can't.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from shared.exports.compiler import FINGERPRINT_TAG
from shared.reconcile.arm.arm_client import Arm
from shared.reconcile.destinations.preflight import Preflight, key_of
from shared.reconcile.plan.desired import Prepared

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
    """Destinations are looked at once each; those with an authorization rule get its connection string.

    `provider_id` is the object id of the service principal that Defender for Cloud sends with, where it is known.  With
    `only_looks` nothing is to be written, and rights to write are not judged.
    """

    def __init__(self, arm: Arm, provider_id: str = "", *, only_looks: bool = False) -> None:
        self._preflight = Preflight(arm, provider_id, only_looks=only_looks)
        self._secrets: dict[str, str] = {}

    async def prepare(self, configs: Sequence[ExportConfig]) -> Mapping[str, Prepared]:
        """Look at each destination, and fetch its key, once, however many exports use it."""
        verdicts = await self._preflight.check_all([config.destination for config in configs])
        prepared: dict[str, Prepared] = {}
        for config in configs:
            verdict = verdicts[key_of(config.destination)]
            tags = {}
            if verdict.secret:
                self._secrets[config.name] = verdict.secret
                tags[FINGERPRINT_TAG] = hashlib.sha256(verdict.secret.encode()).hexdigest()
            prepared[config.name] = Prepared(
                tags, verdict.blocked, verdict.warnings, verdict.broken, verdict.unverified, verdict.key_unknown
            )
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
