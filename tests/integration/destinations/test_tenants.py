"""Destinations in another tenant: two tokens of one multi-tenant app, and what to do when one is missing or refused."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from azure.core.credentials import AccessToken

from local.azurite import StorageAccount
from local.certs import Certificates
from local.identity import Application, Identity
from local.tenant import (
    APP,
    CROSS_TENANT_APP,
    CROSS_TENANT_APP_THERE,
    CUSTOMER_TENANT,
    OTHER_TENANT,
    Tenant,
    synthetic_tenant,
)
from local.tenant.destinations import destinations
from local.tenant.roles import EVENT_HUBS_DATA_SENDER, READER, custom_role
from local.tokens import HOME_TENANT, Principal
from shared.reconcile.apply.executor import Status
from shared.reconcile.destinations.event_hub_keys import KeyedDestinations
from shared.reconcile.plan.model import Action
from shared.reconcile.run import Reconciler, Request
from tests.integration.reconcile.world import ME, LocalClients, MintedCredential, World, world
from tests.integration.test_identity import PRIVATE, PUBLIC

SIZE = 4
SECRET = "a-client-secret"
AUXILIARY = "x-ms-authorization-auxiliary"


@pytest.fixture
async def identity(here_at_home: World, local_certs: Certificates) -> AsyncIterator[Identity]:
    application = Application(
        CROSS_TENANT_APP.app_id,
        {HOME_TENANT: CROSS_TENANT_APP.object_id, OTHER_TENANT: CROSS_TENANT_APP_THERE.object_id},
        secrets=(SECRET,),
        certificates=(PUBLIC,),
        federated=((HOME_TENANT, APP.object_id),),
    )
    async with Identity(
        here_at_home.tokens, local_certs, applications=[application], tenants=[HOME_TENANT, OTHER_TENANT]
    ) as running:
        yield running


@pytest.fixture
async def here_at_home(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, SIZE, untidy=False), local_certs, storage) as running:
        yield running


def crossing(here: World, identity: Identity | None, credential: str = "secret", **changes: Any) -> World:
    """The same world, with the settings of a deployment that reaches other tenants."""
    settings = replace(
        here.settings,
        cross_tenant_client_id=CROSS_TENANT_APP.app_id,
        cross_tenant_credential=credential,
        cross_tenant_secret=SECRET,
        cross_tenant_certificate=PRIVATE,
        authority_host=identity.endpoint if identity else "",
        **changes,
    )
    clients = LocalClients(settings, MintedCredential(here.tokens, APP))
    return replace(here, settings=settings, clients=clients)


@pytest.fixture
async def here(here_at_home: World, identity: Identity) -> AsyncIterator[World]:
    across = crossing(here_at_home, identity)
    yield across
    await across.clients.close()


def there(tenant: Tenant, kind: str) -> str:
    return next(str(one["id"]) for one in tenant.resources.values() if one["type"] == kind and "rg-soc" in one["id"])


def hub(tenant: Tenant) -> str:
    return there(tenant, "Microsoft.EventHub/namespaces/eventhubs")


def workspace(tenant: Tenant) -> str:
    return there(tenant, "Microsoft.OperationalInsights/workspaces")


def trusted(tenant: Tenant, tenant_id: str = OTHER_TENANT) -> str:
    return f"eventHub: {{resourceId: {hub(tenant)}, trustedService: true}}" + named(tenant_id)


def keyed(tenant: Tenant) -> str:
    return f"eventHub: {{resourceId: {hub(tenant)}, authorizationRule: defender-send}}" + named(OTHER_TENANT)


def to_workspace(tenant: Tenant) -> str:
    return f"logAnalyticsWorkspace: {{resourceId: {workspace(tenant)}}}" + named(OTHER_TENANT)


def named(tenant_id: str) -> str:
    return f"\n          tenantId: {tenant_id}" if tenant_id else ""


async def blocked(here: World, destination: str) -> str:
    """The sentence that blocks an export there, while an export at home goes on."""
    await here.put("partner", destination=destination)
    await here.put("home")
    report = await here.apply()
    assert report.counts["Created"] == SIZE
    assert {document["tags"]["defender-export-name"] for document in here.ours().values()} == {"home"}
    reasons = {item.reason for item in report.plan.items if item.action is Action.BLOCKED}
    reasons |= {one.reason for one in report.outcomes if one.status is Status.BLOCKED}
    (sentence,) = reasons
    return sentence


@pytest.mark.parametrize("credential", ["secret", "certificate", "federated"])
@pytest.mark.parametrize("make", [trusted, keyed, to_workspace])
async def test_the_right_set_up_writes_with_both_tokens_of_one_app(
    here_at_home: World, identity: Identity, make: Any, credential: str
) -> None:
    here = crossing(here_at_home, identity, credential)
    await here.put("partner", destination=make(here.tenant))
    report = await here.apply()
    assert (report.outcome, report.counts["Created"]) == ("Succeeded", SIZE)
    writers = {seen.principal for seen in here.arm.requests if seen.method == "PUT" and "automations" in seen.path}
    assert writers == {CROSS_TENANT_APP.object_id}
    looked = {seen.principal for seen in here.arm.requests if "/rg-soc/" in seen.path}
    assert looked == {CROSS_TENANT_APP_THERE.object_id}
    again = await here.apply()
    assert again.plan.counts[Action.UNCHANGED] == SIZE
    # One token a tenant: credentials and pipelines are reused for every subscription and run.
    assert sum("/oauth2/v2.0/token" in seen.path for seen in identity.requests) <= 4
    await here.clients.close()


async def test_a_destination_whose_tenant_is_home_needs_no_second_app(here_at_home: World) -> None:
    into = destinations(here_at_home.tenant).event_hub
    await here_at_home.put(
        "soc", destination=f"eventHub: {{resourceId: {into}, trustedService: true}}" + named(HOME_TENANT)
    )
    report = await here_at_home.apply()
    assert report.counts["Created"] == SIZE


class TestNoAuxiliaryToken:
    async def test_without_a_credential_for_other_tenants_the_settings_are_named(self, here_at_home: World) -> None:
        sentence = await blocked(here_at_home, trusted(here_at_home.tenant))
        assert "CROSS_TENANT_CLIENT_ID" in sentence
        assert "CROSS_TENANT_CREDENTIAL" in sentence

    async def test_without_the_tenant_in_the_file_it_is_named(self, here: World) -> None:
        sentence = await blocked(here, trusted(here.tenant, ""))
        assert f"`destination.tenantId: {OTHER_TENANT}`" in sentence

    async def test_with_the_wrong_tenant_in_the_file_the_right_one_is_named(
        self, here: World, identity: Identity
    ) -> None:
        identity.tenants.add(CUSTOMER_TENANT)
        application = identity.applications[CROSS_TENANT_APP.app_id]
        application.object_ids[CUSTOMER_TENANT] = "cccccccc-0000-4000-8000-000000000003"
        sentence = await blocked(here, trusted(here.tenant, CUSTOMER_TENANT))
        assert f"does not lie in tenant {CUSTOMER_TENANT}" in sentence
        assert f"`destination.tenantId: {OTHER_TENANT}`" in sentence

    async def test_a_write_that_goes_without_one_is_told_what_is_missing(self, here_at_home: World) -> None:
        here = here_at_home
        subscription = destinations(here.tenant).event_hub.split("/")[2]

        class Moving(KeyedDestinations):
            """Its subscription moves to another tenant between the look at it and the write."""

            async def prepare(self, configs: Any) -> Any:
                prepared = await super().prepare(configs)
                here.tenant.change_subscription(subscription, tenant_id=OTHER_TENANT)
                return prepared

        await here.put("soc")
        reconciler = Reconciler(here.settings, here.clients, here.store, clock=here.clock, destinations=Moving)
        report = await reconciler.apply(Request(ME))
        linked = {one.reason for one in report.outcomes if one.id.subscription_id != subscription}
        (sentence,) = linked
        assert f"destination's subscription {subscription} lies in another tenant" in sentence
        assert "`destination.tenantId`" in sentence
        assert {one.status for one in report.outcomes} == {Status.BLOCKED}


class Stale(MintedCredential):
    """A cache that hands out a token which has expired; `left` times, then fresh ones."""

    def __init__(self, here: World, left: int) -> None:
        super().__init__(here.tokens, CROSS_TENANT_APP_THERE)
        self._here, self._left = here, left
        self.asked = 0

    async def get_token(self, *scopes: str, **kwargs: Any) -> AccessToken:
        self.asked += 1
        self._left -= 1
        lifetime = -60 if self._left >= 0 else 3600
        token, _ = self._here.tokens.mint(self._principal, scopes[0].removesuffix("/.default"), lifetime)
        return AccessToken(token, int(self._here.tenant.clock()) + 3600)  # the cache believes in it


def believing(here: World, stale: Stale, *, only_auxiliary: bool = True) -> World:
    """The app's clients with that credential for the other tenant; preflight may have a good one."""

    class Clients(LocalClients):
        def cross_tenant(self, tenant_id: str) -> Any:
            return stale if tenant_id == OTHER_TENANT else super().cross_tenant(tenant_id)

        async def arm_in(self, tenant_id: str) -> Any:
            if tenant_id == OTHER_TENANT and only_auxiliary:
                good = MintedCredential(here.tokens, CROSS_TENANT_APP_THERE)
                return self._made("in", tenant_id, lambda: self._arm_client(good))
            return await super().arm_in(tenant_id)

    return replace(here, clients=Clients(here.settings, MintedCredential(here.tokens, APP)))


