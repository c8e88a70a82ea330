"""What Microsoft Sentinel makes of a scheduled rule's answers: alerts, then incidents.  A model of what is documented.

Source: "Scheduled analytics rules in Microsoft Sentinel" (MicrosoftDocs/azure-docs,
articles/sentinel/scheduled-rules-overview.md, dated 2024-10-16): sections Alert threshold, Event grouping, Suppression
and Alert grouping.  The Defender portal correlates by rules of its own, which no page gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MOST_ALERTS_OF_A_RUN = 150
"""The last of them sums up all results when there are more."""
MOST_ALERTS_OF_AN_INCIDENT = 150
LONGEST_SUPPRESSION = timedelta(hours=24)
LOOKBACK = (timedelta(minutes=5), timedelta(days=7))

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Alert:
    """One alert: when it was raised, the rows that it tells of, and what it is grouped by."""

    time: datetime
    rows: tuple[Row, ...]
    key: tuple[Any, ...]


@dataclass
class Incident:
    """Alerts with one key, from the first on."""

    key: tuple[Any, ...]
    alerts: list[Alert] = field(default_factory=list)
    closed: datetime | None = None

    @property
    def opened(self) -> datetime:
        """When its first alert was raised."""
        return self.alerts[0].time


def duration(text: str) -> timedelta:
    """A duration of the resource, ISO 8601 with one part."""
    number, unit = int(text.strip("PTDHM")), text[-1]
    return {"D": timedelta(days=number), "H": timedelta(hours=number), "M": timedelta(minutes=number)}[unit]


def entities(properties: Mapping[str, Any], row: Row) -> list[tuple[str, tuple[tuple[str, Any], ...]]]:
    """The entities of a row: type and identifiers; a mapping whose columns are all empty gives none."""
    found = []
    for mapping in properties["entityMappings"]:
        pairs = ((each["identifier"], row[each["columnName"]]) for each in mapping["fieldMappings"])
        given = tuple((identifier, value) for identifier, value in pairs if value not in (None, ""))
        if given:
            found.append((mapping["entityType"], given))
    return found


def details(properties: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """The custom details of a row."""
    return {key: row[column] for key, column in properties["customDetails"].items()}


def _key(properties: Mapping[str, Any], rows: tuple[Row, ...]) -> tuple[Any, ...]:
    grouping = properties["incidentConfiguration"]["groupingConfiguration"]
    method = grouping["matchingMethod"]
    if method == "AnyAlert":
        return ()
    mapped = {mapping["entityType"] for mapping in properties["entityMappings"]}
    kinds = mapped if method == "AllEntities" else set(grouping["groupByEntities"])
    found = {entity for row in rows for entity in entities(properties, row) if entity[0] in kinds}
    names = [] if method == "AllEntities" else grouping["groupByCustomDetails"]
    return (frozenset(found), *(tuple(details(properties, row)[name] for row in rows) for name in names))


def alerts(properties: Mapping[str, Any], evaluations: Iterable[tuple[datetime, Sequence[Row]]]) -> list[Alert]:
    """The alerts of a rule's runs, in order: threshold, event grouping and suppression applied."""
    raised: list[Alert] = []
    pause = duration(properties["suppressionDuration"]) if properties["suppressionEnabled"] else timedelta()
    assert pause <= LONGEST_SUPPRESSION
    quiet_until: datetime | None = None
    for time, rows in evaluations:
        if (quiet_until and time < quiet_until) or len(rows) <= properties["triggerThreshold"]:
            continue
        each: list[tuple[Row, ...]] = [(row,) for row in rows]
        if properties["eventGroupingSettings"]["aggregationKind"] == "SingleAlert":
            each = [tuple(rows)]
        elif len(rows) > MOST_ALERTS_OF_A_RUN:
            each = [*each[: MOST_ALERTS_OF_A_RUN - 1], tuple(rows)]
        raised += [Alert(time, some, _key(properties, some)) for some in each]
        quiet_until = time + pause if pause else None
    return raised


def incidents(properties: Mapping[str, Any], raised: Iterable[Alert]) -> list[Incident]:
    """The incidents that alerts become, in the order in which they open."""
    grouping = properties["incidentConfiguration"]["groupingConfiguration"]
    lookback = duration(grouping["lookbackDuration"])
    assert LOOKBACK[0] <= lookback <= LOOKBACK[1]
    opened: list[Incident] = []
    for alert in raised:
        fitting = [
            incident
            for incident in opened
            if grouping["enabled"]
            and incident.key == alert.key
            and alert.time - incident.opened <= lookback
            and len(incident.alerts) < MOST_ALERTS_OF_AN_INCIDENT
            and (grouping["reopenClosedIncident"] or incident.closed is None)
        ]
        incident = fitting[-1] if fitting else Incident(alert.key)
        if not fitting:
            opened.append(incident)
        incident.alerts.append(alert)
        incident.closed = None
    return opened
