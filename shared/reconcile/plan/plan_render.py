"""A plan for people: by export on a terminal or as Markdown for a pull request, or item by item.

The views by export fit a screen and a comment: they begin with all that helps, and leave out names, then changes, then
exports until they fit; what was left out is said.  Sentences keep to `WIDTH` columns.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.reconcile.model import Subscription
from shared.reconcile.plan.automation_diff import Change
from shared.reconcile.plan.model import WRITES, Action, Item, Plan, Written
from shared.reconcile.plan.plan_groups import (
    ExportPart,
    Group,
    by_export,
    shared_reasons,
    telling,
    warnings_by_sentence,
)
from shared.shown_text import printable

WIDTH = 100
MAX_LINES = 60
MAX_MARKDOWN = 60_000
"""Characters; a comment on GitHub holds 65,536, one in Azure DevOps 150,000."""

_SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.ADOPT: "~",
    Action.DELETE: "-",
    Action.BLOCKED: "!",
    Action.FOREIGN: "?",
    Action.UNCHANGED: "=",
    Action.SKIPPED: "?",
    Action.LEAVING: "-",
}
_COLOURS = {"+": "\033[32m", "~": "\033[33m", "-": "\033[31m", "!": "\033[35m", "?": "\033[36m"}
_PLAIN = "\033[0m"
_UNNAMED = "(no export)"
_ALL = 1_000_000
_ID = re.compile(
    r"/subscriptions/[^/\s`]+/resourcegroups/(?P<group>[^/\s`]+)/providers/[^/\s`]+(?P<path>(?:/[\w.-]+/[\w.()-]+)+)",
    re.IGNORECASE | re.ASCII,
)
_LONGEST_WORD = 80


@dataclass(frozen=True)
class _Detail:
    """How much of each thing a view shows before it counts the rest."""

    names: int
    changes: int
    groups: int
    filters: int
    exports: int
    notes: int


# The number of management groups, of filters and of notes is bounded as well, so that each step is really smaller.
_TERMINAL = (
    _Detail(names=5, changes=6, groups=5, filters=4, exports=20, notes=10),
    _Detail(names=3, changes=4, groups=3, filters=2, exports=20, notes=6),
    _Detail(names=3, changes=2, groups=2, filters=1, exports=20, notes=4),
    _Detail(names=2, changes=1, groups=2, filters=0, exports=15, notes=3),
    _Detail(names=1, changes=1, groups=1, filters=0, exports=10, notes=3),
    _Detail(names=0, changes=0, groups=1, filters=0, exports=6, notes=2),
)
_MARKDOWN = (
    _Detail(names=10, changes=20, groups=20, filters=20, exports=100, notes=50),
    _Detail(names=5, changes=10, groups=10, filters=8, exports=100, notes=20),
    _Detail(names=5, changes=5, groups=5, filters=4, exports=50, notes=10),
    _Detail(names=3, changes=2, groups=2, filters=1, exports=25, notes=5),
    _Detail(names=0, changes=1, groups=1, filters=0, exports=20, notes=3),
)
_OTHERS = {Action.UPDATE: "difference", Action.ADOPT: "difference"}


def terminal(
    plan: Plan, subscriptions: Iterable[Subscription] = (), *, colour: bool = False, most: int = MAX_LINES
) -> str:
    """The plan by export, in at most `most` lines of `WIDTH` columns; the last line counts."""
    parts = by_export(plan, subscriptions)
    lines: list[str] = []
    for detail in _TERMINAL:
        lines = list(_Text(parts, plan, detail, colour=colour).lines())
        if len(lines) <= most:
            return "\n".join(lines)
    kept = lines[: most - 2]
    return "\n".join([*kept, f"... {len(lines) - most + 1} more lines; --full shows every item", lines[-1]])


def full(plan: Plan, subscriptions: Iterable[Subscription] = (), *, colour: bool = False) -> str:
    """The plan item by item, whatever its length: one line each, its changes below."""
    names = {one.id.lower(): one.name for one in subscriptions}
    return "\n".join(_items(plan, names, colour=colour))


def markdown(plan: Plan, subscriptions: Iterable[Subscription] = (), *, everything: bool = False) -> str:
    """The plan by export as Markdown of less than `MAX_MARKDOWN` characters; `everything` leaves out less."""
    parts = by_export(plan, subscriptions)
    whole = _Detail(names=_ALL, changes=_ALL, groups=_ALL, filters=_ALL, exports=_ALL, notes=_ALL)
    page = ""
    for detail in (*((whole,) if everything else ()), *_MARKDOWN):
        page = "\n".join(_page(parts, plan, detail))
        if len(page) < MAX_MARKDOWN:
            return page
    told = "\n\n*The rest was left out: the plan is too long for a comment. `plan --full` shows every item.*\n"
    return page[: MAX_MARKDOWN - len(told) - 1].rpartition("\n")[0] + told


def summary(plan: Plan) -> str:
    """The counts in one line, without those that are nought."""
    counts = plan.counts
    writes = [f"{counts[action]:,} to {action.value}" for action in Action if action in WRITES and counts[action]]
    rest = (Action.UNCHANGED, Action.FOREIGN, Action.BLOCKED, Action.SKIPPED, Action.LEAVING)
    parts = writes or ["nothing to change"]
    return ", ".join(parts + [f"{counts[action]:,} {action.value}" for action in rest if counts[action]])


def outcomes(lines: Iterable[tuple[str, int]]) -> str:
    """Counts of how a run ended, in one line; what did not happen is left out."""
    return ", ".join(f"{number} {name.lower()}" for name, number in lines if number) or "nothing to do"


class _Text:
    """The view by export, as lines of text at one level of detail."""

    def __init__(self, parts: Sequence[ExportPart], plan: Plan, detail: _Detail, *, colour: bool) -> None:
        self._parts = parts
        self._plan = plan
        self._detail = detail
        self._colour = colour
        self._cut = False
        self._notes = {reason: number for number, reason in enumerate(shared_reasons(parts), 1)}

    def lines(self) -> Iterator[str]:
        telling_parts = [part for part in self._parts if part.groups]
        shown, left = telling_parts[: self._detail.exports], telling_parts[self._detail.exports :]
        for part in shown:
            yield from self._export(part)
        if left:
            self._cut = True
            automations = sum(len(group.items) for part in left for group in part.groups)
            named = _first([part.name or _UNNAMED for part in left], self._detail.names or 1)
            yield from _wrapped(f"{_count(len(left), 'more export')} with {automations:,} automations: {named}")
        quiet = [part.name for part in self._parts if not part.groups]
        if quiet:
            yield from _wrapped(f"as declared: {_first(quiet, 5)}", hang="    ")
        if self._parts:
            yield ""
        yield from self._remarks()
        if self._cut:
            yield "--full shows every item, with whole ids and commands."
        yield f"Plan: {summary(self._plan)}."

    def _export(self, part: ExportPart) -> Iterator[str]:
        towards = f" -> {shortened(part.destination)}" if part.destination else ""
        yield from _wrapped(f"{part.name or _UNNAMED}{towards}", hang="    ")
        told = part.filters[: self._detail.filters]
        for sentence in told:
            yield from self._sentence(f"{shortened(sentence)}", "  ", "    ")
        if told and len(part.filters) > len(told):
            self._cut = True
            yield f"  and {_count(len(part.filters) - len(told), 'more kind')} of record"
        for action in Action:
            groups = [group for group in part.groups if group.action is action]
            for group in groups[: self._detail.groups]:
                yield from self._group(group, part.name)
            if left := groups[self._detail.groups :]:
                self._cut = True
                yield self._painted(f"  {_SIGNS[action]} {_rest(action, left)}", action)
        if part.unchanged:
            yield f"  = unchanged: {part.unchanged:,}"

    def _group(self, group: Group, export: str) -> Iterator[str]:
        note = self._notes.get(group.reason)
        told = f" (reason {note})" if note else ""
        head = f"{_SIGNS[group.action]} {group.action.value}{_named(group, export)}{told} in {self._where(group)}"
        for line in _wrapped(head, indent="  ", hang="      "):
            yield self._painted(line, group.action)
        if group.reason and not note:
            yield from self._sentence(self._short(group.reason), "      ", "      ")
        for change in group.changes[: self._detail.changes]:
            line = f"{change.path}: {_value(change.old)} -> {_value(change.new)}"
            yield from self._sentence(self._short(line), "      ", "          ")
        if len(group.changes) > self._detail.changes:
            self._cut = True
            yield f"      and {_count(len(group.changes) - self._detail.changes, 'more change')}"

    def _where(self, group: Group) -> str:
        """The subscription; of several the number, in which management groups, and the first names."""
        names = _names(group)
        if len(names) == 1:
            return names[0]
        groups = [f"{name} {number:,}" for name, number in group.management_groups]
        told = f"{_count(len(names), 'subscription')} ({_first(groups, 3 if self._detail.names > 1 else 1)})"
        self._cut |= len(names) > self._detail.names
        return f"{told}: {_first(names, self._detail.names)}" if self._detail.names else told

    def _remarks(self) -> Iterator[str]:
        for reason, number in list(self._notes.items())[: self._detail.notes]:
            yield from self._sentence(f"({number}) {self._short(reason)}", "", "    ")
        for reason in self._plan.reasons:
            yield from self._noted(f"! discovery is incomplete, so nothing is deleted: {reason}")
        for reason in self._plan.guards:
            yield from self._noted(f"! held back: {reason}")
        findings = self._plan.findings
        for finding in findings[: self._detail.notes]:
            yield from self._noted(f"! {finding}")
        warnings = list(warnings_by_sentence(self._plan.warnings).items())
        for sentence, exports in warnings[: self._detail.notes]:
            about = f" ({_first(exports, 3)})" if exports else ""
            yield from self._noted(f"! warning{about}: {sentence}")
        left = max(0, len(self._notes) - self._detail.notes) + max(0, len(warnings) - self._detail.notes)
        left += max(0, len(findings) - self._detail.notes)
        if left:
            self._cut = True
            yield f"and {_count(left, 'more remark')}"

    def _noted(self, text: str) -> Iterator[str]:
        for line in self._sentence(self._short(text), "", "  "):
            yield _coloured(line, "!", colour=self._colour)

    def _sentence(self, text: str, indent: str, hang: str) -> Iterator[str]:
        """At most four lines of a sentence: --full shows what is longer."""
        lines = list(_wrapped(text, indent=indent, hang=hang))
        if len(lines) > _SENTENCE_LINES:
            self._cut = True
            lines = [*lines[: _SENTENCE_LINES - 1], f"{hang}..."]
        yield from lines

    def _short(self, text: str) -> str:
        short = shortened(text)
        self._cut |= short != text
        return short

    def _painted(self, line: str, action: Action) -> str:
        return _coloured(line, _SIGNS[action], colour=self._colour)


_SENTENCE_LINES = 4


def shortened(text: str) -> str:
    """A sentence with resource ids as the names in them, and commands without the words that no line holds."""
    parts = text.split("`")
    parts[::2] = [_ID.sub(_names_of, part) for part in parts[::2]]
    parts[1::2] = [_command(part) for part in parts[1::2]]
    return "`".join(parts)


def _names_of(found: re.Match[str]) -> str:
    names = "/".join(found["path"].strip("/").split("/")[1::2])
    return f"{names} in {found['group']}"


def _command(text: str) -> str:
    words = text.split(" ")
    short = [word if len(word) <= _LONGEST_WORD else "..." for word in words]
    return " ".join(short)


def _wrapped(text: str, *, indent: str = "", hang: str = "") -> Iterator[str]:
    yield from textwrap.wrap(
        printable(text), WIDTH, initial_indent=indent, subsequent_indent=hang, break_on_hyphens=False
    ) or [""]


def _named(group: Group, export: str) -> str:
    """The automation's name, where it is not the one that the export gives by default."""
    if len(group.names) > 1:
        return f" {len(group.names)} automations"
    return "" if group.names[0].lower() == f"defender-export-{export}".lower() else f" {group.names[0]}"


