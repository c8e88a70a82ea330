"""What a job that ended as succeeded left undone, by its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

LEFT: Final = ("remaining", "parked", "skipped", "unreadable", "refused")
"""The members of a replay's result that count records which were not delivered."""


def shortfall(kind: str, result: Mapping[str, Any] | None) -> str:
    """Why not all that was asked for was done; empty where it was, or the result is an answer to a question."""
    return _OF_KIND[kind](result) if kind in _OF_KIND and result else ""


def left_of_replay(result: Mapping[str, Any]) -> str:
    """The records that a replay did not deliver, by what became of them."""
    return ", ".join(f"{result[name]:,} {name}" for name in LEFT if result.get(name))


def _of_run(report: Mapping[str, Any]) -> str:
    outcome, reason = report.get("outcome"), report.get("reason")
    return "" if outcome == "Succeeded" else f"the run ended {outcome}{f': {reason}' if reason else ''}"


def _of_backfill(result: Mapping[str, Any]) -> str:
    return "; ".join(result.get("reasons") or ())


def _of_replay(result: Mapping[str, Any]) -> str:
    stopped = f"it ended early: {result['stopped']}" if result.get("stopped") else ""
    return "; ".join(filter(None, (stopped, left_of_replay(result))))


def _of_gone(result: Mapping[str, Any]) -> str:
    """Of a comparison, the default workspace's and those of further places."""
    passes = {"": result, **(result.get("places") or {})}
    left = [_left_of_pass(told, place) for place, told in passes.items()]
    return "; ".join([*filter(None, left), *result.get("notKnown", ())])


def _left_of_pass(told: Mapping[str, Any], place: str) -> str:
    out = told.get("slicesLeftOut")
    left = [*told.get("reasons", ()), *told.get("heldBack", ()), *([f"{out:,} slices left out"] if out else ())]
    return "; ".join(f"{place}: {each}" if place else str(each) for each in left)


def _of_canary(result: Mapping[str, Any]) -> str:
    found = [each for each in result.get("value", ()) if each["outcome"] != "proven"]
    return "; ".join(f"{each['subscription']}: {each['outcome'].replace('-', ' ')}" for each in found)


_OF_KIND: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "reconcile": _of_run,
    "claim": _of_run,
    "backfill": _of_backfill,
    "replay": _of_replay,
    "gone": _of_gone,
    "canary": _of_canary,
}
