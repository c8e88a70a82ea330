"""The context that the app settings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.enrich.context.resource_context import Context, IncompleteAnswerError, Query, RefusedError, Tagging

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.settings import Settings


def context(settings: Settings, graph: Graph) -> Context:
    """Context from Resource Graph with the tag names of the settings."""
    return Context(
        _query(graph),
        Tagging(settings.owner_tags, settings.environment_tags, settings.criticality_tags),
        ttl=settings.context_ttl.total_seconds(),
        drop_columns=settings.drop_columns,
    )


def _query(graph: Graph) -> Query:
    """Asks over everything the app may read, and over named subscriptions once those are too many for one answer."""
    too_many = False

    async def query(kql: str, subscriptions: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        from shared.azure.resource_graph import LIMIT_HIT, REFUSED

        nonlocal too_many
        answer = await graph.query(kql, subscriptions=subscriptions if too_many and subscriptions else None)
        if answer.reasons == (LIMIT_HIT,) and subscriptions:
            too_many = True
            answer = await graph.query(kql, subscriptions=subscriptions)
        if any(reason.startswith(REFUSED) for reason in answer.reasons):
            raise RefusedError("; ".join(answer.reasons))
        if not answer.complete:
            raise IncompleteAnswerError("; ".join(answer.reasons), answer.rows)
        return answer.rows

    return query
