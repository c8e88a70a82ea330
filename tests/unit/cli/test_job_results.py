"""What a job left undone, though it ended as succeeded."""

from __future__ import annotations

from typing import Any

import pytest

from shared.cli.job_results import shortfall
from shared.cli.jobs import _print_job

REPLAYED = {"blobs": 2, "delivered": 5, "remaining": 0, "parked": 0, "skipped": 0, "unreadable": 0, "refused": 0}
CASES: list[tuple[str, dict[str, Any] | None, str]] = [
    ("reconcile", {"outcome": "Succeeded", "reason": ""}, ""),
    ("reconcile", {"outcome": "Partial", "reason": "1 blocked"}, "the run ended Partial: 1 blocked"),
    ("claim", {"outcome": "Blocked", "reason": ""}, "the run ended Blocked"),
    ("backfill", {"records": 3, "reasons": []}, ""),
    ("backfill", {"records": 3, "reasons": ["one", "two"]}, "one; two"),
    ("replay", REPLAYED, ""),
    ("replay", {**REPLAYED, "parked": 1200, "refused": 1}, "1,200 parked, 1 refused"),
    ("replay", {**REPLAYED, "stopped": "no time"}, "it ended early: no time"),
    ("canary", {"value": [{"subscription": "a", "outcome": "proven"}]}, ""),
    ("canary", {"value": [{"subscription": "a", "outcome": "not-proven"}]}, "a: not proven"),
    ("gone", {"reasons": [], "heldBack": [], "slicesLeftOut": 0}, ""),
    ("gone", {"reasons": ["no answer"], "heldBack": ["90 % would end"], "slicesLeftOut": 2},
     "no answer; 90 % would end; 2 slices left out"),
    ("gone", {"reasons": [], "places": {"pay": {"heldBack": ["all would end"]}}, "notKnown": ["not known for cards"]},
     "pay: all would end; not known for cards"),
    ("plan", {"outcome": "Partial", "reason": "2 to write"}, ""),
    ("preview", {"reasons": ["not all was read"]}, ""),
    ("replay", None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "result", "left"), CASES)
@pytest.mark.parametrize("waited", [True, False])
def test_a_job_that_did_not_do_all_ends_a_wait_with_1_and_says_why(
    kind: str, result: dict[str, Any] | None, left: str, waited: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shortfall(kind, result) == left
    job = {"id": "1", "kind": kind, "state": "succeeded", "created": "2026-11-28T10:00:00Z", "actor": "me"}
    code = _print_job({**job, "result": result}, as_json=False, waited=waited)
    assert code == (1 if left and waited else 0)
    assert (f"not all was done: {left}" in capsys.readouterr().out) is bool(left)
