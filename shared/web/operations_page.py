"""The operations page: one file, with nothing in it but what the page itself needs; its data comes from the API."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared import __version__
from shared.web.authorization import APPROVE, WRITE, authorise
from shared.web.problems import SECURITY_HEADERS, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call

PAGE = Path(__file__).with_name("page")


class _Page(NamedTuple):
    text: str
    policy: str


async def operations_page(call: Call) -> func.HttpResponse:
    """The page, told how callers sign in and whether this one may start jobs."""
    import azure.functions as func

    page = _page()
    mode = call.services.settings.auth_mode
    rights = f'data-may-write="{_may(call, mode, WRITE)}" data-may-approve="{_may(call, mode, APPROVE)}"'
    about = f'data-mode="{mode}" {rights} data-version="{__version__}"'
    return func.HttpResponse(
        page.text.replace("data-mode", about, 1),
        mimetype="text/html",
        charset="utf-8",
        headers={**SECURITY_HEADERS, "Content-Security-Policy": page.policy},
    )


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
def _page() -> _Page:
    """The page with its bundles inline, and the policy that lets only those run (W3C CSP 3, Trusted Types)."""
    text, style, script = (
        (PAGE / name).read_text(encoding="utf-8") for name in ("operations.html", "bundle.css", "bundle.js")
    )
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
