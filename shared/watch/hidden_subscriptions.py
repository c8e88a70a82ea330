"""Silences that a check can't judge: what was last said of them stands.  Pure.

Rights that are lost look like a subscription that is gone.  One that ends is seen disabled or deleted first.  And where
Resource Graph does not answer, it is not known whether there still is something to send.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from shared.clock import utc_moment
from shared.watch.coverage import SubscriptionCoverage
from shared.watch.freshness_verdicts import QUIET, SILENT, Health
from shared.watch.last_arrival import Key, Seen

_SAID: Final = "it is not shown to the app any more, and before: "
_NOT_JUDGED: Final = "it could not be judged now, and before: "


def standing(before: Iterable[Mapping[str, Any]], hidden: Collection[str]) -> list[Health]:
    """The silences among the last answer's verdicts that still stand."""
    return [
        _as_it_was(each, _SAID) for each in before if each["verdict"] == SILENT and each["subscription_id"] in hidden
    ]


def undecided(
    before: Iterable[Mapping[str, Any]], health: Iterable[Health], unknown: Collection[Key], *, complete: bool
) -> dict[Key, Health]:
    """The silences among the last answer's verdicts that this check neither confirms nor ends.

    Args:
        before: the last answer's verdicts.
        health: those of this check.
        unknown: the keys of which it could not be read what there is to send.
        complete: no expectation is missing, so that what was not judged is not expected any more.
    """
    judged = {(each.subscription_id, each.kind): each.verdict for each in health}
    silent = {(each["subscription_id"], each["kind"]): each for each in before if each["verdict"] == SILENT}
    return {
        key: _as_it_was(each, _NOT_JUDGED)
        for key, each in silent.items()
        if (judged[key] == QUIET and key in unknown if key in judged else not complete)
    }


def stubs(before: Iterable[Mapping[str, Any]], hidden: Collection[str]) -> list[SubscriptionCoverage]:
    """What the last answer called those subscriptions."""
    found = {each["subscription_id"]: each for each in before if each["subscription_id"] in hidden}
    return [SubscriptionCoverage(one, each["name"], each["tenant_id"], {}) for one, each in found.items()]


def missed(seen: Mapping[Key, Seen], hidden: Collection[str]) -> list[str]:
    """Why not all is known, where something is waited for from such a subscription."""
    waited = sorted({key[0] for key, one in seen.items() if key[0] in hidden and one.expected_since})
    if not waited:
        return []
    more = f" and {len(waited) - 1} more" if len(waited) > 1 else ""
    told = f"{waited[0]}{more} should send here and is not shown any more, so rights may be lost"
    return [f"{told}; if it is really gone, run `apply --accept-fewer`"]


def _as_it_was(entry: Mapping[str, Any], said: str) -> Health:
    def moment(name: str) -> datetime | None:
        try:
            return utc_moment(entry[name]) if entry[name] else None
        except ValueError:  # the answer is kept in a blob, which anybody may have changed
            return None

    return Health(
        entry["subscription_id"],
        entry["kind"],
        entry["export"],
        SILENT,
        moment("since"),
        said + entry["reason"].removeprefix(_SAID).removeprefix(_NOT_JUDGED),
        moment("last_seen"),
        moment("last_snapshot"),
        moment("due_by"),
        entry["present"],
    )
