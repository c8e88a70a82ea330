"""Policy assignments that write exports by themselves: what one of them wrote and this app takes over, it writes again.

Three built-in policies deploy automations of a fixed name and without tags, wherever one that they call compliant is
missing (Azure/azure-policy, built-in-policies/policyDefinitions/Security Center).  Most assignments are made at
management groups, so one subscription is asked for all that lie below the same ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from shared.reconcile.arm.arm_client import Arm, ArmError
from shared.reconcile.model import ResourceId, Subscription

POLICY_VERSION: Final = "2023-04-01"
EXPORT_POLICIES: Final[Mapping[str, str]] = {
    "cdfcce10-4578-4ecd-9703-530938e4abcb": "exporttoeventhub",
    "af9f6c70-eb74-4189-8d15-e4f11a7ebfd4": "exporttoeventhub",
    "ffb6f416-7bd2-4488-8828-56585fef2be9": "exporttoworkspace",
}
"""The name of the automation that a policy writes, in lower case, by the guid of its definition."""

# So many subscriptions, and initiatives, are asked in a run; each other subscription repeats what these say.
MAX_ASKED: Final = 10
_SET: Final = "/policysetdefinitions/"


async def rewriting(arm: Arm, automations: Iterable[ResourceId], subscriptions: Iterable[Subscription]) -> list[str]:
    """A sentence for each policy assignment that writes one of these automations again, with what ends that."""
    names = set(EXPORT_POLICIES.values())
    at_risk: dict[str, set[tuple[str, str]]] = {}
    for automation in automations:
        where, group, name = automation.key
        if name in names:
            at_risk.setdefault(where, set()).add((group, name))
    chains: dict[tuple[str, tuple[str, ...]], list[Subscription]] = {}
    for subscription in subscriptions:
        if subscription.id.lower() in at_risk:
            chains.setdefault(_chain(subscription), []).append(subscription)
    first = [members[0] for members in chains.values()]
    others = [one for members in chains.values() for one in members[1:]]
    found: dict[str, _Behind] = {}
    sets: dict[str, set[str]] = {}
    for asked in [*first, *others][:MAX_ASKED]:
        for assignment in await _assignments(arm, asked.id):
            key = str(assignment.get("id")).lower()
            behind = found.setdefault(key, _Behind(assignment, await _writes(arm, assignment, sets), {}))
            for one in chains[_chain(asked)]:
                if _meets(assignment, behind.names, one.id, at_risk[one.id.lower()]):
                    behind.met[one.id] = None
    return [_sentence(each) for each in found.values() if each.met]


def _chain(subscription: Subscription) -> tuple[str, tuple[str, ...]]:
    return subscription.tenant_id, subscription.ancestors


class _Behind(NamedTuple):
    """An assignment, the names of automations that it writes, and the subscriptions where one is to be taken over."""

    assignment: Mapping[str, Any]
    names: Collection[str]
    met: dict[str, None]


async def _assignments(arm: Arm, subscription_id: str) -> list[Mapping[str, Any]]:
    """The assignments at a subscription and above; what may not be read names none."""
    path = f"/subscriptions/{subscription_id}/providers/Microsoft.Authorization/policyAssignments?$filter=atScope()"
    found: list[Mapping[str, Any]] = []
    while path:
        try:
            page = await arm.send("list policy assignments", "GET", path, POLICY_VERSION)
        except ArmError:
            break
        found += [one for one in page.get("value") or () if isinstance(one, Mapping)]
        path = str(page.get("nextLink") or "")
    return found


async def _writes(arm: Arm, assignment: Mapping[str, Any], sets: dict[str, set[str]]) -> set[str]:
    """The names of automations that an assignment writes, of one policy or of those in an initiative."""
    definition = str(_properties(assignment).get("policyDefinitionId") or "").lower()
    if _SET not in definition:
        return {name for guid, name in EXPORT_POLICIES.items() if definition.endswith(f"/{guid}")}
    if definition not in sets and len(sets) < MAX_ASKED:
        try:
            found = await arm.send("get policy set", "GET", definition, POLICY_VERSION)
        except ArmError:
            found = {}
        inside = [
            str(one.get("policyDefinitionId")).lower() for one in _properties(found).get("policyDefinitions") or ()
        ]
        sets[definition] = {
            name for guid, name in EXPORT_POLICIES.items() if any(one.endswith(f"/{guid}") for one in inside)
        }
    return sets.get(definition, set())


def _meets(
    assignment: Mapping[str, Any], written: Collection[str], subscription_id: str, at_risk: Collection[tuple[str, str]]
) -> bool:
    """Whether an assignment writes one of the automations in a subscription."""
    properties = _properties(assignment)
    parameters = {str(name).lower(): _value(value) for name, value in (properties.get("parameters") or {}).items()}
    off = str(properties.get("enforcementMode") or "Default").lower() == "donotenforce"
    if off or parameters.get("effect") == "disabled":
        return False
    own = f"/subscriptions/{subscription_id}".lower()
    scope = str(properties.get("scope") or "").lower().rstrip("/")
    if scope.startswith("/subscriptions/") and scope != own:
        return False
    if own in {str(scope).lower().rstrip("/") for scope in properties.get("notScopes") or ()}:
        return False
    group = parameters.get("resourcegroupname", "")
    return any(name in written and group in {"", where} for where, name in at_risk)


def _sentence(behind: _Behind) -> str:
    assignment, properties = behind.assignment, _properties(behind.assignment)
    place, first = str(assignment.get("id")), next(iter(behind.met))
    more = f" and {len(behind.met) - 1} more" if len(behind.met) > 1 else ""
    scope = str(properties.get("scope") or place.rpartition("/providers/")[0])
    return (
        f"the policy assignment {place} ({properties.get('displayName') or assignment.get('name')}) writes "
        f"{' and '.join(sorted(behind.names))} again, without this app's tags, in {first}{more}: exclude each with "
        f"`az policy exemption create --name defender-export --policy-assignment {place} --exemption-category Waiver "
        f"--scope /subscriptions/{first}`, or switch it off with `az policy assignment update --name "
        f"{assignment.get('name')} --scope {scope} --enforcement-mode DoNotEnforce`"
    )


def _properties(document: Mapping[str, Any]) -> Mapping[str, Any]:
    found = document.get("properties")
    return found if isinstance(found, Mapping) else {}


def _value(parameter: Any) -> str:
    return str(parameter.get("value") or "").lower() if isinstance(parameter, Mapping) else ""
