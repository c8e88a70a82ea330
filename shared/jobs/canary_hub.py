"""What is wrong with the hub that a canary's automation sends to, by the same look as before a reconcile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shared.clock import Clock

if TYPE_CHECKING:
    from shared.azure.clients import Clients
    from shared.reconcile.arm.arm_client import Arm

_SECONDS: Final = 30.0
_NOT_FOUND: Final = 404


async def look_at_hub(clients: Clients, provider_id: str, hub_id: str, *, trusted: bool) -> str:
    """Why nothing would get into a hub, in a sentence with what mends it; empty where nothing is known to be wrong.

    `trusted` is how it is sent to: as a trusted service, or else with a key, which is not read from an automation.
    """
    from pydantic import ValidationError

    from shared.exports.model import Destination
    from shared.reconcile.arm.arm_client import Arm
    from shared.reconcile.arm.token_buckets import Pacer
    from shared.reconcile.destinations.preflight import Preflight

    clock = Clock()
    arm = Arm(clients, clock, Pacer(clock), deadline=clock.monotonic() + _SECONDS)
    if not trusted:
        return await _keyed(arm, hub_id)
    try:
        hub = Destination.model_validate({"eventHub": {"resourceId": hub_id, "trustedService": True}})
    except ValidationError:
        return ""  # the setting is judged elsewhere
    verdict = await Preflight(arm, provider_id, only_looks=True).check(hub)
    return verdict.blocked or verdict.broken


async def _keyed(arm: Arm, hub_id: str) -> str:
    from shared.reconcile.arm.arm_client import EVENT_HUBS_VERSION, ArmError

    namespace = hub_id[: hub_id.lower().find("/eventhubs/")]
    try:
        await arm.send("canary", "GET", hub_id, EVENT_HUBS_VERSION)
        rules = await arm.send("canary", "GET", f"{namespace}/networkRuleSets/default", EVENT_HUBS_VERSION)
    except ArmError as error:
        return f"the event hub {hub_id} does not exist: make it anew" if error.status == _NOT_FOUND else ""
    about = rules.get("properties") or {}
    if about.get("defaultAction") == "Deny" or about.get("publicNetworkAccess") == "Disabled":
        return f"the firewall of {namespace} is closed to keys: set `trustedService: true` in the export"
    return ""
