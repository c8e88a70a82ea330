"""What a lifecycle rule moved to the Archive tier: nothing can be read from it until it is brought back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from shared.stored_format import KeptAsIs

CODES = frozenset({"BlobArchived", "BlobBeingRehydrated"})
"""Source: Blob Storage, error codes of reading."""


def archived(error: BaseException) -> str:
    """The sentence on an error that means that a blob lies in the Archive tier; empty for any other."""
    if getattr(error, "error_code", "") not in CODES:
        return ""
    request = getattr(getattr(error, "response", None), "request", None)
    return _told(unquote(urlsplit(str(getattr(request, "url", ""))).path.strip("/")) or "a blob")


def _told(name: str) -> str:
    where = "lies in the Archive tier, from which nothing can be read"
    return f"{name} {where}: set its tier to Hot or Cool (rehydrate it)"


@contextmanager
def kept_if_archived(name: str) -> Iterator[None]:
    """For reading a blob: one in the Archive tier counts as every stored thing that can't be read.

    Raises:
        KeptAsIs: it lies there.
    """
    from azure.core.exceptions import HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        if getattr(error, "error_code", "") not in CODES:
            raise
        raise KeptAsIs(_told(name)) from None