def _rest(action: Action, groups: Sequence[Group]) -> str:
    """What the groups that are not shown have in common."""
    where = _count(sum(len(group.subscriptions) for group in groups), "more subscription")
    others = _count(len(groups), f"other {_OTHERS.get(action, 'reason')}")
    return f"{action.value} in {where}, with {others}"


def _names(group: Group) -> list[str]:
    return [one.name or one.id for one in group.subscriptions]


def _first(names: Sequence[str], number: int) -> str:
    shown = ", ".join(names[:number])
    left = len(names) - number
    return f"{shown} and {left:,} more" if left > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _items(plan: Plan, names: Mapping[str, str], *, colour: bool) -> Iterator[str]:
    for item in plan.items:
        if not telling(item) and item.action is not Action.FOREIGN:
            continue
        sign = _SIGNS[item.action]
        name = names.get(item.id.key[0])
        where = f" ({name})" if name else ""
        yield _coloured(printable(f"{sign} {item.action.value} {item.id}{where}{_aside(item)}"), sign, colour=colour)
        for change in item.changes:
            yield printable(f"    {change.path}: {_value(change.old)} -> {_value(change.new)}")
    for words in plan.written:
        for line in _words(words):
            yield f"  {printable(line)}"
    for reason in plan.reasons:
        yield _coloured(printable(f"! discovery is incomplete, so nothing is deleted: {reason}"), "!", colour=colour)
    for reason in plan.guards:
        yield _coloured(printable(f"! held back: {reason}"), "!", colour=colour)
    for finding in plan.findings:
        yield _coloured(printable(f"! {finding}"), "!", colour=colour)
    for warning in plan.warnings:
        yield _coloured(printable(f"! warning: {warning}"), "!", colour=colour)
    yield f"Plan: {summary(plan)}."


