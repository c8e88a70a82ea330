"""The edge to the Logs Ingestion API: bytes out, an answer back, no exception."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.ingestion_status import NO_TOKEN, Answer
from shared.enrich.tables import OWN_STREAMS
from shared.fail_points import touching
from shared.retry_after import asked_seconds
from shared.settings import Settings, SettingsError

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.monitor.ingestion.aio import LogsIngestionClient

MESSAGE_LIMIT = 500  # characters of an error that are kept


class Ingestion(Protocol):
    """Where bodies go."""

    async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 # part of the request
        """Send gzip bytes to a stream; whatever happens within `timeout` seconds is an answer."""

    async def renew_token(self) -> None:
        """Have the next upload carry a token issued from now on."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """A data collection rule: its immutable id, what is wrong with its address, and how its client is had."""

    immutable_id: str
    fault: str
    client: Callable[[], LogsIngestionClient]


class LogsIngestion:
    """The data collection rules named in the settings, through `azure-monitor-ingestion`.

    One rule takes ten streams and ten data flows (Azure Monitor, service limits): those of records have one, those of
    the app's own rows another where the settings name it.
    """

    def __init__(self, settings: Settings, clients: Clients, clock: Clock) -> None:
        endpoint, own = settings.ingestion_endpoint, settings.own_ingestion_endpoint
        self._records = _Rule(
            settings.ingestion_rule_id,
            endpoint_fault(endpoint) if endpoint else "",
            lambda: clients.ingestion,
        )
        self._own = self._records
        if own or settings.own_ingestion_rule_id:
            fault = endpoint_fault(own, "LOGS_INGESTION_OWN_ENDPOINT") if own else ""
            self._own = _Rule(settings.own_ingestion_rule_id, fault, lambda: clients.own_ingestion)
        self._clients = clients
        self._clock = clock

    async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 # part of the request
        """Send gzip bytes to a stream; whatever happens within `timeout` seconds is an answer."""
        from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

        rule = self._own if stream in OWN_STREAMS else self._records
        if rule.fault:
            return Answer(0, "NotConfigured", rule.fault, permanent=True)
        try:
            async with asyncio.timeout(timeout):
                with touching("ingestion.upload"):
                    await rule.client().upload(rule.immutable_id, stream, io.BytesIO(data))
        except TimeoutError:
            return Answer(0, "Timeout", f"no answer within {timeout:g} s")
        except HttpResponseError as error:
            answer = _answer(error, self._clock.now())
            if isinstance(error, ClientAuthenticationError) and answer.status != 401:  # noqa: PLR2004 # Unauthorized
                return Answer(0, NO_TOKEN, answer.message)
            return answer
        except (SettingsError, ValueError, TypeError) as error:  # SDKs raise the latter two for what a setting holds
            return Answer(0, "NotConfigured", _short(str(error)), permanent=True)
        except AzureError as error:  # refused, reset or broken off: a type's name says which, and shows no contents
            return Answer(0, type(error).__name__, _short(str(error)))
        return Answer(204)

    async def renew_token(self) -> None:
        """Have the next upload carry a token issued from now on.

        The policy of azure-core forgets its token on a 401, but the credential behind it would hand out the same one
        from its cache.  A claim makes credentials go past their cache (OpenID Connect Core, 5.5).
        """
        from azure.core.exceptions import AzureError

        try:
            with touching("ingestion.token"):
                await self._clients.renew_ingestion_token()
        except (AzureError, SettingsError):
            return  # the next upload asks for a token itself, and its failure is an answer


def endpoint_fault(endpoint: str, name: str = "LOGS_INGESTION_ENDPOINT") -> str:
    """What is wrong with the address of a data collection rule, which setting `name` gives; empty when nothing is."""
    if endpoint.startswith("@Microsoft."):
        return f"{name} is a Key Vault reference that was not resolved: see the app's Configuration page"
    if any(character in "\"'<>{}" or character.isspace() for character in endpoint):
        return f"{name} holds a quote, a bracket or a space: give the address alone"
    try:
        parts = urlsplit(endpoint)
        named = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    return (
        "" if named else f"{name} must be an https address with a host, such as https://<name>.ingest.monitor.azure.com"
    )


def _answer(error: HttpResponseError, now: datetime) -> Answer:
    if error.status_code is None:
        return Answer(0, type(error).__name__, _short(error.message))
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    code, message = _service_error(error)
    return Answer(error.status_code, code, _short(message), asked_seconds(headers, now))


def _service_error(error: HttpResponseError) -> tuple[str, str]:
    """The service's own code and message, from `{"error": {"code": ..., "message": ...}}`."""
    try:
        details = json.loads(error.response.text())["error"]  # type: ignore[union-attr] # None is caught below
        return str(details["code"]), str(details["message"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return error.reason or "", error.message


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