class TestAnExpiredToken:
    async def test_a_stale_cache_is_renewed_and_the_run_succeeds(self, here: World) -> None:
        across = believing(here, Stale(here, 1))
        await across.put("partner", destination=trusted(across.tenant))
        report = await across.apply()
        assert (report.outcome, report.counts["Created"]) == ("Succeeded", SIZE)
        await across.clients.close()

    async def test_one_that_stays_expired_blocks_with_what_mends_it(self, here: World) -> None:
        stale = Stale(here, 10**6)
        across = believing(here, stale)
        sentence = await blocked(across, trusted(across.tenant))
        assert f"the token of tenant {OTHER_TENANT}" in sentence
        assert "expired" in sentence
        assert "clock" in sentence
        assert f"az ad sp create --id {CROSS_TENANT_APP.app_id}" in sentence
        assert stale.asked <= 3  # renewed once a run, not once a subscription
        await across.clients.close()

    async def test_preflight_names_it_before_anything_is_written(self, here: World) -> None:
        across = believing(here, Stale(here, 10**6), only_auxiliary=False)
        sentence = await blocked(across, trusted(across.tenant))
        assert f"token for tenant {OTHER_TENANT} expired" in sentence
        await across.clients.close()


class TestAnUnknownPrincipal:
    async def test_an_app_without_consent_there_is_told_who_consents_how(self, here: World, identity: Identity) -> None:
        del identity.applications[CROSS_TENANT_APP.app_id].object_ids[OTHER_TENANT]
        sentence = await blocked(here, trusted(here.tenant))
        assert f"no service principal in tenant {OTHER_TENANT}" in sentence
        assert f"`az login --tenant {OTHER_TENANT}`" in sentence
        assert f"`az ad sp create --id {CROSS_TENANT_APP.app_id}`" in sentence

    async def test_one_that_resource_manager_does_not_know_is_told_the_same(self, here: World) -> None:
        unknown = Principal("99999999-0000-4000-8000-000000000001", CROSS_TENANT_APP.app_id, OTHER_TENANT)
        stale = Stale(here, 0)
        stale._principal = unknown
        across = believing(here, stale)
        sentence = await blocked(across, trusted(across.tenant))
        assert f"{CROSS_TENANT_APP.app_id} is not known there" in sentence
        assert f"az ad sp create --id {CROSS_TENANT_APP.app_id}" in sentence
        await across.clients.close()

    @pytest.mark.parametrize(
        ("credential", "words"),
        [
            ("secret", "set a new one as CROSS_TENANT_CLIENT_SECRET"),
            ("certificate", "az ad app credential reset"),
            ("federated", "az ad app federated-credential create"),
        ],
    )
    async def test_a_proof_that_the_app_does_not_accept_is_named(
        self, here_at_home: World, identity: Identity, credential: str, words: str
    ) -> None:
        known = identity.applications[CROSS_TENANT_APP.app_id]
        identity.applications[CROSS_TENANT_APP.app_id] = replace(
            known, secrets=("another",), certificates=(), federated=()
        )
        here = crossing(here_at_home, identity, credential)
        assert words in await blocked(here, trusted(here.tenant))
        await here.clients.close()

    async def test_a_tenant_that_does_not_exist_is_named(self, here: World) -> None:
        unknown = "44444444-4444-4444-8444-444444444444"
        assert f"there is no tenant {unknown}" in await blocked(here, trusted(here.tenant, unknown))


