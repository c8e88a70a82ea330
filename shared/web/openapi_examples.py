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
REQUIREMENTS: dict[str, Any] = {
    "version": 1,
    "requirements": [
        {
            "name": "severe-recommendations",
            "kind": "Assessments",
            "records": [{"properties.metadata.severity": "High"}],
        }
    ],
    "exceptions": [
        {
            "requirement": "cis-8.1.5.2",
            "subscriptions": ["11111111-1111-4111-8111-111111111111"],
            "owner": "Payments team",
            "reason": "The subscription is moved to another tenant in spring",
            "until": "2027-03-31",
        }
    ],
}
NOTIFY: dict[str, Any] = {
    "version": 1,
    "digestAt": "07:00",
    "receivers": [{"name": "soc-channel", "channel": "teams"}, {"name": "platform", "channel": "mail"}],
    "rules": [
        {"send": ["soc-channel"], "severity": "High"},
        {"send": ["platform"], "when": "daily", "managementGroups": ["contoso-prod"]},
    ],
}
MUTES: dict[str, Any] = {
    "version": 1,
    "mutes": [
        {
            "name": "payments-move",
            "subscription": "11111111-1111-4111-8111-111111111111",
            "owner": "Payments team",
            "reason": "The subscription moves to another region",
            "from": "2026-12-01T06:00Z",
            "until": "2026-12-03T18:00Z",
        },
        {
            "name": "hub-upkeep",
            "destination": f"{_NAMESPACE}/eventhubs/defender-export",
            "owner": "Platform team",
            "reason": "Weekly upkeep of the namespace",
            "from": "2026-12-01T00:00Z",
            "until": "2027-03-01T00:00Z",
            "weekly": {"day": "Saturday", "start": "22:00", "duration": "6h"},
        },
    ],
}
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
_FIGURE = {
    "period": "2026-11",
    "measure": "secure score",
    "name": "",
    "value": 61.25,
    "over": 38,
    "days": 21,
    "unit": "%",
    "standsOn": "subscriptions",
}
EXAMPLES: dict[str, Any] = {
    "Trend": {
        "generated": "2026-11-22T18:00:00Z",
        "since": "2026-09-01T00:00:00Z",
        "until": "2026-11-22T18:00:00Z",
        "problem": "",
        "months": [_FIGURE],
        "days": [{**_FIGURE, "period": "2026-11-22", "value": None, "over": 0, "days": 0}],
    },
    "RequirementsFile": REQUIREMENTS,
    "NotifyFile": NOTIFY,
    "MutesFile": MUTES,
    "ApprovalBody": {
        **APPROVAL,
        "fingerprint": "4f" * 32,
        "by": "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
        "at": "2026-11-22T18:05:00Z",
        "expires": "2026-11-23T18:05:00Z",
    },
    "Evidence": {
        "value": [
            {
                "requirement": "cis-8.1.5.2",
                "subscriptionId": "11111111-1111-4111-8111-111111111111",
                "subscription": "payments",
                "tenantId": "22222222-2222-4222-8222-222222222222",
                "managementGroups": ["contoso", "contoso-prod"],
                "state": "Enabled",
                "verdict": "excepted",
                "reason": "no automation exports Alerts",
                "note": "",
                "exception": {
                    "owner": "Payments team",
                    "reason": "The subscription is moved to another tenant in spring",
                    "until": "2027-03-31",
                    "state": "valid",
                },
            }
        ],
        "continuation": "",
        "generated": "2026-11-22T18:00:00Z",
        "taken": "2026-11-22T17:59:40Z",
        "by": "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
        "instance": "prod",
        "tenant": "22222222-2222-4222-8222-222222222222",
        "release": "1.0.0",
        "complete": True,
        "reasons": [],
        "sources": {"subscriptions": 1, "automations": 3, "sha256": "4f" * 32, "requirementsSha256": "5e" * 32},
        "requirements": [
            {
                "name": "cis-8.1.5.2",
                "description": "",
                "benchmark": {
                    "name": "CIS Microsoft Azure Foundations Benchmark",
                    "versions": ["5.0.0", "6.0.0"],
                    "number": "8.1.5.2",
                    "title": "Ensure Advanced Threat Protection Alerts for Storage Accounts Are Monitored",
                    "level": 2,
                    "assessment": "Manual",
                },
                "conclusion": "met with exceptions",
                "counts": {"met": 0, "not met": 0, "excepted": 1, "not judged": 0},
                "questions": [
                    {"asks": "Is continuous export switched on?", "answeredBy": "Verdict of the subscription."}
                ],
            }
        ],
        "exceptions": [
            {
                "requirement": "cis-8.1.5.2",
                "owner": "Payments team",
                "reason": "The subscription is moved to another tenant in spring",
                "until": "2027-03-31",
                "state": "valid",
                "subscriptions": ["11111111-1111-4111-8111-111111111111"],
                "managementGroups": [],
                "covers": 1,
            }
        ],
        "trend": {
            "problem": "",
            "since": "2026-09-01T00:00:00Z",
            "until": "2026-11-22T18:00:00Z",
            "months": [_FIGURE],
        },
        "limits": ["It shows what is configured."],
        "mutes": [
            {
                "name": "payments-move",
                "what": "subscription 11111111-1111-4111-8111-111111111111",
                "owner": "Payments team",
                "reason": "The subscription moves to another region",
                "from": "2026-11-20T06:00:00Z",
                "until": "2026-11-27T18:00:00Z",
                "weekly": "",
                "inForce": True,
            }
        ],
        "muteTrouble": "",
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
    "CanaryList": {
        "value": [
            {
                "subscription": "11111111-1111-4111-8111-111111111111",
                "outcome": "not-proven",
                "hop": "stored",
                "reason": "not there within 5 min",
                "mend": "Azure accepted the row and the table does not have it: look at `DCRLogErrors`.",
                "bundle": "StorageAccounts",
                "begun": "2026-11-22T18:00:00.000Z",
                "ended": "2026-11-22T18:07:30.000Z",
                "by": "entra:6f1c1b9e-5a2b-4c7d-9e8f-0a1b2c3d4e5f",
                "hops": [
                    {
                        "hop": "accepted",
                        "state": "reached",
                        "at": "2026-11-22T18:02:10.000Z",
                        "seconds": 3.2,
                        "reason": "",
                    }
                ],
            }
        ],
        "continuation": "",
    },
    "ShapeList": {
        "value": [
            {
                "shape": "9b1f0c52",
                "kind": "Other",
                "record": {"id": "/subscriptions/00000000-0000-4000-8000-000000000001", "name": "name-1", "Name-2": 1},
                "columns": ["Raw", "RecordId", "RecordKey", "ResourceId", "SubscriptionId"],
                "differs": [],
                "records": 12,
                "largest": 840,
            }
        ],
        "unreadable": {"not JSON: compressed, and cut short": 1},
        "more": False,
    },
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
