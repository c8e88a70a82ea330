"""A data collection rule as the service takes it: what it refuses when it is written, and who may send to it.

Limits: Azure Monitor service limits, data collection rules.  Names and flows: structure of a data collection rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.enrich.tables import Table, stream_declarations

MAX_STREAMS = 10
MAX_FLOWS = 10
MAX_DESTINATIONS = 10
REQUESTS_PER_MINUTE = 12_000
BYTES_PER_MINUTE = 2 * 1024**3
COLUMN_TYPES = {"string", "int", "long", "real", "boolean", "dynamic", "datetime"}
_PREFIX = "Custom-"


class RuleRefusedError(ValueError):
    """The service would not take the rule; the message says why."""


@dataclass
class RateLimit:
    """The requests and bytes that a rule takes in each minute of its clock."""

    requests: int = REQUESTS_PER_MINUTE
    bytes: int = BYTES_PER_MINUTE
    _minute: int = -1
    _requests: int = 0
    _bytes: int = 0

    def take(self, size: int, now: float) -> int:
        """Count a request; 0 when it fits, else the seconds until it may be sent again."""
        if int(now // 60) != self._minute:
            self._minute, self._requests, self._bytes = int(now // 60), 0, 0
        if self._requests + 1 > self.requests or self._bytes + size > self.bytes:
            return 60 - int(now % 60)
        self._requests += 1
        self._bytes += size
        return 0


@dataclass
class CollectionRule:
    """A rule that was written: its immutable id, each stream's table, who may publish, and its rate."""

    immutable_id: str
    tables: Mapping[str, str]
    publishers: set[str] = field(default_factory=set)
    limit: RateLimit = field(default_factory=RateLimit)


def written(immutable_id: str, properties: Mapping[str, Any], publishers: Iterable[str] = ()) -> CollectionRule:
    """The rule of a resource's `properties`.

    Raises:
        RuleRefusedError: a limit is passed, or a flow leads nowhere.
    """
    streams, flows = properties["streamDeclarations"], properties["dataFlows"]
    destinations = [one["name"] for kind in properties["destinations"].values() for one in kind]
    for what, found, most in (
        ("stream declarations", streams, MAX_STREAMS),
        ("data flows", flows, MAX_FLOWS),
        ("destinations", destinations, MAX_DESTINATIONS),
    ):
        if len(found) > most:
            raise RuleRefusedError(f"{len(found)} {what}: a data collection rule takes {most}")
    for name, declared in streams.items():
        if not name.startswith(_PREFIX):
            raise RuleRefusedError(f"stream {name}: its name must begin with {_PREFIX}")
        if wrong := {column["type"] for column in declared["columns"]} - COLUMN_TYPES:
            raise RuleRefusedError(f"stream {name}: {', '.join(sorted(wrong))} is no type of a column")
    return CollectionRule(immutable_id, _tables(streams, flows, destinations), set(publishers))


def _tables(streams: Mapping[str, Any], flows: Iterable[Mapping[str, Any]], known: list[str]) -> dict[str, str]:
    led: dict[str, str] = {}
    for flow in flows:
        if "transformKql" in flow and len(flow["streams"]) != 1:
            raise RuleRefusedError("a data flow with a transformation has one stream")
        if lost := set(flow["destinations"]) - set(known):
            raise RuleRefusedError(f"{', '.join(sorted(lost))} is no destination of the rule")
        for name in flow["streams"]:
            if name not in streams:
                raise RuleRefusedError(f"stream {name} is not declared")
            led[name] = flow["outputStream"].removeprefix(_PREFIX)
    return led


def properties_for(tables: Iterable[Table]) -> dict[str, Any]:
    """The properties that `infra/modules/ingestion.bicep` gives a rule for these tables."""
    streams = stream_declarations(tables)
    return {
        "streamDeclarations": streams,
        "destinations": {"logAnalytics": [{"name": "workspace"}]},
        "dataFlows": [
            {"streams": [name], "destinations": ["workspace"], "transformKql": "source", "outputStream": name}
            for name in streams
        ],
    }
