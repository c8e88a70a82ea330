"""What a record does not say about its resource: names, management groups, tags and owners, from Resource Graph.

Ids of a whole batch are looked up together, 1,000 a query, and kept with a time to live; an id that is not there is
remembered too.  A stale entry is served while it is looked up again; one that is twice as old is waited for as if it
were new, and served only where no answer comes.  Nothing here raises or holds rows up: what is not known within
`patience` stays empty.  While Resource Graph does not answer, rows wait for it a tenth of that every half a minute,
which finds out whether it does again.  A query that is refused is asked in halves, until the id is found for which it
is.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from cachetools import LRUCache

from shared.enrich.records.model import Row

CONTAINERS = """
resourcecontainers
| where id in~ ({ids})
| extend chain = properties.managementGroupAncestorsChain
| project id, name, tags, location, chain, tenantId
| order by id asc
""".strip()
RESOURCES = """
resources
| where id in~ ({ids})
| project id, name, tags, location
| order by id asc
""".strip()
QUERIES = (CONTAINERS, RESOURCES)
"""Every query that is asked here; `{ids}` is a list of quoted, escaped ids."""

IDS_PER_QUERY = 1_000
"""As many as a page of an answer holds."""
LONGEST_ID = 1_000
"""Characters; a longer text is no Azure id and is not asked for."""
CACHED_BYTES = 128 << 20
"""What the cache may hold, by estimate: some 190,000 resources with a few tags each, fewer where tags are long."""
PATIENCE = 5.0
"""Seconds that a batch waits for a look-up; the look-up itself goes on and helps the next batch."""
PAUSE = 30.0
"""Seconds after a look-up that failed or was not waited for, in which none is begun and no batch waits."""
PROBE = 0.1
"""Share of the patience that a batch has for a look-up after such a pause, until one is answered in time again."""

MOST_STALE = 2
"""Times to live after which an entry is waited for rather than served."""
MOST_REFUSALS = 64
"""Of the parts of one query, which is 20 for each id that Resource Graph refuses; what is left is asked for later."""
NOWHERE = "/subscriptions/00000000-0000-0000-0000-000000000000"
"""Asked for to learn whether every query is refused, or those with some id."""

Query = Callable[[str, Sequence[str]], Awaitable[Sequence[Mapping[str, Any]]]]
"""Runs KQL over everything the app may read and gives its rows.

The second argument are the ids of the subscriptions in which they all lie, none for wherever they may.  Raises a
RefusedError or IncompleteAnswerError, or anything else when there is no answer.
"""


class RefusedError(Exception):
    """Resource Graph refused a query as it is; another may be answered."""


class IncompleteAnswerError(Exception):
    """Rows may be missing, so that what is not among those that came may exist all the same."""

    def __init__(self, reason: str, rows: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.rows = rows


@dataclass(frozen=True)
class Tagging:
    """The tags that name a resource's owner, environment and criticality: several names each, the first found wins."""

    owner: Sequence[str] = ("owner",)
    environment: Sequence[str] = ("environment", "env")
    criticality: Sequence[str] = ("criticality",)


class Members(NamedTuple):
    """Members of a row's JSON, encoded, that an id's entry gives; empty for what it does not say, or no row has."""

    subscription: bytes = b""
    path: bytes = b""
    owner: bytes = b""
    environment: bytes = b""
    criticality: bytes = b""
    tenant: bytes = b""
    location: bytes = b""


COLUMNS = (
    *("SubscriptionName", "ManagementGroupPath", "Owner", "AssetEnvironment", "Criticality"),
    *("SourceTenantId", "Location"),
)
"""The column of each member."""
NO_MEMBERS = Members()
NO_TAGS = b"{}"
_SUBSCRIPTION_SLASHES = 2
"""In /subscriptions/S."""


