"""Subscriptions by what people call them: the id, or the name that the portal shows."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from shared.reconcile.model import Subscription


def named(asked: Collection[str], subscriptions: Iterable[Subscription]) -> list[str]:
    """The id of each one asked for, by id or name in any casing; what is neither stays as it is.

    Raises:
        ValueError: several subscriptions have that name; the message names their ids.
    """
    if not asked:
        return []
    names: dict[str, list[str]] = {}
    ids = {}
    for one in subscriptions:
        ids[one.id.lower()] = one.id
        names.setdefault(one.name.lower(), []).append(one.id)
    found = []
    for each in asked:
        several = names.get(each.strip().lower(), [])
        if len(several) > 1 and each.lower() not in ids:
            raise ValueError(f"{len(several)} subscriptions are named {each}: say which by id, {' or '.join(several)}")
        found.append(ids.get(each.lower()) or (several[0] if several else each))
    return found
