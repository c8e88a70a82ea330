"""The HTTP API as a target of `push`, for pipelines that have no right to the storage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from shared.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from shared.exports.model import ExportConfig

_TIMEOUT_SECONDS = 60


class ApiFailure(Exception):  # noqa: N818 - says what happened
    """The API refused or did not answer; the message says what it said."""


class Answer(NamedTuple):
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def base_address(url: str) -> str:
    """The app's address without a path; TLS is asked for everywhere but on this machine.

    Raises:
        ValueError: it is no such address.
    """
    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in {"https", "http"}:
        raise UsageError("--url takes the app's address, such as https://my-app.azurewebsites.net")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise UsageError("--url must begin with https: a key or token is sent with every request")
    return f"{parts.scheme}://{parts.netloc}"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def open_target(url: str, *, key: str = "", resource: str = "") -> AsyncIterator[ApiTarget]:
    """A target at `url`, with a function key, or with an Entra token for `resource` (`api://<client id>`).

    Raises:
        ValueError: the address is none, or neither a key nor a resource is given.
        azure.core.exceptions.ClientAuthenticationError: no identity gives a token.
    """
    import aiohttp

    base = base_address(url)
    if not key and not resource:
        raise UsageError("give --entra with --resource, or the function key in DEFENDER_EXPORT_KEY")
    headers = {"x-functions-key": key} if key else {"Authorization": f"Bearer {await _token(resource)}"}
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as web:
        yield ApiTarget(base, web)


async def _token(resource: str) -> str:
    from azure.identity.aio import DefaultAzureCredential

    async with DefaultAzureCredential() as credential:
        return (await credential.get_token(f"{resource.rstrip('/')}/.default")).token


class ApiTarget:
    """The store behind the HTTP API of a running app."""

    def __init__(self, base: str, web: ClientSession) -> None:
        self.beside: dict[str, ExportConfig | None] = {}
        self._base = base
        self._web = web

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """See `PushTarget`."""
        answer = await self._ask("GET", f"exports/{name}", {200, 404}, headers={"Accept": "application/yaml"})
        if answer.status == 404:  # noqa: PLR2004 - HTTP
            return None
        if "ETag" not in answer.headers:
            raise ApiFailure(f"{self._base} answers, but not as this API does: is it the app's address?")
        return answer.body, answer.headers["ETag"]

    async def write(self, name: str, text: bytes, etag: str | None) -> None:
        """See `PushTarget`."""
        condition = {"If-Match": etag} if etag else {"If-None-Match": "*"}
        headers = {"Content-Type": "application/yaml", **condition}
        self._refuse_changed(await self._ask("PUT", f"exports/{name}", {200, 201, 412}, headers=headers, data=text))

    async def release(self) -> str:
        """See `PushTarget`."""
        answer = await self._ask("GET", "health", {200})
        try:
            return str(json.loads(answer.body).get("version", ""))
        except (ValueError, AttributeError):
            raise ApiFailure(f"{self._base} answers, but not as this API does: is it the app's address?") from None

    async def refusal(self, name: str, text: bytes) -> str:
        """See `PushTarget`."""
        headers = {"Content-Type": "application/yaml"}
        asked = {"headers": headers, "data": text, "params": {"dryRun": "true"}}
        answer = await self._ask("PUT", f"exports/{name}", {200, 422}, **asked)
        return "" if answer.status == 200 else _sentence(answer)  # noqa: PLR2004 - HTTP

    async def names(self) -> dict[str, str]:
        """See `PushTarget`."""
        found: dict[str, str] = {}
        token = ""  # nosec B105 # of continuation, none yet
        while True:
            query = {"continuation": token} if token else {}
            answer = await self._ask("GET", "exports", {200}, params=query, headers={"Accept": "application/json"})
            try:
                page = json.loads(answer.body)
                found |= {entry["name"]: entry["etag"] for entry in page["value"]}
            except (ValueError, KeyError, TypeError) as error:
                raise ApiFailure(f"{self._base} answers, but not as this API does: is it the app's address?") from error
            if not (token := page["continuation"]):
                return found

    async def delete(self, name: str, etag: str) -> None:
        """See `PushTarget`."""
        answer = await self._ask("DELETE", f"exports/{name}", {204, 404, 412}, headers={"If-Match": etag})
        self._refuse_changed(answer)

    def _refuse_changed(self, answer: Answer) -> None:
        from shared.exports.export_blobs import ExportConflict

        if answer.status == 412:  # noqa: PLR2004 - HTTP
            raise ExportConflict("the stored export is not the version that was read")

    async def _ask(self, method: str, path: str, expected: set[int], **options: Any) -> Answer:
        import aiohttp

        try:
            async with self._web.request(
                method, f"{self._base}/api/{path}", allow_redirects=False, **options
            ) as response:
                answer = Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiFailure(f"{self._base} does not answer: {type(error).__name__}") from error
        if answer.status not in expected:
            raise ApiFailure(f"{method} /api/{path} answered {answer.status}: {_sentence(answer)}")
        return answer


def _sentence(answer: Answer) -> str:
    """What the API says of a refusal."""
    try:
        problem = json.loads(answer.body)
        findings = "; ".join(f"{each['where']}: {each['sentence']}" for each in problem.get("findings") or ())
        return f"{problem['detail']} {findings}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return "is the key right, and this the app's address?" if answer.status == 401 else "no reason given"  # noqa: PLR2004 - HTTP
