"""Whose a mute or an exception is, when what it names is of the part, of others, or gone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.muting.mutes import Mute
from shared.reconcile.model import Subscription
from shared.tenant_state import TenantState
from shared.watch.coverage import Destination, cover
from shared.watch.expectations import Declared
from shared.watch.requirement_checks import GrantedException
from shared.web.limited_entries import Entries, Whose, not_shown
from shared.web.limited_part import part_of

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
MINE, OTHER, GONE = (f"{number * 8}-0000-4000-8000-000000000000" for number in "123")
HUB, AFAR = (f"/subscriptions/{OTHER}/{name}" for name in ("hub", "afar"))
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def entries(*, seen: bool = True, tenants: tuple[str, ...] = (A,)) -> Entries:
    subscriptions = [
        Subscription(MINE.upper(), tenant_id=A, ancestors=("prod", "unit", A)),
        Subscription(OTHER, tenant_id=B, ancestors=("prod", "elsewhere", B)),
    ]
    state = TenantState(
        NOW,
        subscriptions,
        cover(subscriptions, (), "i"),
        [
            Declared(MINE, "Ours", (), Destination("EventHub", HUB)),
            Declared(OTHER, "Hidden", (), Destination("EventHub", AFAR)),
        ],
        unseen=() if seen else ("a page failed",),
    )
    return part_of(state, frozenset({MINE}), perhaps_more=False, tenants=tenants).entries


def mute(**what: str) -> Mute:
    named: dict[str, Any] = {name: value.lower().strip("/") for name, value in what.items()}
    return Mute("m", "Ann", "x", NOW, NOW, **named)


def granted(*names: str) -> GrantedException:
    ids = {MINE, OTHER, GONE}
    subscriptions, groups = [one for one in names if one in ids], [one for one in names if one not in ids]
    return GrantedException("cis", "Ann", "x", date(2027, 1, 1), tuple(subscriptions), tuple(groups))


@pytest.mark.parametrize(
    ("what", "whose"),
    [
        ({"subscription": MINE}, Whose.THEIRS),
        ({"subscription": MINE, "export": "gone"}, Whose.THEIRS),
        ({"subscription": MINE, "export": "gone", "destination": "/subscriptions/x/gone"}, Whose.THEIRS),
        ({"subscription": MINE, "export": "Hidden"}, Whose.OTHERS),
        ({"subscription": MINE, "destination": AFAR}, Whose.OTHERS),
        ({"subscription": MINE, "management_group": "elsewhere"}, Whose.OTHERS),
        ({"subscription": MINE, "management_group": "gone"}, Whose.THEIRS),
        ({"subscription": OTHER, "export": "Ours"}, Whose.OTHERS),
        ({"subscription": GONE}, Whose.UNKNOWN),
        ({"subscription": GONE, "export": "Ours"}, Whose.UNKNOWN),
        ({"subscription": GONE, "management_group": "unit"}, Whose.THEIRS),
        ({"management_group": "unit", "export": "gone"}, Whose.THEIRS),
        ({"management_group": "gone", "export": "Ours"}, Whose.UNKNOWN),
        ({"management_group": "elsewhere"}, Whose.OTHERS),
        ({"management_group": "prod"}, Whose.UNKNOWN),
        ({"management_group": f"{A}/prod"}, Whose.THEIRS),
        ({"management_group": f"{A.upper()}/GONE"}, Whose.THEIRS),
        ({"management_group": f"{B}/prod"}, Whose.OTHERS),
        ({"management_group": f"{B}/gone"}, Whose.OTHERS),
        ({"management_group": A}, Whose.THEIRS),
        ({"management_group": B}, Whose.OTHERS),
        ({"management_group": f"{GONE}/gone"}, Whose.UNKNOWN),
        ({"export": "Ours"}, Whose.THEIRS),
        ({"export": "OURS", "destination": HUB}, Whose.THEIRS),
        ({"export": "Hidden"}, Whose.OTHERS),
        ({"export": "gone"}, Whose.UNKNOWN),
        ({"export": "gone", "destination": HUB}, Whose.THEIRS),
        ({"destination": "/subscriptions/x/own"}, Whose.THEIRS),
        ({"destination": "/subscriptions/x/gone"}, Whose.UNKNOWN),
    ],
)
def test_a_mute_is_whose_what_it_names_is(what: dict[str, str], whose: Whose) -> None:
    assert entries().whose_mute(mute(**what), "/Subscriptions/x/own/") is whose


def test_a_group_that_is_gone_is_theirs_only_of_a_tenant_that_is_wholly_theirs() -> None:
    gone, there = mute(management_group=f"{A}/gone"), mute(management_group=f"{A}/prod")
    assert entries(tenants=()).whose_mute(gone) is Whose.UNKNOWN
    assert entries(tenants=()).whose_mute(there) is Whose.THEIRS


def test_where_not_all_was_read_no_group_is_placed_by_its_name_alone() -> None:
    assert entries(seen=False).whose_mute(mute(management_group="unit")) is Whose.UNKNOWN
    assert entries(seen=False).whose_mute(mute(management_group=f"{A}/unit")) is Whose.THEIRS


def test_of_an_exception_the_names_of_the_part_are_shown() -> None:
    found = entries()
    some = granted(MINE, OTHER, GONE, "unit", "elsewhere", f"{A}/gone")
    assert found.shown(some) == granted(MINE, "unit", f"{A}/gone")
    for names, placed in (((OTHER,), True), ((GONE,), False), (("prod",), False), ((OTHER, "gone"), False)):
        assert found.shown(granted(*names)) is None
        assert found.can_be_placed(granted(*names)) is placed


def test_what_is_not_shown_is_counted() -> None:
    assert not_shown(0, 0) == []
    (told,) = not_shown(1, 2)
    assert told.startswith("It does not show 2 exceptions and 1 mute: ")
    assert not_shown(3, 0)[0].startswith("It does not show 3 mutes: ")
