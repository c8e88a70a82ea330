"""The edge to Blob Storage: one container, whole blobs, conditional writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.azure.clients import Clients
from shared.fail_points import touching
from shared.settings import SettingsError

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, ContainerClient

LEASE_SECONDS = 60  # the longest lease that ends by itself
TIMEOUT = 60.0  # seconds for one request with the client's own retries


class StoreError(Exception):
    """Blob Storage did not do what was asked, and nothing was changed as far as is known."""


class ChangedError(StoreError):
    """Another writer changed, leased or removed the blob."""


class RefusedError(StoreError):
    """Blob Storage refuses this blob as it is; `code` is its error code, such as BlobArchived."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"refused: {code}")


# These say that another process has the blob, or had it since it was read; every other refusal is the store's own.
_TAKEN = frozenset(
    {
        "BlobAlreadyExists",
        "BlobNotFound",
        "ConditionNotMet",
        "LeaseAlreadyPresent",
        "LeaseIdMismatchWithBlobOperation",
        "LeaseIdMismatchWithLeaseOperation",
        "LeaseIdMissing",
        "LeaseIsBreakingAndCannotBeAcquired",
        "LeaseIsBreakingAndCannotBeChanged",
        "LeaseIsBrokenAndCannotBeRenewed",
        "LeaseLost",
        "LeaseNotPresentWithBlobOperation",
        "LeaseNotPresentWithLeaseOperation",
    }
)
_CONFLICTS = frozenset({404, 409, 412})


@dataclass(frozen=True)
class Listed:
    """A blob as the listing shows it."""

    name: str
    metadata: Mapping[str, str]
    size: int
    etag: str
    written: datetime
    tier: str = ""


class Container:
    """Blobs of one container of the data plane's account.

    The deployment makes it; one that is missing is an error, never made anew here.
    """

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name

    async def put(self, name: str, data: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Write a blob in one piece; one of the same name is replaced.

        Raises:
            StoreError: it may not be there.
        """
        with _store_errors():
            await self._upload(name, data, metadata, overwrite=True)

    async def create(self, name: str, data: bytes, metadata: Mapping[str, str]) -> bool:
        """Write a blob in one piece unless one of this name is there; whether it was written.

        Raises:
            StoreError: it may not be there.
        """
        try:
            with _store_errors():
                await self._upload(name, data, metadata, overwrite=False)
        except ChangedError:
            return False
        return True

    async def keep(self, name: str, data: bytes) -> None:
        """Write a blob whose name tells its content; one of the same name is left, and does as well.

        Raises:
            StoreError: it may not be there.
        """
        try:
            await self.put(name, data)
        except RefusedError:  # under an immutability policy nothing that is there can be written again
            with _store_errors():
                async with asyncio.timeout(TIMEOUT):
                    if await self._blob(name).exists():
                        return
            raise

    async def replace(self, name: str, data: bytes, metadata: Mapping[str, str], etag: str, lease: str) -> None:
        """Write a blob anew if it is still the one that was read.

        Raises:
            ChangedError: it is not.
            StoreError: it is unknown whether it was written.
        """
        from azure.core import MatchConditions

        with _store_errors():
            async with asyncio.timeout(TIMEOUT):
                with touching("blob.replace"):
                    await self._blob(name).upload_blob(
                        data,
                        overwrite=True,
                        metadata=dict(metadata),
                        etag=etag,
                        match_condition=MatchConditions.IfNotModified,
                        lease=lease,  # type: ignore[arg-type] # an id is taken too
                    )

    async def entries(self, prefix: str = "") -> AsyncIterator[Listed]:
        """Every blob below a prefix, by name.

        Raises:
            StoreError: the listing broke off.
        """
        with _store_errors(), touching("blob.list"):
            async for blob in self._container.list_blobs(prefix, include=["metadata"]):
                tier = _text(blob.blob_tier)
                yield Listed(blob.name, blob.metadata or {}, blob.size, blob.etag, blob.last_modified, tier)

    async def describe(self, name: str, metadata: Mapping[str, str], etag: str, lease: str) -> str:
        """Replace a blob's metadata if it is still the one that was read; gives its new ETag.

        Raises:
            ChangedError: it is not.
            RefusedError: the store refuses every change of it.
            StoreError: it is unknown whether it was changed.
        """
        from azure.core import MatchConditions

        with _store_errors():
            async with asyncio.timeout(TIMEOUT):
                with touching("blob.describe"):
                    answer = await self._blob(name).set_blob_metadata(
                        dict(metadata), etag=etag, match_condition=MatchConditions.IfNotModified, lease=lease
                    )
                    return str(answer["etag"])

    async def get(self, name: str) -> tuple[bytes, str]:
        """A blob's contents and ETag.

        Raises:
            ChangedError: it is not there (any more).
            RefusedError: the store does not hand it out, such as a blob in the Archive tier.
            StoreError: it can't be read now.
        """
        with _store_errors():
            async with asyncio.timeout(TIMEOUT):
                with touching("blob.get"):
                    download = await self._blob(name).download_blob()
                    return await download.readall(), download.properties.etag

    @asynccontextmanager
    async def leased(self, name: str) -> AsyncIterator[str]:
        """Keep others from working on a blob, for a minute at most; the id goes with `replace` and `delete`.

        Raises:
            ChangedError: another process holds the lease, or the blob is gone.
            StoreError: unknown.
        """
        with _store_errors():
            async with asyncio.timeout(TIMEOUT):
                with touching("blob.lease"):
                    lease = await self._blob(name).acquire_lease(LEASE_SECONDS)
        try:
            yield lease.id
        finally:
            with suppress(StoreError), _store_errors():  # it ends by itself, and with the blob
                async with asyncio.timeout(TIMEOUT):
                    with touching("blob.release"):
                        await lease.release()

    async def delete(self, name: str, etag: str, lease: str) -> None:
        """Remove a blob if it is still the one that was read.

        Raises:
            ChangedError: it is not.
            StoreError: it is unknown whether it was removed.
        """
        from azure.core import MatchConditions

        with _store_errors():
            async with asyncio.timeout(TIMEOUT):
                with touching("blob.delete"):
                    await self._blob(name).delete_blob(
                        etag=etag, match_condition=MatchConditions.IfNotModified, lease=lease
                    )

    async def _upload(self, name: str, data: bytes, metadata: Mapping[str, str] | None, *, overwrite: bool) -> None:
        async with asyncio.timeout(TIMEOUT):
            with touching("blob.put"):
                await self._blob(name).upload_blob(data, overwrite=overwrite, metadata=dict(metadata or {}))

    @property
    def _container(self) -> ContainerClient:
        return self._clients.data_blobs.get_container_client(self._name)

    def _blob(self, name: str) -> BlobClient:
        return self._clients.data_blobs.get_blob_client(self._name, name)


@contextmanager
def _store_errors() -> Iterator[None]:
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if error.status_code not in _CONFLICTS:
            raise StoreError(_named(error)) from error
        code = _text(getattr(error, "error_code", None))
        raise (
            ChangedError(_named(error)) if code in _TAKEN else RefusedError(code or str(error.status_code))
        ) from error
    except (AzureError, SettingsError, TimeoutError) as error:
        raise StoreError(_named(error)) from error


def _named(error: Exception) -> str:
    code = _text(getattr(error, "error_code", None))
    return f"{type(error).__name__} {code}" if code else type(error).__name__


def _text(value: object) -> str:
    """The text of what the SDK gives as an enumeration where it knows the word, and as text where it does not."""
    return str(getattr(value, "value", value) or "")
