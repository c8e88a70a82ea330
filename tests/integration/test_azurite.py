import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local.azurite import Azurite, StorageAccount
from local.certs import Certificates
from local.tokens import Principal, TokenAuthority

STORAGE = "https://storage.azure.com"


class MintedCredential:
    """A credential whose tokens name an audience of the test's choice."""

    def __init__(self, audience: str, lifetime: float = 3600) -> None:
        self._audience, self._lifetime = audience, lifetime

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken(*TokenAuthority().mint(Principal("object", "app"), self._audience, self._lifetime))

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None: ...


async def test_blobs_queues_and_tables_are_served_with_the_account_key(storage: StorageAccount) -> None:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as blobs:
        container = await blobs.create_container("things")
        await container.upload_blob("one", b"1")
        assert await (await container.download_blob("one")).readall() == b"1"
    async with QueueServiceClient.from_connection_string(storage.connection_string) as queues:
        queue = await queues.create_queue("things")
        await queue.send_message("go")
        assert [message.content async for message in queue.receive_messages()] == ["go"]
    async with TableServiceClient.from_connection_string(storage.connection_string) as tables:
        table = await tables.create_table("things")
        await table.create_entity({"PartitionKey": "a", "RowKey": "b", "n": 1})
        assert (await table.get_entity("a", "b"))["n"] == 1


async def test_a_bearer_token_for_storage_opens_all_three_services(storage: StorageAccount) -> None:
    credential = MintedCredential(STORAGE)
    async with BlobServiceClient(storage.blob_uri, credential=credential) as blobs:
        await blobs.create_container("things")
    async with QueueServiceClient(storage.queue_uri, credential=credential) as queues:
        await queues.create_queue("things")
    async with TableServiceClient(storage.table_uri, credential=credential) as tables:
        await tables.create_table("things")


@pytest.mark.parametrize(
    "credential",
    [MintedCredential("https://management.azure.com"), MintedCredential(STORAGE, lifetime=-60)],
    ids=["another audience", "expired"],
)
async def test_a_wrong_token_is_refused(storage: StorageAccount, credential: MintedCredential) -> None:
    async with BlobServiceClient(storage.blob_uri, credential=credential) as blobs:
        with pytest.raises(ClientAuthenticationError):
            await blobs.create_container("things")


async def test_accounts_are_apart(azurite: Azurite, storage: StorageAccount) -> None:
    async with BlobServiceClient.from_connection_string(storage.connection_string) as blobs:
        await blobs.create_container("only-here")
    async with BlobServiceClient.from_connection_string(azurite.main.connection_string) as blobs:
        assert "only-here" not in [found.name async for found in blobs.list_containers()]


async def test_a_folder_keeps_data_over_a_restart(tmp_path: Path, local_certs: Certificates) -> None:
    folder = tmp_path / "storage"
    async with Azurite(local_certs, folder=folder) as first:
        async with BlobServiceClient.from_connection_string(first.main.connection_string) as blobs:
            await (await blobs.create_container("things")).upload_blob("one", b"1")
    async with Azurite(local_certs, folder=folder) as second:
        async with BlobServiceClient.from_connection_string(second.main.connection_string) as blobs:
            assert await (await blobs.get_blob_client("things", "one").download_blob()).readall() == b"1"


HOLD = """
import sys, time
from pathlib import Path
from local.azurite import Azurite
from local.certs import Certificates
with Azurite(Certificates(Path(sys.argv[1]))) as azurite:
    print(azurite._process.pid, flush=True)
    time.sleep(600)
"""


def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    with parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 30
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
