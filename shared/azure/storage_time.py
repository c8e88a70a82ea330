"""The time as Azure Storage has it, which decides what is old; a host's own clock may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient


async def storage_time(container: ContainerClient) -> datetime:
    """The `Date` of an answer for this container, to the second; one request.

    Raises:
        azure.core.exceptions.AzureError: the container is not there or does not answer.
    """
    dates: list[str] = []

    def note(response: Any) -> None:
        dates.append(str(response.http_response.headers["Date"]))

    await container.get_container_properties(raw_response_hook=note)
    return parsedate_to_datetime(dates[-1]).astimezone(UTC)
