"""Every way in which a destination or a subscription says no: one sentence that mends it, and the others go on."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import APP, Tenant, synthetic_tenant
from local.tenant.destinations import (
    BARE_WORKSPACE,
    DEFENDER,
    add_hub,
    add_namespace,
    add_rule,
    add_solution,
    destinations,
)
from local.tenant.roles import CONTRIBUTOR, EVENT_HUBS_DATA_SENDER, READER, RoleDefinition, custom_role
from local.tenant.synthetic import DESTINATION_ROLE, EXPORT_ROLE
from local.tokens import Principal
from shared.cli.reconcile import detailed_exit_code
from shared.reconcile.apply.executor import Status
from shared.reconcile.plan.model import Action
from shared.reconcile.report.run_report import Report
from tests.integration.arm.conftest import deny_exports
from tests.integration.reconcile.world import World, export, world
from tests.unit.infra.command_reference import wrong

SIZE = 5
ROOT = "/providers/Microsoft.Management/managementGroups/"


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    tenant = synthetic_tenant(1, SIZE, untidy=False)
    async with world(tenant, local_certs, storage, security_provider_id=DEFENDER.object_id) as running:
        yield running


def subscriptions(here: World) -> list[str]:
    return sorted(one.id for one in here.tenant.subscriptions.values() if one.tenant_id == here.tenant.home)


def hub(tenant: Tenant) -> str:
    return destinations(tenant).event_hub


def namespace(tenant: Tenant) -> str:
    return hub(tenant).partition("/eventhubs/")[0]


def workspace(tenant: Tenant) -> str:
    return destinations(tenant).workspace


def trusted(hub_id: str) -> str:
    return f"eventHub: {{resourceId: {hub_id}, trustedService: true}}"


def keyed(hub_id: str, rule: str = "defender-send") -> str:
    return f"eventHub: {{resourceId: {hub_id}, authorizationRule: {rule}}}"


def to_workspace(workspace_id: str) -> str:
    return f"logAnalyticsWorkspace: {{resourceId: {workspace_id}}}"


def lock(tenant: Tenant, scope: str, level: str = "ReadOnly") -> None:
    lock_id = f"{scope}/providers/Microsoft.Authorization/locks/keep"
    tenant.locks[lock_id.lower()] = {"id": lock_id, "name": "keep", "properties": {"level": level}}


def as_role(tenant: Tenant, *actions: str) -> None:
    """Leave the app its rights over subscriptions, and only these of a custom role over destinations."""
    tenant.revoke(APP)
    root = ROOT + tenant.home
    tenant.assign(APP, root, EXPORT_ROLE)
    tenant.assign(APP, root, custom_role("Discovers", "Microsoft.Resources/subscriptions/read"))
    tenant.assign(APP, root, custom_role("Sees automations", "Microsoft.Security/automations/read"))
    if actions:
        tenant.assign(APP, root, custom_role(f"Only {actions}", *actions))


def read_only_namespace(tenant: Tenant) -> str:
    """A second namespace, with a hub and a rule, in the management group of the first."""
    other = add_namespace(tenant, f"{namespace(tenant)}-2")
    second = add_hub(tenant, f"{other}/eventhubs/second")
    add_rule(tenant, f"{second}/authorizationRules/defender-send", "Send")
    return second


def listen_only_namespace(tenant: Tenant) -> str:
    add_rule(tenant, f"{namespace(tenant)}/authorizationRules/everyone", "Listen")
    return keyed(hub(tenant), "everyone")


def keyless(tenant: Tenant) -> str:
    second = read_only_namespace(tenant)
    document = tenant.resource(second.partition("/eventhubs/")[0])
    assert document is not None
    tenant.put_resource({**document, "properties": {**document["properties"], "disableLocalAuth": True}})
    return keyed(second)


def shut(tenant: Tenant) -> str:
    other = add_namespace(tenant, f"{namespace(tenant)}-shut", trusted_services=False)
    return trusted(add_hub(tenant, f"{other}/eventhubs/shut"))


def locked(tenant: Tenant) -> str:
    second = read_only_namespace(tenant)
    lock(tenant, second)
    return keyed(second)


def without_list_keys(tenant: Tenant) -> str:
    as_role(tenant, "*/read")
    return keyed(hub(tenant))


def without_hub_read(tenant: Tenant) -> str:
    as_role(tenant)
    return trusted(hub(tenant))


def without_workspace_write(tenant: Tenant) -> str:
    as_role(tenant, "*/read")
    return to_workspace(workspace(tenant))


def without_solutions_read(tenant: Tenant) -> str:
    as_role(tenant, "Microsoft.OperationalInsights/workspaces/*")
    return to_workspace(workspace(tenant))


def without_solutions_action(tenant: Tenant) -> str:
    as_role(tenant, "*/read", "Microsoft.OperationalInsights/workspaces/*")
    return to_workspace(workspace(tenant).replace("law-security", BARE_WORKSPACE))


BLOCKED: dict[str, tuple[Callable[[Tenant], str], tuple[str, ...]]] = {
    "no such hub": (
        lambda tenant: trusted(hub(tenant) + "-gone"),
        ("does not exist", "az eventhubs eventhub create --name defender-export-gone --namespace-name evhns-defender"),
    ),
    "no such namespace": (
        lambda tenant: trusted(hub(tenant).replace("evhns-defender", "evhns-gone")),
        ("does not exist", "az eventhubs eventhub create"),
    ),
    "no such subscription": (
        lambda tenant: trusted(hub(tenant).replace(hub(tenant).split("/")[2], "0" * 8 + hub(tenant).split("/")[2][8:])),
        ("does not exist", "correct `resourceId`"),
    ),
    "no such rule": (
        lambda tenant: keyed(hub(tenant), "nothere"),
        ("no authorization rule nothere", "az eventhubs eventhub authorization-rule create --name nothere", "--rights"),
    ),
    "a rule without Send": (
        lambda tenant: keyed(hub(tenant), "listen-only"),
        ("listen-only", "has no Send right", "authorization-rule update --name listen-only", "--rights Send"),
    ),
    "a namespace's rule without Send": (
        listen_only_namespace,
        (
            "has no Send right",
            "az eventhubs namespace authorization-rule update --name everyone --namespace-name",
        ),
    ),
    "keys switched off": (keyless, ("takes no keys", "trustedService: true", "--disable-local-auth false")),
    "a key behind a lock": (locked, ("read-only lock on", "az lock delete --ids $(az lock list --resource")),
    "no right to the key": (
        without_list_keys,
        (APP.app_id, "listKeys/action", "az role assignment create --assignee", '--role "Azure Event Hubs Data Owner"'),
    ),
    "trusted services kept out": (
        shut,
        ("keeps trusted services out", "network-rule-set update --namespace-name evhns-defender-shut", "--enable-tru"),
    ),
    "no such workspace": (
        lambda tenant: to_workspace(workspace(tenant) + "-gone"),
        ("does not exist", "az monitor log-analytics workspace create --workspace-name law-security-gone"),
    ),
    "no write on the workspace": (
        without_workspace_write,
        (APP.app_id, "workspaces/write", "Monitoring Contributor", '--role "Log Analytics Contributor" --scope /sub'),
    ),
    "no sight of its solutions": (without_solutions_read, ("solutions/action", '--role "Log Analytics Contributor"')),
    "no right to enable its solution": (without_solutions_action, ("solutions/action", "Log Analytics Contributor")),
}


@pytest.mark.parametrize("name", BLOCKED)
async def test_a_destination_that_says_no_blocks_its_export_with_what_mends_it(here: World, name: str) -> None:
    make, words = BLOCKED[name]
    good = add_namespace(here.tenant, namespace(here.tenant) + "-good")
    fine = add_hub(here.tenant, f"{good}/eventhubs/good")
    destination = make(here.tenant)
    here.tenant.assign(APP, good, READER)  # whatever the case took away
    here.tenant.assign(DEFENDER, good, EVENT_HUBS_DATA_SENDER)
    await here.put("bad", destination=destination)
    await here.put("good", destination=trusted(fine))
    planned = await here.plan()
    report = await here.apply()
    sentences = {item.reason for item in report.plan.items if item.action is Action.BLOCKED}
    assert sentences == {item.reason for item in planned.plan.items if item.action is Action.BLOCKED}
    (sentence,) = sentences
    assert "\n" not in sentence
    for word in words:
        assert word in sentence
    assert wrong(sentence) == []
    assert report.counts["Created"] == SIZE
    assert {document["tags"]["defender-export-name"] for document in here.ours().values()} == {"good"}


WARNED: dict[str, tuple[Callable[[Tenant], str], tuple[str, ...]]] = {
    "a key behind a firewall": (lambda tenant: keyed(hub(tenant)), ("firewall", "trustedService: true")),
    "a workspace without Defender's solution": (
        lambda tenant: to_workspace(workspace(tenant).replace("law-security", BARE_WORKSPACE)),
        ("SecurityCenterFree", "first write enables", "az monitor log-analytics solution create"),
    ),
}


@pytest.mark.parametrize("name", WARNED)
async def test_what_only_looks_wrong_is_a_warning_once_a_run(here: World, name: str) -> None:
    make, words = WARNED[name]
    await here.put("soc", destination=make(here.tenant))
    report = await here.apply()
    (warning,) = report.plan.warnings
    assert warning.startswith("soc: ")
    for word in words:
        assert word in warning
    assert wrong(warning) == []
    assert (report.outcome, report.counts["Created"]) == ("Succeeded", SIZE)
    assert report.as_dict()["warnings"] == [warning]


@pytest.mark.parametrize("way", [trusted, keyed])
@pytest.mark.parametrize("place", ["namespace", "rule set"])
@pytest.mark.parametrize("access", ["Disabled", "SecuredByPerimeter"])
async def test_a_namespace_is_closed_if_either_of_two_places_says_so_and_a_perimeter_is_named(
    here: World, way: Callable[[str], str], place: str, access: str
) -> None:
    rules = here.tenant.resource(f"{namespace(here.tenant)}/networkRuleSets/default")
    about = here.tenant.resource(namespace(here.tenant))
    assert rules is not None
    assert about is not None
    for document, said in (
        (rules, access if place == "rule set" else "Enabled"),
        (about, access if place == "namespace" else "Enabled"),
    ):
        properties = {**document["properties"], "publicNetworkAccess": said}
        if document is rules:
            properties |= {"defaultAction": "Allow", "trustedServiceAccessEnabled": False}
        here.tenant.put_resource({**document, "properties": properties})
    await here.put("soc", destination=way(hub(here.tenant)))
    plan = (await here.plan()).plan
    told = " ".join([*plan.warnings, *(item.reason for item in plan.items)])
    assert ("keeps trusted services out" if way is trusted else "trustedService: true") in told
    assert ("network security perimeter" in told) == (access == "SecuredByPerimeter")


async def test_with_the_sender_role_there_is_nothing_to_warn_of(here: World) -> None:
    add_solution(here.tenant, workspace(here.tenant).replace("law-security", BARE_WORKSPACE), "Security")
    await here.put("hub", destination=trusted(hub(here.tenant)))
    await here.put("bare", destination=to_workspace(workspace(here.tenant).replace("law-security", BARE_WORKSPACE)))
    await here.put("full", destination=to_workspace(workspace(here.tenant)))
    report = await here.apply()
    assert report.plan.warnings == ()
    assert report.counts["Created"] == 3 * SIZE


def only_keys(tenant: Tenant) -> str:
    as_role(tenant)
    tenant.assign(APP, hub(tenant), DESTINATION_ROLE)  # listKeys, and no read
    return keyed(hub(tenant))


def no_roles_of_others(tenant: Tenant) -> str:
    as_role(tenant, "Microsoft.EventHub/*/read")
    return trusted(hub(tenant))


async def in_doubt(here: World) -> Report:
    """The run after the automations are there: nothing would change, and the destination is still in doubt."""
    await here.apply()
    report = await here.apply()
    assert report.counts["Unchanged"] == SIZE
    assert (report.outcome, report.in_force[0].in_force) == ("Partial", 0)
    assert detailed_exit_code(await here.plan()) == 1
    return report


@pytest.mark.parametrize("make", [only_keys, no_roles_of_others])
async def test_what_may_not_be_read_is_unverified_until_the_file_says_that_it_need_not_be(
    here: World, make: Callable[[Tenant], str]
) -> None:
    destination = make(here.tenant)
    await here.put("soc", destination=destination)
    report = await in_doubt(here)
    ((reason, count),) = report.in_force[0].rest
    assert count == SIZE
    assert reason in report.reason
    for word in ("unverified", "could not be checked", APP.app_id, '--role "Reader"'):
        assert word in reason
    (target,) = report.as_dict()["destinations"]
    assert (target["state"], target["exports"], target["verify"]) == ("unverified", ["soc"], True)
    await here.store.put("soc", export(here.tenant, "soc", destination=destination) + "  verify: false\n")
    for _ in range(2):
        report = await here.apply()
        (target,) = report.as_dict()["destinations"]
        assert (target["state"], target["verify"]) == ("unverified", False)
        (warning,) = [each for each in report.plan.warnings if "verify: false" in each]
        assert "could not be checked" in warning
        assert report.outcome == "Succeeded"
    assert detailed_exit_code(await here.plan()) == 0


async def test_that_a_hub_may_not_be_read_is_told_by_the_write_where_azure_refuses_it(here: World) -> None:
    await here.put("soc", destination=without_hub_read(here.tenant))
    planned = await here.plan()
    assert planned.plan.counts[Action.CREATE] == SIZE
    assert planned.as_dict()["destinations"][0]["state"] == "unverified"
    report = await here.apply()
    (sentence,) = {outcome.reason for outcome in report.outcomes}
    assert {outcome.status for outcome in report.outcomes} == {Status.BLOCKED}
    for word in (APP.app_id, "eventhubs/read", '--role "Reader"'):
        assert word in sentence


async def test_a_hub_that_defender_may_not_send_to_is_in_force_nowhere(here: World) -> None:
    here.tenant.revoke(DEFENDER)
    for name in ("soc", "soc-two"):
        await here.put(name, destination=trusted(hub(here.tenant)), content="secureScore: {}")
    await here.apply()
    report = await here.apply()
    assert (report.outcome, [each.in_force for each in report.in_force]) == ("Partial", [0, 0])
    assert "nothing would arrive" in report.reason
    assert f'--assignee {DEFENDER.object_id} --role "Azure Event Hubs Data Sender"' in report.reason
    (target,) = report.as_dict()["destinations"]
    assert (target["state"], target["exports"]) == ("broken", ["soc", "soc-two"])
    here.tenant.assign(DEFENDER, namespace(here.tenant), EVENT_HUBS_DATA_SENDER)
    assert (await here.apply()).outcome == "Succeeded"


GROUP = Principal("eeeeeeee-0000-4000-8000-000000000001", "")
SENDS = RoleDefinition(
    "5e4d5e4d-0000-4000-8000-000000000001", "Sends", (), data_actions=("Microsoft.EventHub/*/send/action",), custom=True
)


def as_group(tenant: Tenant, role: RoleDefinition) -> None:
    made = tenant.assign(GROUP, namespace(tenant), role)
    tenant.assignments[-1] = replace(made, principal_type="Group")


def by_custom_role(tenant: Tenant) -> None:
    tenant.assign(DEFENDER, namespace(tenant), SENDS)


def by_unreadable_role(tenant: Tenant) -> None:
    by_custom_role(tenant)
    del tenant.roles[SENDS.guid]


def behind_a_thousand(tenant: Tenant) -> None:
    for number in range(1200):
        tenant.assign(Principal(f"{number:08x}-0000-4000-8000-0000000000ff", ""), namespace(tenant), READER)
    tenant.assign(DEFENDER, hub(tenant), EVENT_HUBS_DATA_SENDER)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (by_custom_role, "ready"),
        (by_unreadable_role, "unverified"),
        (behind_a_thousand, "ready"),
        (lambda tenant: as_group(tenant, EVENT_HUBS_DATA_SENDER), "unverified"),
        (lambda tenant: as_group(tenant, SENDS), "unverified"),
        (lambda tenant: as_group(tenant, READER), "broken"),
        (lambda tenant: tenant.assign(APP, hub(tenant), EVENT_HUBS_DATA_SENDER), "broken"),
        (lambda tenant: tenant.assign(DEFENDER, hub(tenant), CONTRIBUTOR), "broken"),
    ],
    ids=[
        "a custom role",
        "a role that can't be read",
        "on the second page",
        "a group",
        "a group with a custom role",
        "a group that only reads",
        "another's right",
        "a role without data actions",
    ],
)
async def test_a_right_to_send_that_can_t_be_shown_to_be_absent_is_not_missing(
    here: World, change: Callable[[Tenant], object], state: str
) -> None:
    here.tenant.revoke(DEFENDER)
    change(here.tenant)
    await here.put("soc", destination=trusted(hub(here.tenant)))
    report = await here.plan()
    (target,) = report.as_dict()["destinations"]
    assert target["state"] == state, target


async def test_exports_to_one_destination_are_warned_of_once(here: World) -> None:
    for name in ("one", "two"):
        await here.put(name, destination=keyed(hub(here.tenant)))
    (warning,) = (await here.plan()).plan.warnings
    assert warning.startswith("one, two: ")


@pytest.mark.parametrize(
    "role", ["workspaces/write", "Microsoft.SecurityInsights/*"], ids=["Monitoring Contributor", "Sentinel Contributor"]
)
async def test_each_role_of_microsofts_page_lets_preflight_pass(here: World, role: str) -> None:
    action = role if role.startswith("Microsoft.") else f"Microsoft.OperationalInsights/{role}"
    as_role(here.tenant, "*/read", action)
    await here.put("soc", destination=to_workspace(workspace(here.tenant)))
    report = await here.plan()
    assert report.plan.counts[Action.CREATE] == SIZE


async def test_a_destination_is_looked_at_once_a_run_whoever_uses_it(here: World) -> None:
    for name in ("one", "two", "three"):
        await here.put(name, destination=keyed(hub(here.tenant)))
    await here.put("other-case", destination=keyed(hub(here.tenant).replace("resourceGroups", "RESOURCEGROUPS")))
    here.arm.requests.clear()
    report = await here.plan()
    asked = Counter((seen.method, seen.path.lower()) for seen in here.arm.requests if "eventhub" in seen.path.lower())
    assert report.plan.counts[Action.CREATE] == 4 * SIZE
    assert set(asked.values()) == {1}
    assert sum(asked.values()) == report.requests["preflight"] + report.requests["list keys"] <= 5


def deny(tenant: Tenant, subscription: str) -> None:
    deny_exports(tenant, f"/subscriptions/{subscription}")


def without_write(tenant: Tenant, chosen: str) -> None:
    tenant.revoke(APP)
    tenant.assign(APP, ROOT + tenant.home, READER)
    tenant.assign(APP, f"/subscriptions/{chosen}", custom_role("Groups", "Microsoft.Resources/*", "*/validate/action"))
    for one in tenant.subscriptions.values():
        if one.id != chosen and one.tenant_id == tenant.home:
            tenant.assign(APP, one.scope, CONTRIBUTOR)
    tenant.assign(APP, hub(tenant), DESTINATION_ROLE)


def without_groups(tenant: Tenant, chosen: str) -> None:
    without_write(tenant, chosen)
    tenant.revoke(APP, f"/subscriptions/{chosen}")
    tenant.assign(APP, f"/subscriptions/{chosen}", custom_role("Automations", "Microsoft.Security/automations/*"))


REFUSED: dict[str, tuple[Callable[[Tenant, str], Any], tuple[str, ...]]] = {
    "a lock": (
        lambda tenant, chosen: lock(tenant, f"/subscriptions/{chosen}"),
        ("read-only lock", "az lock delete --ids $(az lock list --subscription {chosen}"),
    ),
    "a deny policy": (
        deny,
        ("policyAssignments/no-exports", "az policy exemption create", "--scope /subscriptions/{chosen}"),
    ),
    "no right to write": (
        without_write,
        (APP.app_id, "Microsoft.Security/automations/write", '--role "Security Admin" --scope /subscriptions/{chosen}'),
    ),
    "no right to make the resource group": (
        without_groups,
        ("resourceGroups/write", '--role "Contributor" --scope /subscriptions/{chosen}'),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_subscription_that_says_no_is_blocked_with_what_mends_it_and_the_others_go_on(
    here: World, name: str
) -> None:
    make, words = REFUSED[name]
    chosen = next(one for one in subscriptions(here) if one not in hub(here.tenant))
    make(here.tenant, chosen)
    await here.put("soc", destination=trusted(hub(here.tenant)))
    report = await here.apply()
    (outcome,) = [one for one in report.outcomes if one.status is not Status.CREATED]
    assert (outcome.status, outcome.id.subscription_id) == (Status.BLOCKED, chosen)
    assert "\n" not in outcome.reason
    for word in words:
        assert word.format(chosen=chosen) in outcome.reason
    assert report.counts["Created"] == SIZE - 1
    assert told(report)["outcomeReason"] == outcome.reason


def told(report: Report) -> dict[str, Any]:
    """The one entry of the stored report that did not succeed."""
    (entry,) = [item for item in report.as_dict()["items"] if item.get("outcome") == "blocked"]
    return dict(entry)


async def test_a_subscription_that_is_disabled_meanwhile_is_said_so(here: World) -> None:
    chosen = next(one for one in subscriptions(here) if one not in hub(here.tenant))
    here.tenant.advance(7200)
    here.arm.graph_lag = 3600
    here.tenant.change_subscription(chosen, state="Disabled")
    await here.put("soc")
    report = await here.apply()
    (outcome,) = [one for one in report.outcomes if one.status is not Status.CREATED]
    assert outcome.status is Status.BLOCKED
    assert f"az account subscription enable --id {chosen}" in outcome.reason


async def test_a_trusted_service_gets_no_secret(here: World) -> None:
    await here.put("soc", destination=trusted(hub(here.tenant)))
    await here.apply()
    assert {here.tenant.secrets[key].connection_strings for key in here.ours()} == {(None,)}
    assert not any("fingerprint" in name for document in here.ours().values() for name in document["tags"])
    assert not any(seen.path.lower().endswith("listkeys") for seen in here.arm.requests)


async def test_moving_from_key_to_trusted_service_forgets_the_fingerprint(here: World) -> None:
    await here.put("soc", destination=keyed(hub(here.tenant)))
    await here.apply()
    assert all("defender-export-key-fingerprint" in document["tags"] for document in here.ours().values())
    await here.put("soc", destination=trusted(hub(here.tenant)))
    report = await here.apply(max_change_percent=100)
    assert report.counts["Updated"] == SIZE
    assert not any("defender-export-key-fingerprint" in document["tags"] for document in here.ours().values())


async def test_a_key_of_the_namespace_is_found_and_sent_with_the_hub_s_name(here: World) -> None:
    here.tenant.assign(APP, namespace(here.tenant), CONTRIBUTOR)  # the app's own role reads keys of hubs only
    await here.put("soc", destination=keyed(hub(here.tenant), "RootManageSharedAccessKey"))
    report = await here.apply()
    assert report.counts["Created"] == SIZE
    name = hub(here.tenant).rpartition("/")[2]
    sent = {text for key in here.ours() for text in here.tenant.secrets[key].connection_strings}
    assert len(sent) == 1
    assert all(text is not None and text.endswith(f";EntityPath={name}") for text in sent)
    again = await here.plan()
    assert {item.action for item in again.plan.items} == {Action.UNCHANGED}
