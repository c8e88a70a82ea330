"""Rule sets, the filter language of continuous export: everything one does with them, under one roof.

`sources` reads and builds them, `evaluate` runs them against a record, `explain` says them in English; all are pure.
"""

from __future__ import annotations

from shared.exports.evaluate import Decision, accepts, evaluate
from shared.exports.explain import explain
from shared.exports.sources import (
    OPERATORS,
    TYPES,
    MalformedRules,
    Rule,
    RuleSet,
    Source,
    build_sources,
    normalise,
    parse_sources,
)
from shared.exports.vocabulary import EVENT_SOURCES, event_source_of, kind_of_record

__all__ = [
    "EVENT_SOURCES",
    "OPERATORS",
    "TYPES",
    "Decision",
    "MalformedRules",
    "Rule",
    "RuleSet",
    "Source",
    "accepts",
    "build_sources",
    "evaluate",
    "event_source_of",
    "explain",
    "kind_of_record",
    "normalise",
    "parse_sources",
]
