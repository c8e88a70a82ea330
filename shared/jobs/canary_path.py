"""What would stop a canary, looked at before its alert is asked for: rights, plans, automations, destination, filters.

Azure Resource Manager is asked for each automation anew, since Resource Graph, which finds them, lags behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.canary.bundles import BUNDLES, Bundle, foretold
from shared.canary.hops import Hop, Obstacle
from shared.canary.security_alerts import SIMULATE, RefusedError, SecurityAlerts, UnansweredError
from shared.exports.evaluator import accepts
from shared.exports.event_sources import member
from shared.exports.rule_sets import MalformedRules, Source, parse_sources
from shared.reconcile.discover.inventory import AUTOMATIONS_VERSION

if TYPE_CHECKING:
    from shared.azure.role_permissions import OwnPermissions
    from shared.tenant_state import TenantState
    from shared.watch.coverage import Exporter

ALERTS = "Alerts"
LooksAtHub = Callable[[str, bool], Awaitable[str]]
"""What is wrong with a hub, by its id and whether it is sent to as a trusted service; empty where nothing is."""
KeepsRow = Callable[[Mapping[str, Any]], bool]
"""Whether this app's own filters make a row of a record."""
_APPLY = "See `defender-export plan` for this subscription, and apply."
_FEW_LEFT = "Ask for another bundle, or widen the filter; a filter that is meant so can't be proven by these alerts."


@dataclass(frozen=True)
class Path:
    """What was found: where the alert lies, which bundle to ask for, and what would stop it."""

    location: str = ""
    bundle: str = ""
    obstacles: tuple[Obstacle, ...] = ()


@dataclass(frozen=True)
class _Sender:
    """An automation in force for the hub, as Azure has it now."""

    name: str
    sources: tuple[Source, ...]
    trusted: bool


