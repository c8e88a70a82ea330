"""Defender for Cloud's side of a canary: where a subscription's alerts lie, which plans are off, simulate, and list.

Source: alerts.json of 2022-01-01 in azure-rest-api-specs (Alerts_Simulate: 202 with a Location, then 204), locations of
2015-06-01-preview, pricings of 2024-01-01.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from shared.exports.known_values import is_simulated
from shared.fail_points import touching

if TYPE_CHECKING:
    from shared.azure.clients import Clients

ALERTS_VERSION: Final = "2022-01-01"
LOCATIONS_VERSION: Final = "2015-06-01-preview"
PRICINGS_VERSION: Final = "2024-01-01"
SIMULATE: Final = "Microsoft.Security/locations/alerts/simulate/action"
READ_ALERTS: Final = "Microsoft.Security/locations/alerts/read"
REQUEST_SECONDS: Final = 15.0
MOST_PAGES: Final = 20
"""Of the list of alerts; its order is not published."""
_DONE, _UNDER_WAY, _REFUSED = frozenset({200, 204}), 202, range(400, 500)
_TRANSIENT = frozenset({408, 429})
_OTHERWISE: Final = "Azure Resource Manager answers something else than was asked for"


class UnansweredError(Exception):
    """There is no answer, or none that is final; the message says of what."""


class RefusedError(Exception):
    """Azure Resource Manager refuses, and will again; the message is its code."""


@dataclass(frozen=True)
class Begun:
    """An alert was asked for: whether that is done, else where Azure says so."""

    done: bool
    operation: str = ""


@dataclass(frozen=True)
class Listed:
    """Simulated alerts that the list shows: when each was generated, by its id; `whole` when no page is missing."""

    found: Mapping[str, datetime]
    whole: bool


class SecurityAlerts:
    """What is asked of Azure Resource Manager; each request ends after fifteen seconds.

    Raises, all of them:
        UnansweredError: there is no answer now.
        RefusedError: there is never one as things are.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def location(self, subscription: str) -> str:
        """Where a subscription's alerts lie."""
        _, _, document = await self._send("GET", f"{_provider(subscription)}/locations", LOCATIONS_VERSION)
        names = [str(each["name"]) for each in _values(document) if each.get("name")]
        if not names:
            raise RefusedError("Azure names no location of this subscription's alerts")
        return names[0]

    async def plans_off(self, subscription: str) -> frozenset[str]:
        """The Defender plans that are off."""
        _, _, document = await self._send("GET", f"{_provider(subscription)}/pricings", PRICINGS_VERSION)
        return frozenset(
            str(each.get("name"))
            for each in _values(document)
            if str(_about(each).get("pricingTier")).lower() == "free"
        )

    async def simulate(self, subscription: str, location: str, bundle: str) -> Begun:
        """Ask for the alerts of a bundle."""
        path = f"{_provider(subscription)}/locations/{location}/alerts/default/simulate"
        asked = {"properties": {"kind": "Bundles", "bundles": [bundle]}}
        status, headers, _ = await self._send("POST", path, ALERTS_VERSION, asked)
        return Begun(status in _DONE, headers.get("Location") or headers.get("Azure-AsyncOperation") or "")

    async def done(self, operation: str) -> bool:
        """Whether an operation that Azure named is done."""
        if not operation.startswith(f"{self._clients.arm_endpoint}/"):
            return True  # a token goes to no other place; the alert itself tells
        status, _, document = await self._send("GET", operation, "")
        said = str(document.get("status") or "").lower()
        if said in {"failed", "canceled", "cancelled"}:
            raise RefusedError(f"the operation {said}")
        return status != _UNDER_WAY and said in {"", "succeeded"}  # ARM: any other word is of one under way

    async def simulated(self, subscription: str, location: str, since: datetime) -> Listed:
        """The simulated alerts that were generated since a moment."""
        path, found = f"{_provider(subscription)}/locations/{location}/alerts", {}
        version = ALERTS_VERSION
        for _ in range(MOST_PAGES):
            _, _, document = await self._send("GET", path, version)
            for each in _values(document):
                about = _about(each)
                at = _moment(about.get("timeGeneratedUtc") or about.get("startTimeUtc"))
                if is_simulated(about.get("alertType")) and at is not None and at >= since:
                    found[str(about.get("systemAlertId") or each.get("name"))] = at
            path = str(document.get("nextLink") or "")
            version = ""
            if not path.startswith(f"{self._clients.arm_endpoint}/"):
                return Listed(found, whole=not path)
        return Listed(found, whole=False)

    async def automation(self, automation_id: str, version: str) -> Mapping[str, Any] | None:
        """An automation as it is now, None where it is gone."""
        try:
            _, _, document = await self._send("GET", automation_id, version)
        except RefusedError as refused:
            if str(refused).startswith("404"):
                return None
            raise
        if not any(name.lower() == "properties" for name in document):
            raise UnansweredError(_OTHERWISE)
        return document

    async def _send(
        self, method: str, path: str, version: str, body: Any = None
    ) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        url = path if path.startswith("https:") else f"{self._clients.arm_endpoint}{path}"
        more: dict[str, Any] = {"json": body} if body is not None else {}
        request = HttpRequest(method, url, params={"api-version": version} if version else {}, **more)
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                with touching("canary.ask"):
                    answer = await self._clients.arm.send_request(request)
        except (AzureError, TimeoutError) as error:
            raise UnansweredError(f"Azure Resource Manager did not answer ({type(error).__name__})") from None
        status = int(answer.status_code)
        if status in _REFUSED and status not in _TRANSIENT:
            raise RefusedError(f"{status} {_code(answer)}".strip())
        if not 200 <= status < 300:  # noqa: PLR2004 - HTTP
            raise UnansweredError(f"Azure Resource Manager answers {status}")
        return status, answer.headers, _document(answer)


def _provider(subscription: str) -> str:
    return f"/subscriptions/{subscription}/providers/Microsoft.Security"


def _document(answer: Any) -> Mapping[str, Any]:
    """The object of a success, empty where there is none; what is no object says nothing, above all not *none*.

    Raises:
        UnansweredError: it is something else, or an error.
    """
    document = _json(answer) if answer.content else {}
    if not isinstance(document, Mapping) or document.get("error"):
        raise UnansweredError(_OTHERWISE)
    return document


def _json(answer: Any) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _code(answer: Any) -> str:
    """Azure's word for a refusal; its sentence may quote ids and is left out."""
    document = _json(answer)
    error = document.get("error") if isinstance(document, Mapping) else None
    return str(error.get("code") or "")[:80] if isinstance(error, Mapping) else ""


def _values(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    value = document.get("value")
    if not isinstance(value, list):
        raise UnansweredError(_OTHERWISE)
    return [each for each in value if isinstance(each, Mapping)]


def _about(item: Mapping[str, Any]) -> Mapping[str, Any]:
    about = item.get("properties")
    return about if isinstance(about, Mapping) else {}


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
