"""Plans of what is stored or of files that come with the request, and files for what is live; nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from shared.exports.diagnostics import Diagnostic, errors, limit
from shared.exports.file_tests import run_tests
from shared.exports.proposal import Proposal, propose
from shared.exports.scope_findings import NotAllSeen
from shared.exports.validation import Checked, check_text, check_together
from shared.jobs.arguments import LIMITS
from shared.reconcile.importer.imported_exports import import_exports
from shared.reconcile.narrowing import places
from shared.reconcile.plan.change_limits import raised
from shared.reconcile.plan.model import Cause
from shared.reconcile.plan_output import OUTPUTS, Wish, document, formed
from shared.reconcile.report.run_report import Caller
from shared.reconcile.run import Request
from shared.web import serialization
from shared.web.checks_apart import apart
from shared.web.findings import shown
from shared.web.problems import BAD_REQUEST, INVALID_EXPORT, RETRY_LATER, UNAVAILABLE, ApiError

if TYPE_CHECKING:
    import azure.functions as func

    from shared.exports.last_known_good import LoadedExports
    from shared.exports.model import ExportConfig
    from shared.reconcile.report.run_report import Report
    from shared.web.routing import Call

_NAMES = ("subscriptions", "managementGroups", "exports", "causes")
_FLAGS = ("prune", "full", "colour")
_PLAN_MEMBERS = frozenset({*_NAMES, *_FLAGS, *LIMITS, "files", "output"})
_IMPORT_MEMBERS = frozenset({"subscriptions", "managementGroups", "adopt"})
_MAX_FILES = 1_000


async def plan_changes(call: Call) -> func.HttpResponse:
    """What a reconcile would change, of what is stored or as if the files of the request were; leaves no report."""
    asked = _members(call, _PLAN_MEMBERS)
    configs = await _files(asked["files"]) if asked.get("files") is not None else None
    if configs is None and asked.get("prune"):
        raise ApiError(BAD_REQUEST, "'prune' goes with 'files': it plans the delete of what is not among them.")
    proposals: list[Proposal] = []

    def proposed(stored: LoadedExports) -> LoadedExports:
        if configs is None:
            return stored
        proposals.append(propose(stored, configs, prune=bool(asked.get("prune"))))
        return proposals[0].loaded

    request = Request(
        Caller("api", str(call.actor)),
        subscriptions=asked.get("subscriptions"),
        management_groups=asked.get("managementGroups"),
        exports=asked.get("exports"),
        causes=[Cause(cause) for cause in asked.get("causes", ())],
        guards=partial(raised, max_deletes=asked.get("maxDeletes"), percent=asked.get("maxChangePercent")),
        accept_fewer=asked.get("acceptFewer", False),
        propose=proposed,
        keep=False,
    )
    try:
        report = await call.services.reconciler.plan(request)
    except NotAllSeen:
        raise
    except ValueError as error:
        raise ApiError(BAD_REQUEST, _sentence(error)) from None
    _refuse_unread(report.unread, report.plan.reasons)
    proposal = proposals[0] if proposals else None
    narrowed = any(asked.get(name) for name in ("subscriptions", "managementGroups", "exports"))
    wish = Wish(asked.get("output", "text"), bool(asked.get("full")), bool(asked.get("colour")), narrowed)
    reasons = list(report.plan.reasons)
    answer = await apart(0, _answer, report, proposal, wish)  # of what is there, not of what was sent
    return serialization.answer({**answer, "complete": not reasons, "reasons": reasons})


async def import_live(call: Call) -> func.HttpResponse:
    """Export files that mean what is live and was made by others; `adopt` marks them to be taken over."""
    asked = _members(call, _IMPORT_MEMBERS)
    groups = asked.get("managementGroups", ())
    inventory = await call.services.reconciler.discover(groups)
    _refuse_unread(inventory.unread, inventory.reasons)
    try:
        chosen = places(inventory, asked.get("subscriptions", ()), groups)
    except NotAllSeen:
        raise
    except ValueError as error:
        raise ApiError(BAD_REQUEST, _sentence(error)) from None
    automations = [live for live in inventory.automations if live.id.key[0] in chosen]
    instance = call.services.settings.instance_id
    imported, left = import_exports(automations, inventory.subscriptions, instance, adopt=bool(asked.get("adopt")))
    answer = {
        "files": [
            {
                "name": one.name,
                "text": one.text,
                "automations": [str(live.id) for live in one.automations],
                "findings": shown(one.findings),
            }
            for one in imported
        ],
        "left": [{"automation": str(one.automation.id), "reason": one.reason} for one in left],
        "complete": inventory.complete,
        "reasons": list(inventory.reasons),
        "warnings": await call.services.reconciler.policies_behind(
            [live.id for one in imported for live in one.automations], inventory
        ),
    }
    return serialization.answer(answer)


def _refuse_unread(unread: bool, reasons: Sequence[str]) -> None:
    """A failed reading is no answer; one that is whole in part says what may be missing."""
    if unread:
        raise ApiError(UNAVAILABLE, f"The tenant could not be read: {'; '.join(reasons)}.", headers=RETRY_LATER)


def _members(call: Call, known: frozenset[str]) -> Mapping[str, Any]:
    """The request's members, each of its type."""
    asked = serialization.json_body(call.request)
    if not {*asked} <= known:
        raise ApiError(BAD_REQUEST, f"The body takes only {', '.join(sorted(known))}.")
    for name in ("subscriptions", "managementGroups", "exports", "causes"):
        value = asked.get(name, ["-"])
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            raise ApiError(BAD_REQUEST, f"'{name}' must be a list of names that is not empty; leave it out for all.")
    for name in ("prune", "full", "colour", "adopt"):
        if not isinstance(asked.get(name, False), bool):
            raise ApiError(BAD_REQUEST, f"'{name}' must be true or false.")
    if asked.get("output", "text") not in OUTPUTS:
        raise ApiError(BAD_REQUEST, f"'output' must be one of {', '.join(OUTPUTS)}.")
    for name in LIMITS.keys() & asked.keys():
        try:
            LIMITS[name](asked[name])
        except ValueError as error:
            raise ApiError(BAD_REQUEST, f"'{name}' {error}.") from None
    if any(cause != "release" for cause in asked.get("causes", ())):
        raise ApiError(BAD_REQUEST, "'causes' must hold only causes that wait for being named (release).")
    return asked


