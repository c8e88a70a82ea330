"""Pages for people: one file each, with nothing from elsewhere, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import html
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shared.web.problems import SECURITY_HEADERS, UNAUTHENTICATED, ApiError

if TYPE_CHECKING:
    import azure.functions as func

PAGE = Path(__file__).with_name("page")
_SCRIPTS = {"operations": "bundle.js", "sign-in": "sign-in.js"}


class Page(NamedTuple):
    """A page's text, and its Content-Security-Policy."""

    text: str
    policy: str


@cache
def page(name: str) -> Page:
    """A page with its style and script inline, and the policy that lets only those run (W3C CSP 3, Trusted Types)."""
    parts = (f"{name}.html", "bundle.css", _SCRIPTS[name])
    text, style, script = ((PAGE / part).read_text(encoding="utf-8") for part in parts)
    text = text.replace("/*style*/", style).replace("/*script*/", script)
    policy = (
        f"default-src 'none'; script-src {source_hash(script)}; style-src {source_hash(style)}; img-src data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return Page(text, policy)


def source_hash(content: str) -> str:
    """A style or script as a Content-Security-Policy names it."""
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def page_answer(text: str, policy: str, refusal: ApiError | None = None) -> func.HttpResponse:
    """A page as an answer; one in place of a refusal keeps its status and headers."""
    import azure.functions as func

    headers = {**SECURITY_HEADERS, **(refusal.headers if refusal else {}), "Content-Security-Policy": policy}
    status = refusal.problem.status if refusal else 200
    return func.HttpResponse(text, status_code=status, mimetype="text/html", charset="utf-8", headers=headers)


def sign_in(refusal: ApiError) -> func.HttpResponse:
    """A page with a way to sign in, in place of a refusal that is meant for programs."""
    asked = page("sign-in")
    why = "Sign in to see this deployment." if refusal.problem is UNAUTHENTICATED else refusal.detail
    return page_answer(asked.text.replace("<!--why-->", html.escape(why)), asked.policy, refusal)
