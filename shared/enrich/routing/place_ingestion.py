"""The edge to one place's data collection rule, in this tenant or another."""

from __future__ import annotations

from shared.azure.clients import Clients
from shared.clock import Clock
from shared.enrich.delivery.ingestion_status import Answer
from shared.enrich.delivery.logs_ingestion import IngestionRule, renewed, upload_to
from shared.enrich.routing.route_model import RulePlace


class PlaceIngestion:
    """Uploads to a rule, by the names that its streams have there."""

    def __init__(self, place: RulePlace, clients: Clients, clock: Clock) -> None:
        self._rule = IngestionRule.at(
            place.endpoint, place.rule_id, lambda: clients.ingestion_at(place.endpoint, place.tenant)
        )
        self._streams = {f"Custom-{table}": stream for table, stream in place.streams.items()}
        self._tenant = place.tenant
        self._clients = clients
        self._clock = clock

    async def upload(self, stream: str, data: bytes, timeout: float) -> Answer:  # noqa: ASYNC109 # part of the request
        """Send gzip bytes to a stream; whatever happens within `timeout` seconds is an answer."""
        return await upload_to(self._rule, self._streams.get(stream, stream), data, timeout, self._clock)

    async def renew_token(self) -> None:
        """Have the next upload carry a token issued from now on."""
        await renewed(self._clients, self._tenant)
