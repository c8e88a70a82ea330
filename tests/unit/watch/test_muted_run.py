"""When all that a run could not do is muted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.muting.mutes import Muting
from shared.muting.mutes_file import read_mutes
from shared.watch.muted_run import muted_run

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
S1, S2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
PLACE = "/subscriptions/s/hubs/one"


def item(subscription: str, **more: Any) -> dict[str, Any]:
    path = f"/subscriptions/{subscription.upper()}/resourceGroups/rg/providers/Microsoft.Security/automations/x"
    return {"id": path, "export": "soc", "action": "blocked"} | more


def run(count: int = 2, **more: Any) -> dict[str, Any]:
    rest = [{"reason": "no role", "count": count}] if count else []
    good: dict[str, Any] = {
        "outcome": "Partial",
        "incompleteBecause": [],
        "guards": [],
        "findings": [],
        "unreadable": {},
    }
    good |= {"inForce": [{"export": "soc", "rest": rest}, {"export": "whole", "rest": []}], "waiting": False}
    return good | {"destinations": [{"id": PLACE.upper(), "exports": ["soc"]}]} | more


def muting(*what: str) -> Muting:
    if not what:
        return Muting()
    held = 'owner: Ann, reason: x, from: "2026-11-28T06:00Z", until: "2026-11-28T18:00Z"'
    lines = [f"- {{name: m{index}, {each}, {held}}}" for index, each in enumerate(what)]
    return Muting(read_mutes("\n".join(("version: 1", "mutes:", *lines))))


BOTH = [item(S1), item(S2, action="update", outcome="failed")]


@pytest.mark.parametrize(
    ("given", "items", "mutes", "muted"),
    [
        (run(), BOTH, ["export: soc"], True),
        (run(), [], ["export: soc"], True),
        (run(), [], [f"destination: {PLACE}"], True),
        (run(), BOTH, [f"subscription: {S1}", f"subscription: {S2}"], True),
        (run(), BOTH, [f"subscription: {S1}, export: soc", f"subscription: {S2}, destination: {PLACE}"], True),
        (run(), BOTH, [f"subscription: {S1}"], False),
        (run(3), BOTH, [f"subscription: {S1}", f"subscription: {S2}"], False),  # of the third it is not known why
        (run(), BOTH, ["export: other"], False),
        (run(0), [], ["export: soc"], False),
        (run(), BOTH, [], False),
        (run(outcome="Failed"), BOTH, ["export: soc"], False),
        (run(outcome="Blocked"), BOTH, ["export: soc"], False),
        (run(guards=["MAX_DELETES"]), BOTH, ["export: soc"], False),
        (run(incompleteBecause=["a tenant is hidden"]), BOTH, ["export: soc"], False),
        (run(unreadable={"soc": "no YAML"}), BOTH, ["export: soc"], False),
        (run(findings=["two exports"]), BOTH, ["export: soc"], False),
        (run(waiting=True), BOTH, ["export: soc"], False),
    ],
)
def test_a_run_is_muted_where_all_that_it_could_not_do_is(
    given: dict[str, Any], items: list[dict[str, Any]], mutes: list[str], *, muted: bool
) -> None:
    assert bool(muted_run(given, items, muting(*mutes), NOW)) == muted
    assert muted_run(given, items, muting(*mutes), NOW.replace(hour=18)) is None
