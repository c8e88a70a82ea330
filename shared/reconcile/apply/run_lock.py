"""One writer at a time: a blob lease, renewed while the run lasts, that says who holds it.

A lease lasts 60 seconds and is renewed every 10.  A write may begin only while enough of it is left for the request to
end; a killed run's lease expires.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from shared.reconcile.arm.arm_client import REQUEST_SECONDS

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient, BlobLeaseClient, ContainerClient

LEASE_BLOB = "reconcile.lock"
LEASE_SECONDS = 60
RENEW_SECONDS = 10
MARGIN_SECONDS = REQUEST_SECONDS + 5

# Whatever else the store refuses says nothing of another run.
_TAKEN = frozenset({"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"})


class LeaseHeld(Exception):  # noqa: N818 - says what is the case
    """Another run holds the lease; `holder` is what it wrote about itself.

    A lease without end is none that a run takes: it has to be broken by hand, with the command `broken_by`.
    """

    def __init__(self, holder: Mapping[str, str], *, blob: str = LEASE_BLOB, broken_by: str = "") -> None:
        self.holder = dict(holder)
        who = ", ".join(f"{name} {value}" for name, value in sorted(self.holder.items())) or "somebody unnamed"
        endless = (
            f"the blob {blob} has a lease without end, which no run takes: break it with {broken_by} "
            f"(last written by: {who})"
        )
        super().__init__(endless if broken_by else f"another run is writing: {who}")


def _break(blob: BlobClient) -> str:
    place = f"--account-name {blob.account_name} --container-name {blob.container_name} --blob-name {blob.blob_name}"
    return f"`az storage blob lease break {place} --auth-mode login`"


class RunLease:
    """The lease as an async context manager; `holder` is plain ASCII text by name, kept as the metadata of `blob`.

    Raises:
        LeaseHeld: on entering, when another run has it.
    """

    def __init__(
        self,
        container: ContainerClient,
        holder: Mapping[str, str],
        *,
        seconds: int = LEASE_SECONDS,
        renew_every: float = RENEW_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        blob: str = LEASE_BLOB,
    ) -> None:
        self._container = container
        self._blob = blob
        self._holder = holder
        self._monotonic = monotonic
        self._seconds = seconds
        self._renew_every = min(renew_every, seconds / 4)
        self._lease: BlobLeaseClient | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._until = 0.0

    def valid(self) -> bool:
        """Whether enough of the lease is left for one more write."""
        return self._monotonic() < self._until - min(MARGIN_SECONDS, self._seconds / 2)

    async def __aenter__(self) -> Self:
        from azure.core.exceptions import HttpResponseError

        blob = self._container.get_blob_client(self._blob)
        try:
            await blob.upload_blob(b"", overwrite=False)
        except HttpResponseError as error:
            if error.status_code not in {409, 412}:  # it exists, perhaps leased
                raise
        asked = self._monotonic()
        try:
            self._lease = await blob.acquire_lease(self._seconds)
        except HttpResponseError as error:
            code = getattr(error, "error_code", "")  # storage adds it to every error
            if getattr(code, "value", code) not in _TAKEN:
                raise
            about = await blob.get_blob_properties()
            endless = about.lease.duration == "infinite"
            raise LeaseHeld(about.metadata or {}, blob=self._blob, broken_by=_break(blob) if endless else "") from error
        self._until = asked + self._seconds
        try:
            await blob.set_blob_metadata(dict(self._holder), lease=self._lease)
        except HttpResponseError as error:
            if error.status_code != 409:  # noqa: PLR2004 - under an immutability policy the holder can't be noted
                raise
        self._renewal = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from azure.core.exceptions import AzureError

        if self._renewal:
            self._renewal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._renewal
        self._until = 0.0
        if self._lease:
            with contextlib.suppress(AzureError):  # it runs out by itself
                await self._lease.release()

    async def _renew(self) -> None:
        from azure.core.exceptions import AzureError, HttpResponseError

        while self._lease:
            await asyncio.sleep(self._renew_every)
            asked = self._monotonic()
            try:
                await self._lease.renew()
                self._until = asked + self._seconds
            except HttpResponseError as error:
                if error.status_code in {404, 409, 412}:  # another run holds it
                    self._until = 0.0
                    return
            except AzureError:
                continue  # tried again in time, or `valid` ends the writing
