"""What the CIS Microsoft Azure Foundations Benchmark asks of continuous export."""

from __future__ import annotations

from typing import Final

from shared.watch.requirement_checks import Requirement

BENCHMARK: Final = "CIS Microsoft Azure Foundations Benchmark"
VERSIONS: Final = ("5.0.0", "6.0.0")
"""Versions 3.0.0 and 4.0.0 have no such recommendation."""
TITLE: Final = "Ensure Advanced Threat Protection Alerts for Storage Accounts Are Monitored"
LEVEL: Final = 2
ASSESSMENT: Final = "Manual"

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
)
