"""The container of export files: names checked before they become part of a blob's name, writes under a condition.

Failures of the storage itself are raised as the SDK raises them: an export that can't be read just now must never be
taken for one that was deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

CURRENT: Final = "current/"
ACCEPTED: Final = "accepted/"
DELETED: Final = "deleted/"
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
EXPORT_NAME: Final = f"^{_NAME.pattern}$"


class ExportNotFound(LookupError):  # noqa: N818 - names the state of the store
    """The store has no export of this name."""


class ExportConflict(RuntimeError):  # noqa: N818 - names the state of the store
    """The stored export is not the version that the caller named, or exists already."""


class Version(NamedTuple):
    """A stored version: its bytes, its quoted ETag and its metadata."""

    data: bytes
    etag: str
    metadata: Mapping[str, str]


class ExportBlobs:
    """Blobs of export files in `container`."""

    def __init__(self, container: ContainerClient) -> None:
        self.container = container

    async def listed(self, prefix: str, suffix: str = ".yaml") -> dict[str, Any]:
        """Blobs under `prefix` by export name.

        Raises:
            azure.core.exceptions.ResourceNotFoundError: there is no container, which is not the same as no export.
        """
        return {
            blob.name.removeprefix(prefix).removesuffix(suffix): blob
            async for blob in self.container.list_blobs(name_starts_with=prefix, include=["metadata"])
            if blob.name.endswith(suffix)
        }

    async def download(self, prefix: str, name: str) -> tuple[bytes, str]:
        """A blob's bytes and its quoted ETag.

        Raises:
            ExportNotFound: there is none of this name.
        """
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self.container.download_blob(blob_name(prefix, name))
            return await stream.readall(), quoted(stream.properties.etag)
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            raise ExportNotFound(f"there is no export named {name!r}") from error

    async def version(self, name: str) -> Version | None:
        """The newest version with its metadata; None where there is none of this name."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            stream = await self.container.download_blob(blob_name(CURRENT, name))
            properties = stream.properties
            return Version(await stream.readall(), quoted(properties.etag), properties.metadata or {})
        except ResourceNotFoundError as error:
            if is_container_missing(error):
                raise
            return None

    async def upload(self, prefix: str, name: str, data: str | bytes, **options: Any) -> dict[str, Any]:
        """Upload a file, over the one that is there unless `options` for the SDK say otherwise."""
        from azure.storage.blob import ContentSettings

        client = self.container.get_blob_client(blob_name(prefix, name))
        settings = ContentSettings(content_type="application/yaml")
        options.setdefault("overwrite", True)
        result: dict[str, Any] = await client.upload_blob(data, content_settings=settings, **options)
        return result

    async def upload_if(
        self, name: str, data: bytes, about: Mapping[str, str], condition: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Upload a new version if the stored one is the one that was named.

        Raises:
            ExportConflict: it is another one.
        """
        from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError

        try:
            return await self.upload(CURRENT, name, data, metadata=dict(about), **condition)
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError) as error:
            if is_container_missing(error):
                raise
            raise ExportConflict("the stored export is not the version that was named") from error

    async def remove(self, blob: str) -> None:
        """Delete a blob if it is there."""
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self.container.delete_blob(blob)
        except ResourceNotFoundError:
            return


ARCHIVED = "lies in the Archive tier, from which nothing can be read"
REHYDRATE = "Set its tier to Hot or Cool (rehydrate it), and except the container from the rule that archived it."


def is_archived(blob: Any) -> bool:
    """Whether a blob as it was listed lies in the Archive tier."""
    return bool(blob.blob_tier == "Archive")


def is_export_name(name: str) -> bool:
    """Whether an export can have this name: 1 to 63 lower-case letters, digits and inner hyphens."""
    return _NAME.fullmatch(name) is not None


def is_container_missing(error: Any) -> bool:
    """Whether not only the blob but its container is missing."""
    return bool(error.error_code == "ContainerNotFound")  # storage adds it to every error


def blob_name(prefix: str, name: str) -> str:
    """The blob of an export under `prefix`.

    Raises:
        ExportNotFound: no export can have this name.
    """
    if not _NAME.fullmatch(name):
        raise ExportNotFound(f"{name!r} is no export's name")
    return f"{prefix}{name}.yaml"


def quoted(etag: str) -> str:
    """An ETag as HTTP has it."""
    stripped = etag.strip('"')
    return f'"{stripped}"'


def condition(if_match: str | None, if_none_match: str | None) -> dict[str, Any]:
    """The SDK's words for an HTTP precondition."""
    from azure.core import MatchConditions

    if if_none_match is not None:
        return {"overwrite": False}
    if if_match is None:
        return {}
    if if_match == "*":
        return {"match_condition": MatchConditions.IfPresent}
    return {"etag": quoted(if_match), "match_condition": MatchConditions.IfNotModified}