def _words(words: Written) -> Iterator[str]:
    """Where the automations of an export will send to, and what."""
    number = f"{words.automations} automation{'' if words.automations == 1 else 's'}"
    yield f"{words.export} ({number}) to {words.destination}"
    for sentence in words.sends:
        yield f"{words.export} sends {sentence}"


def _aside(item: Item) -> str:
    export = f" [{item.export}]" if item.export else ""
    return f"{export}: {item.reason}" if item.reason else export


def _page(parts: Sequence[ExportPart], plan: Plan, detail: _Detail) -> Iterator[str]:
    yield f"### Defender Export plan: {summary(plan)}"
    yield ""
    yield from (f"> **Held back:** {markdown_text(reason)}\n" for reason in plan.guards[: detail.notes])
    yield from (f"> **Discovery is incomplete:** {markdown_text(reason)}\n" for reason in plan.reasons[: detail.notes])
    yield from (f"> **Not in force:** {markdown_text(finding)}\n" for finding in plan.findings[: detail.notes])
    warnings = list(warnings_by_sentence(plan.warnings).items())
    for sentence, exports in warnings[: detail.notes]:
        about = f" ({markdown_text(_first(exports, 5))})" if exports else ""
        yield f"> **Warning**{about}**:** {markdown_text(sentence)}\n"
    if len(warnings) > detail.notes:
        yield f"> {_count(len(warnings) - detail.notes, 'more warning')} left out.\n"
    notes = {reason: number for number, reason in enumerate(shared_reasons(parts), 1)}
    telling_parts = [part for part in parts if part.groups]
    for part in telling_parts[: detail.exports]:
        yield from _section(part, detail, notes)
    if left := telling_parts[detail.exports :]:
        named = markdown_text(_first([part.name or _UNNAMED for part in left], 20))
        yield f"{_count(len(left), 'more export')} left out: {named}.\n"
    if quiet := [part.name for part in parts if not part.groups]:
        yield f"As declared: {markdown_text(_first(quiet, 20))}.\n"
    for reason, number in list(notes.items())[: detail.notes]:
        yield f"({number}) {markdown_text(reason)}\n"
    if len(notes) > detail.notes:
        yield f"{_count(len(notes) - detail.notes, 'more reason')} left out.\n"


