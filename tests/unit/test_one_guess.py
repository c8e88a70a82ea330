"""Where each behaviour lives: the questions that a newcomer asks of the tree, and the file that answers each.

The answers are for whoever renames or moves modules: ask someone who sees nothing but the list of paths, and compare.
"""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
ANSWERS = {
    "the sentence that names the role to grant after AuthorizationFailed": ["reconcile/arm/error_explanations.py"],
    "fewer parallel uploads after a 429": ["enrich/delivery/upload_concurrency.py"],
    "halving a refused body": ["enrich/delivery/bisection.py"],
    "which HTTP status of ingestion means what": ["enrich/delivery/ingestion_status.py"],
    "whether a scope selects a subscription": ["exports/scope_selection.py"],
    "field-level comparison of two automations": ["reconcile/plan/automation_diff.py"],
    "cutting a value over 64 KB": ["enrich/delivery/truncation.py"],
    "deduplication key": ["enrich/records/record_key.py"],
    "MITRE tactics of an alert": ["enrich/records/derived/alerts.py"],
    "CVE ids and CVSS": ["enrich/records/derived/vulnerabilities.py", "enrich/records/derived/cves.py"],
    "paging and quota of Resource Graph": ["azure/resource_graph.py"],
    "the lock that keeps a second run out": ["reconcile/apply/run_lock.py"],
    "the limit on deletes": ["reconcile/plan/change_limits.py"],
    "the report for auditors": ["watch/evidence/document.py"],
    "who put an export, as a row": ["audit/trail.py", "exports/noted_writes.py"],
    "the CIS verdict": ["watch/cis_benchmark.py", "watch/requirement_checks.py"],
    'the verdict "silent"': ["watch/freshness_verdicts.py"],
    "last-known-good version": ["exports/last_known_good.py"],
    "refusing YAML aliases": ["exports/yaml_reader.py"],
    '"did you mean"': ["exports/suggestions.py"],
    "CSV answers": ["web/csv_answers.py"],
    "app roles of a caller": ["web/authorization.py"],
    "If-Match and paging parameters": ["web/request_parameters.py"],
    "endpoints of US Government": ["azure/cloud_endpoints.py"],
    "back-off for ARM": ["azure/retry_backoff.py"],
    "a hub's key and its fingerprint": ["reconcile/destinations/event_hub_keys.py"],
    "counting stored rows": ["watch/stored_rows.py"],
    "the coloured plan": ["reconcile/plan/plan_render.py"],
    "ARM token buckets": ["reconcile/arm/token_buckets.py"],
    "present records for a backfill": ["watch/present_records.py", "jobs/backfill_events.py"],
    "heartbeat of a job": ["jobs/heartbeat.py"],
    "dropping healthy snapshots": ["enrich/records/keep_drop_filters.py"],
    "a saved plan that no longer fits": ["reconcile/plan/saved_plan.py"],
    "replay schedule and parking": ["enrich/dead_letters/replay_schedule.py"],
    "a live automation as sections of a file": ["reconcile/importer/automation_as_sections.py"],
    "columns of the alert table": ["enrich/tables.py"],
    "which column feeds which OCSF attribute": ["enrich/ocsf/attribute_mapping.py"],
    "which field feeds which column": ["enrich/records/field_mapping.py"],
    "choosing the fast or the tolerant decoder": ["enrich/records/reader_selection.py"],
    "gzip and exact batching": ["enrich/delivery/packing.py"],
    "where credentials are made": ["azure/credentials.py"],
    "a finding that vanished ends after two answers without it": ["lifecycle/conclusions.py"],
    "too much of a kind would be closed at once": ["lifecycle/closing_guard.py"],
    "order of a reconcile run": ["reconcile/run.py"],
    "deep health check": ["web/health_check.py"],
}


def test_there_is_a_file_for_each_question() -> None:
    assert len(ANSWERS) == 45


@pytest.mark.parametrize("question", ANSWERS)
def test_the_file_is_there(question: str) -> None:
    for path in ANSWERS[question]:
        assert (SHARED / path).is_file()
