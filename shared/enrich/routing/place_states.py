"""How each place does: from what it took on two days, and from the dead letters that wait for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from shared.enrich.routing.place_workspaces import why_unseen
from shared.enrich.routing.route_model import DEFAULT, HubPlace, Place, Routes

if TYPE_CHECKING:
    from shared.enrich.dead_letters.dead_letter_store import DeadLetter

WELL, BEHIND, UNAVAILABLE, REFUSED, MISCONFIGURED, UNDECLARED = STATES = (
    "well", "behind", "unavailable", "refused", "misconfigured", "undeclared",
)  # fmt: skip
RECENT: Final = timedelta(hours=1)
_REFUSALS: Final = frozenset({"no-access", "not-found", "stream-refused", "no-token"})
_SETTINGS: Final = "not-configured"


@dataclass(frozen=True)
class PlaceState:
    """One place: where it is, how it does and why, rows that wait or are parked, and rows taken on two days (UTC).

    `unseen` says why nothing can be said of the rows that lie there; empty where its workspace can be asked.
    """

    name: str
    kind: str
    where: str
    tenant_id: str
    state: str
    reason: str
    waiting: int = 0
    parked: int = 0
    today: int = 0
    yesterday: int = 0
    unseen: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As an answer has it."""
        told = asdict(self)
        told["tenantId"] = told.pop("tenant_id")
        return told


def states(
    routes: Routes,
    fault_of: Callable[[Place], str],
    letters: Iterable[DeadLetter],
    arrived: tuple[Mapping[str, int], Mapping[str, int]],
    now: datetime,
) -> list[PlaceState]:
    """The default place, those declared, and those for which letters wait although they are declared no more.

    Args:
        routes: in force.
        fault_of: why a place can't be reached by the settings; empty where nothing speaks against it.
        letters: every blob of dead letters.
        arrived: rows taken today and yesterday, by `place.table`, and by table of the default place.
        now: the present.
    """
    waiting: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        waiting.setdefault(place_of(letter.place), []).append(letter)
    found = [_state(DEFAULT, "", waiting, now)]
    for place in routes.places:
        one = _state(place.name, fault_of(place), waiting, now)
        about = replace(one, kind=_kind(place), where=_where(place), tenant_id=place.tenant)
        found.append(replace(about, unseen=why_unseen(place)))
    known = {one.name for one in found}
    found += [
        replace(_state(name, "", waiting, now), state=UNDECLARED) for name in sorted(waiting) if name not in known
    ]
    today, yesterday = (_by_place(each) for each in arrived)
    return [replace(one, today=today.get(one.name, 0), yesterday=yesterday.get(one.name, 0)) for one in found]


def place_of(where: str) -> str:
    """The place that a dead letter or a count is of; those of the default place name a table alone."""
    name, dot, _ = where.partition(".")
    return name if dot else DEFAULT


def not_well(found: Iterable[PlaceState]) -> Iterator[str]:
    """Sentences on the places that need a person; an outage by itself ends by itself."""
    for one in found:
        if one.state in {MISCONFIGURED, REFUSED, UNAVAILABLE} and one.name != DEFAULT:
            yield f"{one.name} is {one.state}: {one.reason}"


def _state(name: str, fault: str, waiting: Mapping[str, list[DeadLetter]], now: datetime) -> PlaceState:
    own = waiting.get(name, [])
    parked = sum(letter.letters for letter in own if letter.parked)
    left = sum(letter.letters for letter in own if not letter.parked)
    recent = [letter for letter in own if letter.outage and now - letter.written < RECENT]
    latest = max(recent, key=lambda letter: letter.written, default=None)
    state, reason = WELL, ""
    if fault:
        state, reason = MISCONFIGURED, fault
    elif latest is not None:
        by_reason = MISCONFIGURED if latest.reason == _SETTINGS else UNAVAILABLE
        state, reason = REFUSED if latest.reason in _REFUSALS else by_reason, latest.reason
    elif own:
        state, reason = BEHIND, max(own, key=lambda letter: letter.written).reason
    return PlaceState(name, "", "", "", state, reason, left, parked)


def _kind(place: Place) -> str:
    return "hub" if isinstance(place, HubPlace) else "rule"


def _where(place: Place) -> str:
    if isinstance(place, HubPlace):
        return "/".join(filter(None, (place.namespace, place.hub)))
    return f"{urlsplit(place.endpoint).netloc}/{place.rule_id}"


def _by_place(arrived: Mapping[str, int]) -> dict[str, int]:
    rows: dict[str, int] = {}
    for where, count in arrived.items():
        rows[place_of(where)] = rows.get(place_of(where), 0) + count
    return rows
