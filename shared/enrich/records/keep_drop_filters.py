"""Cost filters: which records get a row, in the rule-set language of the exports.

Both lists are event sources as automations have them: `[{"eventSource": "AssessmentsSnapshot", "ruleSets": [...]}]`.
A record that any source of `drop` would export gets no row.  A kind that `keep` names gets rows only for what one of
its sources would export.  What is left out is counted, never silent.
"""

from __future__ import annotations

from typing import Any

import orjson

from shared.enrich.records.field_mapping import KINDS, Kind
from shared.enrich.records.row_builder import RecordFilter
from shared.exports.evaluator import accepts
from shared.exports.rule_sets import Source, parse_sources


def parse_filter(text: str) -> tuple[Source, ...]:
    """Event sources from an app setting's JSON; none for an empty text.

    Raises:
        ValueError: not JSON, or not event sources; the message says where.
    """
    if not text:
        return ()
    listed = orjson.loads(text)
    if not isinstance(listed, list):
        raise ValueError("a filter is a JSON array of event sources")  # noqa: TRY004 - the text is wrong, not a type
    return parse_sources(listed)


def filters(keep: tuple[Source, ...], drop: tuple[Source, ...]) -> dict[str, RecordFilter]:
    """The filter of each kind that a source names, for `Parser`."""
    made = {}
    for kind in KINDS:
        kept = [source for source in keep if _concerns(source, kind)]
        dropped = [source for source in drop if _concerns(source, kind)]
        if kept or dropped:
            made[kind.name] = _filter(kept, dropped)
    return made


def _concerns(source: Source, kind: Kind) -> bool:
    return bool(kind.source) and source.event_source.lower().removesuffix("snapshot") == kind.source.lower()


def _filter(kept: list[Source], dropped: list[Source]) -> RecordFilter:
    def keeps(_kind: Kind, _snapshot: bool, record: Any) -> bool:
        if any(accepts(source, record) for source in dropped):
            return False
        return not kept or any(accepts(source, record) for source in kept)

    return keeps
