"""Whether a destination exists, accepts the app's writes, and shows its data.  Checked once per destination and run.

What would be refused, or could never arrive, is blocked; what only looks wrong, or can't be looked at, is a warning.
Each finding is one sentence with the role or command that mends it.  What a source subscription refuses (roles, locks,
policies, registration) shows when it is written to, and is told in the same way: see `error_explanations`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared.azure.role_permissions import AUTHORIZATION_VERSION, permits
from shared.reconcile.arm.arm_client import EVENT_HUBS_VERSION, Arm, ArmError
from shared.reconcile.arm.error_explanations import Refusal, explain, grant, may_not

if TYPE_CHECKING:
    from shared.exports.model import Destination, EventHub, Workspace

WORKSPACES_VERSION: Final = "2023-09-01"
SOLUTIONS_VERSION: Final = "2015-11-01-preview"
SENDER_ROLE: Final = "2b629674-e913-4c01-ae53-ef4638d8f975"
OWNER_ROLE: Final = "f526a384-b230-433a-b45c-95f59c4a2dec"
"""Azure Event Hubs Data Sender and Data Owner, the built-in roles that may send."""
PROVIDER: Final = "Windows Azure Security Resource Provider"

WORKSPACE_WRITE: Final = "Microsoft.OperationalInsights/workspaces/write"
# What sets Microsoft Sentinel Contributor apart, the one role of Microsoft's page without the write on the workspace.
SENTINEL_WRITE: Final = "Microsoft.SecurityInsights/alertRules/write"
SOLUTIONS_ACTION: Final = "Microsoft.OperationsManagement/solutions/action"
SOLUTIONS_READ: Final = "Microsoft.OperationsManagement/solutions/read"
_NOT_FOUND, _FORBIDDEN = 404, 403


class Blocked(Exception):  # noqa: N818 - says what is the case
    """Nothing can be written to the destination; the message is the sentence that says why."""


@dataclass(frozen=True)
class Verdict:
    """What is known about a destination: why it is `blocked`, if it is; warnings; its connection string, a secret."""

    blocked: str = ""
    warnings: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)


class Preflight:
    """Checks destinations for one run.

    `provider_id` is the object id, at home, of the service principal that Defender for Cloud sends with.
    """

    def __init__(self, arm: Arm, provider_id: str = "") -> None:
        self._arm = arm
        self._provider_id = provider_id

    async def check_all(self, destinations: Sequence[Destination]) -> dict[tuple[str, ...], Verdict]:
        """The verdict on each distinct destination, by its key."""
        distinct = {key_of(destination): destination for destination in destinations}
        verdicts = await asyncio.gather(*map(self.check, distinct.values()))
        return dict(zip(distinct, verdicts, strict=True))

    async def check(self, destination: Destination) -> Verdict:
        """The verdict on one destination; never raises for what Azure answers."""
        looking = _Looking(self._arm, destination.tenant_id or "", self._provider_id)
        try:
            if destination.event_hub is not None:
                await looking.hub(destination.event_hub)
            elif destination.log_analytics_workspace is not None:
                await looking.workspace(destination.log_analytics_workspace)
        except Blocked as blocked:
            return Verdict(str(blocked), tuple(looking.warnings))
        except ArmError as error:
            return Verdict(f"{_id(destination)} could not be checked: {error}", tuple(looking.warnings))
        except ValueError as error:  # a setting that is missing
            return Verdict(f"{_id(destination)} can't be reached: {error}", tuple(looking.warnings))
        return Verdict("", tuple(looking.warnings), looking.secret)


def key_of(destination: Destination) -> tuple[str, ...]:
    """The same for every spelling of a destination and way in."""
    hub = destination.event_hub
    way = (hub.authorization_rule or "trusted").lower() if hub is not None else ""
    return _id(destination).lower(), way, (destination.tenant_id or "").lower()


def _id(destination: Destination) -> str:
    target = destination.event_hub or destination.log_analytics_workspace
    return target.resource_id if target is not None else ""


class _Looking:
    """One destination being looked at, in its own tenant."""

    def __init__(self, arm: Arm, tenant: str, provider_id: str) -> None:
        self._arm = arm
        self._tenant = tenant
        self._provider_id = "" if tenant else provider_id
        self.warnings: list[str] = []
        self.secret = ""  # nosec B105 # none yet

    async def hub(self, hub: EventHub) -> None:
        namespace, _, name = hub.resource_id.rpartition("/eventhubs/")
        trusted = hub.authorization_rule is None  # then Azure checks, at the write, that the hub may be read
        if await self._seen(hub.resource_id, EVENT_HUBS_VERSION, "the event hub", needed=trusted) is _MISSING:
            where = _place(namespace)
            raise Blocked(
                f"the event hub {hub.resource_id} does not exist: correct `resourceId`, or run "
                f"`az eventhubs eventhub create --name {name} --namespace-name {where}`"
            )
        if hub.authorization_rule is None:
            await self._trusted(hub.resource_id, namespace)
        else:
            await self._keyed(hub.resource_id, namespace, hub.authorization_rule)

    async def _keyed(self, hub_id: str, namespace: str, rule: str) -> None:
        hub = hub_id.rsplit("/", 1)[-1]
        command = f"--name {rule} --eventhub-name {hub} --namespace-name {_place(namespace)} --rights Send"
        holder = hub_id
        found = await self._seen(f"{hub_id}/authorizationRules/{rule}", EVENT_HUBS_VERSION, f"the rights of {rule}")
        if found is _MISSING:  # a key of the namespace is one of all its hubs
            holder = namespace
            path = f"{namespace}/authorizationRules/{rule}"
            found = await self._seen(path, EVENT_HUBS_VERSION, f"the rights of {rule}")
        if found is _MISSING:
            raise Blocked(
                f"{hub_id} has no authorization rule {rule}, nor has its namespace: run "
                f"`az eventhubs eventhub authorization-rule create {command}`"
            )
        rights = (found or {}).get("properties", {}).get("rights")
        if rights is not None and not {"Send", "Manage"} & set(rights):
            update = f"`az eventhubs eventhub authorization-rule update {command}`"
            if holder == namespace:
                of_namespace = f"--name {rule} --namespace-name {_place(namespace)} --rights Send"
                update = f"`az eventhubs namespace authorization-rule update {of_namespace}`"
            raise Blocked(f"the authorization rule {rule} of {holder} has no Send right: run {update}")
        seen = await self._seen(namespace, EVENT_HUBS_VERSION, "the namespace")
        if (seen or {}).get("properties", {}).get("disableLocalAuth") is True:
            raise Blocked(
                f"{namespace} takes no keys: set `trustedService: true` in the export, or run "
                f"`az eventhubs namespace update --name {_place(namespace)} --disable-local-auth false`"
            )
        if await self._closed(namespace, seen):
            self.warnings.append(
                f"the firewall of {namespace} is closed, and Defender for Cloud passes it as a trusted service only: "
                "set `trustedService: true` in the export instead of `authorizationRule`"
            )
        try:
            secret = await self._arm.connection_string(holder, rule, self._tenant)
        except ArmError as error:
            raise Blocked(await self._why(error, f"{holder}/authorizationRules/{rule}", "the key")) from error
        self.secret = secret if holder == hub_id else f"{secret.rstrip(';')};EntityPath={hub}"

    async def _trusted(self, hub_id: str, namespace: str) -> None:
        firewall = await self._closed(namespace, await self._seen(namespace, EVENT_HUBS_VERSION, "the namespace"))
        if firewall and firewall.get("trustedServiceAccessEnabled") is not True:
            raise Blocked(
                f"the firewall of {namespace} keeps trusted services out: run `az eventhubs namespace network-rule-set "
                f"update --namespace-name {_place(namespace)} --enable-trusted-service-access true`"
            )
        listing = await self._seen(
            f"{hub_id}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()",
            AUTHORIZATION_VERSION,
            "who may send",
        )
        if listing and not any(map(self._sends, listing.get("value") or ())):
            who = self._provider_id or f"<object id of {PROVIDER}>"
            self.warnings.append(
                f"{PROVIDER} seems to have no right to send to {hub_id}, so nothing would arrive: run "
                f"{grant(who, 'Azure Event Hubs Data Sender', hub_id)}"
            )

    async def _closed(self, namespace: str, about: Mapping[str, Any] | None) -> dict[str, Any]:
        """The namespace's firewall where it does not let all traffic in; else nothing.

        Public access is said in two places, of the namespace and of its rule set: it is closed if either says so.
        A perimeter is named, since its own rules decide, and they can't be read here.
        """
        rules = await self._seen(f"{namespace}/networkRuleSets/default", EVENT_HUBS_VERSION, "the firewall")
        firewall: dict[str, Any] = (rules or {}).get("properties") or {}
        places = (firewall, (about or {}).get("properties") or {})
        access = {str(place.get("publicNetworkAccess") or "Enabled").lower() for place in places}
        if "securedbyperimeter" in access:
            self.warnings.append(
                f"{namespace} is secured by a network security perimeter, whose rules decide what gets in: see that "
                "one of its inbound access rules lets Defender for Cloud send "
                f"(`az network perimeter association list`)"
            )
        is_open = firewall.get("defaultAction", "Allow") == "Allow" and access == {"enabled"}
        return {} if is_open else {**firewall, "closed": True}

    def _sends(self, assignment: Mapping[str, Any]) -> bool:
        """Whether a role assignment lets Defender for Cloud send; anyone counts where its object id is not known."""
        given = assignment.get("properties") or {}
        role = str(given.get("roleDefinitionId")).lower().rsplit("/", 1)[-1]
        who = str(given.get("principalId")).lower()
        return role in {SENDER_ROLE, OWNER_ROLE} and self._provider_id.lower() in {"", who}

    async def workspace(self, workspace: Workspace) -> None:
        place = workspace.resource_id
        group, _, name = place.partition("/providers/Microsoft.OperationalInsights/workspaces/")
        if not name:  # the id in another casing
            group, name = "/".join(place.split("/")[:5]), place.rsplit("/", 1)[-1]
        if await self._seen(place, WORKSPACES_VERSION, "the workspace") is _MISSING:
            raise Blocked(
                f"the workspace {place} does not exist: correct `resourceId`, or run `az monitor log-analytics "
                f"workspace create --workspace-name {_place(place)}`"
            )
        app = await self._arm.assignee(self._tenant)
        if not await self._may(place, WORKSPACE_WRITE, SENTINEL_WRITE):
            raise Blocked(may_not(app, WORKSPACE_WRITE, place))
        solutions = await self._solutions(group, name)
        needed = SOLUTIONS_READ if "SecurityCenterFree" in solutions else SOLUTIONS_ACTION
        if not await self._may(group, needed):
            raise Blocked(may_not(app, needed, group))
        if not solutions:
            self.warnings.append(
                f"{place} has neither the solution Security nor SecurityCenterFree, without which its tables stay "
                "hidden: the first write enables SecurityCenterFree; or run `az monitor log-analytics solution create "
                f"--solution-type SecurityCenterFree --workspace {place} --resource-group {group.rsplit('/', 1)[-1]}`"
            )

    async def _solutions(self, group: str, workspace: str) -> set[str]:
        """Which of Defender's solutions a workspace has; none when they can't be looked at."""
        path = f"{group}/providers/Microsoft.OperationsManagement/solutions"
        listing = await self._seen(path, SOLUTIONS_VERSION, "the solutions")
        names = {str(one.get("name")).lower() for one in (listing or {}).get("value") or ()}
        return {kind for kind in ("Security", "SecurityCenterFree") if f"{kind}({workspace})".lower() in names}

    async def _may(self, scope: str, *actions: str) -> bool:
        """Whether this app may do one of the actions; what can't be asked is left to the write to tell."""
        path = f"{scope}/providers/Microsoft.Authorization/permissions"
        permissions = await self._seen(path, AUTHORIZATION_VERSION, f"rights on {scope}")
        if permissions is None:
            return True
        return any(permits(one, action) for one in permissions.get("value") or () for action in actions)

    async def _seen(self, path: str, version: str, what: str, *, needed: bool = False) -> dict[str, Any] | None:
        """What is at a path: `_MISSING` when nothing is, None with a warning when it may not be looked at.

        Raises:
            Blocked: the answer means that nothing can be written either; so does a missing right that is `needed`.
        """
        try:
            return await self._arm.send("preflight", "GET", path, version, tenant=self._tenant)
        except ArmError as error:
            if error.status == _NOT_FOUND:
                return _MISSING
            sentence = await self._why(error, path.partition("?")[0], what)
            if not needed and error.status == _FORBIDDEN and error.code == "AuthorizationFailed":
                self.warnings.append(f"{what} could not be checked: {sentence}")
                return None
            raise Blocked(sentence) from error

    async def _why(self, error: ArmError, scope: str, what: str) -> str:
        refusal = Refusal(
            error.code, str(error), error.status, scope, self._tenant, await self._arm.assignee(self._tenant)
        )
        return explain(refusal) or f"{what} of {scope} could not be read: {error}"


_MISSING: Final[dict[str, Any]] = {}


def _place(resource_id: str) -> str:
    """A resource's name and where it is, as options of a command."""
    parts = resource_id.strip("/").split("/")
    return f"{parts[-1]} --resource-group {parts[3]} --subscription {parts[1]}"
