"""Resource Graph refuses answers over 16 MB: the app asks again for fewer rows, and loses none."""

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import samples, synthetic_tenant
from local.tenant.destinations import destinations
from tests.integration.reconcile.world import world

NUMBER, SIZE = 30, 700_000


async def test_an_answer_too_large_is_asked_for_in_smaller_pages(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    tenant = synthetic_tenant(1, 2, untidy=False)
    into, (first, *_) = destinations(tenant), tenant.subscriptions.values()
    for number in range(NUMBER):
        document = samples.terraform(first.id, "rg-asc-export", into)
        properties = {**document["properties"], "description": "x" * SIZE}
        tenant.set_automation({**document, "id": f"{document['id']}-{number}", "properties": properties})
    async with world(tenant, local_certs, storage) as here:
        inventory = await here.reconciler().discover()
        answers = [seen.status for seen in here.arm.requests if seen.path.endswith("/resources")]
    assert inventory.complete
    assert len({live.id.key for live in inventory.automations}) == NUMBER
    assert 0 < answers.count(400) <= 5