def _answer(report: Report, proposal: Proposal | None, wish: Wish) -> dict[str, Any]:
    return {"plan": document(report, proposal), "shown": formed(report, proposal, wish)}


async def _files(files: Any) -> list[ExportConfig]:
    """The exports that the request brings.

    Raises:
        ApiError: 400 when the files are no texts by name, 422 when one is invalid or fails its own tests.
    """
    right = isinstance(files, dict) and 0 < len(files) <= _MAX_FILES
    if not right or not all(isinstance(text, str) for text in files.values()):
        raise ApiError(BAD_REQUEST, f"'files' must hold 1 to {_MAX_FILES:,} texts by their names.")
    configs, findings = await apart(sum(map(len, files.values())), _checked_files, files)
    if errors(findings):
        told = "Mend the findings of severity error; nothing was planned."
        raise ApiError(INVALID_EXPORT, told, findings=shown(findings))
    return configs


def _checked_files(files: Mapping[str, str]) -> tuple[list[ExportConfig], tuple[Diagnostic, ...]]:
    """The files that can be read, and what is wrong with each and with them together."""
    checked = [check_text(text.encode("utf-8", "replace"), name) for name, text in files.items()]
    findings = [finding for one in checked for finding in one.findings]
    findings += check_together([(one.source, one.config) for one in checked if one.config])
    findings += [failed for one in checked if one.config for failed in _failed_tests(one, one.config)]
    return [one.config for one in checked if one.config], tuple(limit(findings, "files"))


def _failed_tests(checked: Checked, config: ExportConfig) -> list[Diagnostic]:
    return [
        Diagnostic("test-failed", "error", checked.source, f"{outcome.label}: {outcome.reason}", "")
        for outcome in run_tests(config)
        if not outcome.passed
    ]


def _sentence(error: Exception) -> str:
    text = str(error)
    return text if text.endswith((".", "?")) else f"{text}."
