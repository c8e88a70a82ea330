"""The report as a table: a line for each verdict that says by itself what it is about, when and by whom it was made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from shared.shown_text import as_csv
from shared.watch.evidence.document import NOT_JUDGED

COLUMNS: Final = (
    "requirement", "benchmark", "versions", "number", "title", "subscriptionId", "subscription", "tenantId",
    "managementGroups", "state", "verdict", "reason", "note", "exceptionOwner", "exceptionReason", "exceptionUntil",
    "exceptionState", "generated", "taken", "by", "instance", "release", "complete", "sourcesSha256",
    "requirementsSha256",
)  # fmt: skip
NOTHING: Final = "no subscription was seen"


def csv_table(document: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """These rows of a report as CSV that no spreadsheet runs; a requirement without any has a line that says so."""
    return as_csv(_lines(document, list(rows)), COLUMNS)


def _lines(document: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    named = {each["name"]: each for each in document["requirements"]}
    if not document["sources"]["subscriptions"]:
        rows = [{"requirement": name, "verdict": NOT_JUDGED, "reason": NOTHING} for name in named]
    made = {name: document[name] for name in ("generated", "taken", "by", "instance", "release", "complete")}
    made["sourcesSha256"] = document["sources"]["sha256"]
    made["requirementsSha256"] = document["sources"]["requirementsSha256"]
    for row in rows:
        benchmark = named[row["requirement"]].get("benchmark") or {}
        exception = row.get("exception") or {}
        yield {
            **{name: row.get(name) for name in ("requirement", "subscriptionId", "subscription", "tenantId", "state")},
            **{name: row.get(name) for name in ("verdict", "reason", "note")},
            "managementGroups": "/".join(row.get("managementGroups", ())),
            "benchmark": benchmark.get("name"),
            "versions": ", ".join(benchmark.get("versions", ())),
            "number": benchmark.get("number"),
            "title": benchmark.get("title"),
            "exceptionOwner": exception.get("owner"),
            "exceptionReason": exception.get("reason"),
            "exceptionUntil": exception.get("until"),
            "exceptionState": exception.get("state"),
            **made,
        }
