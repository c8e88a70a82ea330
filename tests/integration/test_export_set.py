"""The set of files is checked wherever one file is put: the store, `push`; conflicts are refused with both names."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from local.azurite import StorageAccount
from local.certs import Certificates
from local.tenant import synthetic_tenant
from shared.cli.push import StoreTarget, push_files
from shared.exports.diagnostics import InvalidExport
from shared.exports.validation import check_text
from tests.integration.reconcile.world import World, export, world


@pytest.fixture
async def here(local_certs: Certificates, storage: StorageAccount) -> AsyncIterator[World]:
    async with world(synthetic_tenant(1, 2, untidy=False), local_certs, storage) as running:
        await running.put("a")
        await running.put("b")
        yield running


def file(
    here: World, name: str, automation: str = "", *, former: str = "", more: str = "", groups: str = "contoso"
) -> str:
    written = export(here.tenant, name, automation=f", name: {automation}" if automation else "", groups=groups)
    return written.replace("enabled:", f"renamedFrom: {former}\nenabled:" if former else "enabled:") + more


@pytest.mark.parametrize(
    ("name", "automation", "former", "said"),
    [
        ("b", "defender-export-a", "", "own the same automation"),
        ("c", "Defender-Export-A", "", "the one in a"),
        ("d", "", "gone", "e says that it was 'gone', too"),
    ],
)
async def test_what_conflicts_with_a_stored_file_is_refused(
    here: World, name: str, automation: str, former: str, said: str
) -> None:
    await here.store.put("e", file(here, "e", former="gone"))
    before = {entry.name: entry.etag for entry in await here.store.list()}
    with pytest.raises(InvalidExport, match=said):
        await here.store.put(name, file(here, name, automation, former=former))
    assert {entry.name: entry.etag for entry in await here.store.list()} == before


async def test_a_conflict_that_is_only_possible_is_a_warning(here: World) -> None:
    text = file(here, "c", "defender-export-a", groups="contoso-sandbox")
    checked = await here.store.check("c", text)
    assert checked.valid
    assert [finding.severity for finding in checked.findings if finding.code == "same-automation"] == ["warning"]
    await here.store.put("c", text)


async def test_a_file_may_be_put_again_and_a_former_name_before_its_delete(here: World) -> None:
    await here.store.put("a", file(here, "a"))
    text = file(here, "c", former="a")
    assert [finding.code for finding in (await here.store.check("c", text)).findings] == ["still-declared"]
    await here.store.put("c", text)


async def test_a_file_whose_own_tests_fail_is_refused(here: World) -> None:
    record = "tests: [{record: {SystemAlertId: secret-id, Severity: Low}, exported: true}]\n"
    with pytest.raises(InvalidExport, match="the record should be exported") as refused:
        await here.store.put("a", file(here, "a", more=record))
    assert "secret-id" not in str(refused.value)
    await here.store.put("a", file(here, "a", more=record.replace("true", "false")))


async def test_a_push_is_checked_as_the_set_that_it_makes(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    swapped = [
        check_text(file(here, "a", "defender-export-b"), "a.yaml"),
        check_text(file(here, "b", "defender-export-a"), "b.yaml"),
    ]
    assert await push_files(swapped[:1], StoreTarget(here.store)) == 1
    assert "own the same automation" in capsys.readouterr().out
    assert await push_files(swapped, StoreTarget(here.store)) == 0
    target = StoreTarget(here.store)
    target.beside = {"a": None}  # pruned in the same turn
    assert await push_files([check_text(file(here, "c", "defender-export-b"), "c.yaml")], target) == 0
