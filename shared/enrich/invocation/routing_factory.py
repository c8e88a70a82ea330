"""Puts together what delivers by the file of routes, from settings and clients."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.output_hub import OutputHub
from shared.enrich.delivery.upload import Deliverer, Delivering
from shared.enrich.invocation.encoder_factory import encoder
from shared.enrich.invocation.routed_delivery import HubSender, RoutedDelivery, RuleSender, Sender
from shared.enrich.routing.accepted_routes import AcceptedRoutes
from shared.enrich.routing.guarded_delivery import GuardedDelivery
from shared.enrich.routing.place_ingestion import PlaceIngestion
from shared.enrich.routing.route_model import HubPlace, Place
from shared.enrich.routing.routes_against_settings import conflicts, fault_of, leads_back
from shared.enrich.routing.routes_in_force import RoutesInForce
from shared.settings import Settings, SettingsError

APP = Path(__file__).resolve().parents[3]
"""The folder of the app, where a path that is not absolute begins."""


def routed(settings: Settings, clients: Clients, clock: Clock) -> RoutedDelivery:
    """Delivery to the places of the file of routes."""
    accepted = AcceptedRoutes(lambda: clients.data_tables.get_table_client(settings.freshness_table))
    source = RoutesInForce(
        APP / settings.routes_file,
        accepted,
        partial(conflicts, settings=settings),
        partial(leads_back, settings=settings),
    )
    return RoutedDelivery(source, partial(_sender, settings, clients, clock), settings.owner_tags, clock)


def guarded(deliverer: Delivering, clock: Clock) -> Delivering:
    """The default place's deliverer, so that it holds up no other place either."""
    return GuardedDelivery(deliverer, clock)


def _sender(settings: Settings, clients: Clients, clock: Clock, place: Place) -> Sender:
    if isinstance(place, HubPlace):
        hub = OutputHub(clients, clock, hub=_producer(settings, clients, place))
        return HubSender(hub, encoder(place.form, place.kilobytes))
    deliverer = Deliverer(
        PlaceIngestion(place, clients, clock),
        settings.delivery_concurrency,
        clock,
        upload_timeout=settings.upload_timeout.total_seconds(),
    )
    return RuleSender(guarded(deliverer, clock))


def _producer(settings: Settings, clients: Clients, place: HubPlace) -> Callable[[], Any]:
    """The client of a place's hub, made on first use; what can't be made is tried again by the next."""

    @cache
    def make() -> Any:
        if fault := fault_of(place, settings):
            raise SettingsError(fault)
        connection = settings.route_connections.get(place.name, "")
        return clients.hub_at(place.hub, namespace=place.namespace, connection=connection, tenant_id=place.tenant)

    return make
