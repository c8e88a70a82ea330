"""Which messages an event makes for whom, and when a digest is due.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from shared.notify.events import Event, Followed, Key
from shared.notify.messages import DIGEST
from shared.notify.rules import AT_ONCE, DAILY, Rules
from shared.notify.state import Digest, State, Waiting


def with_news(state: State, followed: Followed, rules: Rules, now: datetime, *, placed: bool = True) -> State:
    """The state with what began and ended, and with the digests that are due."""
    known = {each.name for each in rules.receivers}
    begun = {
        each.key: replace(
            each,
            heard=rules.told(each, AT_ONCE, placed=placed),
            listed=rules.told(each, DAILY, placed=placed),
        )
        for each in followed.begun
    }
    events = tuple(begun.get(each.key, each) for each in followed.open)
    news = [*begun.values(), *followed.ended]
    waiting = [each for each in state.waiting if each.receiver in known]
    waiting += [
        Waiting(receiver, each.id, each.phase, (each,)) for each in news for receiver in each.heard if receiver in known
    ]
    state = replace(state, open=events, waiting=tuple(waiting))
    return _with_digests(state, news, rules, now, followed.muted)


def _with_digests(state: State, news: Iterable[Event], rules: Rules, now: datetime, muted: Collection[Key]) -> State:
    told = {name for rule in rules.rules if rule.when == DAILY for name in rule.send}
    last, waiting, digests = _last_due(rules.digest_at, now), list(state.waiting), {}
    listed = list(news)
    for receiver in (each.name for each in rules.receivers if each.name in told):
        before = state.digests.get(receiver) or Digest(last)
        fresh = (*before.news, *(each for each in listed if receiver in each.listed))
        if before.day >= last:
            digests[receiver] = Digest(before.day, fresh)
            continue
        ended = {each.id for each in fresh if each.ended}
        held = tuple(each for each in fresh if each.key in muted and each.id not in ended)
        fresh = tuple(each for each in fresh if each not in held)
        named = {each.id for each in fresh}
        lasting = [each for each in state.open if not each.moment and each.id not in named and each.key not in muted]
        still = tuple(each for each in lasting if receiver in each.listed)
        digests[receiver] = Digest(last, held)
        if fresh or still:
            waiting = list(_overtaken(waiting, receiver))
            waiting.append(Waiting(receiver, digest_id(receiver, last), DIGEST, fresh, still, last))
    return replace(state, waiting=tuple(waiting), digests=digests)


def _overtaken(waiting: Iterable[Waiting], receiver: str) -> Iterator[Waiting]:
    """What waits once a receiver's next digest is due: it says anew what is open, so earlier ones keep news alone.

    A receiver that takes nothing for a month has then no more waiting than what began and ended meanwhile.
    """
    for each in waiting:
        if each.receiver != receiver or each.phase != DIGEST:
            yield each
        elif each.events:
            yield replace(each, still=())


def _last_due(at: str, now: datetime) -> str:
    """The day (UTC) whose digest is due, which is yesterday's until the hour has come."""
    hour, minute = map(int, at.split(":"))
    moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return f"{now if now >= moment else now - timedelta(days=1):%Y-%m-%d}"


def digest_id(receiver: str, day: str) -> str:
    """The id of a receiver's digest of a day."""
    return hashlib.sha256(f"{DIGEST}\n{receiver}\n{day}".encode()).hexdigest()[:32]
