"""Approvals of plans over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.clock import utc_text
from shared.reconcile.report.approvals import Approval, ApprovalRefused
from shared.web import serialization
from shared.web.problems import BAD_REQUEST, CONFLICT, FORBIDDEN, NOT_FOUND, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.web.routing import Call


async def approve_plan(call: Call) -> func.HttpResponse:
    """Approve the plan of a run: 201; under RECONCILE_MODE=approve the next run carries it out, within a day."""
    document = serialization.json_body(call.request)
    run_id = document.get("runId")
    if not isinstance(run_id, str) or {*document} != {"runId"}:
        raise ApiError(BAD_REQUEST, 'Send the run whose plan you reviewed, and nothing else: {"runId": "..."}.')
    try:
        approval = await call.services.reconciler.approve(run_id, str(call.actor))
    except LookupError:
        raise ApiError(NOT_FOUND, "There is no run of this id; `GET /api/runs` lists them.") from None
    except ApprovalRefused as refusal:
        raise ApiError(FORBIDDEN if refusal.forbidden else CONFLICT, f"{_sentence(str(refusal))}.") from None
    return serialization.answer(shown(approval), status=201)


def shown(approval: Approval) -> dict[str, Any]:
    """An approval as the API gives it."""
    return {
        "runId": approval.reviewed_run,
        "fingerprint": approval.fingerprint,
        "by": approval.by,
        "at": utc_text(approval.at, "seconds"),
        "expires": utc_text(approval.expires, "seconds"),
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
