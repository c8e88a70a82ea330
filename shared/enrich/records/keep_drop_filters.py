"""Cost filters: which records get a row, in the rule-set language of the exports.

Both lists are event sources as automations have them: `[{"eventSource": "AssessmentsSnapshot", "ruleSets": [...]}]`.
A record that any source of `drop` would export gets no row.  A kind that `keep` names gets rows only for what one of
its sources would export.  A filter sees a record as it was read: its kind whatever casing and form it came in, and each
value wherever that kind may have it.  What is left out is counted, never silent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson

from shared.enrich.records.field_mapping import KINDS, Kind
from shared.enrich.records.row_builder import RecordFilter
from shared.exports.evaluator import meets, values_at
from shared.exports.event_sources import KINDS as EXPORTED
from shared.exports.event_sources import is_snapshot_source
from shared.exports.known_values import exported_status
from shared.exports.rule_sets import Source, bare_path, is_given, parse_sources

WITHOUT_SNAPSHOTS = {kind.name for kind in KINDS if kind.source and not EXPORTED[kind.source].has_snapshot}


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
    def keeps(kind: Kind, snapshot: bool | None, record: Any) -> bool:
        if any(_exports(source, kind, bool(snapshot), record) for source in dropped):
            return False
        return not kept or any(_exports(source, kind, snapshot, record) for source in kept)

    return keeps


def _exports(source: Source, kind: Kind, snapshot: bool | None, record: Any) -> bool:
    """Whether a source would export a record of the kind that it was read as.

    One that does not say whether it belongs to a snapshot is kept by either source, and dropped by the other.
    """
    of_snapshots = is_snapshot_source(source.event_source)
    if snapshot is not None and snapshot != of_snapshots and kind.name not in WITHOUT_SNAPSHOTS:
        return False
    return not source.rule_sets or any(
        all(meets(rule, _values(rule.path, kind, record)) or is_given(rule, source.event_source) for rule in rule_set)
        for rule_set in source.rule_sets
    )


def _values(path: str, kind: Kind, record: Any) -> list[Any]:
    """What stands at a path, or at another one that is read as the same."""
    if bare_path(path).lower() == "type":
        return [kind.type]
    found = next((found for each in _paths(path, kind) if (found := values_at(record, each))), [])
    if kind.name == "Alert" and found and _target(bare_path(path).lower(), kind)[0] == "Status":
        return [exported_status(value) for value in found]
    return found


@lru_cache(maxsize=4096)
def _paths(path: str, kind: Kind) -> tuple[str, ...]:
    """A path, and the others that feed the same column, as alerts and attack paths of Resource Graph have them."""
    target, below = _target(bare_path(path).lower(), kind)
    return (path, *(f"{other}{below}" for other, fed in kind.fields.items() if target and fed == target))


def _target(path: str, kind: Kind) -> tuple[str, str]:
    """The column that a path or one above it feeds, and what follows that one in the path."""
    fed = {name.lower(): target for name, target in kind.fields.items()}
    above = path
    while above:
        if target := fed.get(above):
            return target, path[len(above) :]
        above = above.rpartition(".")[0]
    return "", ""
