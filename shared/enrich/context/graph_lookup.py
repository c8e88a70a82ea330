"""The parser and the context that the app settings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.enrich.context.resource_context import Context, Tagging
from shared.enrich.records.cost_filters import filters, parse_filter
from shared.enrich.records.parser import Parser

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.settings import Settings


class IncompleteAnswerError(Exception):
    """Resource Graph left rows out, so that what is not in its answer may exist all the same."""


def parser(settings: Settings) -> Parser:
    """A parser with the cost filters, columns and Raw mode of the settings.

    Raises:
        ValueError: a filter is no list of event sources.
    """
    return Parser(
        raw="whole" if settings.raw_column == "whole" else "rest",
        drop_columns=settings.drop_columns,
        kept=filters(parse_filter(settings.keep_records), parse_filter(settings.drop_records)),
    )


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
