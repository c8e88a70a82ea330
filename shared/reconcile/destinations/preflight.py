"""Whether a destination exists, accepts the app's writes, and shows its data.  Checked once per destination and run.

What would be refused is blocked, what could never arrive is broken; what can't be looked at is unverified, and what
only looks wrong is a warning.
Each finding is one sentence with the role or command that mends it.  What a source subscription refuses (roles, locks,
policies, registration) shows when it is written to, and is told in the same way: see `error_explanations`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.azure.role_permissions import AUTHORIZATION_VERSION, permits, permits_data
from shared.reconcile.arm.arm_client import EVENT_HUBS_VERSION, Arm, ArmError
from shared.reconcile.arm.error_explanations import Refusal, explain, grant, may_not

if TYPE_CHECKING:
    from shared.exports.model import Destination, EventHub, Workspace

WORKSPACES_VERSION: Final = "2023-09-01"
SOLUTIONS_VERSION: Final = "2015-11-01-preview"
SENDER_ROLE: Final = "2b629674-e913-4c01-ae53-ef4638d8f975"
OWNER_ROLE: Final = "f526a384-b230-433a-b45c-95f59c4a2dec"
"""Azure Event Hubs Data Sender and Data Owner, the built-in roles that may send."""
SEND_ACTION: Final = "Microsoft.EventHub/namespaces/messages/send/action"
# A scope has at most some thousand assignments at and above it.
MAX_PAGES: Final = 20
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
    """What is known about a destination: why it is `blocked`, if it is; warnings; its connection string, a secret.

    `broken` is why nothing would arrive although Azure takes the automation, `unverified` what could not be looked at.
    """

    blocked: str = ""
    warnings: tuple[str, ...] = ()
    broken: str = ""
    unverified: tuple[str, ...] = ()
    secret: str = field(default="", repr=False)
    key_unknown: bool = False


class Preflight:
    """Checks destinations for one run.

    `provider_id` is the object id, at home, of the service principal that Defender for Cloud sends with.  With
    `only_looks` the rights to read keys and to write, which a person who plans need not have, are not judged.
    """

    def __init__(self, arm: Arm, provider_id: str = "", *, only_looks: bool = False) -> None:
        self._arm = arm
        self._provider_id = provider_id
        self._only_looks = only_looks

    async def check_all(self, destinations: Sequence[Destination]) -> dict[tuple[str, ...], Verdict]:
        """The verdict on each distinct destination, by its key."""
        distinct = {key_of(destination): destination for destination in destinations}
        verdicts = await asyncio.gather(*map(self.check, distinct.values()))
        return dict(zip(distinct, verdicts, strict=True))

    async def check(self, destination: Destination) -> Verdict:
        """The verdict on one destination; never raises for what Azure answers."""
        looking = _Looking(self._arm, destination.tenant_id or "", self._provider_id, only_looks=self._only_looks)
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
        unverified = tuple(dict.fromkeys(looking.unverified))
        return Verdict(
            "", tuple(looking.warnings), looking.broken, unverified, looking.secret, key_unknown=looking.key_unknown
        )


def key_of(destination: Destination) -> tuple[str, ...]:
    """The same for every spelling of a destination and way in."""
    hub = destination.event_hub
    way = (hub.authorization_rule or "trusted").lower() if hub is not None else ""
    return _id(destination).lower(), way, (destination.tenant_id or "").lower()


def _id(destination: Destination) -> str:
    target = destination.event_hub or destination.log_analytics_workspace
    return target.resource_id if target is not None else ""


class _Listing(NamedTuple):
    """The entries of a list, and whether these are all."""

    entries: list[Mapping[str, Any]]
    whole: bool


class _Looking:
    """One destination being looked at, in its own tenant."""

    def __init__(self, arm: Arm, tenant: str, provider_id: str, *, only_looks: bool) -> None:
        self._arm = arm
        self._only_looks = only_looks
        self.key_unknown = False
        self._tenant = tenant
        self._provider_id = "" if tenant else provider_id
        self.warnings: list[str] = []
        self.unverified: list[str] = []
        self.broken = ""
        self.secret = ""  # nosec B105 # none yet

    async def hub(self, hub: EventHub) -> None:
        namespace, _, name = hub.resource_id.rpartition("/eventhubs/")
        if await self._seen(hub.resource_id, EVENT_HUBS_VERSION, "the event hub") is _MISSING:
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
            if self._only_looks and error.status == _FORBIDDEN:
                self.key_unknown = True
                self.warnings.append(
                    f"the key {rule} of {holder} may not be read here, so it is not seen if it is renewed"
                )
                return
            raise Blocked(await self._why(error, f"{holder}/authorizationRules/{rule}", "the key")) from error
        self.secret = secret if holder == hub_id else f"{secret.rstrip(';')};EntityPath={hub}"

    async def _trusted(self, hub_id: str, namespace: str) -> None:
        firewall = await self._closed(namespace, await self._seen(namespace, EVENT_HUBS_VERSION, "the namespace"))
        shut = firewall.get("trustedServiceAccessEnabled") is not True and not firewall.get("unread")
        if firewall and shut:
            raise Blocked(
                f"the firewall of {namespace} keeps trusted services out: run `az eventhubs namespace network-rule-set "
                f"update --namespace-name {_place(namespace)} --enable-trusted-service-access true`"
            )
        await self._sender(hub_id)

    async def _sender(self, hub_id: str) -> None:
        """Whether Defender for Cloud may send; a right that can't be shown to be absent is not missing."""
        path = f"{hub_id}/providers/Microsoft.Authorization/roleAssignments?$filter=atScope()"
        found = await self._all(path, AUTHORIZATION_VERSION, "who may send")
        if found is None:
            return
        given = [one.get("properties") or {} for one in found.entries]
        doubts = [] if found.whole else ["it has more role assignments than are read"]
        roles: dict[str, bool | None] = dict.fromkeys((SENDER_ROLE, OWNER_ROLE), True)
        given.sort(key=lambda one: _role(one) not in roles)  # most often no other role has to be read
        for one in given:
            if (role := _role(one)) not in roles and self._may_be_defender(one):
                roles[role] = await self._sends(hub_id, role)
            may = self._may_send(one, roles)
            if may is None:
                return
            doubts += [may] if may else []
        run = grant(self._provider_id or f"<object id of {PROVIDER}>", "Azure Event Hubs Data Sender", hub_id)
        if doubts:
            said = "; ".join(dict.fromkeys(doubts))
            self.unverified.append(
                f"it can't be shown that {PROVIDER} may send to {hub_id} ({said}): see to it, or run {run}"
            )
        else:
            self.broken = f"{PROVIDER} has no right to send to {hub_id}, so nothing would arrive: run {run}"

    def _may_be_defender(self, given: Mapping[str, Any]) -> bool:
        """Whether an assignment is to Defender for Cloud, or to a group, which may hold it.

        Any service principal counts where its object id is not known.
        """
        who, kind = (str(given.get(name)).lower() for name in ("principalId", "principalType"))
        return kind == "group" or (kind != "user" and self._provider_id.lower() in {"", who})

    def _may_send(self, given: Mapping[str, Any], roles: Mapping[str, bool | None]) -> str | None:
        """None where an assignment lets Defender for Cloud send; why it perhaps does; empty where it does not."""
        role = _role(given)
        if not self._may_be_defender(given) or roles[role] is False:
            return ""
        if roles[role] is None:
            return f"the role {role} could not be read"
        if str(given.get("principalType")).lower() == "group":
            return f"the group {given.get('principalId')} may, and who is in it can't be read here"
        return None

    async def _sends(self, hub_id: str, role: str) -> bool | None:
        """Whether a role lets its holder send events; None where it can't be read."""
        path = f"{hub_id}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        try:
            found = await self._arm.send("preflight", "GET", path, AUTHORIZATION_VERSION, tenant=self._tenant)
        except ArmError:
            return None
        permissions = (found.get("properties") or {}).get("permissions") or ()
        return any(permits_data(one, SEND_ACTION) for one in permissions)

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
        return {} if is_open else {**firewall, "closed": True, "unread": rules is None}

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
        found = await self._all(path, SOLUTIONS_VERSION, "the solutions")
        names = {str(one.get("name")).lower() for one in (found.entries if found else ())}
        return {kind for kind in ("Security", "SecurityCenterFree") if f"{kind}({workspace})".lower() in names}

    async def _may(self, scope: str, *actions: str) -> bool:
        """Whether this app may do one of the actions; what can't be asked is left to the write to tell."""
        if self._only_looks:
            return True
        path = f"{scope}/providers/Microsoft.Authorization/permissions"
        found = await self._all(path, AUTHORIZATION_VERSION, f"rights on {scope}")
        if found is None or any(permits(one, action) for one in found.entries for action in actions):
            return True
        if not found.whole:
            self.unverified.append(
                f"{actions[0]} on {scope} could not be checked: it has more permissions than are read"
            )
        return not found.whole

    async def _all(self, path: str, version: str, what: str) -> _Listing | None:
        """Every entry of a list; None, noted as unverified, where it may not be looked at."""
        entries: list[Mapping[str, Any]] = []
        for _ in range(MAX_PAGES):
            page = await self._seen(path, version, what)
            if page is None:
                return None
            entries += page.get("value") or ()
            path = str(page.get("nextLink") or "")
            if not path:
                return _Listing(entries, whole=True)
        return _Listing(entries, whole=False)

    async def _seen(self, path: str, version: str, what: str) -> dict[str, Any] | None:
        """What is at a path: `_MISSING` when nothing is, None, noted as unverified, when it may not be looked at.

        Raises:
            Blocked: the answer means that nothing can be written either.
        """
        try:
            return await self._arm.send("preflight", "GET", path, version, tenant=self._tenant)
        except ArmError as error:
            if error.status == _NOT_FOUND:
                return _MISSING
            sentence = await self._why(error, path.partition("?")[0], what)
            if error.status == _FORBIDDEN and error.code == "AuthorizationFailed":
                self.unverified.append(f"{what} could not be checked: {sentence}")
                return None
            raise Blocked(sentence) from error

    async def _why(self, error: ArmError, scope: str, what: str) -> str:
        refusal = Refusal(
            error.code, str(error), error.status, scope, self._tenant, await self._arm.assignee(self._tenant)
        )
        return explain(refusal) or f"{what} of {scope} could not be read: {error}"


def _role(given: Mapping[str, Any]) -> str:
    """The guid of the role of an assignment."""
    return str(given.get("roleDefinitionId")).lower().rpartition("/")[2]


_MISSING: Final[dict[str, Any]] = {}


def _place(resource_id: str) -> str:
    """A resource's name and where it is, as options of a command."""
    parts = resource_id.strip("/").split("/")
    return f"{parts[-1]} --resource-group {parts[3]} --subscription {parts[1]}"
