"""Requests to the services as they are, without retries of an SDK: every answer is compared with its form."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shared.accept.findings import Difference, Form, NotSeen, compared
from shared.azure.cloud_endpoints import CLOUDS
from shared.retry_after_header import asked_seconds, capped

if TYPE_CHECKING:
    from shared.azure.clients import Clients
    from shared.settings import Settings


class Service(NamedTuple):
    """Who is asked: its name, and which of its endpoints."""

    name: str
    endpoint: str = ""


ARM, QUERY, APP = Service("Azure Resource Manager"), Service("Log Analytics"), Service("the app")
INGESTION, OWN_INGESTION = Service("the Logs Ingestion API"), Service("the Logs Ingestion API", "own")
_TRIES: Final = 3
_LONGEST_PAUSE: Final = 10.0
_NOT_WELL: Final = frozenset({408, 429, 500, 502, 503, 504})
_MAY_NOT: Final = frozenset({401, 403})
_TWO_FORMS: Final = re.compile(r"\d+|[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT")


@dataclass(frozen=True)
class Answer:
    """What a service answered; `body` is its JSON, or its text where it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any

    def header(self, name: str) -> str:
        """A header, in any case; empty where there is none."""
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), "")

    @property
    def error(self) -> str:
        """The code of an error."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return str(error.get("code") or "") if isinstance(error, dict) else ""


@dataclass
class Wire:
    """The services of one deployment.

    `unlisted` are differences from the forms of answers, `pauses` each `Retry-After` that was met.  A service that did
    not answer once is not asked again, so that its silence costs one wait.
    """

    clients: Clients
    settings: Settings
    app: str = ""
    unlisted: list[Difference] = field(default_factory=list)
    pauses: list[str] = field(default_factory=list)
    _silent: set[Service] = field(default_factory=set)
    _pipelines: dict[Service, Any] = field(default_factory=dict)

    async def ask(
        self,
        service: Service,
        method: str,
        path: str,
        *,
        form: Form | None = None,
        as_is: bool = False,
        refusable: bool = False,
        **options: Any,
    ) -> Answer:
        """One request; `options` are those of `azure.core.rest.HttpRequest`.

        With `as_is` the first answer counts, whatever it is; with `refusable`, 401 and 403 do too.

        Raises:
            NotSeen: the service does not answer, or this identity may not.
        """
        if service in self._silent:
            raise NotSeen(f"{service.name} did not answer", trouble=True)
        answer = await self._tried(service, method, path, 1 if as_is else _TRIES, options)
        if not as_is and not refusable and answer.status in _MAY_NOT:
            raise NotSeen(f"this identity may not {method} there at {service.name} ({answer.status})")
        if not as_is and answer.status in _NOT_WELL:
            raise NotSeen(f"{service.name} answers {answer.status}", trouble=True)
        if form is not None:
            self.unlisted += [
                one for one in compared(form, answer.status, answer.headers, answer.body) if one not in self.unlisted
            ]
        return answer

    async def _tried(self, service: Service, method: str, path: str, tries: int, options: dict[str, Any]) -> Answer:
        from azure.core.exceptions import AzureError

        while True:
            tries -= 1
            try:
                answer = await self._sent(service, method, path, options)
            except AzureError as error:
                self._silent.add(service)
                raise NotSeen(f"{service.name} did not answer ({type(error).__name__})", trouble=True) from error
            except asyncio.CancelledError:
                self._silent.add(service)
                raise
            if answer.status not in _NOT_WELL or tries <= 0:
                return answer
            asked = asked_seconds(
                {"Retry-After": answer.header("Retry-After"), "Date": answer.header("Date")}, datetime.now(UTC)
            )
            await asyncio.sleep(min(capped(1.0 if asked is None else asked), _LONGEST_PAUSE))

    async def _sent(self, service: Service, method: str, path: str, options: dict[str, Any]) -> Answer:
        from azure.core.rest import HttpRequest

        base, scope = self._place(service)
        if service not in self._pipelines:
            self._pipelines[service] = self.clients.bare(service.name, scope)
        response = await self._pipelines[service].send_request(HttpRequest(method, f"{base}{path}", **options))
        headers = {name: str(value) for name, value in response.headers.items()}
        answer = Answer(response.status_code, headers, _parsed(response.content))
        self.pauses += [pause] if (pause := answer.header("Retry-After")) else []
        return answer

    def _place(self, service: Service) -> tuple[str, str]:
        settings, cloud = self.settings, CLOUDS[self.settings.cloud]
        if service == ARM:
            return self.clients.arm_endpoint, self.clients.arm_scope
        if service == QUERY:
            audience = settings.logs_query_audience or cloud.logs_query
            return (settings.logs_query_endpoint or cloud.logs_query).rstrip("/"), f"{audience.rstrip('/')}/.default"
        if service == APP:
            return self.app.rstrip("/"), ""
        own = service == OWN_INGESTION
        endpoint = settings.own_ingestion_endpoint if own else settings.ingestion_endpoint
        if not endpoint:
            raise NotSeen("no endpoint of Logs Ingestion is set here: give the app's settings, LOGS_INGESTION_*")
        return endpoint.rstrip("/"), self.clients.ingestion_scope

    def ask_anew(self) -> None:
        """Forget who did not answer: what was made is to be removed all the same."""
        self._silent.clear()

    def odd_pauses(self) -> list[str]:
        """Those of the pauses that are in neither of the two forms."""
        return sorted({pause for pause in self.pauses if not _TWO_FORMS.fullmatch(pause)})


def _parsed(content: bytes) -> Any:
    if not content:
        return None
    try:
        return json.loads(content)
    except ValueError:
        return content[:1000].decode(errors="replace")
