"""The parser that the app settings ask for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.enrich.records.keep_drop_filters import filters, parse_filter
from shared.enrich.records.parser import Parser
from shared.enrich.records.row_builder import INDISPENSABLE
from shared.enrich.tables import TABLES
from shared.exports.rule_sets import Source

if TYPE_CHECKING:
    from shared.exports.diagnostics import Diagnostic
    from shared.settings import Settings

logger = logging.getLogger("defender_export.enrich")
_OF_EXPORTS = {
    "no-sources",
    "findings-without-recommendations",
    "snapshot-findings-without-recommendations",
    "controls-without-score",
    "snapshot-controls-without-score",
    "retired-source",
    "retired-recommendation",
    "retiring-recommendation",
}
_OF_KEEPING = {"drops-critical"}


def parser(settings: Settings) -> Parser:
    """A parser with the filters, columns and Raw mode of the settings; a filter that is wrong keeps all."""
    return Parser(
        raw="whole" if settings.raw_column == "whole" else "rest",
        drop_columns=settings.drop_columns,
        kept=filters(*(_sound(name, text) for name, text in _filters(settings).items())),
    )


def enrich_problems(settings: Settings) -> dict[str, str]:
    """What is wrong with the filters and the columns to leave out, a sentence by the setting's name."""
    found = {}
    for name, text in _filters(settings).items():
        try:
            sources = parse_filter(text)
        except ValueError as error:
            found[name] = f"{name}: {error}; until it is put right, all records are kept"
            continue
        if wrong := _findings(sources, name):
            kept = "; until it is put right, all records are kept" if wrong[0].severity == "error" else ""
            more = f" (and {len(wrong) - 1} more findings)" if len(wrong) > 1 else ""
            found[name] = f"{wrong[0].where}: {wrong[0].sentence} {wrong[0].fix}{more}{kept}"
    if said := _column_problems(settings.drop_columns):
        found["DROP_COLUMNS"] = f"DROP_COLUMNS: {said}"
    return found


def _column_problems(columns: Sequence[str]) -> str:
    needed = sorted(INDISPENSABLE & set(columns))
    unknown = [name for name in columns if not any(name in table.types for table in TABLES)]
    said = (
        [f"{', '.join(needed)} can't be dropped, and stays: duplicates, lag and simulated alerts are told by it"]
        if needed
        else []
    )
    said += [f"no table has a column {', '.join(unknown)}: names are written as docs/tables.md has them"] * bool(
        unknown
    )
    return "; ".join(said)


def _filters(settings: Settings) -> dict[str, str]:
    return {"KEEP_RECORDS": settings.keep_records, "DROP_RECORDS": settings.drop_records}


def _findings(sources: tuple[Source, ...], name: str) -> list[Diagnostic]:
    """What the linter of exports finds, errors first; whether sources belong together is a matter of exports."""
    if not sources:
        return []
    from shared.exports.linter import lint_sources  # a cold start without filters has no use for it

    waived = _OF_EXPORTS | (_OF_KEEPING if name == "DROP_RECORDS" else set())
    found = lint_sources(sources, where=name, waived=waived)
    return sorted(found, key=lambda one: one.severity != "error")


def _sound(name: str, text: str) -> tuple[Source, ...]:
    """The sources of a filter; none of one that the linter of exports finds in error."""
    try:
        sources = parse_filter(text)
        if not any(one.severity == "error" for one in _findings(sources, name)):
            return sources
    except ValueError:
        pass
    logger.error("%s is wrong: all records are kept, and ready says why", name)
    return ()
