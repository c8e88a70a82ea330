from shared.reconcile.plan.model import Action, Item, Plan
from shared.reconcile.plan.plan_render import markdown, summary, terminal
from tests.unit.reconcile.bodies import body, desired, live, place
from tests.unit.reconcile.test_planner import THEIRS, plan
from tests.unit.reconcile.test_saved_plan import everything


def test_each_action_has_its_sign_and_the_last_line_counts() -> None:
    lines = terminal(everything()).splitlines()
    signs = {line.split()[1]: line[0] for line in lines[:-1] if not line.startswith(" ")}
    assert signs == {"create": "+", "update": "~", "adopt": "~", "delete": "-", "blocked": "!"}
    assert lines[-1] == ("Plan: 1 to create, 1 to update, 1 to adopt, 1 to delete, 1 unchanged, 1 foreign, 1 blocked.")


def test_a_change_shows_old_and_new() -> None:
    text = terminal(plan([desired(number=1)], [live(body(isEnabled=False, description=None))]))
    assert "    properties.isEnabled: false -> true" in text
    assert '    properties.description: "" -> "Continuous export"' in text


def test_what_is_foreign_shows_only_where_an_export_wants_the_place() -> None:
    assert "foreign /" not in terminal(plan([], [live(tags=THEIRS)]))
    assert "? foreign /" in terminal(plan([desired()], [live(tags=THEIRS)]))


def test_nothing_to_do_is_one_line() -> None:
    assert terminal(plan([desired()], [live()])).count("\n") == 0


def test_colour_only_when_asked_for() -> None:
    assert "\033" not in terminal(everything())
    assert "\033[32m+ create" in terminal(everything(), colour=True)


def test_incomplete_discovery_and_guards_are_said() -> None:
    text = terminal(Plan((), ("a page is missing",), ("too many deletes",)))
    assert "nothing is deleted: a page is missing" in text
    assert "held back: too many deletes" in text


def test_what_others_wrote_cannot_steer_the_terminal_or_the_page() -> None:
    evil = live(body(description="\033[2J\n+ create <img src=x> `code` | **bold**"))
    shown = terminal(plan([desired()], [evil]), colour=True)
    assert "\033[2J" not in shown
    assert len(shown.splitlines()) == 3
    page = markdown(plan([desired()], [evil]))
    assert "<img" not in page.replace("\\<img", "")
    assert "\033" not in page


def test_markdown_folds_each_action_below_its_count() -> None:
    page = markdown(everything())
    assert page.startswith("### Defender Export plan: 1 to create")
    for action in ("create", "update", "adopt", "delete"):
        assert f"<summary>1 to {action}</summary>" in page
    assert page.count("<details>") == page.count("</details>") == 5


def test_summary_counts_every_action() -> None:
    made = Plan(tuple(Item(action, place(name=action.value)) for action in Action))
    assert summary(made).count("1 ") == len(Action)
