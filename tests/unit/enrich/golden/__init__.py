"""Records and their rows, to be read: one `Golden` per kind of record and shape in which it comes."""

from __future__ import annotations

from tests.unit.enrich.golden import alerts, assessments, findings, individual, paths, scanners, scores

GOLDENS = (
    *alerts.GOLDENS,
    *assessments.GOLDENS,
    *individual.GOLDENS,
    *findings.GOLDENS,
    *scanners.GOLDENS,
    *scores.GOLDENS,
    *paths.GOLDENS,
)
