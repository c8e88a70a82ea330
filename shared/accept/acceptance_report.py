"""The report on an acceptance, which can be sent to anyone: what Azure answered is shown by type and form alone.  Pure.

Names, ids, addresses, keys and numbers of the tenant are replaced by invented ones, as in shapes of records; words that
are Azure's own and every text of this program stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from shared import __version__
from shared.accept.findings import Acceptance, Difference, Outcome, Verdict
from shared.enrich.shapes.invented_values import Invention

FORMAT: Final = 1
_WORDS: Final = frozenset(
    word
    for line in (
        "actions api-version badargumenterror badrequest bool boolean channel code conditionnotmet",
        "contentlengthlimitexceeded count createdby createddatetimeutc data datetime description details dynamic",
        "engineerror error errors etag eventhub eventhubresourceid facets forbidden guid id innererror int",
        "invalidapiversionparameter invalidrequestcontent invalidresourcetype invalidskiptoken invalidstream isenabled",
        "istrustedserviceenabled isvalid kind lastupdatedby lastupdateddatetimeutc location long message metadata",
        "missing name nextlink none notfound null object operator operationfailed partialerror preconditionfailed",
        "primaryresult properties propertyjpath propertytype provisioningstate ratelimiting real resourcenotfound",
        "resulttruncated rows rules rulesets same saspolicyname scopepath scopes semanticerror severity sources",
        "python settings signin identity storage ingestion stored lastrun timers exports inforce freshness deadletters",
        "statistics status stored string syntaxerror systemdata tables tags taken target timespan totalrecords type",
        "unsupportedapiversion unsupportedmediatype value $skiptoken $type",
    )
    for word in line.split()
)
"""Names and words of Azure's answers, in lower case."""


class _Public(Invention):
    """As for shapes of records, with the words of Azure's answers beside those of records."""

    def __init__(self) -> None:
        super().__init__(_WORDS)

    def text(self, text: str) -> str:
        """A text, replaced unless it is a public word."""
        return text if text.lower() in _WORDS else super().text(text)


def document(found: Acceptance) -> dict[str, Any]:
    """The report as JSON; nothing in it is the tenant's."""
    public = _Public()
    outcomes = found.all()
    counts = Counter(one.verdict for one in outcomes)
    return {
        "format": FORMAT,
        "release": __version__,
        "counts": {verdict.value: counts[verdict] for verdict in Verdict},
        "items": [_item(one, public) for one in outcomes],
        "unlisted": [_difference(one, public) for one in found.unlisted],
    }


def _item(one: Outcome, public: Invention) -> dict[str, Any]:
    return {
        "id": one.item.id,
        "section": one.item.section,
        "verdict": one.verdict.value,
        "text": one.item.text,
        "why": one.why,
        "differences": [_difference(each, public) for each in one.differences],
    }


def _difference(one: Difference, public: Invention) -> dict[str, Any]:
    seen = public.value(one.seen) if one.seen is not None else None
    return {"what": one.what, "expected": one.expected, "status": one.status, "seen": seen}


def as_markdown(report: dict[str, Any]) -> str:
    """The same for people."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    yield "# Acceptance of a deployment"
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report["counts"].items())
    others = len(report["unlisted"])
    yield f"\nRelease {report['release']}: {counts}; {others} other differences. Every value is invented."
    for verdict in (Verdict.DIFFERS, Verdict.HOLDS, Verdict.PERSON):
        if chosen := [item for item in report["items"] if item["verdict"] == verdict]:
            yield f"\n## {verdict.value.capitalize()}\n"
            for item in chosen:
                yield f"- `{item['id']}` {item['text']}{_why(item)}"
                yield from _told(item["differences"])
    if report["unlisted"]:
        yield "\n## Differences that the checklist does not list\n"
        yield from (line.removeprefix("  ") for line in _told(report["unlisted"]))


def _why(item: dict[str, Any]) -> str:
    return f" *({item['why']})*" if item.get("why") else ""


def _told(differences: Iterable[dict[str, Any]]) -> Iterator[str]:
    for one in differences:
        yield f"  - {sentence(one)}"


def sentence(difference: dict[str, Any]) -> str:
    """One difference of a report in a line."""
    parts = [f"status {difference['status']}"] if difference["status"] is not None else []
    parts += [f"`{str(difference['seen']).replace('`', '')}`"] if difference["seen"] is not None else []
    return f"{difference['what']}: expected {difference['expected']}; seen {', '.join(parts) or 'something else'}"
