"""A compiled query: its table, its steps, the columns it leaves, and what one evaluation of it knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from local.arm.graph.expressions import Schema
from local.arm.graph.functions import Row

CONTAINER = {
    **dict.fromkeys(
        ("id", "name", "type", "tenantId", "kind", "location", "resourceGroup", "subscriptionId", "managedBy"), "string"
    ),
    **dict.fromkeys(("sku", "plan", "properties", "tags", "identity", "zones", "extendedLocation"), "dynamic"),
}
TABLES: dict[str, Schema] = {"resources": CONTAINER, "resourcecontainers": CONTAINER, "securityresources": CONTAINER}


@dataclass
class Run:
    """One evaluation: where tables come from, and whether the order of the rows is now certain."""

    table: Callable[[str, frozenset[str] | None], Iterable[Row]]
    certain: bool = False


Step = Callable[[list[Row], Run], list[Row]]


@dataclass
class Query:
    """A compiled query; `types` are the resource types it is limited to, when its first filters say so."""

    table: str
    types: frozenset[str] | None = None
    steps: list[Step] = field(default_factory=list)
    schema: Schema = field(default_factory=dict)
    takes: bool = False

    def rows(self, run: Run) -> list[Row]:
        """The result over a source of tables."""
        rows = list(run.table(self.table, self.types))
        for step in self.steps:
            rows = step(rows, run)
        return rows

    @property
    def pageable(self) -> bool:
        """Whether Resource Graph hands out a `$skipToken` for it."""
        return not self.takes and any(kind != "dynamic" for kind in self.schema.values())
