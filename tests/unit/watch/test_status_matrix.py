"""The operations matrix: one word for each subscription and kind, the worst that is known."""

from typing import Any

import pytest

from shared.watch.coverage import cover
from shared.watch.status_matrix import ExportKnown, statuses
from tests.unit.watch.builders import INSTANCE, automation, source, sub

ONE = sub(1)
OURS = automation(ONE, [source("Alerts")], export="soc")
ITEM_ID = f"/subscriptions/{ONE.id}/resourceGroups/rg/providers/Microsoft.Security/automations/a"
GONE = {"soc": ExportKnown(frozenset({"Alerts"}), "the hub is gone")}
SOUND = {"soc": ExportKnown(frozenset({"Alerts"}))}


def item(action: str, **more: Any) -> dict[str, Any]:
    return {"id": ITEM_ID, "export": "soc", "action": action, **more}


@pytest.mark.parametrize(
    ("automations", "items", "exports", "state"),
    [
        ([OURS], [], SOUND, "exported"),
        ([OURS], [], GONE, "broken"),
        ([OURS], [item("update")], GONE, "broken"),
        ([OURS], [item("update")], SOUND, "drifted"),
        ([], [item("blocked", reason="no right")], SOUND, "blocked"),
        ([], [item("blocked", reason="the hub is gone")], GONE, "broken"),
        ([], [item("create")], GONE, "broken"),
        ([], [item("skipped")], GONE, "none"),
        ([], [], GONE, "none"),
        ([automation(ONE, [source("Alerts")], export="soc", enabled=False)], [], GONE, "none"),
        ([automation(ONE, [source("Alerts")])], [], GONE, "foreign"),
        ([automation(ONE, [source("Assessments")], export="soc")], [], SOUND, "none"),
        ([OURS], [], {}, "exported"),
    ],
)
def test_what_is_sent_to_a_broken_destination_is_broken_whatever_its_automation_is_like(
    automations: list[Any], items: list[Any], exports: dict[str, ExportKnown], state: str
) -> None:
    (found,) = statuses(cover([ONE], automations, INSTANCE), [], items, [], exports)
    assert found.states["Alerts"] == state
    if state == "broken":
        assert found.notes["Alerts"] == "the hub is gone"
