"""What canaries ended with, over HTTP; they are asked for as jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.web import request_parameters, serialization
from shared.web.scope import check_scope

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


async def list_canaries(call: Call) -> func.HttpResponse:
    """The canaries that ended, by subscription, the oldest first."""
    subscription = request_parameters.guid(call.request, "subscription")
    found = await call.services.canary.history.read(subscription)
    if subscription and not found:
        await check_scope(call, subscriptions=[subscription])
    shown, token = request_parameters.page(call.request, found, _place)
    return serialization.answer({"value": [_told(each) for each in shown], "continuation": token})


def _place(told: dict[str, Any]) -> tuple[str, ...]:
    return str(told["subscription"]), str(told["begun"])


def _told(told: dict[str, Any]) -> dict[str, Any]:
    """A canary as the API describes it, whatever another release has kept beside."""
    texts = ("subscription", "outcome", "hop", "reason", "mend", "bundle", "begun", "ended", "by")
    hops = [
        {name: hop.get(name) for name in ("hop", "state", "at", "seconds", "reason")} for hop in told.get("hops") or ()
    ]
    return {**{name: str(told.get(name) or "") for name in texts}, "hops": hops}