class TestRolesThere:
    async def test_a_missing_workspace_role_is_named_with_its_command(self, here: World) -> None:
        tenant = here.tenant
        tenant.revoke(CROSS_TENANT_APP_THERE)
        tenant.assign(CROSS_TENANT_APP_THERE, workspace(tenant).partition("/providers/")[0], READER)
        sentence = await blocked(here, to_workspace(tenant))
        assert "Owner, Contributor, Log Analytics Contributor, Microsoft Sentinel Contributor or Monitoring" in sentence
        assert (
            f'`az role assignment create --assignee {CROSS_TENANT_APP.app_id} --role "Log Analytics Contributor" '
            f"--scope {workspace(tenant)}`"
        ) in sentence

    async def test_a_missing_right_to_the_key_too(self, here: World) -> None:
        tenant = here.tenant
        tenant.revoke(CROSS_TENANT_APP_THERE)
        tenant.assign(CROSS_TENANT_APP_THERE, workspace(tenant).partition("/providers/")[0], READER)
        sentence = await blocked(here, keyed(tenant))
        assert f'--assignee {CROSS_TENANT_APP.app_id} --role "Azure Event Hubs Data Owner"' in sentence

    async def test_a_right_that_is_lost_before_the_write_is_named_then(self, here: World) -> None:
        tenant = here.tenant
        tenant.revoke(CROSS_TENANT_APP_THERE)
        group = workspace(tenant).partition("/providers/")[0]
        # Sentinel's role passes preflight, as Microsoft's page has it; the write tells whether Azure agrees.
        tenant.assign(CROSS_TENANT_APP_THERE, group, custom_role("Sentinel", "*/read", "Microsoft.SecurityInsights/*"))
        sentence = await blocked(here, to_workspace(tenant))
        assert "workspaces/write" in sentence
        assert "Log Analytics Contributor" in sentence


