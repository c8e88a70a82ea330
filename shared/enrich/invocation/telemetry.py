"""Metrics and traces of delivery through OpenTelemetry, which is loaded only where it is configured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from shared import __version__
from shared.enrich.invocation.delivery_summary import Summary

_SCOPE = "defender_export"
_RELEASE = {"release": __version__}
_TRACED = {"defender_export.release": __version__}
_COUNTERS = {
    "records": "Records read, by kind.",
    "dropped": "Records that a cost filter left out, by kind.",
    "rows": "Rows accepted, by table.",
    "dead_letters": "Dead letters written, by reason.",
    "forwarded": "Rows sent to the output hub.",
    "place_rows": "Rows accepted at each place of the file of routes, and rows for it that became dead letters.",
    "requests": "Requests to the Logs Ingestion API.",
    "retries": "Requests that repeated one.",
    "throttled": "Requests answered 429.",
    "bytes": "Bytes uploaded, compressed.",
    "context": "Context look-ups, by outcome.",
    "unplaced": "Records of no known kind, by shape; `defender-export shapes` shows what each is.",
    "late": "Events delivered, or kept as dead letters, later than the service level asks for.",
    "late_allowed": "Events that the service level lets be late.",
}
_HISTOGRAMS = {
    "age": "Seconds from the oldest event's enqueuing to its delivery.",
    "lag": "Seconds that the newest event of a batch had waited, by partition.",
    "duration": "Seconds of an invocation.",
}
# Levels, told as histograms: a gauge repeats its last value for as long as the process lives, and another instance may
# have counted since.
_LEVELS = {"dead_letters_kept": "Dead letters in the store, by reason, waiting or parked."}
MOST_SHAPES = 50
"""Shapes that a process counts one by one."""


class Telemetry(Protocol):
    """Receives the summary of each invocation."""

    def invocation(self, name: str, summary: Summary) -> AbstractContextManager[None]:
        """A span around one invocation; what `summary` holds at its end goes to the metrics."""


class Silent:
    """Where no telemetry is configured."""

    def invocation(self, name: str, summary: Summary) -> AbstractContextManager[None]:  # noqa: ARG002 # the protocol's
        """Nothing."""
        return nullcontext()


class OpenTelemetry:
    """Instruments of the process's OpenTelemetry providers."""

    def __init__(self) -> None:
        from opentelemetry import metrics, trace

        meter = metrics.get_meter(_SCOPE)
        self._tracer = trace.get_tracer(_SCOPE)
        self._counters = {
            name: meter.create_counter(f"defender_export.{name}", description=text) for name, text in _COUNTERS.items()
        }
        self._histograms = {
            name: meter.create_histogram(f"defender_export.{name}", "s", text) for name, text in _HISTOGRAMS.items()
        }
        self._levels = {
            name: meter.create_histogram(f"defender_export.{name}", description=text) for name, text in _LEVELS.items()
        }
        self._kept: set[tuple[str, str]] = set()
        self._shapes: set[str] = set()

    @contextmanager
    def invocation(self, name: str, summary: Summary) -> Iterator[None]:
        """A span around one invocation; what `summary` holds at its end goes to the metrics."""
        with self._tracer.start_as_current_span(name, attributes={"messaging.system": "eventhubs", **_TRACED}) as span:
            try:
                yield
            finally:
                span.set_attribute("defender_export.events", summary.events)
                self._record(summary)

    def _record(self, summary: Summary) -> None:
        for metric, label, counts in (
            ("records", "kind", summary.kinds),
            ("dropped", "kind", summary.dropped),
            ("rows", "table", summary.accepted),
            ("dead_letters", "reason", summary.letters),
            ("context", "outcome", summary.context),
            ("unplaced", "shape", self._bounded(summary.unplaced)),
        ):
            for key, count in counts.items():
                self._counters[metric].add(count, {label: key} | _RELEASE)
        for (place, outcome), count in summary.places.items():
            self._counters["place_rows"].add(count, {"place": place, "outcome": outcome} | _RELEASE)
        self._counters["forwarded"].add(summary.forwarded, _RELEASE)
        self._counters["requests"].add(summary.requests, _RELEASE)
        self._counters["retries"].add(summary.retries, _RELEASE)
        self._counters["throttled"].add(summary.throttled, _RELEASE)
        self._counters["bytes"].add(summary.bytes_sent, _RELEASE)
        for partition, seconds in summary.lag.items():
            self._histograms["lag"].record(seconds, {"partition": partition} | _RELEASE)
        if summary.kept is not None:
            for reason, state in self._kept | set(summary.kept):  # what is gone is told once, as none
                attributes = {"reason": reason, "state": state} | _RELEASE
                self._levels["dead_letters_kept"].record(summary.kept[reason, state], attributes)
            self._kept = set(summary.kept)
        if summary.events:
            self._counters["late"].add(summary.late, _RELEASE)
            self._counters["late_allowed"].add(summary.late_allowed, _RELEASE)
            self._histograms["age"].record(summary.age, _RELEASE)
            self._histograms["duration"].record(summary.seconds, _RELEASE)

    def _bounded(self, shapes: Counter[str]) -> Counter[str]:
        """By shape, as long as there are few: each one is a series, and what makes them may be anything."""
        bounded: Counter[str] = Counter()
        for shape, count in shapes.items():
            if len(self._shapes) < MOST_SHAPES:
                self._shapes.add(shape)
            bounded[shape if shape in self._shapes else "others"] += count
        return bounded


def telemetry(environment: Mapping[str, str]) -> Telemetry:
    """OpenTelemetry where Application Insights is configured, or where OTEL_* settings set it up."""
    connection = environment.get("APPLICATIONINSIGHTS_CONNECTION_STRING")
    if connection:
        _export_to_application_insights(connection)
        return OpenTelemetry()
    if any(name.startswith("OTEL_") for name in environment):
        return OpenTelemetry()
    return Silent()


def _export_to_application_insights(connection: str) -> None:
    """Set up the exporters that Microsoft's distribution bundles, without its dozen instrumentations of frameworks."""
    from azure.core.settings import settings
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter, AzureMonitorTraceExporter
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    reader = PeriodicExportingMetricReader(AzureMonitorMetricExporter(connection_string=connection))
    metrics.set_meter_provider(MeterProvider([reader]))
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(AzureMonitorTraceExporter(connection_string=connection)))
    trace.set_tracer_provider(tracers)
    settings.tracing_enabled = True  # azure-core then makes a span of each request
