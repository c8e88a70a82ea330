"""What a timer keeps between its ticks, in one blob, and the lease that lets one worker at a time go on with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from shared.azure.archive_tier import kept_if_archived
from shared.reconcile.apply.run_lock import RunLease

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

State = TypeVar("State")


class KeptState(Generic[State]):
    """One state in a blob of a container, written and read by the two functions that are given."""

    def __init__(
        self,
        container: ContainerClient,
        name: str,
        dumped: Callable[[State], str],
        loaded: Callable[[bytes], State],
    ) -> None:
        self._container = container
        self._name = name
        self._dumped = dumped
        self._loaded = loaded

    async def latest(self) -> State | None:
        """What was kept last; None before the first.

        Raises:
            shared.stored_format.KeptAsIs: it can't be read.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            with kept_if_archived(self._name):
                download = await self._container.download_blob(self._name)
        except ResourceNotFoundError:
            return None
        return self._loaded(await download.readall())

    async def keep(self, state: State) -> None:
        """Keep this in place of what was kept before."""
        await self._container.upload_blob(self._name, self._dumped(state), overwrite=True)

    def alone(self) -> RunLease:
        """The lease to hold while going on; entering raises LeaseHeld where another worker does so."""
        return RunLease(self._container, {"work": self._name}, blob=f"{self._name}.lock")
