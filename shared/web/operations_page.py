"""The operations page: one file, with nothing in it but what the page itself needs; its data comes from the API."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared import __version__
from shared.azure.cloud_endpoints import CLOUDS
from shared.web.authorization import APPROVE, RECORDS, WRITE, authorise
from shared.web.problems import SECURITY_HEADERS, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

PAGE = Path(__file__).with_name("page")
_SCRIPTS = {"operations": "bundle.js", "sign-in": "sign-in.js"}


class _Page(NamedTuple):
    text: str
    policy: str


async def operations_page(call: Call) -> func.HttpResponse:
    """The page, told which deployment it is of, how callers sign in, and what this one may do."""
    page = _page("operations")
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
    return _answer(page.text.replace("data-mode", said, 1), page)


def for_people(refusal: ApiError) -> func.HttpResponse:
    """A page with a way to sign in, in place of a refusal that is meant for programs; keeps its status."""
    page = _page("sign-in")
    return _answer(page.text.replace("<!--why-->", html.escape(refusal.detail)), page, refusal)


def _answer(text: str, page: _Page, refusal: ApiError | None = None) -> func.HttpResponse:
    import azure.functions as func

    headers = {**SECURITY_HEADERS, **(refusal.headers if refusal else {}), "Content-Security-Policy": page.policy}
    status = refusal.problem.status if refusal else 200
    return func.HttpResponse(text, status_code=status, mimetype="text/html", charset="utf-8", headers=headers)


def _may(call: Call, mode: str, role: str) -> str:
    """Whether the caller holds a role, as an attribute; a key can't say who acts, so under keys the page only shows."""
    if mode == "key":
        return "false"
    try:
        authorise(call.request.headers, mode, role)
    except ApiError:
        return "false"
    return "true"


@cache
def _page(name: str) -> _Page:
    """A page with its style and script inline, and the policy that lets only those run (W3C CSP 3, Trusted Types)."""
    parts = (f"{name}.html", "bundle.css", _SCRIPTS[name])
    text, style, script = ((PAGE / part).read_text(encoding="utf-8") for part in parts)
    text = text.replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return _Page(text, policy)


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
