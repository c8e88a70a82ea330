"""Puts a pipeline together from settings and clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from shared.azure.blob_container import Container
from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.dead_letters.dead_letter_store import DeadLetters
from shared.enrich.delivery.logs_ingestion import LogsIngestion
from shared.enrich.delivery.output_hub import OutputHub
from shared.enrich.delivery.upload import Deliverer, Delivering
from shared.enrich.invocation.delivery_summary import Observer, ServiceLevel
from shared.enrich.invocation.encoder_factory import encoder
from shared.enrich.invocation.pipeline import Budget, Pipeline
from shared.enrich.invocation.preparation import Context, Preparer
from shared.enrich.invocation.simulated_alerts import Follower
from shared.enrich.invocation.telemetry import telemetry
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.enrich.records.parser import Parser

END_PERCENT = 75  # of the function's timeout, so that all of an invocation ends by 80; the host kills at 100


def dead_letters(settings: Settings, clients: Clients, clock: Clock) -> DeadLetters:
    """The store of dead letters."""
    container = Container(clients, settings.dead_letters_container)
    return DeadLetters(container, clock, settings.dead_letter_park_after)


def pipeline(
    settings: Settings,
    clients: Clients,
    environment: Mapping[str, str],
    *,
    make_context: Callable[[], Context] | None = None,
    observer: Observer | None = None,
    follower: Follower | None = None,
    clock: Clock | None = None,
) -> Pipeline:
    """The pipeline of one process."""

    def make_parser() -> Parser:
        from shared.enrich.invocation import parser_factory

        return parser_factory.parser(settings)

    clock = clock or Clock()
    timeout = settings.function_timeout.total_seconds()
    deliverer: Delivering = Deliverer(
        LogsIngestion(settings, clients, clock),
        settings.delivery_concurrency,
        clock,
        upload_timeout=settings.upload_timeout.total_seconds(),
    )
    routed = None
    if settings.routes_file:
        from shared.enrich.invocation import routing_factory  # loaded only where it is wanted

        routed, deliverer = routing_factory.routed(settings, clients, clock), routing_factory.guarded(deliverer, clock)
    make_output = partial(encoder, settings.forward_format, int(settings.forward_event_kb))
    return Pipeline(
        Preparer(make_parser, make_context, make_output if settings.forward_event_hub else None, routed),
        deliverer,
        dead_letters(settings, clients, clock),
        Container(clients, settings.oversize_container),
        Budget(timeout * min(settings.delivery_deadline_percent, END_PERCENT) / 100, timeout * END_PERCENT / 100),
        clock=clock,
        telemetry=telemetry(environment),
        forward=OutputHub(clients, clock) if settings.forward_event_hub else None,
        routed=routed,
        observer=observer,
        follower=follower,
        level=ServiceLevel(settings.late_after, settings.on_time_percent),
    )
