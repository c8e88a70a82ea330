"""The parser that the app settings ask for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from shared.enrich.records.keep_drop_filters import filters, parse_filter
from shared.enrich.records.parser import Parser
from shared.exports.rule_sets import Source

if TYPE_CHECKING:
    from shared.settings import Settings

logger = logging.getLogger("defender_export.enrich")


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
