from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from tests.integration.reconcile.world import world


async def test_the_first_apply_creates_what_the_files_declare_and_the_second_writes_nothing(
    local_certs: Certificates, storage: StorageAccount
) -> None:
    async with world(synthetic_tenant(1, 20, untidy=False), local_certs, storage) as here:
        await here.put("soc-alerts")
        first = await here.apply()
        assert first.outcome == "Succeeded", first.row()["Problems"][:2]
        assert first.counts["Created"] == 20
        assert len(here.ours()) == 20
        here.arm.requests.clear()
        second = await here.apply()
        assert second.counts["Unchanged"] == 20
        assert here.writes() == []
