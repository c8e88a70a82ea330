"""The edge to the Logs Ingestion API: bytes out, an answer back, no exception."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.ingestion_status import NO_TOKEN, Answer
from shared.enrich.tables import OWN_STREAMS
from shared.fail_points import touching
from shared.retry_after_header import asked_seconds
from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse
    from azure.monitor.ingestion.aio import LogsIngestionClient

API_VERSION = "2023-01-01"
HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
MESSAGE_LIMIT = 500  # characters of an error that are kept
NO_SUCCESS = "NoSuccess"
_SUCCESSES = frozenset({200, 201, 202})
"""Beside the API's 204: its documentation names 200 and 202."""


class Ingestion(Protocol):
    """Where bodies go."""

    async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 # part of the request
        """Send gzip bytes to a stream; whatever happens within `timeout` seconds is an answer."""

    async def renew_token(self) -> None:
        """Have the next upload carry a token issued from now on."""


@dataclass(frozen=True, slots=True)
class IngestionRule:
    """A data collection rule: the address of its streams, what is wrong with it, and how its client is had."""

    streams: str
    fault: str
    client: Callable[[], LogsIngestionClient]

    @classmethod
    def at(
        cls, endpoint: str, immutable_id: str, client: Callable[[], LogsIngestionClient], fault: str = ""
    ) -> IngestionRule:
        """The rule of an immutable id at an endpoint."""
        streams = f"{endpoint.rstrip('/')}/dataCollectionRules/{quote(immutable_id, safe='')}/streams/"
        return cls(streams, fault, client)


class LogsIngestion:
    """The data collection rules named in the settings, by the client's `send_request`.

    One rule takes ten streams and ten data flows (Azure Monitor, service limits): those of records have one, those of
    the app's own rows another where the settings name it.
    Source of the call: learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview, "REST API call".
    """

    def __init__(self, settings: Settings, clients: Clients, clock: Clock) -> None:
        self._records = _rule(
            settings,
            "LOGS_INGESTION",
            settings.ingestion_rule_id,
            settings.ingestion_endpoint,
            lambda: clients.ingestion,
        )
        self._own = self._records
        own = (settings.own_ingestion_rule_id, settings.own_ingestion_endpoint)
        if any(own) or _named("LOGS_INGESTION_OWN") & settings.problems.keys():
            self._own = _rule(settings, "LOGS_INGESTION_OWN", *own, lambda: clients.own_ingestion)
        self._clients = clients
        self._clock = clock

    def upload(self, stream: str, data: bytes, timeout: float) -> Coroutine[Any, Any, Answer]:
        """Send gzip bytes to a stream; whatever happens within `timeout` seconds is an answer."""
        return upload_to(self._own if stream in OWN_STREAMS else self._records, stream, data, timeout, self._clock)

    def renew_token(self) -> Coroutine[Any, Any, None]:
        """Have the next upload carry a token issued from now on."""
        return renewed(self._clients)


async def upload_to(
    rule: IngestionRule,
    stream: str,
    data: bytes,
    timeout: float,  # noqa: ASYNC109 # part of the request
    clock: Clock,
) -> Answer:
    """Send gzip bytes to a rule's stream; whatever happens within `timeout` seconds is an answer."""
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.core.rest import HttpRequest

    if rule.fault:
        return Answer(0, "NotConfigured", rule.fault, permanent=True)
    url = f"{rule.streams}{stream}?api-version={API_VERSION}"
    try:
        async with asyncio.timeout(timeout):
            with touching("ingestion.upload"):
                request = HttpRequest("POST", url, headers=HEADERS, content=data)
                response = await rule.client().send_request(request)
    except TimeoutError:
        return Answer(0, "Timeout", f"no answer within {timeout:g} s")
    except HttpResponseError as error:  # answers of the API itself are no errors here: the credential has no token
        return Answer(0, NO_TOKEN, _short(error.message))
    except (SettingsError, ValueError, TypeError) as error:  # SDKs raise the latter two for what a setting holds
        return Answer(0, "NotConfigured", _short(str(error)), permanent=True)
    except AzureError as error:  # refused, reset or broken off: a type's name says which, and shows no contents
        return Answer(0, type(error).__name__, _short(str(error)))
    return _answer(response, clock.now())


async def renewed(clients: Clients, tenant_id: str = "") -> None:
    """Have the next upload in a tenant carry a token issued from now on.

    The policy of azure-core forgets its token on a 401, but the credential behind it would hand out the same one
    from its cache.  A claim makes credentials go past their cache (OpenID Connect Core, 5.5).
    """
    from azure.core.exceptions import AzureError

    try:
        with touching("ingestion.token"):
            await clients.renew_ingestion_token(tenant_id)
    except (AzureError, SettingsError):
        return  # the next upload asks for a token itself, and its failure is an answer


def _rule(
    settings: Settings, prefix: str, immutable_id: str, endpoint: str, client: Callable[[], LogsIngestionClient]
) -> IngestionRule:
    wrong = [settings.problems[name] for name in sorted(_named(prefix)) if name in settings.problems]
    if not endpoint:
        wrong.append(f"{prefix}_ENDPOINT is not set: give the data collection rule's logsIngestion endpoint")
    return IngestionRule.at(endpoint, immutable_id, client, wrong[0] if wrong else "")


def _named(prefix: str) -> set[str]:
    return {f"{prefix}_ENDPOINT", f"{prefix}_RULE_ID"}


def _answer(response: AsyncHttpResponse, now: datetime) -> Answer:
    """The answer; what is no success by the API's own word is none, whatever its status says."""
    if response.status_code == 204:  # noqa: PLR2004 # No Content, the usual answer
        return Answer(204)
    if 200 <= response.status_code < 300 and not _succeeded(response):  # noqa: PLR2004 # a page of something between
        return Answer(0, NO_SUCCESS, f"status {response.status_code} with a body that says no success")
    code, message = _service_error(response)
    return Answer(response.status_code, code, _short(message), asked_seconds(response.headers, now))


def _succeeded(response: AsyncHttpResponse) -> bool:
    """Whether a 2xx is the API's: it is one of its statuses, and its body empty or JSON without an error."""
    if response.status_code not in _SUCCESSES:
        return False
    try:
        said = json.loads(response.text() or "{}")
    except (ValueError, LookupError, RecursionError):  # the second of an unknown encoding
        return False
    return not (isinstance(said, dict) and said.get("error"))


def _service_error(response: AsyncHttpResponse) -> tuple[str, str]:
    """The service's own code and message, from `{"error": {"code": ..., "message": ...}}`."""
    try:
        details = json.loads(response.text())["error"]
        return str(details["code"]), str(details["message"])
    except (ValueError, TypeError, LookupError):  # the last of an unknown encoding
        return response.reason or "", f"status {response.status_code} {response.reason}"


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
