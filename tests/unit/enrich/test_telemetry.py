from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared import __version__
from shared.enrich.invocation.delivery_summary import ServiceLevel, Summary
from shared.enrich.invocation.telemetry import Silent, telemetry
from shared.enrich.records.model import Event


def test_without_configuration_nothing_is_told() -> None:
    assert isinstance(telemetry({"EVENT_HUB_NAME": "hub"}), Silent)


def test_telemetry_is_not_even_imported_without_configuration() -> None:
    program = (
        "import sys, shared.enrich.invocation.pipeline_factory;"
        "from shared.enrich.invocation.telemetry import telemetry; telemetry({});"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_each_invocation_adds_its_counts_to_the_metrics() -> None:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))
    observed = telemetry({"OTEL_METRICS_EXPORTER": "otlp"})
    summary = Summary(events=3)
    with observed.invocation("enrich_records", summary):
        summary.kinds = Counter(Alert=2, Assessment=1)
        summary.accepted = Counter(DefenderAlerts_CL=2)
        summary.letters = Counter(refused=1)
        summary.places = Counter({("payments", "accepted"): 5})
        summary.requests, summary.retries, summary.bytes_sent, summary.age = 4, 1, 1234, 2.5
        summary.lag = {"0": 1.5}
    found = points(reader)
    assert releases(reader) == {__version__}
    assert found["defender_export.records", "Alert"] == 2
    assert found["defender_export.rows", "DefenderAlerts_CL"] == 2
    assert found["defender_export.dead_letters", "refused"] == 1
    assert found["defender_export.place_rows", "paymentsaccepted"] == 5
    assert found["defender_export.requests", ""] == 4
    assert found["defender_export.bytes", ""] == 1234
    assert found["defender_export.age", ""] == 2.5
    assert found["defender_export.lag", "0"] == 1.5


def test_events_that_waited_longer_than_the_service_level_lets_them_are_late() -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    waited = [0, 59, 60, 61, 3600]
    events = [Event(b"{}", now - timedelta(seconds=each), "0", number) for number, each in enumerate(waited)]
    events.append(Event(b"{}", now - timedelta(days=9), "", 9))  # a backfill's waits in no hub
    summary = Summary(level=ServiceLevel(timedelta(minutes=1), 95))
    summary.count_events(events, now)
    summary.finish([], 1.0, now)
    assert summary.late == 2
    assert summary.late_allowed == pytest.approx(0.25)

    nothing = Summary(level=ServiceLevel())
    nothing.count_events(events[-1:], now)
    nothing.finish([], 1.0, now)
    assert (nothing.late, nothing.late_allowed) == (0, 0)


PROGRAM = """
from collections import Counter
from datetime import UTC, datetime, timedelta
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from shared.enrich.invocation.delivery_summary import ServiceLevel, Summary
from shared.enrich.invocation.telemetry import telemetry

reader = InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})  # as Azure Monitor's exporter asks for
metrics.set_meter_provider(MeterProvider([reader]))
observed = telemetry({"OTEL_METRICS_EXPORTER": "otlp"})
for kept in (
    Counter({("refused", "parked"): 4, ("throttled", "waiting"): 2}),
    Counter({("refused", "parked"): 4}),
    Counter(),
    None,
):
    with observed.invocation("retry_dead_letters", summary := Summary()):
        summary.kept = kept
    data = reader.get_metrics_data()
    points = [
        (*point.attributes.values(), point.max)
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "defender_export.dead_letters_kept"
        for point in metric.data.data_points
    ]
    print(sorted(points))
"""


def test_letters_that_are_kept_are_told_once_each_time_and_as_none_when_they_are_gone() -> None:
    """In a process of its own: a provider is set once in a process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"[('refused', 'parked', '{__version__}', 4), ('throttled', 'waiting', '{__version__}', 2)]",
        f"[('refused', 'parked', '{__version__}', 4), ('throttled', 'waiting', '{__version__}', 0)]",
        f"[('refused', 'parked', '{__version__}', 0)]",
        "[]",
    ]


def points(reader: InMemoryMetricReader) -> dict[tuple[str, str], Any]:
    """Value, or sum, of each metric and label."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        (
            metric.name,
            "".join(str(value) for label, value in (point.attributes or {}).items() if label != "release"),
        ): getattr(point, "value", getattr(point, "sum", None))
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def releases(reader: InMemoryMetricReader) -> set[Any]:
    """The release that each point names."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        (point.attributes or {}).get("release")
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
