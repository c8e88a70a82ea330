"""The HTTP API as commands ask it: for people and pipelines without a right to the storage or the tenant."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from shared.azure.asked import SIGN_IN, asking
from shared.azure.http_transport import transport
from shared.cli.app_context import AppContext
from shared.cli.exit_codes import UsageError
from shared.cli.time_limit import WHETHER_TAKEN, following, go_on_by
from shared.fail_points import touching

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from shared.exports.model import ExportConfig

_TIMEOUT_SECONDS = 240  # the front end of Azure Functions cuts a request after 230
_WAIT_SECONDS = "20"
_TRIES = 3
_LONGEST_PAUSE_SECONDS = 10.0
_ENDED = frozenset({"succeeded", "failed", "dead", "cancelled"})
_WITHOUT_REASON = {
    401: "is the key right, and this the app's address?",
    403: "this sign-in may not do that: ask for the app role Exports.Read or Exports.Write",
    404: "is this the app's address, and of which release is it?",
}
_UNREACHABLE = "look at the address, the network and whether the app runs"


class ApiFailure(Exception):  # noqa: N818 - says what happened
    """The API refused or did not answer; the message says what it said.  `status` is None where nothing answered."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


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
async def open_api(context: AppContext) -> AsyncIterator[ApiClient]:
    """A client of the app, with its function key, or with an Entra token for its resource (`api://<client id>`).

    Raises:
        UsageError: the address is none, or neither a key nor a resource is given.
        azure.core.exceptions.ClientAuthenticationError: no identity gives a token.
    """
    import aiohttp

    base = base_address(context.url)
    if context.key:
        headers = {"x-functions-key": context.key}
    elif context.resource:
        headers = {"Authorization": f"Bearer {await token_for(context.resource)}"}
    else:
        raise UsageError("give --entra with --resource, or the function key in DEFENDER_EXPORT_KEY")
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as web:
        yield ApiClient(base, web)


async def token_for(resource: str) -> str:
    """An Entra token of the identity that is signed in, for an API (`api://<client id>`).

    Raises:
        azure.core.exceptions.ClientAuthenticationError: no identity gives one.
    """
    from azure.identity.aio import DefaultAzureCredential

    async with DefaultAzureCredential(transport=transport(SIGN_IN)) as credential:
        return (await credential.get_token(f"{resource.rstrip('/')}/.default")).token


class ApiClient:
    """The HTTP API of a running app; a target of `push` as well."""

    def __init__(self, base: str, web: ClientSession) -> None:
        self.beside: dict[str, ExportConfig | None] = {}
        self._base = base
        self._web = web

    @property
    def address(self) -> str:
        """The app's address."""
        return self._base

    async def document(self, method: str, path: str, expected: Collection[int] = (200,), **options: Any) -> Any:
        """The JSON that the API answers.

        Raises:
            ApiFailure: another status, or no JSON.
        """
        headers = {"Accept": "application/json", **options.pop("headers", {})}
        answer = await self._ask(method, path, {*expected}, headers=headers, **options)
        try:
            return json.loads(answer.body)
        except ValueError:
            raise ApiFailure(f"{self._base} answers, but not as this API does: is it the app's address?") from None

    async def pages(self, path: str, **params: str) -> list[dict[str, Any]]:
        """The rows of every page of a list."""
        return (await self.listing(path, **params))[0]

    async def listing(self, path: str, **params: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rows of every page of a list, and what the first page says beside them.

        Pages may be of different readings: `complete` is true only where each says so, and `reasons` are those of all.
        """
        rows: list[dict[str, Any]] = []
        about: dict[str, Any] = {}
        token = ""  # nosec B105 # of continuation, none yet
        while True:
            page = await self.document("GET", path, params=params | ({"continuation": token} if token else {}))
            try:
                rows += page["value"]
                token = page["continuation"]
            except (KeyError, TypeError):
                raise ApiFailure(f"{self._base} answers, but not as this API does: is it the app's address?") from None
            said = {name: value for name, value in page.items() if name not in {"value", "continuation"}}
            if about and "complete" in said:
                about["complete"] = about.get("complete", True) and said["complete"]
                about["reasons"] = list(dict.fromkeys([*about.get("reasons", ()), *said.get("reasons", ())]))
            about = said | about
            if not token:
                return rows, about

    async def start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The job that the app now has for what is asked of it, queued or already at an end."""
        go_on_by(WHETHER_TAKEN)
        try:
            job: dict[str, Any] = await self.document("POST", "jobs", (200, 202), json=asked)
        except ApiFailure as failure:
            if failure.status is not None and failure.status < 500:  # noqa: PLR2004 - HTTP: it was refused
                go_on_by("")
            raise
        return job

    async def finished(self, job: Mapping[str, Any], told: Callable[[str], None]) -> dict[str, Any]:
        """The job once it has ended; what it says of its progress goes to `told`."""
        found = dict(job)
        following(found["id"])
        while found["state"] not in _ENDED and not found.get("trouble"):
            told(str(found["progress"] or found["state"]))
            found = await self.document("GET", f"jobs/{found['id']}", (200, 202), params={"wait": _WAIT_SECONDS})
        return found

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

    async def kept_file(self, route: str) -> bytes | None:
        """A file that is kept beside the export files; None where there is none."""
        answer = await self._ask("GET", route, {200, 404}, headers={"Accept": "application/yaml"})
        return None if answer.status == 404 else answer.body  # noqa: PLR2004 - HTTP

    async def put_kept_file(self, route: str, text: bytes) -> list[str]:
        """Store such a file; gives what is odd about it."""
        answer = await self._ask("PUT", route, {200, 204}, headers={"Content-Type": "application/yaml"}, data=text)
        return [str(each) for each in json.loads(answer.body)["warnings"]] if answer.body else []

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
        return "" if answer.status == 200 else _sentence(answer) or "no reason given"  # noqa: PLR2004 - HTTP

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

        for tries_left in reversed(range(_TRIES)):
            try:
                with touching("app.request"), asking("the app", self._base) as answered:
                    async with self._web.request(
                        method, f"{self._base}/api/{path}", allow_redirects=False, **options
                    ) as response:
                        answer = Answer(response.status, response.headers, await response.read())
                    answered(answer.status)
            except (aiohttp.ClientError, TimeoutError) as error:
                raise ApiFailure(f"{self._base} does not answer ({type(error).__name__}): {_UNREACHABLE}") from error
            pause = _pause(answer)
            if method != "GET" or pause is None or answer.status in expected or not tries_left:
                break
            await asyncio.sleep(pause)
        if answer.status not in expected:
            raise ApiFailure(_refusal(f"{method} /api/{path} answered {answer.status}", answer), answer.status)
        return answer


def _pause(answer: Answer) -> float | None:
    """Seconds until it is worth asking again; None where that helps nothing."""
    if answer.status not in {429, 503}:
        return None
    told = answer.headers.get("Retry-After", "1")
    return min(float(told), _LONGEST_PAUSE_SECONDS) if told.isascii() and told.isdecimal() else 1.0


def _refusal(what: str, answer: Answer) -> str:
    """What the API says of a refusal, and beside it what was asked."""
    told = _sentence(answer)
    return f"{told} ({what})" if told else f"{what}: {_WITHOUT_REASON.get(answer.status, 'no reason given')}"


def _sentence(answer: Answer) -> str:
    """The API's own words; empty where it has none."""
    try:
        problem = json.loads(answer.body)
        findings = "; ".join(f"{each['where']}: {each['sentence']}" for each in problem.get("findings") or ())
        return f"{problem['detail']} {findings}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
