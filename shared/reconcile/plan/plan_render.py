"""A plan for people: on a terminal as Terraform shows it, or as Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from shared.reconcile.plan.model import WRITES, Action, Item, Plan

_SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.ADOPT: "~",
    Action.DELETE: "-",
    Action.BLOCKED: "!",
    Action.FOREIGN: "?",
    Action.UNCHANGED: " ",
    Action.SKIPPED: "?",
    Action.LEAVING: "-",
}
_COLOURS = {"+": "\033[32m", "~": "\033[33m", "-": "\033[31m", "!": "\033[35m", "?": "\033[36m"}
_PLAIN = "\033[0m"


def terminal(plan: Plan, *, colour: bool = False) -> str:
    """The plan as lines of text; foreign automations show only where an export wants their place."""
    return "\n".join(_lines(plan, colour=colour))


def markdown(plan: Plan) -> str:
    """The plan as Markdown, each kind of action folded away below its count."""
    lines = [f"### Defender Export plan: {summary(plan)}", ""]
    lines += [f"> **Held back:** {_escaped(reason)}\n" for reason in plan.guards]
    lines += [f"> **Discovery is incomplete:** {_escaped(reason)}\n" for reason in plan.reasons]
    lines += [f"> **Not in force:** {_escaped(finding)}\n" for finding in plan.findings]
    lines += [f"> **Warning:** {_escaped(warning)}\n" for warning in plan.warnings]
    for action in _SIGNS:
        items = [item for item in plan.items if item.action is action and _telling(item)]
        if not items:
            continue
        lines += [f"<details><summary>{len(items)} to {_WORDS[action]}</summary>", ""]
        for item in items:
            lines.append(f"- `{item.id}`{_escaped(_aside(item))}")
            lines += [
                f"  - `{change.path}`: {_escaped(_value(change.old))} → {_escaped(_value(change.new))}"
                for change in item.changes
            ]
        lines += ["", "</details>", ""]
    return "\n".join(lines)


_WORDS = {
    Action.CREATE: "create",
    Action.UPDATE: "update",
    Action.ADOPT: "adopt",
    Action.DELETE: "delete",
    Action.BLOCKED: "look at: blocked",
    Action.FOREIGN: "look at: foreign",
    Action.UNCHANGED: "look at: unchanged",
    Action.SKIPPED: "look at: skipped",
    Action.LEAVING: "look at: leaving",
}


def summary(plan: Plan) -> str:
    """The counts in one line."""
    counts = plan.counts
    parts = [f"{counts[action]} to {action.value}" for action in Action if action in WRITES]
    parts += [f"{counts[action]} {action.value}" for action in (Action.UNCHANGED, Action.FOREIGN, Action.BLOCKED)]
    parts += [f"{counts[action]} {action.value}" for action in (Action.SKIPPED, Action.LEAVING) if counts[action]]
    return ", ".join(parts)


def _lines(plan: Plan, *, colour: bool) -> Iterator[str]:
    for item in filter(_telling, plan.items):
        sign = _SIGNS[item.action]
        yield _coloured(f"{sign} {item.action.value} {item.id}{_aside(item)}", sign, colour=colour)
        for change in item.changes:
            yield f"    {change.path}: {_value(change.old)} -> {_value(change.new)}"
    for reason in plan.reasons:
        yield _coloured(f"! discovery is incomplete, so nothing is deleted: {reason}", "!", colour=colour)
    for reason in plan.guards:
        yield _coloured(f"! held back: {reason}", "!", colour=colour)
    for finding in plan.findings:
        yield _coloured(f"! {finding}", "!", colour=colour)
    for warning in plan.warnings:
        yield _coloured(f"! warning: {warning}", "!", colour=colour)
    yield f"Plan: {summary(plan)}."


def _telling(item: Item) -> bool:
    return bool(item.reason) or item.action in WRITES


def _aside(item: Item) -> str:
    export = f" [{item.export}]" if item.export else ""
    return f"{export}: {item.reason}" if item.reason else export


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(part) for part in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def printable(text: str) -> str:
    """`text` without what would steer a terminal: live automations are written by others."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#" else char for char in printable(text))


def _coloured(line: str, sign: str, *, colour: bool) -> str:
    return f"{_COLOURS[sign]}{printable(line)}{_PLAIN}" if colour and sign in _COLOURS else printable(line)


def outcomes(lines: Iterable[tuple[str, int]]) -> str:
    """Counts of how a run ended, in one line; what did not happen is left out."""
    return ", ".join(f"{number} {name.lower()}" for name, number in lines if number) or "nothing to do"