async def test_delegated_subscriptions_are_ordinary_and_grouped_by_tenant(here_at_home: World) -> None:
    here = here_at_home
    customers = [one for one in here.tenant.subscriptions.values() if one.tenant_id == CUSTOMER_TENANT]
    listed = ", ".join(one.id for one in customers)
    await here.put("soc", scope=f", subscriptions: [{listed}]")
    report = await here.apply()
    assert (report.outcome, report.counts["Created"]) == ("Succeeded", SIZE + len(customers))
    tenants = report.as_dict()["tenants"]
    assert tenants[CUSTOMER_TENANT] == {"subscriptions": len(customers), "create": len(customers)}
    assert tenants[HOME_TENANT] == {"subscriptions": SIZE, "create": SIZE}
    assert set(here.rows[-1]["Tenants"]) >= {CUSTOMER_TENANT, HOME_TENANT}


async def test_both_tokens_reach_a_hub_through_lighthouse_too(here: World) -> None:
    """A customer's subscription, delegated to home, that exports to a partner's hub: two tenants beside home."""
    customers = [one for one in here.tenant.subscriptions.values() if one.tenant_id == CUSTOMER_TENANT]
    for one in customers:
        for role in (READER, custom_role("Exports", "Microsoft.Security/*", "Microsoft.Resources/subscriptions/*")):
            here.tenant.assign(CROSS_TENANT_APP, one.scope, role)
    here.tenant.assign(CROSS_TENANT_APP_THERE, hub(here.tenant), EVENT_HUBS_DATA_SENDER)
    await here.put(
        "partner",
        groups="",
        scope=f"subscriptions: [{customers[0].id}]".join((", ", "")),
        destination=trusted(here.tenant),
    )
    report = await here.apply()
    assert report.counts["Created"] == 1
