"""Files beside the export files, put by several instances at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.storage.blob.aio import BlobServiceClient

from local.azurite import StorageAccount
from shared.audit.trail import Trail
from shared.exports.kept_file import FileBusy, FileChanged
from shared.watch.stored_requirements import StoredRequirements

TEXT = "version: 1\nrequirements: [{{name: n{}, kind: Alerts}}]\n"


@pytest.fixture
async def service(storage: StorageAccount) -> AsyncIterator[BlobServiceClient]:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as opened:
        yield opened


class Overtaken(StoredRequirements):
    """An instance that another one overtakes between reading and writing, so many times."""

    times = 0

    async def stored(self) -> tuple[bytes, str] | None:
        found = await super().stored()
        if self.times:
            self.times -= 1
            await self._container.get_blob_client(self._blob).upload_blob(TEXT.format(self.times), overwrite=True)
        return found


def instance(service: BlobServiceClient, kind: type[StoredRequirements] = StoredRequirements) -> StoredRequirements:
    container = service.get_container_client("export-configs")
    return kind(container, Trail(container, lambda _: None))


async def test_who_names_no_version_is_overtaken_and_stores_all_the_same(service: BlobServiceClient) -> None:
    one = instance(service, Overtaken)
    one.times = 4  # type: ignore[attr-defined] # of Overtaken
    await one.put(TEXT.format("mine").encode(), "me")
    assert await instance(service).text() == TEXT.format("mine").encode()


async def test_overtaken_each_time_it_is_told_as_busy_and_not_as_another_version(service: BlobServiceClient) -> None:
    one = instance(service, Overtaken)
    one.times = 100  # type: ignore[attr-defined] # of Overtaken
    with pytest.raises(FileBusy, match=r"Others store requirements\.yaml all the time"):
        await one.put(TEXT.format("mine").encode(), "me")
    named = await instance(service).stored()
    assert named is not None
    with pytest.raises(FileChanged):
        await one.put(TEXT.format("mine").encode(), "me", meant=lambda etag: etag == named[1])


async def test_three_instances_store_twelve_files_at_once(service: BlobServiceClient) -> None:
    instances = [instance(service) for _ in range(3)]
    texts = [TEXT.format(number).encode() for number in range(12)]
    await asyncio.gather(*(instances[number % 3].put(text, "me") for number, text in enumerate(texts)))
    assert await instances[0].text() in texts