class PathCheck:
    """Looks at the path of one subscription's alerts to the hub."""

    def __init__(
        self,
        alerts: SecurityAlerts,
        permissions: OwnPermissions,
        *,
        read_tenant: Callable[[], Awaitable[TenantState]],
        look_at_hub: LooksAtHub,
        keeps: KeepsRow,
        hub_id: str,
    ) -> None:
        self._alerts = alerts
        self._permissions = permissions
        self._read_tenant = read_tenant
        self._look_at_hub = look_at_hub
        self._keeps = keeps
        self._hub_id = hub_id

    async def look(self, subscription: str, wanted: str = "") -> Path:
        """The path of a subscription's alerts; `wanted` is the only bundle to think of, if one is named.

        Raises:
            UnansweredError: Azure did not say enough.
        """
        if said := await self._right(subscription):
            return Path(obstacles=(said,))
        try:
            location = await self._alerts.location(subscription)
        except RefusedError as refused:
            mend = "Register Microsoft.Security in the subscription, and give this app Security Reader there."
            return Path(obstacles=(_not_possible(f"its alerts can't be located: {refused}", mend),))
        bundles = await self._bundles(subscription, wanted)
        if not bundles:
            plan = next((each.plan for each in BUNDLES if each.name == wanted), "")
            reason = f"the Defender plan {plan} is off" if plan else "no Defender plan is on that makes alerts"
            return Path(location, obstacles=(_not_possible(reason, "Switch the plan on, or ask for another bundle."),))
        senders, obstacle = await self._senders(subscription)
        if obstacle:
            return Path(location, bundles[0].name, (obstacle,))
        bundle, filtered = self._through(senders, bundles, subscription)
        if filtered:
            return Path(location, bundle.name, (filtered,))
        return Path(location, bundle.name, tuple(await self._destination(senders)))

    async def _right(self, subscription: str) -> Obstacle | None:
        from azure.core.exceptions import AzureError

        try:
            lacking = await self._permissions.lacking(subscription, [SIMULATE])
        except AzureError as error:
            status = getattr(error, "status_code", None) or 0
            if status not in {401, 403, 404}:
                raise UnansweredError(
                    f"what this app may do there could not be asked ({status or 'no answer'})"
                ) from None
            lacking = {SIMULATE}
        if not lacking:
            return None
        return _not_possible(
            f"this app's roles there lack {SIMULATE}",
            "Assign a role with that action on the subscription (docs/canary.md), and ask again.",
        )

    async def _bundles(self, subscription: str, wanted: str) -> list[Bundle]:
        """Those to think of whose plan is not known to be off."""
        try:
            off = {plan.lower() for plan in await self._alerts.plans_off(subscription)}
        except (RefusedError, UnansweredError):
            off = set()  # the answer to the request tells
        return [each for each in BUNDLES if wanted in {"", each.name} and each.plan.lower() not in off]

    async def _senders(self, subscription: str) -> tuple[list[_Sender], Obstacle | None]:
        """The automations in force that send alerts to the hub; else why there is none."""
        state = await self._read_tenant()
        covered = next((one for one in state.coverage if one.subscription_id.lower() == subscription.lower()), None)
        if covered is None:
            if state.failed or state.cut_short:
                raise UnansweredError("the tenant could not be read whole")
            mend = "Give this app Security Reader on the subscription."
            return [], _not_possible("this app does not see the subscription", mend)
        meant = [each for each in covered.exporters.get(ALERTS, ()) if self._sends_here(each)]
        if not meant:
            if state.cut_short:
                raise UnansweredError("the tenant could not be read whole")
            return [], Obstacle(Hop.HUB, "no automation sends alerts of this subscription to the hub", _APPLY)
        whole = [each for each in meant if each.whole_subscription]
        if not whole:
            reason = f"the automation {meant[0].name} is scoped to resource groups, where no alert is simulated"
            return [], Obstacle(Hop.HUB, reason, "Export the whole subscription, or prove another one.", fault=False)
        return await self._in_force(whole)

    async def _in_force(self, meant: Sequence[Exporter]) -> tuple[list[_Sender], Obstacle | None]:
        found: list[_Sender] = []
        why = ""
        for each in meant:
            try:
                live = await self._alerts.automation(each.automation_id, AUTOMATIONS_VERSION)
            except RefusedError as refused:
                why = f"the automation {each.name} can't be read: {refused}"
                continue
            sender = self._sender(each.name, live)
            if isinstance(sender, str):
                why = sender
            else:
                found.append(sender)
        return (found, None) if found else ([], Obstacle(Hop.HUB, why, _APPLY))

    def _sender(self, name: str, live: Mapping[str, Any] | None) -> _Sender | str:
        """The automation as it sends to the hub now; else why it does not."""
        if live is None:
            return f"the automation {name} is gone"
        about = member(live, "properties")
        about = about if isinstance(about, Mapping) else {}
        if member(about, "isEnabled") is False:
            return f"the automation {name} is disabled"
        actions = member(about, "actions")
        listed = [each for each in actions if isinstance(each, Mapping)] if isinstance(actions, list) else []
        here = [each for each in listed if self._is_hub(str(member(each, "eventHubResourceId") or ""))]
        if not here:
            return f"the automation {name} no longer sends to the hub"
        try:
            sources = tuple(each for each in parse_sources(live) if each.event_source == ALERTS)
        except MalformedRules as malformed:
            return f"the sources of {name} can't be read: {malformed}"
        if not sources:
            return f"the automation {name} no longer sends alerts"
        return _Sender(name, sources, any(member(each, "isTrustedServiceEnabled") is True for each in here))

    def _sends_here(self, exporter: Exporter) -> bool:
        return any(each.kind.lower() == "eventhub" and self._is_hub(each.resource_id) for each in exporter.destinations)

    def _is_hub(self, resource_id: str) -> bool:
        return bool(resource_id) and (
            not self._hub_id or resource_id.strip("/").lower() == self._hub_id.strip("/").lower()
        )

    def _through(
        self, senders: Sequence[_Sender], bundles: Sequence[Bundle], subscription: str
    ) -> tuple[Bundle, Obstacle | None]:
        """The first bundle whose alert gets through all filters; else the first, and which filter stops it."""
        sources = [source for sender in senders for source in sender.sources]
        sent = [each for each in bundles if any(accepts(source, foretold(each, subscription)) for source in sources)]
        if not sent:
            names = ", ".join(dict.fromkeys(sender.name for sender in senders))
            which = bundles[0].name if len(bundles) == 1 else "any bundle whose plan is on"
            reason = f"the filter of {names} would not let the alert of {which} through"
            return bundles[0], Obstacle(Hop.HUB, reason, _FEW_LEFT, fault=False)
        kept = [each for each in sent if self._keeps(foretold(each, subscription))]
        if not kept:
            reason = f"this app's KEEP_RECORDS or DROP_RECORDS makes no row of the alert of {sent[0].name}"
            return sent[0], Obstacle(Hop.ACCEPTED, reason, _FEW_LEFT, fault=False)
        return kept[0], None

    async def _destination(self, senders: Sequence[_Sender]) -> list[Obstacle]:
        """What is wrong with the hub for every automation that sends to it."""
        if not self._hub_id:
            return []
        found = []
        for trusted in dict.fromkeys(sender.trusted for sender in senders):
            said = await self._look_at_hub(self._hub_id, trusted)
            if not said:
                return []
            found.append(Obstacle(Hop.HUB, said, "Do what the reason names, and ask again."))
        return found


def _not_possible(reason: str, mend: str) -> Obstacle:
    return Obstacle(Hop.SIMULATED, reason, mend, fault=False)
