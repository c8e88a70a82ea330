"""Export files in Blob Storage, over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.azurite import StorageAccount
from shared.cli import main
from shared.cli.command_errors import sentence
from shared.exports.diagnostics import InvalidExport
from shared.exports.export_blobs import ExportConflict, ExportNotFound
from shared.exports.store import ExportStore
from shared.web.routing import _failure

if TYPE_CHECKING:
    from shared.exports.last_known_good import LoadedExports

SAMPLES = Path(__file__).parents[2] / "exports"
TEXT = (SAMPLES / "high-alerts-to-event-hub.yaml").read_text()


def text(name: str, severity: str = "High") -> str:
    return (
        TEXT.replace("name: high-alerts-to-event-hub", f"name: {name}")
        .replace("minimumSeverity: High", f"minimumSeverity: {severity}")
        .partition("tests:")[0]
    )


@pytest.fixture
async def container(storage: StorageAccount) -> AsyncIterator[ContainerClient]:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as service:
        yield service.get_container_client("export-configs")


@pytest.fixture
def store(container: ContainerClient) -> ExportStore:
    return ExportStore(container)


async def behind_the_back(container: ContainerClient, name: str, content: str | bytes) -> None:
    await container.get_blob_client(f"current/{name}.yaml").upload_blob(content, overwrite=True)


def severities(loaded: LoadedExports) -> dict[str, str | None]:
    return {one.name: one.config.export.alerts.minimum_severity for one in loaded.exports if one.config.export.alerts}


async def test_an_empty_account_holds_no_exports(store: ExportStore) -> None:
    assert await store.list() == []
    loaded = await store.load_all()
    assert (loaded.exports, loaded.problems, loaded.warnings) == ((), (), ())
    with pytest.raises(ExportNotFound):
        await store.get("a")
    with pytest.raises(ExportNotFound):
        await store.delete("a")


async def test_what_is_put_is_listed_read_and_loaded(store: ExportStore) -> None:
    second, first = await store.put("b", text("b")), await store.put("a", text("a").encode())
    assert [(entry.name, entry.etag) for entry in await store.list()] == [("a", first), ("b", second)]
    stored = await store.get("a")
    assert (stored.name, stored.text, stored.etag) == ("a", text("a").encode(), first)
    loaded = await store.load_all()
    assert [(one.name, one.etag, one.last_known_good) for one in loaded.exports] == [
        ("a", first, False),
        ("b", second, False),
    ]
    assert first.startswith('"')
    assert first.endswith('"')


async def test_a_version_is_replaced_only_by_who_read_it(store: ExportStore) -> None:
    first = await store.put("a", text("a"), if_none_match="*")
    with pytest.raises(ExportConflict):
        await store.put("a", text("a", "Low"), if_none_match="*")
    second = await store.put("a", text("a", "Medium"), if_match=first)
    assert second != first
    with pytest.raises(ExportConflict):
        await store.put("a", text("a", "Low"), if_match=first)
    with pytest.raises(ExportConflict):
        await store.delete("a", if_match=first)
    third = await store.put("a", text("a", "Low"), if_match=second.strip('"'))
    fourth = await store.put("a", text("a", "High"), if_match="*")
    assert severities(await store.load_all()) == {"a": "High"}
    await store.delete("a", if_match=fourth)
    assert third != fourth
    assert await store.list() == []


async def test_nothing_is_made_where_a_version_was_expected(store: ExportStore) -> None:
    for condition in ('"0x1"', "*"):
        with pytest.raises(ExportConflict):
            await store.put("a", text("a"), if_match=condition)
    await store.put("b", text("b"))
    for condition in ('"0x1"', "*"):
        with pytest.raises(ExportConflict):
            await store.put("a", text("a"), if_match=condition)
    assert [entry.name for entry in await store.list()] == ["b"]


async def test_of_two_writers_one_wins(store: ExportStore) -> None:
    first = await store.put("a", text("a"))
    outcomes = await asyncio.gather(
        *(store.put("a", text("a", level), if_match=first) for level in ("Medium", "Low")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [ExportConflict]


async def test_only_valid_files_of_the_right_name_are_stored(store: ExportStore) -> None:
    orphans = text("a").replace("alerts: {minimumSeverity: High}", "custom: [{eventSource: SubAssessments}]")
    for wrong, code in (
        ("a: [", "not-yaml"),
        (orphans, "findings-without-recommendations"),
        (text("b"), "name-mismatch"),
    ):
        with pytest.raises(InvalidExport) as caught:
            await store.put("a", wrong)
        assert [one.code for one in caught.value.findings if one.severity == "error"] == [code]
    assert await store.list() == []


@pytest.mark.parametrize("name", ["../a", "a/b", "..", "A", "", "a.yaml", "a\n", "accepted/a", "a%2f..%2fb"])
async def test_names_can_t_leave_their_folder(store: ExportStore, container: ContainerClient, name: str) -> None:
    await store.put("a", text("a"))
    for reach in (store.get(name), store.delete(name)):
        with pytest.raises(ExportNotFound):
            await reach
    with pytest.raises((InvalidExport, ExportNotFound)):
        await store.put(name, text("a"))
    left = sorted([blob.name async for blob in container.list_blobs()])
    assert left == ["accepted/a.yaml", "current/a.yaml", "number.json"]


async def test_an_invalid_newest_version_leaves_the_last_known_good_in_force(
    store: ExportStore, container: ContainerClient
) -> None:
    await store.put("a", text("a", "Medium"))
    await store.put("b", text("b"))
    await behind_the_back(container, "a", "version: 7\n")
    for reader in (store, ExportStore(container)):
        loaded = await reader.load_all()
        assert severities(loaded) == {"a": "Medium", "b": "High"}
        assert [one.last_known_good for one in loaded.exports] == [True, False]
        (problem,) = loaded.problems
        assert (problem.name, problem.in_force) == ("a", True)
        assert "'version'" in problem.findings[0].sentence or "is not 1" in problem.findings[0].sentence
        assert loaded.unknown == frozenset()
    assert (await store.get("a")).text == b"version: 7\n"
    await store.put("a", text("a", "Low"))
    assert severities(await store.load_all()) == {"a": "Low", "b": "High"}


async def test_a_file_in_the_archive_tier_is_named_with_its_cure_and_takes_no_other_down(
    store: ExportStore, container: ContainerClient
) -> None:
    for name in ("a", "b", "c"):
        await store.put(name, text(name))
    await store.delete("c")
    reader = ExportStore(container)
    for blob, problems, in_force in (
        ("current/a.yaml", {"a": True}, {"a", "b"}),
        ("accepted/a.yaml", {"a": False}, {"b"}),
        ("deleted/c.json", {"a": False, "c": False}, {"b"}),
    ):
        await container.get_blob_client(blob).set_standard_blob_tier("Archive")
        loaded = await reader.load_all()
        assert {one.name: one.in_force for one in loaded.problems} == problems
        assert {code for one in loaded.problems for code in (one.findings[0].code,)} == {"archived"}
        assert all("rehydrate" in one.findings[0].fix for one in loaded.problems)
        assert {one.name for one in loaded.exports} == in_force
    assert loaded.unknown == {"a", "c"}
    with pytest.raises(HttpResponseError) as refused:
        await store.get("a")
    told = f"{container.container_name}/current/a.yaml lies in the Archive tier, from which nothing can be read: set"
    assert told in sentence(refused.value)
    assert told in str(_failure("get_export", refused.value))
    for blob in ("current/a.yaml", "accepted/a.yaml", "deleted/c.json"):
        await container.get_blob_client(blob).set_standard_blob_tier("Hot")
    assert (await reader.load_all()).problems == ()


async def test_a_valid_version_put_behind_the_back_becomes_the_last_known_good(
    store: ExportStore, container: ContainerClient
) -> None:
    await store.put("a", text("a", "High"))
    await behind_the_back(container, "a", text("a", "Low"))
    await store.take_on(await store.load_all())
    await behind_the_back(container, "a", "broken: [")
    assert severities(await store.load_all()) == {"a": "Low"}


async def test_who_only_reads_takes_nothing_on(store: ExportStore, container: ContainerClient) -> None:
    await store.put("a", text("a", "High"))
    await behind_the_back(container, "a", text("a", "Low"))
    assert severities(await store.load_all()) == {"a": "Low"}
    await behind_the_back(container, "a", "broken: [")
    assert severities(await store.load_all()) == {"a": "High"}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a", "", "not-an-export"),
        ("a", "version: 1", "missing-key"),
        ("a", b"\xff\xfe", "not-utf8"),
        ("a", "#" * 1_000_001, "too-large"),
        ("a", text("other"), "name-mismatch"),
        ("Not A Name", text("a"), "bad-name"),
        ("deep/a", text("a"), "bad-name"),
    ],
)
async def test_an_export_that_was_never_valid_is_reported_as_unknown(
    store: ExportStore, container: ContainerClient, name: str, content: str | bytes, code: str
) -> None:
    await store.put("b", text("b"))
    await behind_the_back(container, name, content)
    loaded = await store.load_all()
    assert severities(loaded) == {"b": "High"}
    (problem,) = loaded.problems
    assert (problem.name, problem.findings[0].code, problem.in_force) == (name, code, False)
    assert loaded.unknown == {name}


async def test_a_deleted_export_is_gone_with_its_last_known_good(
    store: ExportStore, container: ContainerClient
) -> None:
    await store.put("a", text("a"))
    await store.delete("a")
    await behind_the_back(container, "a", "broken: [")
    loaded = await store.load_all()
    assert loaded.exports == ()
    assert loaded.unknown == {"a"}


async def test_blobs_that_are_no_export_files_are_left_alone(store: ExportStore, container: ContainerClient) -> None:
    await store.put("a", text("a"))
    for name in ("current/README.md", "notes.yaml", "other/x.yaml"):
        await container.get_blob_client(name).upload_blob(b"x")
    assert [entry.name for entry in await store.list()] == ["a"]
    assert (await store.load_all()).problems == ()


async def test_an_unchanged_version_is_read_once(container: ContainerClient) -> None:
    store = ExportStore(container)
    for number in range(5):
        await store.put(f"e{number}", text(f"e{number}"))
    await store.load_all()
    requests: list[str] = []

    def note(response: Any) -> None:
        requests.append(response.http_request.method)

    async with ContainerClient(
        container.url.removesuffix("/export-configs"),
        "export-configs",
        credential=container.credential,
        raw_response_hook=note,
    ) as watched:
        store._blobs.container = watched
        await store.load_all()
    assert len(requests) == 4  # the store's number and the three listings
    assert severities(await store_again(store, container)) == {f"e{number}": "High" for number in range(5)}


async def store_again(store: ExportStore, container: ContainerClient) -> LoadedExports:
    store._blobs.container = container
    return await store.load_all()


async def test_exports_that_may_own_one_automation_are_told(store: ExportStore) -> None:
    for name in ("a", "b"):
        await store._container.upload_blob(
            f"current/{name}.yaml", text(name).replace("location:", "name: same\n  location:")
        )
    loaded = await store.load_all()
    assert [one.name for one in loaded.exports] == ["a", "b"]
    assert [(finding.code, finding.where) for finding in loaded.warnings] == [("same-automation", "b: automation")]


async def test_what_was_deleted_does_not_come_back_from_an_older_version(store: ExportStore) -> None:
    await store.put("a", text("a"))
    accepted = await (await store._container.download_blob("accepted/a.yaml")).readall()
    await store.delete("a")
    # A delete that was cut short leaves the accepted version; an invalid file is put past the app later.
    await store._container.upload_blob("accepted/a.yaml", accepted)
    await store._container.upload_blob("current/a.yaml", b"version: 1\nname: a\n")
    loaded = await store.load_all()
    assert loaded.exports == ()
    assert [(problem.name, problem.in_force) for problem in loaded.problems] == [("a", False)]
    await store.put("a", text("a"))
    assert [one.name for one in (await store.load_all()).exports] == ["a"]


async def test_a_storage_that_fails_is_never_taken_for_an_empty_one() -> None:
    broken = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a"
    async with ContainerClient.from_connection_string(broken, "c", retry_total=0) as container:
        store = ExportStore(container)
        with pytest.raises(ServiceRequestError):
            await store.load_all()
        with pytest.raises(ServiceRequestError):
            await store.get("a")


def test_push_writes_what_is_new_and_leaves_what_is_unchanged(
    storage: StorageAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", storage.connection_string)
    monkeypatch.setenv("INSTANCE_ID", "default")
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(text(name))
    assert main(["push", "--dry-run", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "a: would be created\nb: would be created\n"
    assert main(["push", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "a: created\nb: created\n"
    (tmp_path / "a.yaml").write_text(text("a", "Low"))
    assert main(["push", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "a: updated\nb: unchanged\n"
    assert main(["push", "--dry-run", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "a: unchanged\nb: unchanged\n"


def test_every_sample_can_be_pushed(
    storage: StorageAccount, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", storage.connection_string)
    monkeypatch.setenv("INSTANCE_ID", "default")
    assert main(["push", str(SAMPLES)]) == 0
    assert capsys.readouterr().out.count(": created\n") == len(list(SAMPLES.glob("*.yaml")))
