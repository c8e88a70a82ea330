"""What a scope names that selects nothing: a name that is misspelt, gone, or hidden from this app."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.exports.management_groups import GroupNames
from shared.exports.scope_selection import SelectableSubscription, selects
from shared.exports.suggestions import suggest

if TYPE_CHECKING:
    from shared.exports.model import Scope

_TYPING_ERRORS: Final = 2
_HIDDEN: Final = "it does not exist, or this app may not read it"


class UnknownName(ValueError):  # noqa: N818 - says what is the case
    """A request names what is not known; the message names the nearest known name."""


class NotAllSeen(ValueError):  # noqa: N818 - says what is the case
    """A request names what was not seen, and not all could be read: it may well be there."""


def refuse_unknown(sentences: Iterable[str], unseen: Sequence[str]) -> None:
    """Refuse a request whose names select nothing; `unseen` says what of the tenant could not be read, and why.

    Raises:
        UnknownName: all was read.
        NotAllSeen: not all was.
    """
    if not (said := "; ".join(filter(None, sentences))):
        return
    if unseen:
        raise NotAllSeen(f"not all could be read, so what was asked for may well be there: {'; '.join(unseen)}")
    raise UnknownName(said)


@dataclass(frozen=True)
class KnownNames:
    """The names that a scope can select by: ids and groups in lower case, values by the tag's name in lower case."""

    subscriptions: Mapping[str, str] = field(default_factory=dict)
    management_groups: GroupNames = field(default_factory=GroupNames)
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tag_names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, subscriptions: Iterable[SelectableSubscription]) -> KnownNames:
        """The names that these subscriptions bear or lie below."""
        ids: dict[str, str] = {}
        tags: dict[str, dict[str, str]] = {}
        names: dict[str, str] = {}
        seen = list(subscriptions)
        for one in seen:
            ids[one.id.lower()] = one.id
            for name, value in one.tags.items():
                names.setdefault(name.lower(), name)
                tags.setdefault(name.lower(), {}).setdefault(value.casefold(), value)
        return cls(ids, GroupNames.of(seen), tags, names)

    def unknown_subscription(self, name: str) -> str:
        """Why a subscription id selects nothing; empty when it is known."""
        if name.lower() in self.subscriptions:
            return ""
        return _said(f"no subscription {name} is visible: {_HIDDEN}", self._nearest(name))

    def unknown_management_group(self, name: str) -> str:
        """Why a management group selects nothing; empty when a visible subscription lies below it."""
        if name in self.management_groups:
            return ""
        sentence = f"no visible subscription lies below the management group {name}: {_HIDDEN}, or it is empty"
        return _said(sentence, suggest(name, self.management_groups.written))

    def unclear_management_group(self, name: str) -> str:
        """Why a management group is no name, or that of several groups; empty when it is that of one."""
        return self.management_groups.several(name) or self.unknown_management_group(name)

    def unknown_tag(self, name: str, value: str) -> str:
        """Why a tag selects nothing; empty when a visible subscription bears it."""
        values = self.tags.get(name.lower())
        if values is None:
            return _said(f"no visible subscription bears the tag {name}", suggest(name, self.tag_names.values()))
        if value.casefold() in values:
            return ""
        return _said(f"no visible subscription bears the tag {name}: {value}", suggest(value, values.values()))

    def _nearest(self, name: str) -> str:
        """The id that differs in a character or two: ids that only look alike are no help."""
        wanted = name.lower()
        for known in self.subscriptions:
            if sum(one != other for one, other in zip(known, wanted, strict=False)) <= _TYPING_ERRORS:
                return f"Did you mean {self.subscriptions[known]}?"
        return ""


def scope_findings(scope: Scope, subscriptions: Sequence[SelectableSubscription], known: KnownNames) -> tuple[str, ...]:
    """A sentence for each part of a scope that selects nothing, and for one that selects nothing as a whole.

    Tags in `exclude` may well be borne by none: they are how a subscription opts out.
    """
    found = tuple(_parts(scope, known))
    if not found and not any(selects(scope, one) for one in subscriptions):
        found = ("its scope selects no visible subscription",)
    return found


def _parts(scope: Scope, known: KnownNames) -> Iterator[str]:
    excluded = scope.exclude
    for label, groups in (("scope", scope.management_groups), ("scope.exclude", excluded.management_groups)):
        for group in groups:
            if sentence := known.unclear_management_group(group):
                yield f"{label}.managementGroups: {sentence}"
    for label, ids in (("scope", scope.subscriptions), ("scope.exclude", excluded.subscriptions)):
        for one in ids:
            if sentence := known.unknown_subscription(one):
                yield f"{label}.subscriptions: {sentence}"
    for name, value in scope.tags.items():
        if sentence := known.unknown_tag(name, value):
            yield f"scope.tags: {sentence}"


def _said(sentence: str, nearest: str) -> str:
    return f"{sentence}. {nearest}" if nearest else sentence
