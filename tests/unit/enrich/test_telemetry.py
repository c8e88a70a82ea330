from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared import __version__
from shared.enrich.invocation.delivery_summary import Summary
from shared.enrich.invocation.telemetry import Silent, telemetry


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
        summary.requests, summary.retries, summary.bytes_sent, summary.age = 4, 1, 1234, 2.5
        summary.lag = {"0": 1.5}
    found = points(reader)
    assert releases(reader) == {__version__}
    assert found["defender_export.records", "Alert"] == 2
    assert found["defender_export.rows", "DefenderAlerts_CL"] == 2
    assert found["defender_export.dead_letters", "refused"] == 1
    assert found["defender_export.requests", ""] == 4
    assert found["defender_export.bytes", ""] == 1234
    assert found["defender_export.age", ""] == 2.5
    assert found["defender_export.lag", "0"] == 1.5


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
