"""An Event Hubs namespace on loopback, spoken to over AMQP 1.0 by the official clients."""

from local.eventhubs.broker import EventHubsBroker, main

__all__ = ["EventHubsBroker", "main"]
