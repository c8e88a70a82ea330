"""Which events begin, last and end, for whom, and in which words."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.exports.management_groups import GroupNames
from shared.muting.mutes import Muting, Part, parts_of
from shared.muting.mutes_file import read_mutes
from shared.notify.events import KINDS, Condition, Event, Followed, Observed, follow, read_event
from shared.notify.messages import body, of_digest, of_event, row
from shared.notify.observed import (
    of_dead_letters,
    of_destinations,
    of_exceptions,
    of_freshness,
    of_newest_run,
    of_runs,
    of_timers,
)
from shared.notify.outbox import with_news
from shared.notify.rules import AT_ONCE, CHANNELS, DAILY, Receiver, Rule, Rules, read_rules
from shared.notify.state import State
from shared.reconcile.model import Subscription
from shared.watch.open_items import Newest
from shared.watch.requirement_checks import GrantedException

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SILENT = Condition("subscription-silent", "s1 Alerts", "prod, Alerts", "nothing came", NOW - HOUR, "s1")
MARKUP = "[x](https://evil) **b** <!channel> <@U1> & {{DATE(2026)}} ${a} @{b} \x1b[31m\u202e\n# h"


def event(**more: Any) -> Event:
    return replace(follow((), Observed([SILENT]), NOW).begun[0], **more)


def test_an_event_begins_once_lasts_and_ends_once_with_the_same_id() -> None:
    first = follow((), Observed([SILENT]), NOW)
    again = follow((), Observed([SILENT]), NOW + HOUR)
    assert [each.id for each in first.begun] == [each.id for each in again.begun]  # its own beginning makes the id
    lasting = follow(first.open, Observed([replace(SILENT, reason="other", began=NOW)]), NOW + HOUR)
    assert (lasting.begun, lasting.ended, lasting.open) == ((), (), first.open)
    over = follow(lasting.open, Observed(), NOW + 2 * HOUR)
    assert [(each.id, each.ended) for each in over.ended] == [(first.begun[0].id, NOW + 2 * HOUR)]
    assert over.open == ()
    fresh = follow(over.open, Observed([replace(SILENT, began=None)]), NOW + 3 * HOUR)
    assert fresh.begun[0].id != first.begun[0].id


@pytest.mark.parametrize(
    ("observed", "ends"),
    [
        (Observed(unseen=frozenset({SILENT.kind})), False),
        (Observed(unseen=frozenset({SILENT.kind}), well=frozenset({SILENT.key})), True),
        (Observed(doubtful=frozenset({SILENT.key})), False),
        (Observed(unseen=frozenset({"run-failed"})), True),
        (Observed(), True),
    ],
)
def test_only_what_was_looked_at_ends(observed: Observed, *, ends: bool) -> None:
    followed = follow([event()], observed, NOW)
    assert (len(followed.ended), len(followed.open)) == (ends, not ends)


def test_a_moment_is_told_once_and_has_no_end() -> None:
    moment = replace(SILENT, kind="drift-put-back", subject="run", moment=True)
    first = follow((), Observed([moment]), NOW)
    assert [each.phase for each in first.begun] == ["happened"]
    assert follow(first.open, Observed([moment]), NOW) == Followed(first.open)
    assert follow(first.open, Observed(), NOW) == Followed(())


def test_a_stored_event_is_the_same() -> None:
    for each in (event(), event(ended=NOW, heard=("a",), groups=("g",))):
        assert read_event(json.loads(json.dumps(each.as_document()))) == each
    for wrong in ({}, {"kind": 1}, event().as_document() | {"began": "yesterday"}):
        with pytest.raises(ValueError, match=r"event|isoformat"):
            read_event(wrong)


def test_what_the_sources_say() -> None:
    health = {
        "subscription_id": "S1",
        "kind": "Alerts",
        "name": "prod",
        "reason": "why",
        "due_by": None,
        "export": "soc",
    }
    rows = [
        health | {"verdict": verdict, "kind": verdict} for verdict in ("silent", "fresh", "quiet", "not observable")
    ]
    found = of_freshness({"checked": "x", "reasons": ["a part"], "health": rows})
    assert [each.subject for each in found.conditions] == ["s1 silent"]
    assert found.unseen == {"subscription-silent"}
    assert {subject for _, subject in found.well} == {"s1 fresh", "s1 quiet"}
    assert {subject for _, subject in found.doubtful} == {"s1 not observable"}
    assert of_freshness(None).unseen == of_freshness({"checked": None, "reasons": [], "health": []}).unseen
    run = {"started": "2026-11-28T11:00:00Z", "reason": "no", "outcome": "Failed", "guards": [], "complete": True}
    failed = of_newest_run(Newest((), run))
    assert [each.kind for each in failed.conditions] == ["run-failed"]
    assert failed.unseen == {"guard-refused"}
    held = of_newest_run(Newest((), run | {"outcome": "Blocked", "guards": ["12 deletes"]}))
    assert [(each.kind, each.reason) for each in held.conditions] == [("guard-refused", "12 deletes")]
    assert of_newest_run(Newest()).unseen == {"run-failed", "guard-refused"}
    assert of_destinations(Newest()).unseen == {"destination-broken"}
    items = [{"cause": "drift", "outcome": "updated", "export": "a"}, {"cause": "file", "outcome": "updated"}]
    report = {"runId": "r", "ended": "2026-11-28T11:00:00Z", "items": items}
    assert [each.name for each in of_runs([report, report | {"items": items[1:]}]).conditions] == ["1 of a"]
    kept = {("refused", "parked"): 3, ("refused", "waiting"): 1, ("outage", "waiting"): 2}
    assert [each.subject for each in of_dead_letters(kept).conditions] == ["refused"]


def test_what_no_run_looked_at_and_a_timer_without_a_row_do_not_end() -> None:
    run = {"outcome": "Succeeded", "trigger": "timer", "complete": True, "destinations": [], "unreadable": {}}
    place, timer = ("destination-broken", "/hub"), ("timer-stopped", "check_freshness")
    assert of_destinations(Newest([run])).over(place)
    assert not of_destinations(Newest([{**run, "unreadable": {"soc": "format 9"}}])).over(place)
    assert not of_destinations(Newest([{**run, "asked": {"claim": True}}])).over(place)
    assert of_timers({"check_freshness": NOW}, NOW).over(timer)
    assert not of_timers({"reconcile_exports": NOW}, NOW).over(timer)
    assert not of_timers({}, NOW).over(timer)


def test_an_exception_runs_out_after_its_last_day() -> None:
    granted = GrantedException("cis", "Pay", "spring", NOW.date(), ("s1",))
    assert not of_exceptions([granted], NOW).conditions
    (over,) = of_exceptions([granted, granted], NOW + timedelta(days=1)).conditions
    assert (over.began, over.owner) == (datetime(2026, 11, 29, tzinfo=UTC), "Pay")


FILE = """version: 1
digestAt: "06:30"
receivers: [{name: soc, channel: teams}, {name: pay, channel: slack}]
rules:
- {send: [soc], severity: High}
- {send: [pay, soc], when: daily, events: [subscription-silent], managementGroups: [Pay], owners: [Payments]}
"""


def test_who_hears_of_what() -> None:
    rules = read_rules(FILE)
    silent, failed = event(groups=("pay",), owner="PAYMENTS"), event(kind="run-failed")
    assert rules.told(silent, AT_ONCE) == ()
    assert rules.told(failed, AT_ONCE) == ("soc",)
    assert rules.told(silent, DAILY) == ("soc", "pay")
    assert rules.told(replace(silent, owner="x"), DAILY) == rules.told(replace(silent, groups=()), DAILY) == ()
    assert rules.told(replace(silent, groups=()), DAILY, placed=False) == ("soc", "pay")
    assert rules.by_place


@pytest.mark.parametrize(
    ("text", "code", "fix"),
    [
        (FILE.replace("teams", "team"), "unknown-channel", "teams"),
        (FILE.replace("[soc], severity", "[sock], severity"), "unknown-receiver", "soc"),
        (FILE.replace("High", "Hihg"), "unknown-severity", "High"),
        (FILE.replace("subscription-silent", "subscription-silence"), "unknown-kind-of-event", "subscription-silent"),
        (FILE.replace("daily", "dayly"), "unknown-time", "daily"),
        (FILE.replace("owners", "owner"), "unknown-key", "owners"),
        (FILE.replace('"06:30"', "630"), "invalid", "07:00"),
        (FILE.replace("name: pay", "name: soc"), "duplicate", ""),
        (FILE.replace("name: soc", 'name: "https://hooks.example/secret"'), "address-in-file", "NOTIFY_RECEIVERS"),
        (FILE.replace("version: 1", "version: 2"), "invalid", "version: 1"),
        ("version: 1\n", "missing-key", ""),
        ("[", "", ""),
        ("- 1", "invalid", ""),
        (FILE.replace("[soc], severity", "[], severity"), "invalid", ""),
    ],
)
def test_a_wrong_file_is_refused_with_what_would_be_right(text: str, code: str, fix: str) -> None:
    with pytest.raises(InvalidExport) as refused:
        read_rules(text)
    found = [(each.code, each.fix) for each in refused.value.findings]
    assert any(each[0].startswith(code) and fix in each[1] for each in found), found
    assert "hooks.example" not in repr([each.as_dict() for each in refused.value.findings])


@pytest.mark.parametrize("channel", CHANNELS)
def test_texts_of_others_are_no_markup(channel: str) -> None:
    hostile = event(name=MARKUP, reason=MARKUP, owner=MARKUP)
    for message in (of_event(hostile), of_digest("d", "2026-11-28", [hostile] * 500, [hostile])):
        said = body(message, channel, MARKUP, "https://app/api/operations")
        raw = json.dumps(said, ensure_ascii=False)
        assert len(raw.encode()) < 28_000 or channel in {"webhook", "mail"}
        assert message.id in raw
        if channel == "teams":
            card = said["attachments"][0]["content"]
            assert {part["type"] for part in card["body"]} == {"RichTextBlock"}
            assert not any(opening in raw for opening in ("{{DATE", "${a", "@{b", "\u202e", "\x1b"))
        if channel == "slack":
            texts = [block["text"] for block in said["blocks"] if "text" in block]
            assert {text["type"] for text in texts} == {"plain_text"}
            assert all(0 < len(text["text"]) <= 3000 for text in texts)
            assert not {"<", ">"} & set("".join(text["text"] for text in texts) + said["text"])
            assert len(said["blocks"]) <= 50


def test_the_row_for_mail_names_the_event_and_the_receiver() -> None:
    written = row(of_event(event()), "by-mail", "prod", NOW)
    assert (written["CheckName"], written["Verdict"]) == ("notice", "began")
    assert written["Details"]["id"] == event().id


RULES = Rules(
    (Receiver("soc", "teams"), Receiver("boss", "slack")), (Rule(("soc",)), Rule(("boss",), DAILY)), digest_at="07:00"
)


def after(state: State, *conditions: Condition, now: datetime, rules: Rules = RULES) -> State:
    return with_news(state, follow(state.open, Observed(conditions), now), rules, now)


def test_a_digest_comes_once_a_day_with_what_is_new_and_what_lasts() -> None:
    state = after(State(NOW), SILENT, now=NOW)
    assert [(each.receiver, each.phase) for each in state.waiting] == [("soc", "began")]
    state = replace(after(state, SILENT, now=NOW + 18 * HOUR), waiting=())
    state = after(state, SILENT, now=NOW + 19 * HOUR)  # 07:00
    (digest,) = state.waiting
    assert (digest.receiver, digest.day, len(digest.events), digest.still) == ("boss", "2026-11-29", 1, ())
    assert after(state, SILENT, now=NOW + 20 * HOUR).waiting == state.waiting
    state = after(replace(state, waiting=()), SILENT, now=NOW + 43 * HOUR)
    assert [(each.events, len(each.still)) for each in state.waiting] == [((), 1)]
    state = after(replace(state, waiting=()), now=NOW + 44 * HOUR)
    assert [(each.receiver, each.phase) for each in state.waiting] == [("soc", "ended")]
    state = after(replace(state, waiting=()), now=NOW + 67 * HOUR)
    assert [(each.events[0].phase, each.still) for each in state.waiting] == [("ended", ())]
    assert after(replace(state, waiting=()), now=NOW + 91 * HOUR).waiting == ()


def test_of_a_receiver_that_takes_nothing_only_news_piles_up() -> None:
    silences = [replace(SILENT, subject=f"s{number} Alerts") for number in range(50)]
    state = State(NOW)
    for day in range(30):
        state = after(state, *silences, now=NOW + day * 24 * HOUR)
        state = replace(state, waiting=tuple(each for each in state.waiting if each.receiver == "boss"))
    assert [(len(each.events), len(each.still)) for each in state.waiting] == [(50, 0), (0, 50)]
    over = after(state, now=NOW + 30 * 24 * HOUR)
    told = [event for each in over.waiting if each.receiver == "boss" for event in each.events]
    assert Counter(each.phase for each in told) == {"began": 50, "ended": 50}  # nothing of what happened is left out


def test_who_heard_of_the_beginning_hears_of_the_end_and_who_is_no_receiver_hears_nothing() -> None:
    state = after(State(NOW), SILENT, now=NOW)
    fewer = Rules(RULES.receivers, (Rule(("soc",), events=("run-failed",)),))
    assert [each.phase for each in after(state, now=NOW + HOUR, rules=fewer).waiting] == ["began", "ended"]
    gone = Rules(RULES.receivers[1:], RULES.rules[1:])
    assert after(state, now=NOW + HOUR, rules=gone).waiting == ()


def test_every_kind_has_a_severity_and_words() -> None:
    assert {event(kind=kind).severity for kind in KINDS} == {"Low", "Medium", "High"}
    assert event(kind="of-a-later-release").severity == "High"


ABOVE = GroupNames.of([Subscription("s1", ancestors=("payments",)), Subscription("", ancestors=("root",))])


def muting(*mutes: str) -> Muting:
    held = 'owner: Ann, reason: x, from: "2026-11-28T06:00Z", until: "2026-11-28T18:00Z"'
    lines = [f"- {{name: m{index}, {what}, {held}}}" for index, what in enumerate(mutes)]
    return Muting(read_mutes("\n".join(("version: 1", "mutes:", *lines))), ABOVE)


PLACE = "/subscriptions/s/x/hub"
AT_PLACE = tuple(parts_of("s1", "a", PLACE))
SOURCES: dict[str, tuple[str, Observed]] = {
    "a silent subscription": (
        "export: soc",
        of_freshness(
            {
                "checked": "x",
                "reasons": [],
                "health": [
                    {"subscription_id": "S1", "kind": "Alerts", "name": "a", "reason": "", "due_by": None}
                    | {"verdict": "silent", "export": "soc"}
                ],
            },
            PLACE,
        ),
    ),
    "one below a group": ("managementGroup: payments", Observed([replace(SILENT, parts=(Part("s1"),))])),
    "one at a destination": (f"destination: {PLACE}", Observed([replace(SILENT, parts=AT_PLACE)])),
    "a destination": (
        f"destination: {PLACE.upper().replace('/SUB', '/sub')}",
        of_destinations(
            Newest([{"destinations": [{"id": PLACE, "state": "broken", "reasons": [], "exports": ["soc"]}],
                     "outcome": "Succeeded", "trigger": "timer", "complete": True}])
        ),
    ),
    "an exception": (
        "managementGroup: payments",
        of_exceptions([GrantedException("cis", "Ann", "x", date(2026, 1, 1), (), ("payments",))], NOW),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_muted_is_neither_a_beginning_nor_an_end(name: str) -> None:
    what, observed = SOURCES[name]
    begun = follow((), observed, NOW)
    assert len(begun.begun) == 1
    quiet = observed.quieted(muting(what), NOW)
    assert quiet.conditions == []
    assert (follow((), quiet, NOW).begun, follow(begun.open, quiet, NOW).ended) == ((), ())
    assert follow(begun.open, quiet, NOW).open == begun.open
    over = observed.quieted(muting(what), NOW + 6 * HOUR)
    assert follow((), over, NOW).begun == begun.begun
    other = "export: another, subscription: 33333333-3333-4333-8333-333333333333"
    assert observed.quieted(muting(other), NOW) == observed


def test_what_is_well_ends_although_it_is_muted() -> None:
    well = Observed(well=frozenset({SILENT.key})).quieted(muting("managementGroup: payments"), NOW)
    assert len(follow([event()], well, NOW).ended) == 1


def test_guards_failed_runs_timers_and_dead_letters_are_never_muted() -> None:
    everything = muting("export: reconcile_exports", "managementGroup: root", f"destination: {PLACE}")
    run = {"started": "2026-11-28T11:00:00Z", "reason": "no", "outcome": "Partial", "guards": ["MAX"], "complete": True}
    for observed in (
        of_newest_run(Newest((), run)),
        of_newest_run(Newest((), run | {"outcome": "Failed"})),
        of_timers({"check_freshness": NOW - 7 * HOUR}, NOW),
        of_dead_letters({("refused", "parked"): 3}),
    ):
        assert len(observed.conditions) == 1
        assert observed.quieted(everything, NOW) == observed


def test_a_repair_of_what_is_muted_is_no_news() -> None:
    def item(subscription: str) -> dict[str, Any]:
        path = f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Security/automations/x"
        return {"id": path, "export": "soc", "cause": "drift", "outcome": "updated"}

    report = {"runId": "r", "ended": "2026-11-28T11:00:00Z", "items": [item("s1"), item("s2")]}
    (left,) = of_runs([report], muting("managementGroup: payments"), NOW).conditions
    assert left.name == "1 of soc"
    assert of_runs([report], muting("export: soc"), NOW).conditions == []
    assert len(of_runs([report], muting("export: soc"), NOW + 6 * HOUR).conditions) == 1


def test_a_digest_lists_what_is_muted_only_after_its_end() -> None:
    rules = Rules((Receiver("daily", "webhook"),), (Rule(("daily",), DAILY),), "07:00")
    state = with_news(State(NOW - 24 * HOUR), follow((), Observed([SILENT]), NOW), rules, NOW)
    muted = Observed([replace(SILENT, parts=(Part("s1"),))]).quieted(muting("managementGroup: payments"), NOW)
    night = replace(follow(state.open, muted, NOW), muted=muted.muted)
    for day in (1, 2):  # it began before the mute and was in no digest yet; then it would be what is still open
        state = with_news(state, night, rules, NOW + day * 24 * HOUR)
        assert state.waiting == ()
    state = with_news(state, follow(state.open, Observed([SILENT]), NOW), rules, NOW + 72 * HOUR)
    (digest,) = state.waiting
    assert [each.name for each in (*digest.events, *digest.still)] == [SILENT.name]


def test_what_began_and_ended_around_a_mute_is_told_with_both() -> None:
    rules = Rules((Receiver("daily", "webhook"),), (Rule(("daily",), DAILY),), "07:00")
    state = with_news(State(NOW - 24 * HOUR), follow((), Observed([SILENT]), NOW), rules, NOW)
    ended = replace(follow(state.open, Observed(), NOW + HOUR), muted=frozenset({SILENT.key}))
    state = with_news(state, ended, rules, NOW + 24 * HOUR)
    (digest,) = state.waiting
    assert [each.phase for each in digest.events] == ["began", "ended"]
