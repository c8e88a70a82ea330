"""The examples in the OpenAPI document; tests hold each against the schema of its model."""

from __future__ import annotations

from typing import Any

from shared.web.problems import INVALID_EXPORT, ProblemType

_NAMESPACE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc"
    "/providers/Microsoft.EventHub/namespaces/contoso-soc"
)
EXPORT_YAML = f"""version: 1
name: soc-alerts
scope: {{managementGroups: [contoso-prod]}}
automation: {{location: westeurope}}
export:
  alerts: {{minimumSeverity: Medium}}
destination:
  eventHub:
    resourceId: {_NAMESPACE}/eventhubs/defender-export
    trustedService: true
"""
_EXPORT = {
    "version": 1,
    "name": "soc-alerts",
    "scope": {"managementGroups": ["contoso-prod"]},
    "automation": {"location": "westeurope"},
    "export": {"alerts": {"minimumSeverity": "Medium"}},
    "destination": {
        "eventHub": {"resourceId": f"{_NAMESPACE}/eventhubs/defender-export", "trustedService": True},
    },
}
_FINDING = {
    "code": "missing-key",
    "severity": "error",
    "where": "soc-alerts:1: destination",
    "sentence": "'destination' is missing.",
    "fix": "",
}
_ETAG = '"0x8DE2A1B3C4D5E6F"'
_JOB = {
    "id": "8236165990123-5f3e9a1c",
    "kind": "reconcile",
    "state": "queued",
    "arguments": {"managementGroups": ["contoso-prod"]},
    "actor": "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
    "attempt": 0,
    "progress": "",
    "error": "",
    "created": "2026-11-22T18:00:00.000Z",
    "started": None,
    "finished": None,
}
JOBS: tuple[dict[str, Any], ...] = (
    {"kind": "plan"},
    {"kind": "reconcile", "managementGroups": ["contoso-prod"]},
    {"kind": "preview", "export": "soc-alerts"},
    {"kind": "backfill", "subscriptions": ["11111111-1111-4111-8111-111111111111"], "kinds": ["Assessments"]},
    {"kind": "replay", "day": "2026-11-22", "parked": True},
)
APPROVAL: dict[str, Any] = {"runId": "20261122T180000000000Z-0e79bf84"}
EXAMPLES: dict[str, Any] = {
    "ApprovalBody": {
        **APPROVAL,
        "fingerprint": "4f" * 32,
        "by": "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
        "at": "2026-11-22T18:05:00Z",
        "expires": "2026-11-23T18:05:00Z",
    },
    "ExportConfig": _EXPORT,
    "ExportStored": {
        "name": "soc-alerts",
        "etag": _ETAG,
        "dryRun": False,
        "valid": True,
        "findings": [],
    },
    "ExportList": {
        "value": [{"name": "soc-alerts", "etag": _ETAG, "size": 320, "modified": "2026-11-22T18:00:00Z"}],
        "continuation": "",
        "problems": [{"name": "old-alerts", "inForce": True, "findings": [_FINDING]}],
        "warnings": [],
    },
    "Validation": {"valid": False, "findings": [_FINDING]},
    "Job": _JOB,
    "JobList": {"value": [_JOB], "continuation": ""},
    "Readiness": {
        "ready": False,
        "release": "1.0.0",
        "checks": [
            {"name": "identity", "ok": True, "detail": "a token for Azure Resource Manager"},
            {"name": "eventHub", "ok": False, "detail": "no answer within 20 s"},
        ],
        "warnings": [],
    },
    "PlanQuestion": {"files": {"soc-alerts.yaml": EXPORT_YAML}, "prune": False, "output": "markdown"},
    "ImportQuestion": {"managementGroups": ["contoso-prod"], "adopt": True},
    "Health": {"status": "alive", "version": "1.0.0", "commit": "0123456789abcdef0123456789abcdef01234567"},
}

_JOB_DONE = {
    **_JOB,
    "state": "succeeded",
    "attempt": 1,
    "started": "2026-11-22T18:00:02.000Z",
    "finished": "2026-11-22T18:00:31.000Z",
    "result": {"outcome": "Succeeded", "runId": APPROVAL["runId"]},
}
# Where one model answers with several statuses, what each of them says.
BY_STATUS: dict[tuple[str, int], Any] = {
    ("Health", 503): {
        **EXAMPLES["Health"],
        "status": "broken",
        "detail": "the packages were built for Python 3.12, this is Python 3.11",
    },
    ("Readiness", 200): {
        **EXAMPLES["Readiness"],
        "ready": True,
        "checks": [{**check, "ok": True, "detail": said} for check, said in zip(
            EXAMPLES["Readiness"]["checks"],
            ("a token for Azure Resource Manager", "0 events not yet read; by partition 0: 0"),
            strict=True,
        )],
    },
    ("Job", 200): _JOB_DONE,
}  # fmt: skip


def example(model: str, status: int) -> Any:
    """An answer of a model with a status; None where none is given."""
    return BY_STATUS.get((model, status), EXAMPLES.get(model))


def problem_example(problem: ProblemType) -> dict[str, Any]:
    """What a refusal of this type looks like."""
    example: dict[str, Any] = {
        "type": problem.uri,
        "title": problem.title,
        "status": problem.status,
        "detail": "A sentence that says what to do.",
    }
    return {**example, "findings": [_FINDING]} if problem is INVALID_EXPORT else example
