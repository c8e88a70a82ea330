"""The context that the app settings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.enrich.context.resource_context import Context, Tagging

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.settings import Settings


class IncompleteAnswerError(Exception):
    """Resource Graph left rows out, so that what is not in its answer may exist all the same."""


def context(settings: Settings, graph: Graph) -> Context:
    """Context from Resource Graph with the tag names of the settings."""

    async def query(kql: str) -> Sequence[Mapping[str, Any]]:
        answer = await graph.query(kql)
        if not answer.complete:
            raise IncompleteAnswerError("; ".join(answer.reasons))
        return answer.rows

    return Context(
        query,
        Tagging(settings.owner_tags, settings.environment_tags, settings.criticality_tags),
        ttl=settings.context_ttl.total_seconds(),
        drop_columns=settings.drop_columns,
    )
