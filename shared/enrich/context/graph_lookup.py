"""The parser and the context that the app settings ask for."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.enrich.context.resource_context import Context, Tagging
from shared.enrich.records.cost_filters import filters, parse_filter
from shared.enrich.records.parser import Parser
from shared.exports.rule_sets import Source

if TYPE_CHECKING:
    from shared.azure.resource_graph import Graph
    from shared.settings import Settings

logger = logging.getLogger("defender_export.enrich")


class IncompleteAnswerError(Exception):
    """Resource Graph left rows out, so that what is not in its answer may exist all the same."""


def parser(settings: Settings) -> Parser:
    """A parser with the cost filters, columns and Raw mode of the settings; a filter that can't be read keeps all."""
    return Parser(
        raw="whole" if settings.raw_column == "whole" else "rest",
        drop_columns=settings.drop_columns,
        kept=filters(*(_sources(name, text) for name, text in _filters(settings).items())),
    )


def filter_problems(settings: Settings) -> dict[str, str]:
    """What is wrong with the cost filters, a sentence by the setting's name."""
    found = {}
    for name, text in _filters(settings).items():
        try:
            parse_filter(text)
        except ValueError as error:
            found[name] = f"{name}: {error}; until it is put right, all records are kept"
    return found


def _filters(settings: Settings) -> dict[str, str]:
    return {"KEEP_RECORDS": settings.keep_records, "DROP_RECORDS": settings.drop_records}


def _sources(name: str, text: str) -> tuple[Source, ...]:
    try:
        return parse_filter(text)
    except ValueError:
        logger.error("%s can't be read: all records are kept", name)  # noqa: TRY400 # says all
        return ()


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
