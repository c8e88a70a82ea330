"""What a run's row says of problems and repairs that are muted."""

from datetime import UTC, datetime, timedelta

from shared.muting.mutes import NOTHING, Muting
from shared.muting.mutes_file import read_mutes
from shared.reconcile.apply.executor import Outcome, Status
from shared.reconcile.model import ResourceId
from shared.reconcile.plan.model import DestinationState, Target
from shared.reconcile.report.muted_problems import MutedInRun

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
S1, S2 = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
PLACE, OTHER = "/subscriptions/s/Hubs/One", "/subscriptions/s/Hubs/Two"
BROKEN = DestinationState.BROKEN
TARGETS = [Target(PLACE, BROKEN, (), ("soc", "both")), Target(OTHER, BROKEN, (), ("both",))]


def muted(*what: str) -> MutedInRun:
    held = 'owner: Ann, reason: x, from: "2026-11-28T06:00Z", until: "2026-11-28T18:00Z"'
    lines = [f"- {{name: m{index}, {each}, {held}}}" for index, each in enumerate(what)]
    return MutedInRun(Muting(read_mutes("\n".join(("version: 1", "mutes:", *lines)))), TARGETS, NOW)


def problem(subscription: str, export: str = "soc") -> dict[str, str]:
    return {"id": str(ResourceId(subscription, "rg", "x")), "export": export, "status": "blocked", "reason": "no"}


def test_problems_that_are_muted_come_last_and_say_until_when() -> None:
    told = muted(f"subscription: {S1}").problems([problem(S1), problem(S2)])
    assert told == [problem(S2), {**problem(S1), "mutedUntil": "2026-11-28T18:00:00Z"}]
    assert muted("export: soc").problems([{"export": "soc", "status": "unreadable", "reason": ""}])[0]["mutedUntil"]
    assert "mutedUntil" not in muted(f"subscription: {S1}").problems([{"export": "soc", "status": "", "reason": ""}])[0]
    nothing = MutedInRun(NOTHING, TARGETS, NOW)
    assert nothing.problems([problem(S1), problem(S2)]) == [problem(S1), problem(S2)]


def test_of_a_destination_each_of_an_exports_must_be_muted() -> None:
    one = muted(f"destination: {PLACE}")
    assert one.until(S1, "soc") == NOW + timedelta(hours=6)
    assert one.until(S1, "both") is None
    assert one.until(S1, "elsewhere") is None
    assert muted(f"destination: {PLACE}", f"destination: {OTHER}").until(S1, "both") == NOW + timedelta(hours=6)


def test_repairs_are_muted_where_all_of_them_are() -> None:
    def outcome(subscription: str, status: Status = Status.UPDATED) -> Outcome:
        return Outcome(ResourceId(subscription, "rg", "x"), "soc", status)

    of_one = muted(f"subscription: {S1}")
    assert of_one.repairs([outcome(S1), outcome(S2, Status.CREATED)]) == NOW + timedelta(hours=6)
    assert of_one.repairs([outcome(S1), outcome(S2)]) is None
    assert of_one.repairs([]) is None