def _section(part: ExportPart, detail: _Detail, notes: Mapping[str, int]) -> Iterator[str]:
    towards = f" → {markdown_text(shortened(part.destination))}" if part.destination else ""
    yield f"#### {markdown_text(part.name or _UNNAMED)}{towards}"
    yield ""
    yield from (f"{markdown_text(sentence)}  " for sentence in part.filters[: detail.filters])
    if part.filters:
        yield ""
    for action in Action:
        groups = [group for group in part.groups if group.action is action]
        for group in groups[: detail.groups]:
            yield _bullet(group, part.name, detail, notes)
            yield from (_change(change) for change in group.changes[: detail.changes])
            if len(group.changes) > detail.changes:
                yield f"  - {_count(len(group.changes) - detail.changes, 'more change')} left out"
        if left := groups[detail.groups :]:
            yield f"- **{action.value}**{_rest(action, left).removeprefix(action.value)}: left out"
    if part.unchanged:
        yield f"- unchanged: {part.unchanged:,}"
    yield ""


def _bullet(group: Group, export: str, detail: _Detail, notes: Mapping[str, int]) -> str:
    names = _names(group)
    where = names[0]
    if len(names) > 1:
        groups = [f"{name} {number:,}" for name, number in group.management_groups]
        where = f"{_count(len(names), 'subscription')} ({_first(groups, 5)})"
        where += f": {_first(names, detail.names)}" if detail.names else ""
    number = notes.get(group.reason)
    told = f" (reason {number})" if number else ""
    reason = f"<br>{markdown_text(group.reason)}" if group.reason and not number else ""
    return f"- **{group.action.value}**{markdown_text(_named(group, export))}{told} in {markdown_text(where)}{reason}"


def _change(change: Change) -> str:
    return f"  - `{_code(change.path)}`: {markdown_text(_value(change.old))} → {markdown_text(_value(change.new))}"


def _code(text: str) -> str:
    return printable(text).replace("`", "'")


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, str):
        return f'"{printable(value)}"'
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(part) for part in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def markdown_text(text: str) -> str:
    """`text` so that Markdown shows it as it is."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#" else char for char in printable(text))


def _coloured(line: str, sign: str, *, colour: bool) -> str:
    return f"{_COLOURS[sign]}{line}{_PLAIN}" if colour and sign in _COLOURS else line
