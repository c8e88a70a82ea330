"""The operations page: its data comes from the API."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from shared import __version__
from shared.azure.cloud_endpoints import CLOUDS
from shared.web.authorization import APPROVE, RECORDS, WRITE, authorise
from shared.web.html_pages import page, page_answer
from shared.web.problems import ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


async def operations_page(call: Call) -> func.HttpResponse:
    """The page, told which deployment it is of, how callers sign in, and what this one may do."""
    shown = page("operations")
    settings = call.services.settings
    mode = settings.auth_mode
    about = {
        "mode": mode,
        "may-write": _may(call, mode, WRITE),
        "may-approve": _may(call, mode, APPROVE),
        "may-read-records": _may(call, mode, RECORDS),
        "version": __version__,
        "instance": settings.instance_id,
        "tenant": settings.tenant_id,
        "reconcile": settings.reconcile_mode,
        "portal": CLOUDS[settings.cloud].portal,
    }
    said = " ".join(f'data-{name}="{html.escape(value)}"' for name, value in about.items())
    return page_answer(shown.text.replace("data-mode", said, 1), shown.policy)


def _may(call: Call, mode: str, role: str) -> str:
    """Whether the caller holds a role, as an attribute; a key can't say who acts, so under keys the page only shows."""
    if mode == "key":
        return "false"
    try:
        authorise(call.request.headers, mode, role)
    except ApiError:
        return "false"
    return "true"
