"""What came of each item of the checklist: it holds, differs, or is left to a person.  Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from shared.accept.checklist import ITEMS, Item

BY_HAND: Final = "no program can look"
NOT_ASKED: Final = "it was not asked for"


class Verdict(StrEnum):
    """How an item ended."""

    HOLDS = "holds"
    DIFFERS = "differs"
    PERSON = "left to a person"


@dataclass(frozen=True)
class Difference:
    """One thing that Azure does otherwise.

    `what` and `expected` are texts of this program; `seen` is what Azure answered, and `status` of which HTTP status.
    """

    what: str
    expected: str
    seen: Any = None
    status: int | None = None


class NotSeen(Exception):  # noqa: N818 - says what is the case
    """An item could not be looked at; the message is a text of this program, `trouble` says that a service failed."""

    def __init__(self, why: str, *, trouble: bool = False) -> None:
        super().__init__(why)
        self.trouble = trouble


@dataclass(frozen=True)
class Outcome:
    """What came of one item; `why` says what kept the program from looking, or what of it it looked at."""

    item: Item
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    why: str = ""
    trouble: bool = False


@dataclass(frozen=True)
class Form:
    """How an answer is built: statuses, error code, headers, and the members of its body with their types.

    What a check does not ask about is compared with this all the same: so differences that are not listed are named.
    """

    name: str
    statuses: tuple[int, ...]
    members: Mapping[str, Any] | None = None
    code: str = ""
    headers: tuple[str, ...] = ()
    optional: frozenset[str] = frozenset()


def compared(form: Form, status: int, headers: Mapping[str, str], body: Any) -> list[Difference]:
    """How an answer differs from its form."""
    if status not in form.statuses:
        return [Difference(form.name, f"status {' or '.join(map(str, form.statuses))}", status=status)]
    there = {each.lower() for each in headers}
    lacking = [name for name in form.headers if name.lower() not in there]
    found = [Difference(form.name, f"a header {name}", "none", status) for name in lacking]
    if form.code:
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict) or not isinstance(error.get("message"), str):
            found.append(Difference(form.name, "an error with code and message", body, status))
        elif error.get("code") != form.code:
            found.append(Difference(form.name, f"the code {form.code}", error.get("code"), status))
    if form.members is not None:
        found += [Difference(form.name, *each, status) for each in _members(form.members, body, form.optional)]
    return found


def _members(wanted: Any, found: Any, optional: frozenset[str], path: str = "") -> list[tuple[str, Any]]:
    if isinstance(wanted, type | tuple):
        kinds = wanted if isinstance(wanted, tuple) else (wanted,)
        # True is an int in Python, and no number in JSON.
        fits = isinstance(found, wanted) and (bool in kinds or not isinstance(found, bool))
        words = " or ".join(sorted(kind.__name__ for kind in kinds))
        return [] if fits else [(f"{path or 'the body'} is {words}", found)]
    if not isinstance(found, dict):
        return [(f"{path or 'the body'} is an object", found)]
    said: list[tuple[str, Any]] = []
    if missing := [name for name in wanted if name not in found and f"{path}{name}" not in optional]:
        said.append((f"members of {path.rstrip('.') or 'the body'}: {', '.join(missing)}", "they are missing"))
    if more := sorted(set(found) - set(wanted)):
        said.append((f"no other members of {path.rstrip('.') or 'the body'}", more))
    for name in set(wanted) & set(found):
        said += _members(wanted[name], found[name], optional, f"{path}{name}.") if found[name] is not None else []
    return said


@dataclass
class Acceptance:
    """Everything that one run found, in the order of the checklist; what is not there yet is left to a person."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unlisted: list[Difference] = field(default_factory=list)

    def note(self, item: Item, differences: Sequence[Difference], looked: str = "") -> None:
        """An item was looked at; `looked` says at what of it."""
        verdict = Verdict.DIFFERS if differences else Verdict.HOLDS
        self.outcomes[item.id] = Outcome(item, verdict, tuple(differences), looked)

    def leave(self, item: Item, why: str, *, trouble: bool = False) -> None:
        """An item could not be looked at."""
        self.outcomes[item.id] = Outcome(item, Verdict.PERSON, (), why, trouble)

    def all(self) -> list[Outcome]:
        """One outcome of each item."""
        return [self.outcomes.get(item.id) or Outcome(item, Verdict.PERSON, (), BY_HAND) for item in ITEMS]

    @property
    def well(self) -> bool:
        """Whether nothing differs, and no service kept anything from being seen."""
        return not self.unlisted and not any(one.differences or one.trouble for one in self.outcomes.values())