@dataclass(frozen=True, slots=True)
class Known:
    """What Resource Graph said of an id, and when (monotonic seconds); `found` is False where there is no such id.

    `path` is a subscription's.
    """

    at: float
    found: bool = False
    path: str = ""
    tenant: str = ""
    members: Members = NO_MEMBERS
    encoded_tags: bytes = NO_TAGS

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags; encoded they take a quarter of the memory, and few ask for them."""
        read: dict[str, str] = orjson.loads(self.encoded_tags)
        return read


_NOTHING = Known(0.0)


@dataclass
class Counts:
    """Look-ups since the start: ids asked for by rows, found in the cache, queries run, queries failed."""

    asked: int = 0
    hits: int = 0
    queries: int = 0
    failures: int = 0


class Context:
    """Fills the context columns of rows.

    Args:
        query: asks Resource Graph.
        tagging: names of the tags that columns come from.
        ttl: seconds after which an entry is looked up again.
        drop_columns: columns that no row shall have.
        patience: seconds a batch waits at most.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        query: Query,
        tagging: Tagging | None = None,
        *,
        ttl: float = 3600.0,
        drop_columns: Iterable[str] = (),
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = Counts()
        self._query = query
        tagging = tagging or Tagging()
        self._tagging = [
            [name.lower() for name in names] for names in (tagging.owner, tagging.environment, tagging.criticality)
        ]
        self._ttl = ttl
        self._drop = frozenset(drop_columns)
        self._tags = "Tags" not in self._drop
        self._patience = patience
        self._clock = clock
        self._known: LRUCache[str, Known] = LRUCache(CACHED_BYTES, getsizeof=_size)
        self._flights: dict[str, asyncio.Task[None]] = {}
        self._resume_at = float("-inf")
        self._in_time = True

    async def enrich(self, rows: Sequence[Row]) -> None:
        """Fill what can be found and leave the rest empty; never raises."""
        places: dict[tuple[Any, ...], list[Row]] = {}  # rows that share their context, which is worked out once
        for row in rows:
            place = (row.subscription, row.group, row.resource, row.located, row.tagged, row.tenanted)
            places.setdefault(place, []).append(row)
        asked = [(own, _ids(own[0])) for own in places.values()]
        known = await self._look_up({key for _, ids in asked for key in ids if key})
        for own, ids in asked:
            fragment = self._fragment(own[0], *(known.get(key, _NOTHING) for key in ids))
            if fragment:
                for row in own:
                    row.json = row.json[:-1] + fragment

    def known_of(self, row: Row) -> tuple[Known | None, Known | None, Known | None]:
        """Of a row's subscription, resource group and resource; None for what was asked and not answered."""
        subscription, group, resource = (self._known.get(key) if key else _NOTHING for key in _ids(row))
        return subscription, group, resource

    async def _look_up(self, keys: set[str]) -> Mapping[str, Known]:
        """What is known of the keys; those that are new are waited for, within patience."""
        now = self._clock()
        found: dict[str, Known] = {}
        missing, stale = [], []
        for key in keys:
            known = self._known.get(key)
            if known is None:
                missing.append(key)
                continue
            found[key] = known
            age = now - known.at
            if age > MOST_STALE * self._ttl:
                missing.append(key)
            elif age > self._ttl:
                stale.append(key)
        self.counts.asked += len(keys)
        self.counts.hits += len(found)
        if now >= self._resume_at:
            await self._ask(missing, stale)
            found |= {key: self._known[key] for key in missing if key in self._known}
        return found

    async def _ask(self, missing: Sequence[str], stale: Sequence[str]) -> None:
        """Start queries for ids that no query under way covers; wait for what is missing."""
        wanted = sorted(key for key in (*missing, *stale) if key not in self._flights)
        for select, query in ((_is_container, CONTAINERS), (_is_resource, RESOURCES)):
            chosen = [key for key in wanted if select(key)]
            for start in range(0, len(chosen), IDS_PER_QUERY):
                self._begin(query, chosen[start : start + IDS_PER_QUERY])
        flights = {self._flights[key] for key in missing if key in self._flights}
        if flights:
            patience = self._patience if self._in_time else self._patience * PROBE
            _, waiting = await asyncio.wait(flights, timeout=patience)
            if waiting:
                self._pause()

    def _pause(self) -> None:
        self._in_time = False
        self._resume_at = self._clock() + PAUSE

    def _begin(self, query: str, keys: Sequence[str]) -> None:
        task = asyncio.get_running_loop().create_task(self._fly(query, keys))
        for key in keys:
            self._flights[key] = task

    async def _fly(self, query: str, keys: Sequence[str]) -> None:
        begun = self._clock()
        try:
            await self._answer(query, keys)
            self._in_time = self._clock() - begun <= self._patience
        except Exception:  # noqa: BLE001 - whatever fails, the rows go on without context, and it is counted
            self.counts.failures += 1
            self._pause()
        finally:
            for key in keys:
                self._flights.pop(key, None)

    async def _answer(self, query: str, keys: Sequence[str]) -> None:
        """Ask for ids; where that is refused, for halves of them: an id that is refused alone is taken as not there.

        Raises:
            RefusedError: every query is refused, or too many are.
            IncompleteAnswerError: what was found is kept, and says nothing of what was not.
        """
        parts, refusals = [keys], 0
        while parts:
            part = parts.pop()
            try:
                rows = await self._rows(query, part)
            except RefusedError:
                if refusals == 0:
                    await self._ask_nothing(query)
                refusals += 1
                if refusals > MOST_REFUSALS:
                    raise
                half = len(part) // 2
                if half:
                    parts += [part[half:], part[:half]]
                else:
                    self._known[part[0]] = Known(self._clock())
                continue
            except IncompleteAnswerError as partial:
                self._known.update(self._found(partial.rows))
                raise
            now = self._clock()
            self._known.update({key: Known(now) for key in part} | self._found(rows))

    async def _ask_nothing(self, query: str) -> None:
        """Find out whether Resource Graph takes the query at all.

        Raises:
            RefusedError: it does not, whatever ids are in it.
        """
        with suppress(IncompleteAnswerError):
            await self._rows(query, ())

    async def _rows(self, query: str, keys: Sequence[str]) -> Sequence[Mapping[str, Any]]:
        """The rows of ids; without ids, an answer of no rows."""
        self.counts.queries += 1
        ids = ", ".join(map(_quoted, keys or (NOWHERE,)))
        return await self._query(query.replace("{ids}", ids), sorted({key.split("/")[2] for key in keys}))

    def _found(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Known]:
        now = self._clock()
        return {_text(row, "id").lower(): self._read(row, now) for row in rows}

    def _read(self, row: Mapping[str, Any], now: float) -> Known:
        tags = row.get("tags")
        read = {name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {}
        is_subscription = _text(row, "id").count("/") == _SUBSCRIPTION_SLASHES
        chain = row.get("chain") if is_subscription else None
        groups = chain if isinstance(chain, list) else []
        names = [_text(group, "name") if isinstance(group, dict) else "" for group in groups]
        path = "/".join(reversed(names))  # the chain begins with the nearest group
        tenant = _text(row, "tenantId")
        values = (
            _text(row, "name") if is_subscription else "",
            path,
            *(first_tag(wanted, (read,)) for wanted in self._tagging),
            tenant if is_subscription else "",
            _text(row, "location"),
        )
        members = Members._make(
            b"" if name in self._drop else _member(name, value) for name, value in zip(COLUMNS, values, strict=True)
        )
        encoded = bytes(memoryview(orjson.dumps(read))) if read else NO_TAGS  # a copy: orjson's own is a kilobyte
        return Known(now, found=True, path=path, tenant=tenant, members=members, encoded_tags=encoded)

    def _fragment(self, row: Row, of_subscription: Known, of_group: Known, itself: Known) -> bytes:
        """The JSON members to put at the end of a row, with the closing brace; empty where nothing is known."""
        subscription, group, resource = of_subscription.members, of_group.members, itself.members
        members = (
            subscription.subscription,
            subscription.path,
            resource.owner or group.owner or subscription.owner,  # of the nearest level that has one
            resource.environment or group.environment or subscription.environment,
            resource.criticality or group.criticality or subscription.criticality,
            b"" if row.tenanted else subscription.tenant,
            b"" if row.located else resource.location,
            b"" if row.tagged or not self._tags or itself.encoded_tags == NO_TAGS else b'"Tags":' + itself.encoded_tags,
        )
        kept = [member for member in members if member]
        return b"," + b",".join(kept) + b"}" if kept else b""


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


_ENTRY_BYTES = 560  # an entry's objects, its members' among them, and its id in lower case


@lru_cache(8192)
def _member(name: str, value: str) -> bytes:
    """A member of a row's JSON; empty without a value.  Places, owners and environments are the same time and again."""
    return orjson.dumps({name: value})[1:-1] if value else b""


def _size(known: Known) -> int:
    """About how many bytes an entry takes in memory."""
    return _ENTRY_BYTES + len(known.path) + len(known.encoded_tags) + sum(map(len, known.members))


def _ids(row: Row) -> tuple[str, str, str]:
    """The ids that a row's context comes from: its subscription, group and resource; empty where none is asked for."""
    if not row.subscription:
        return ("", "", "")
    subscription = f"/subscriptions/{row.subscription}"
    group = f"{subscription}/resourcegroups/{row.group}" if row.group else ""
    return (_askable(subscription), _askable(group), _askable(row.resource))


def _askable(key: str) -> str:
    """The id; empty where Resource Graph could not be asked for it."""
    return key if key.startswith("/subscriptions/") and len(key) <= LONGEST_ID and key.isprintable() else ""


def _is_container(key: str) -> bool:
    return "/providers/" not in key


def _is_resource(key: str) -> bool:
    return "/providers/" in key


def _quoted(text: str) -> str:
    """A KQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def first_tag(names: Sequence[str], levels: Iterable[Mapping[str, str]]) -> str:
    """The first of the named tags that has a value, on the nearest level that has one."""
    for tags in levels:
        if tags:
            lowered = {name.lower(): value for name, value in tags.items()}
            for name in names:
                if lowered.get(name):
                    return lowered[name]
    return ""
