"""What people read of a plan: how much of it, and that every line of it is true."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.reconcile.model import Desired, Live, ResourceId, Subscription
from shared.reconcile.plan.model import Action, Item, Plan
from shared.reconcile.plan.plan_groups import by_export, shared_reasons
from shared.reconcile.plan.plan_render import (
    MAX_LINES,
    MAX_MARKDOWN,
    WIDTH,
    full,
    markdown,
    shortened,
    summary,
    terminal,
)
from shared.reconcile.plan.plan_rows import COLUMNS, plan_csv
from tests.unit.reconcile.bodies import HUB, body, desired, live, place, rule, rule_set, subscription
from tests.unit.reconcile.test_planner import THEIRS, plan
from tests.unit.reconcile.test_saved_plan import everything

GOLDEN = Path(__file__).parent / "golden"
GONE = (
    f"the event hub {HUB} does not exist: correct `resourceId`, or run "
    "`az eventhubs eventhub create --name hub --namespace-name ns --resource-group rg-hub`"
)
EXPORTS = ("chosen-recommendations", "everything", "high-alerts", "secure-score")


def big(count: int) -> tuple[Plan, list[Subscription]]:
    """Four exports in `count` subscriptions: creates, drift, a disabled tenth, deletes, one lost destination."""
    groups = ("contoso-prod", "contoso-dev", "contoso-sandbox", "contoso-decommissioned")
    subscriptions = [
        subscription(
            number,
            name=f"sub-{groups[number % 4].removeprefix('contoso-')}-{number:05}",
            ancestors=(groups[number % 4], "contoso"),
            state="Warned" if number % 10 == 3 else "Enabled",
        )
        for number in range(1, count + 1)
    ]
    wanted: list[Desired] = []
    there: list[Live] = []
    for one in subscriptions:
        number = int(one.id[-12:])
        for export in EXPORTS:
            at = place(one.id, f"defender-export-{export}")
            made = body(scopes=[{"description": "", "scopePath": f"/subscriptions/{one.id}"}])
            made["tags"]["defender-export-name"] = export
            wanted.append(desired(made, at=at, export=export, blocked=GONE if export == "secure-score" else ""))
            if number % 3 == 0:
                drifted = {**made["properties"], "isEnabled": number % 2 == 0}
                there.append(live({**made, "properties": drifted}, at=at))
        if number % 7 == 0:
            there.append(live(at=place(one.id, "defender-export-old")))
    made_plan = plan(wanted, there, exports=EXPORTS, gone=("old",), subscriptions=subscriptions)
    warnings = tuple(f"{export}: no role lets Defender send to {HUB}" for export in EXPORTS)
    return Plan(made_plan.items, made_plan.reasons, made_plan.guards, warnings), subscriptions


def pull_request() -> tuple[Plan, list[Subscription]]:
    """A filter changed, one export new, one renamed, one gone, one drifted by hand, one name taken by others."""
    subscriptions = [
        subscription(number, name=f"sub-{'prod' if number < 5 else 'dev'}-{number}", ancestors=(group, "contoso"))
        for number, group in enumerate(("contoso-prod",) * 4 + ("contoso-dev",) * 2, 1)
    ]
    wanted, there = [], []
    for one in subscriptions:
        scope = [{"description": "", "scopePath": f"/subscriptions/{one.id}"}]
        old = body(scopes=scope)
        severe = [{"eventSource": "Alerts", "ruleSets": [rule_set(rule())]}]
        wanted.append(desired(body(scopes=scope, sources=severe), at=place(one.id), number=1))
        there.append(live(old, at=place(one.id)))
        wanted += [
            desired(body(scopes=scope), at=place(one.id, f"defender-export-{name}"), export=name)
            for name in ("new", "renamed")
        ]
        for name in ("former", "gone"):
            tags = old["tags"] | {"defender-export-name": name}
            there.append(live(old, at=place(one.id, f"defender-export-{name}"), tags=tags))
    there.append(live(at=place(subscriptions[5].id, "defender-export-new"), tags=THEIRS))
    exports, gone = ("soc", "new", "renamed"), ("former", "gone")
    return plan(wanted, there, exports=exports, gone=gone, subscriptions=subscriptions), subscriptions


@pytest.mark.slow
@pytest.mark.parametrize("count", [640, 10_000])
def test_four_exports_fit_a_screen_and_a_comment(
    count: int, record_testsuite_property: Callable[[str, object], None]
) -> None:
    made, subscriptions = big(count)
    clock = [time.perf_counter()]
    text, page = terminal(made, subscriptions), markdown(made, subscriptions)
    clock.append(time.perf_counter())
    whole = full(made, subscriptions)
    clock.append(time.perf_counter())
    record_testsuite_property(f"seconds for the views by export at {count} subscriptions", clock[1] - clock[0])
    record_testsuite_property(f"seconds for every item at {count} subscriptions", clock[2] - clock[1])
    assert clock[1] - clock[0] < 10
    assert len(text.splitlines()) <= MAX_LINES
    assert max(map(len, text.splitlines())) <= WIDTH
    assert len(page) < MAX_MARKDOWN
    assert len(markdown(made, subscriptions, everything=True)) < MAX_MARKDOWN
    for export in EXPORTS:
        assert export in text
        assert export in page
    assert text.count("does not exist") == page.count("does not exist") == 1
    assert text.count("no role lets Defender send") == page.count("no role lets Defender send") == 1
    assert text.splitlines()[-1] == whole.splitlines()[-1] == f"Plan: {summary(made)}."
    assert sum(line.startswith(("+", "~", "-")) for line in whole.splitlines()) == len(made.writes)


def test_every_item_is_counted_once_in_the_view_by_export() -> None:
    made, subscriptions = big(640)
    parts = by_export(made, subscriptions)
    assert sum(len(group.items) for part in parts for group in part.groups) + sum(
        part.unchanged for part in parts
    ) == len(made.items)


@pytest.mark.parametrize("name", ["pull-request", "tenant"])
def test_views_are_as_reviewed(name: str) -> None:
    made, subscriptions = pull_request() if name == "pull-request" else big(640)
    text = f"{terminal(made, subscriptions)}\n"
    page = f"{markdown(made, subscriptions)}\n" if name == "pull-request" else ""
    assert text == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert not page or page == (GOLDEN / f"{name}.md").read_text(encoding="utf-8")


def test_a_hundred_exports_still_fit_and_the_rest_is_counted() -> None:
    items = [
        Item(Action.CREATE, place(subscription(number).id, f"defender-export-{export}"), f"export-{export:03}")
        for export in range(100)
        for number in range(3)
    ]
    text = terminal(Plan(tuple(items)))
    assert len(text.splitlines()) <= MAX_LINES
    assert "more exports with" in text
    assert "--full" in text


def test_three_thousand_exports_still_fit_a_comment() -> None:
    reason = f"the event hub {'x' * 600} does not exist"
    items = [
        Item(
            Action.BLOCKED, place(subscription(1).id, f"n{export}"), f"export-{export:04}", reason=f"{export} {reason}"
        )
        for export in range(3000)
    ]
    page = markdown(Plan(tuple(items), warnings=tuple(f"e{number}: {reason}" for number in range(500))))
    assert len(page) < MAX_MARKDOWN
    assert "left out" in page


def test_drift_that_differs_everywhere_is_counted_past_the_first() -> None:
    wanted = [desired(at=place(subscription(number).id), number=1) for number in range(1, 41)]
    there = [live(body(description=f"mine {number}"), at=place(subscription(number).id)) for number in range(1, 41)]
    made = plan(wanted, there, subscriptions=[subscription(number) for number in range(1, 41)])
    text = terminal(made)
    assert "~ update in 35 more subscriptions, with 35 other differences" in text
    assert len(text.splitlines()) <= MAX_LINES


def test_each_action_has_its_sign_and_the_last_line_counts() -> None:
    lines = full(everything()).splitlines()
    signs = {line.split()[1]: line[0] for line in lines[:-1] if not line.startswith(" ")}
    assert signs == {"create": "+", "update": "~", "adopt": "~", "delete": "-", "blocked": "!", "foreign": "?"}
    assert lines[-1] == "Plan: 1 to create, 1 to update, 1 to adopt, 1 to delete, 1 unchanged, 1 foreign, 1 blocked."


def test_a_change_shows_old_and_new() -> None:
    for view in (terminal, full):
        text = view(plan([desired(number=1)], [live(body(isEnabled=False, description=None))]))
        assert " properties.isEnabled: false -> true" in text
        assert ' properties.description: "" -> "Continuous export"' in text


def test_what_is_foreign_shows_by_export_only_where_one_wants_the_place() -> None:
    assert "foreign defender" not in terminal(plan([], [live(tags=THEIRS)]))
    assert "? foreign in" in terminal(plan([desired()], [live(tags=THEIRS)]))
    assert "? foreign /subscriptions/" in full(plan([], [live(tags=THEIRS)]))


def test_nothing_to_do_says_so() -> None:
    lines = terminal(plan([desired()], [live()])).splitlines()
    assert lines[0] == "as declared: soc"
    assert lines[-1] == "Plan: nothing to change, 1 unchanged."


def test_colour_only_when_asked_for() -> None:
    assert "\033" not in terminal(everything()) + full(everything())
    assert "\033[32m+ create" in full(everything(), colour=True)
    assert "\033[32m  + create" in terminal(everything(), colour=True)


def test_incomplete_discovery_and_guards_are_said() -> None:
    for view in (terminal, full):
        text = view(Plan((), ("a page is missing",), ("too many deletes",)))
        assert "nothing is deleted: a page is missing" in text
        assert "held back: too many deletes" in text


def test_what_others_wrote_cannot_steer_the_terminal_or_the_page() -> None:
    evil = live(body(description="\033[2J\n+ create <img src=x> `code` | **bold**"))
    made = plan([desired()], [evil])
    named = [subscription(1, name="\033[31mred\n+ create", ancestors=("<b>group</b>",)), subscription(2)]
    for shown in (terminal(made, named, colour=True), full(made, named, colour=True)):
        assert "\033[2J" not in shown
        assert "\033[31mred" not in shown
        assert not any(line.startswith("+ create") for line in shown.splitlines())
    page = markdown(made, named)
    assert "<img" not in page.replace("\\<img", "")
    assert "<b>" not in page
    assert "\033" not in page


def test_names_stand_where_ids_are_known_by_name() -> None:
    made = plan([desired()], [])
    named = [subscription(1, name="sub-payments")]
    assert "in sub-payments" in terminal(made, named)
    assert "(sub-payments)" in full(made, named)
    assert "in sub-payments" in markdown(made, named)
    assert f"in {place().subscription_id}" in terminal(made)


def test_one_subscription_keeps_its_id_and_many_share_a_word_for_it() -> None:
    wanted = [
        desired(body(scopes=[{"scopePath": f"/subscriptions/{one.id}"}]), at=place(one.id))
        for one in (subscription(1), subscription(2))
    ]
    there = [live(body(scopes=[]), at=item.id) for item in wanted]
    (part,) = by_export(plan(wanted, there))
    (group,) = part.groups
    assert group.changes[0].new == ["/subscriptions/<subscription>"]
    (alone,) = by_export(plan(wanted[:1], there[:1]))
    assert alone.groups[0].changes[0].new == [f"/subscriptions/{subscription(1).id}"]


def test_a_reason_that_several_exports_have_is_told_once() -> None:
    wanted = [desired(at=place(name=name), export=name, blocked=GONE) for name in ("a", "b")]
    parts = by_export(plan(wanted, [], exports=("a", "b")))
    assert shared_reasons(parts) == [GONE]


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (f"the event hub {HUB} is gone", "the event hub ns/hub in rg-hub is gone"),
        (f"{HUB}: gone", "ns/hub in rg-hub: gone"),
        (f"{HUB.upper()} is gone", "NS/HUB in RG-HUB is gone"),
        ("run `az login`", "run `az login`"),
        (f"run `az x --scope {HUB} --y`", "run `az x --scope ... --y`"),
        ("an odd ` backtick", "an odd ` backtick"),
        ("/subscriptions/1", "/subscriptions/1"),
    ],
)
def test_sentences_name_resources_shortly(text: str, short: str) -> None:
    assert shortened(text) == short


def test_summary_counts_every_action() -> None:
    made = Plan(tuple(Item(action, place(name=action.value)) for action in Action))
    assert summary(made).count("1 ") == len(Action)
    assert summary(Plan(())) == "nothing to change"


def test_rows_name_everything_and_are_no_formulas() -> None:
    evil = ResourceId(place().subscription_id, "=cmd()", "+1")
    made = Plan((*plan([desired()], []).items, Item(Action.FOREIGN, evil)))
    rows = list(
        csv.DictReader(io.StringIO(plan_csv(made, [subscription(1, name="sub-a", ancestors=("prod", "root"))])))
    )
    assert tuple(rows[0]) == COLUMNS
    assert (rows[0]["subscription"], rows[0]["managementGroup"], rows[0]["action"]) == ("sub-a", "prod", "create")
    assert rows[0]["destination"].startswith("event hub /subscriptions/")
    assert (rows[1]["resourceGroup"], rows[1]["automation"]) == ("'=cmd()", "'+1")
