"""What the CIS Microsoft Azure Foundations Benchmark asks of continuous export, in this project's words."""

from __future__ import annotations

from typing import Final

from shared.watch.requirement_checks import Benchmark, Question, Requirement

BENCHMARK: Final = "CIS Microsoft Azure Foundations Benchmark"
VERSIONS: Final = ("5.0.0", "6.0.0")
"""Versions 3.0.0 and 4.0.0 have no such recommendation."""
TITLE: Final = "Ensure Advanced Threat Protection Alerts for Storage Accounts Are Monitored"
LEVEL: Final = 2
ASSESSMENT: Final = "Manual"
BY_HAND: Final = "By hand"

# Source: the descriptions of 8.1.5.2 in the public checks of Prowler and Powerpipe (assessment: manual in both).
QUESTIONS: Final = (
    Question(
        "Is continuous export switched on?",
        "Verdict of the subscription: an automation counts when it is enabled and covers the whole subscription.",
    ),
    Question(
        "Does it send at least the security alerts of High and of Medium severity?",
        "Verdict of the subscription: each of the two severities surely passes the filters, whatever else an alert "
        "holds. An export that is narrowed to one Defender plan does not count.",
    ),
    Question(
        "Does it go to an event hub or a Log Analytics workspace?",
        "Verdict of the subscription: only a hub or workspace that records can reach counts; a logic app does not.",
    ),
    Question(
        "Is that hub or workspace tied to a SIEM that is monitored?",
        f"{BY_HAND}: no API shows what reads a hub or who looks at a workspace.",
    ),
    Question(
        "Does the portal's page Continuous export show the export as on?",
        "Note of the subscription: the page shows automations named ExportToEventHub and ExportToWorkspace only.",
    ),
    Question(
        "Are notifications by e-mail or webhook in use instead?",
        f"{BY_HAND}: the recommendation allows them; this report does not look at them.",
    ),
    Question(
        "Is Defender for Storage on, so that there are alerts about storage accounts?",
        f"{BY_HAND}: this report judges the export of alerts, not which Defender plans are on.",
    ),
)

CIS = Requirement(
    "cis-8.1.5.2",
    "Alerts",
    ({"Severity": "High"}, {"Severity": "Medium"}),
    description=(
        f"{BENCHMARK} {' and '.join(VERSIONS)}, 8.1.5.2, level {LEVEL}, {ASSESSMENT.lower()}: {TITLE}; alerts of High "
        "and Medium severity are exported to an event hub or workspace"
    ),
    note="Whether the event hub or workspace is tied to a SIEM that someone monitors has to be checked by hand.",
    seen_in_portal=True,
    benchmark=Benchmark(BENCHMARK, VERSIONS, "8.1.5.2", TITLE, LEVEL, ASSESSMENT),
    questions=QUESTIONS,
)
