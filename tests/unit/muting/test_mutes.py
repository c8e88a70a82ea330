"""What a file of mutes may say, and until when what it names is muted."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.exports.management_groups import GroupNames
from shared.muting.mutes import NOTHING, Muting, Part, parts_of
from shared.muting.mutes_file import MAX_MUTES, Known, read_mutes, warnings
from shared.reconcile.model import Subscription

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday
HOUR = timedelta(hours=1)
WEEK = "{day: Monday, start: '22:00', duration: 1h}"
HEAD = "version: 1\nmutes:\n"
S1, S2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
HUB = f"/subscriptions/{S1}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns/eventhubs/Hub"


def mute(
    what: str, start: str = "2026-11-28T06:00Z", until: str = "2026-11-28T18:00Z", name: str = "m", **more: str
) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f'- {{name: {name}, {what}, owner: Ann, reason: moves, from: "{start}", until: "{until}"{extra}}}\n'


def muting(*mutes: str, **groups: Any) -> Muting:
    return Muting(read_mutes(HEAD + "".join(mutes)), **groups)


def above(*groups: str) -> GroupNames:
    return GroupNames.of([Subscription(S1, ancestors=groups)])


def until(found: Muting, *parts: Part, at: datetime = NOW) -> datetime | None:
    told = found.of(parts, at)
    return told.until if told else None


END = NOW + 6 * HOUR


def test_a_mute_holds_for_what_it_names_from_its_beginning_to_its_end() -> None:
    found = muting(mute(f"subscription: {S1.upper()}"))
    part = Part(S1, "soc", HUB.lower())
    assert until(found, part) == END
    assert until(found, Part(S2, "soc")) is None
    assert until(found, part, at=NOW - 6 * HOUR) == END
    assert until(found, part, at=NOW - 6 * HOUR - timedelta(seconds=1)) is None
    assert until(found, part, at=END - timedelta(seconds=1)) == END
    assert until(found, part, at=END) is None


def test_all_that_a_mute_names_must_fit() -> None:
    found = muting(mute(f"subscription: {S1}, export: SOC, destination: {HUB}"))
    assert until(found, *parts_of(S1.upper(), "soc", HUB)) == END
    assert until(found, *parts_of(S2, "soc", HUB)) is None
    assert until(found, *parts_of(S1, "other", HUB)) is None
    assert until(found, *parts_of(S1, "soc", HUB + "2")) is None
    assert until(found, Part(export="soc", destination=HUB.lower().strip("/"))) is None  # the export everywhere


def test_of_several_exports_each_must_be_muted() -> None:
    found = muting(mute("export: a"), mute("export: b", until="2026-11-28T15:00Z", name="n"))
    assert until(found, *parts_of(S1, "a, b")) == NOW + 3 * HOUR
    assert until(found, *parts_of(S1, "a, c")) is None
    assert until(found) is None
    assert until(NOTHING, Part(S1)) is None


def test_management_groups_are_those_above_the_subscription() -> None:
    text = mute("managementGroup: Payments")
    assert until(muting(text), Part(S1)) is None  # not known: an alarm rather than silence
    assert until(muting(text, groups=above("payments", "root")), Part(S1)) == END
    assert until(muting(text, groups=above("root")), Part(S1)) is None
    assert until(muting(text), Part(groups=("payments",))) == END
    both = muting(mute("managementGroup: payments, export: soc"), groups=above("payments"))
    assert until(both, Part(S1, "soc")) == END
    assert until(both, Part(S2, "soc")) is None
    assert until(both, Part(S1, "other")) is None


def test_a_name_of_several_tenants_mutes_nothing() -> None:
    a, b = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
    two = [
        Subscription(S1, tenant_id=a, ancestors=("pay", "own", a)),
        Subscription(S2, tenant_id=b, ancestors=("pay", b)),
    ]
    known = GroupNames.of(two)

    def silent(group: str, *parts: Part, groups: GroupNames | None = known) -> bool:
        return until(muting(mute(f"managementGroup: {group}"), groups=groups), *parts) is not None

    assert not silent("Pay", Part(S1))
    assert silent(f"{a.upper()}/Pay", Part(S1))
    assert not silent(f"{b}/pay", Part(S1))
    assert silent("own", Part(S1))
    # Of what is about a group, such as an exception, the name counts as it is meant.
    assert silent("own", Part(groups=(f"{a}/own",)))
    assert silent(f"{a}/own", Part(groups=("own",)))
    assert silent(f"{a}/pay", Part(groups=(f"{a}/pay",)))
    for group, about in (("pay", "pay"), (f"{a}/pay", "pay"), ("pay", f"{a}/pay"), (f"{b}/own", "own")):
        assert not silent(group, Part(groups=(about,))), (group, about)
    part = GroupNames.of(two, complete=False)
    assert not silent("own", Part(S1), groups=part)
    assert silent(f"{a}/own", Part(S1), groups=part)
    assert not silent("own", Part(S1), Part(groups=("own",)), groups=None)


def test_mutes_that_follow_each_other_have_one_end_and_the_first_answers_for_it() -> None:
    found = muting(
        mute("export: a"),
        mute("export: a", "2026-11-28T17:00Z", "2026-11-29T12:00Z", name="next"),
        mute("export: a", "2026-11-29T13:00Z", "2026-12-29T12:00Z", name="after-a-gap"),
    )
    told = found.of([Part(export="a")], NOW)
    assert told
    assert (told.until, told.by.name) == (NOW + 24 * HOUR, "m")
    assert [each.name for each in found.in_force(NOW)] == ["m"]


WINDOW = mute(
    "export: a", "2026-11-20T00:00Z", "2026-12-20T00:00Z", weekly="{day: Saturday, start: '22:00', duration: 6h}"
)


@pytest.mark.parametrize(
    ("at", "end"),
    [
        ("2026-11-28T21:59:59", None),
        ("2026-11-28T22:00:00", "2026-11-29T04:00:00"),
        ("2026-11-29T00:00:00", "2026-11-29T04:00:00"),
        ("2026-11-29T03:59:59", "2026-11-29T04:00:00"),
        ("2026-11-29T04:00:00", None),
        ("2026-12-05T23:00:00", "2026-12-06T04:00:00"),
        ("2026-12-19T23:00:00", "2026-12-20T00:00:00"),  # cut by the end of all
        ("2026-12-20T00:00:00", None),
        ("2026-12-26T23:00:00", None),
        ("2026-11-14T23:00:00", None),
    ],
)
def test_a_window_recurs_over_midnight(at: str, end: str | None) -> None:
    found = until(muting(WINDOW), Part(export="a"), at=datetime.fromisoformat(at).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(end).replace(tzinfo=UTC) if end else None)


def test_windows_over_the_end_of_the_week_and_the_year() -> None:
    sunday = mute(
        "export: a", "2026-11-01T00:00Z", "2027-02-01T00:00Z", weekly="{day: Sunday, start: '23:30', duration: 72h}"
    )
    at = datetime(2027, 1, 6, 23, 29, tzinfo=UTC)  # a Wednesday; begun on Sunday, January 3rd
    assert until(muting(sunday), Part(export="a"), at=at) == at + timedelta(minutes=1)
    assert until(muting(sunday), Part(export="a"), at=at + timedelta(minutes=1)) is None


def test_a_chain_of_windows_has_an_end_to_its_reckoning() -> None:
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    every = [
        mute(
            "export: a",
            "2026-01-01T00:00Z",
            "2026-12-31T00:00Z",
            name=day.lower(),
            weekly=f"{{day: {day}, start: '00:00', duration: 24h}}",
        )
        for day in days
    ]
    ends = until(muting(*every), Part(export="a"))
    assert ends is not None
    assert NOW + timedelta(days=30) < ends <= datetime(2026, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mutes: []\n", "version: 1"),
        ("version: 2\nmutes: []\n", "version: 1"),
        ("version: 1\n", "mutes: []"),
        ("version: 1\nmutes: {}\n", "at most"),
        ("version: 1\nmute: []\nmutes: []\n", "Did you mean mutes?"),
        ("version: 1\nmutes: [x]\n", "mapping"),
        (HEAD + mute("export: a").replace("owner: Ann, ", ""), "'owner' must be text"),
        (HEAD + mute("export: a").replace("reason: moves, ", ""), "'reason' must be text"),
        (HEAD + mute("export: a").replace("until:", "untill:"), "Did you mean until?"),
        (HEAD + mute("subscriptions: [a]"), "Did you mean subscription?"),
        (HEAD + mute("guard: MAX_DELETES"), "it mutes nothing"),
        (HEAD + mute("subscription: prod"), "Write its GUID"),
        (HEAD + mute("subscription: '*'"), "Write its GUID"),
        (HEAD + mute("destination: hub-1"), "resource id"),
        (HEAD + mute("export: ''"), "'export' must be text"),
        (HEAD + mute('export: "a\\e[31m"'), "one line"),
        (HEAD + mute("managementGroup: " + "g" * 501), "one line"),
        (HEAD + mute("export: &a x, managementGroup: *a"), "alias"),
        (HEAD + mute("export: 1"), "'export' must be text"),
        (HEAD + mute("export: [a]"), "'export' must be text"),
        (HEAD + mute("export: a", until="2027-11-28T18:00Z"), "92 days"),
        (HEAD + mute("export: a", until="9999-12-31T23:59Z"), "92 days"),
        (HEAD + mute("export: a", until="2026-11-28T06:00Z"), "ends before it begins"),
        (HEAD + mute("export: a", until="2026-12-01"), "2026-12-01T06:00Z"),
        (HEAD + mute("export: a", until="2026-12-01T06:00+01:00"), "Write it in UTC"),
        (HEAD + mute("export: a", until="2026-02-30T06:00Z"), "is no time"),
        (HEAD + mute("export: a", until="never"), "is no time"),
        (HEAD + mute("export: a", name="A B"), "Up to 60"),
        (HEAD + mute("export: a") + mute("export: b"), "is taken"),
        (HEAD + mute("export: a").replace("moves", '"a\\u202e\\nb"'), "one line"),
        (HEAD + mute("export: a").replace("moves", "x" * 501), "one line"),
        (HEAD + mute("export: a", weekly="{day: Sat, start: '22:00', duration: 6h}"), "Saturday"),
        (HEAD + mute("export: a", weekly="{day: Monday, start: '24:00', duration: 6h}"), "is no time"),
        (HEAD + mute("export: a", weekly="{day: Monday, start: '22:00', duration: 73h}"), "up to 72h"),
        (HEAD + mute("export: a", weekly="{day: Monday, start: '22:00', duration: 0h}"), "up to 72h"),
        (HEAD + mute("export: a", weekly="{day: Monday, at: '22:00', duration: 1h}"), "start"),
        (HEAD + mute("export: a", until="2027-12-28T06:00Z", weekly=WEEK), "366 days"),
        (HEAD + "".join(mute("export: a", name=f"m{n}") for n in range(MAX_MUTES + 1)), "at most 200"),
    ],
)  # fmt: skip
def test_what_a_file_may_not_say_is_named_with_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(InvalidExport) as refused:
        read_mutes(text, "mutes.yaml")
    assert told in "\n".join(map(str, refused.value.findings))
    assert all(str(each).startswith("mutes.yaml") and "\n" not in str(each) for each in refused.value.findings)


def test_a_file_may_mute_nothing() -> None:
    assert read_mutes("version: 1\nmutes: []\n") == ()


def test_what_mutes_nothing_is_said_where_it_is_known() -> None:
    text = mute(f"subscription: {S1}, export: soc") + mute(f"destination: {HUB}, managementGroup: g", name="n")
    text += mute("export: over", "2026-11-01T00:00Z", "2026-11-02T00:00Z", name="o")
    mutes = read_mutes(HEAD + text)
    assert warnings(mutes, Known(), NOW) == ["o: it is over, and can go."]
    none: frozenset[str] = frozenset()
    assert warnings(mutes, Known(none, none, GroupNames(), none), NOW) == [
        "m: there is no export soc.",
        f"m: there is no subscription {S1}.",
        "n: no subscription is below a management group g.",
        f"n: no export sends to {HUB.lower().strip('/')}.",
        "o: it is over, and can go.",
        "o: there is no export over.",
    ]
    there = Known(frozenset({"soc", "over"}), frozenset({S1}), above("g"), frozenset({HUB.lower().strip("/")}))
    assert warnings(mutes, there, NOW) == ["o: it is over, and can go."]


@pytest.mark.slow
def test_many_mutes_of_many_subscriptions_take_seconds() -> None:
    found = muting(*(mute(f"subscription: {S1[:-3]}{n:03}, export: e{n}", name=f"m{n}") for n in range(200)))
    parts = [parts_of(f"{S1[:-5]}{n:05}", "e1, e2") for n in range(10_000) for _ in range(8)]
    assert sum(found.of(each, NOW) is not None for each in parts) == 0
