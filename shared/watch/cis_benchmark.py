"""What the CIS Microsoft Azure Foundations Benchmark asks of continuous export."""

from __future__ import annotations

from shared.watch.requirement_verdicts import Requirement

# CIS Microsoft Azure Foundations 8.1.5.2 asks that alerts of medium severity and above leave the portal.
CIS = Requirement(
    "cis-8.1.5.2",
    "Alerts",
    ({"Severity": "High"}, {"Severity": "Medium"}),
    description="alerts of High and Medium severity are exported",
)
