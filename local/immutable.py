"""Blob Storage whose containers are under an immutability policy: a front for Azurite, which has none.

As Microsoft's page *Immutable storage for Azure blobs* says of container-level policies: blobs can be created and read,
and neither changed nor deleted.  Whether a lease can still be taken is not said there; here it can.
"""

from __future__ import annotations

from collections.abc import Collection

import aiohttp
from aiohttp import web
from azure.storage.blob.aio import BlobServiceClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.http import Emulator

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "content-encoding", "keep-alive"})
_ALLOWED = frozenset({"lease", "tier"})  # of `comp`: neither changes what the blob holds
# What a client did not send must not be added: its key signs what it sent.
_SIGNED = ("Content-Type", "Accept", "Accept-Encoding", "User-Agent")
_MESSAGE = "This operation is not permitted as the blob is immutable due to a policy."


class ImmutableBlobs(Emulator):
    """The blob service of one account, with `containers` under a policy."""

    def __init__(self, account: StorageAccount, certificates: Certificates, containers: Collection[str]) -> None:
        super().__init__(certificates.server_context())
        self._account = account
        self._certificates = certificates
        self._containers = frozenset(containers)
        self._origin = account.blob_uri.removesuffix(f"/{account.name}")
        self.app.router.add_route("*", "/{account}/{rest:.*}", self._forward)

    @property
    def blob_uri(self) -> str:
        """The account's address here."""
        return f"{self.endpoint}/{self._account.name}"

    async def _forward(self, request: web.Request) -> web.Response:
        container, _, blob = request.match_info["rest"].partition("/")
        changes = request.method == "DELETE" or (request.method == "PUT" and request.query.get("comp") not in _ALLOWED)
        if container in self._containers and blob and changes and await self._is_there(container, blob):
            return _refused()
        body = await request.read()
        async with (
            aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=_SIGNED) as session,
            session.request(
                request.method,
                self._origin + request.raw_path,
                headers=request.headers,
                data=body,
                ssl=self._certificates.client_context(),
            ) as answer,
        ):
            headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            if container in self._containers and not blob:
                headers["x-ms-has-immutability-policy"] = "true"
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    async def _is_there(self, container: str, blob: str) -> bool:
        async with BlobServiceClient.from_connection_string(self._account.connection_string) as blobs:
            return await blobs.get_blob_client(container, blob).exists()


def _refused() -> web.Response:
    code = "BlobImmutableDueToPolicy"
    text = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{_MESSAGE}</Message></Error>'
    return web.Response(status=409, text=text, content_type="application/xml", headers={"x-ms-error-code": code})
