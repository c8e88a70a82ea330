"""Dead letters: what could not be delivered, why, and all that is needed to deliver it later.

One blob holds what one invocation could not deliver to one place for one reason: gzip NDJSON named
`day/reason/place/...`, written in one piece.  The rest of its name comes from the letters, so that a batch that the
host delivers again writes the same blobs and no copies.  Its metadata carry what a listing needs, so that counting and
choosing read no contents; its first line says the format and how many letters follow.  A blob of a newer format, or
one that holds another number of letters than it says, is left as it is: nothing of it is sent, and nothing is deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import groupby

import msgspec
from isal import igzip, isal_zlib

from shared import stored_format
from shared.azure.blob_container import ChangedError, Container, Listed, RefusedError
from shared.clock import Clock, Deadline, utc_moment, utc_text
from shared.enrich.dead_letters.dead_letter_format import Letter
from shared.enrich.dead_letters.replay_schedule import wait

logger = logging.getLogger("defender_export.enrich")

LETTERS_PER_BLOB = 5_000
BYTES_PER_BLOB = 16_000_000  # before compression; a row is at most 1 MB
_KIND = "dead letters"
_ABOUT = frozenset({"letters", "replays", "outage", "parked", "due", "begun"})
_HEADER = frozenset({"letters"})
_ARCHIVED = "it lies in the Archive tier, from which nothing can be read: set its tier to Hot or Cool (rehydrate it)"
OUTAGES_IN_A_ROW = 3  # blobs of one place that meet an outage: one may have its own trouble, three are the place's
REPLAY_SECONDS = 45.0  # that one blob may take: less than its lease, so that what was done can be noted


@dataclass(frozen=True)
class DeadLetter:
    """One blob of letters, as a listing shows it."""

    name: str
    day: str
    reason: str
    place: str  # a table, `hub` or `events`; empty where an earlier release wrote it, which mixed them
    letters: int
    replays: int
    outage: bool
    parked: bool
    due: datetime
    size: int
    written: datetime
    begun: int = 0  # replays that began since the blob was written, and did not end
    trouble: str = ""  # why it is left as it is, and what helps; empty when it can be sent

    @classmethod
    def listed(cls, blob: Listed) -> DeadLetter:
        """Read a listing's entry; one whose metadata are missing or unreadable is due, and its count unknown."""
        day, _, rest = blob.name.partition("/")
        reason, _, rest = rest.partition("/")
        place, _, rest = rest.partition("/")
        about = blob.metadata
        begun = _number(about.get("begun"))
        return cls(
            name=blob.name,
            day=day,
            reason=reason,
            place=place if rest else "",
            letters=_number(about.get("letters")),
            replays=_number(about.get("replays")),
            outage=about.get("outage") == "true",
            parked=about.get("parked") == "true",
            due=_moment(about.get("due")) or blob.written,
            size=blob.size,
            written=blob.written,
            begun=begun,
            trouble=_ARCHIVED if blob.tier == "Archive" else _trouble(about),
        )


def _trouble(about: Mapping[str, str]) -> str:
    """Why a blob of this metadata is left as it is; empty when it is not."""
    try:
        stored_format.admit(_KIND, about, _ABOUT)
    except stored_format.KeptAsIs as kept:
        return str(kept)
    flags = {about.get(name, "false") for name in ("outage", "parked")}
    numbers = [about[name] for name in ("letters", "replays", "begun") if name in about]
    if not flags <= {"true", "false"} or not all(text.isascii() and text.isdecimal() for text in numbers):
        return "its metadata can't be read, so it is not known how many letters it holds: put them right"
    return ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _moment(text: str | None) -> datetime | None:
    try:
        return utc_moment(text or "")
    except ValueError:
        return None


@dataclass(frozen=True)
class LetterFilter:
    """Which dead letters to list or replay; empty fields choose all."""

    day: str = ""
    reason: str = ""
    names: frozenset[str] = frozenset()
    parked: bool | None = False  # False: only those still tried; True: only parked ones; None: both
    due_only: bool = True

    def includes(self, blob: DeadLetter, now: datetime) -> bool:
        """Whether a blob is selected."""
        return (
            self.day in {"", blob.day}
            and self.reason in {"", blob.reason}
            and (not self.names or blob.name in self.names)
            and self.parked in {None, blob.parked}
            and (not self.due_only or blob.due <= now)
        )


@dataclass
class Replay:
    """What one replay did."""

    blobs: int = 0
    delivered: int = 0
    remaining: int = 0
    parked: int = 0
    skipped: int = 0  # blobs that another replay held
    unreadable: int = 0  # blobs that hold something other than letters of this release, and are left as they are
    refused: int = 0  # blobs that the store refuses to change or read, such as those under an immutability policy
    stopped: str = ""  # why it ended early
    waiting: dict[str, str] = field(default_factory=dict)  # places in an outage, each with its reason: tried next time


class UnreadableLettersError(Exception):
    """A blob among the dead letters that this release leaves as it is; the message says why and what helps."""


Redeliver = Callable[[Sequence[Letter], Deadline], Awaitable[list[Letter]]]


class DeadLetters:
    """The store of dead letters."""

    def __init__(self, container: Container, clock: Clock, park_after: int) -> None:
        self._container = container
        self._clock = clock
        self._park_after = park_after

    async def write(self, letters: Iterable[Letter]) -> int:
        """Keep letters, one blob or more a reason; return how many.

        Raises:
            shared.azure.blob_container.StoreError: not all are safe.
        """
        kept = 0
        for chunk in _blobs(letters):
            await self._put(chunk)
            kept += len(chunk)
        return kept

    async def find(self, choice: LetterFilter | None = None) -> AsyncIterator[DeadLetter]:
        """Blobs of letters, oldest day first.

        Raises:
            shared.azure.blob_container.StoreError: the listing broke off.
        """
        chosen = choice or LetterFilter(parked=None, due_only=False)
        async for blob in self._container.entries(f"{chosen.day}/" if chosen.day else ""):
            letter = DeadLetter.listed(blob)
            if chosen.includes(letter, self._clock.now()):
                yield letter

    async def kept(self) -> Counter[tuple[str, str]]:
        """How many letters there are, by reason and by state: `waiting` or `parked`.

        Raises:
            shared.azure.blob_container.StoreError: the listing broke off.
        """
        found: Counter[tuple[str, str]] = Counter()
        async for blob in self.find():
            found[blob.reason, "parked" if blob.parked else "waiting"] += blob.letters
        return found

    async def read(self, name: str) -> list[Letter]:
        """The letters of one blob.

        Raises:
            shared.azure.blob_container.StoreError: it can't be read.
            UnreadableLettersError: it holds something else.
        """
        data, _ = await self._container.get(name)
        return await asyncio.to_thread(_decode, data, None)

    async def contents(self, name: str) -> bytes:
        """The bytes of one blob, whatever they are.

        Raises:
            shared.azure.blob_container.StoreError: it can't be read.
        """
        return (await self._container.get(name))[0]

    async def discard(self, name: str) -> None:
        """Delete one blob of letters, whatever is in it; its records are lost.

        Raises:
            shared.azure.blob_container.StoreError: it is not there, is being replayed, or can't be deleted.
        """
        async with self._container.leased(name) as lease:
            _, etag = await self._container.get(name)
            await self._container.delete(name, etag, lease)

    async def replay(self, redeliver: Redeliver, deadline: Deadline, choice: LetterFilter | None = None) -> Replay:
        """Deliver letters again and remove what was accepted; the places take turns.

        A place is left for the next replay after three blobs in a row that meet an outage, and holds up no other.  A
        replay that is cut off leaves its blob as it was, so that the next one sends the same rows with the same
        keys; two at the same time are kept apart by a lease and, where that ran out, by the ETag.  A blob that holds
        something else than letters is left alone.

        Raises:
            shared.azure.blob_container.StoreError: the store can't be listed or read.
        """
        result = Replay()
        outages: dict[str, int] = {}
        blobs = [blob async for blob in self.find(choice or LetterFilter())]
        for blob in _in_turn(sorted(blobs, key=lambda blob: blob.due), result.waiting):
            if deadline.left <= 0:
                result.stopped = "no time left"
                break
            try:
                remaining = await self._replay_one(blob, redeliver, deadline, result)
            except ChangedError:
                result.skipped += 1
                continue
            except RefusedError as refused:
                logger.error("%s is left as it is, the store refuses it: %s", blob.name, refused.code)  # noqa: TRY400 # says all
                result.refused += 1
                continue
            except UnreadableLettersError as unreadable:
                logger.error("%s is left as it is: %s", blob.name, unreadable)  # noqa: TRY400 # says all
                result.unreadable += 1
                continue
            down = bool(remaining) and all(letter.outage for letter in remaining)
            outages[blob.place] = outages.get(blob.place, 0) + 1 if down else 0
            if outages[blob.place] == OUTAGES_IN_A_ROW:
                result.waiting[blob.place] = remaining[0].reason
        return result

    async def _replay_one(
        self, blob: DeadLetter, redeliver: Redeliver, deadline: Deadline, result: Replay
    ) -> list[Letter]:
        if blob.trouble:
            raise UnreadableLettersError(blob.trouble)
        async with self._container.leased(blob.name) as lease:
            data, etag = await self._container.get(blob.name)
            letters = await asyncio.to_thread(_decode, data, blob)
            # Written before anything is sent: where nothing can be written, a replay would send the same for ever.
            etag = await self._container.describe(blob.name, self._begun(blob, letters), etag, lease)
            remaining = await redeliver(letters, deadline.sooner(REPLAY_SECONDS))
            stays: Sequence[Letter] = ()
            for chunk in _blobs(remaining):
                if (chunk[0].reason, chunk[0].place) == (blob.reason, blob.place or chunk[0].place) and not stays:
                    stays = chunk
                else:
                    await self._put(chunk)
            if stays:  # only now: what moves to another blob must be there before it leaves this one
                contents = await asyncio.to_thread(_encode, stays)
                await self._container.replace(blob.name, contents, self._metadata(stays), etag, lease)
            else:
                await self._container.delete(blob.name, etag, lease)
        result.blobs += 1
        result.remaining += len(remaining)
        result.delivered += len(letters) - len(remaining)
        result.parked += sum(self._parks(letter) for letter in remaining)
        return remaining

    async def _put(self, letters: Sequence[Letter]) -> None:
        first = letters[0]
        name = f"{first.failed:%Y-%m-%d}/{first.reason}/{first.place}/{first.partition or 'x'}-{first.sequence}"
        data, which = await asyncio.to_thread(lambda: (_encode(letters), _identity(letters)))
        if not await self._container.create(f"{name}-{which}.ndjson.gz", data, self._metadata(letters)):
            logger.info("%d letters of %s are kept already", len(letters), first.reason)

    def _parks(self, letter: Letter) -> bool:
        return letter.homeless or (not letter.outage and letter.replays >= self._park_after)

    def _begun(self, blob: DeadLetter, letters: Sequence[Letter]) -> Mapping[str, str]:
        """A blob's metadata while it is sent; what ends no replay waits longer each time, and is parked in the end."""
        begun = blob.begun + 1
        parked = blob.parked or begun >= self._park_after
        due = self._clock.now() + wait(msgspec.structs.replace(letters[0], replays=begun, outage=False))
        return {
            **self._metadata(letters),
            "begun": str(begun),
            "parked": str(parked).lower(),
            "due": utc_text(due),
        }

    def _metadata(self, letters: Sequence[Letter]) -> Mapping[str, str]:
        first = letters[0]
        return {
            **stored_format.stamp_texts(_KIND),
            "letters": str(len(letters)),
            "replays": str(first.replays),
            "outage": str(first.outage).lower(),
            "parked": str(self._parks(first)).lower(),
            "due": utc_text(self._clock.now() + wait(first)),
        }


def _in_turn(blobs: Iterable[DeadLetter], left_out: Collection[str]) -> Iterator[DeadLetter]:
    """One blob of each place after the other, in their order, without the places that are left out meanwhile."""
    places: dict[str, deque[DeadLetter]] = {}
    for blob in blobs:
        places.setdefault(blob.place, deque()).append(blob)
    while places:
        for place in list(places):
            if place in left_out or not places[place]:
                del places[place]
            else:
                yield places[place].popleft()


def _identity(letters: Sequence[Letter]) -> str:
    """Which letters these are, whatever happened to them since."""
    digest = sha256()
    for letter in letters:
        about = (letter.target, letter.table, letter.partition, letter.sequence, letter.event)
        digest.update(repr(about).encode() + bytes(letter.row))
    return digest.hexdigest()[:20]


def _group(letter: Letter) -> tuple[str, str, str, bool, int, int]:
    """Letters of one blob share what its name and metadata say, and their form, which an earlier release can't read."""
    return letter.reason, letter.place, letter.form, letter.outage, letter.replays, letter.outages


def _blobs(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    """Letters as they go into blobs."""
    for _, group in groupby(sorted(letters, key=_group), key=_group):
        yield from _chunks(group)


def _chunks(letters: Iterable[Letter]) -> Iterator[list[Letter]]:
    chunk: list[Letter] = []
    size = 0
    for letter in letters:
        length = len(bytes(letter.row)) + len(letter.event or "")
        if chunk and (len(chunk) >= LETTERS_PER_BLOB or size + length > BYTES_PER_BLOB):
            yield chunk
            chunk, size = [], 0
        chunk.append(letter)
        size += length
    if chunk:
        yield chunk


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Letter)


def _encode(letters: Sequence[Letter]) -> bytes:
    header = {**stored_format.stamp(_KIND), "letters": len(letters)}
    return igzip.compress(_encoder.encode(header) + b"\n" + _encoder.encode_lines(letters), compresslevel=2)


def _decode(data: bytes, listed: DeadLetter | None) -> list[Letter]:
    """The letters of a blob; with `listed`, as many as its metadata say.

    Raises:
        UnreadableLettersError: it is of a newer format, damaged, or holds another number of letters than it says.
    """
    try:
        text = igzip.decompress(data)  # type: ignore[no-untyped-call] # isal ships no types
        first, _, rest = text.partition(b"\n")
        stated = _stated(first)
        letters = _decoder.decode_lines(text if stated is None else rest)
    except stored_format.KeptAsIs as kept:
        raise UnreadableLettersError(str(kept)) from kept
    except (msgspec.MsgspecError, UnicodeDecodeError, OSError, EOFError, isal_zlib.error) as error:  # type: ignore[misc] # typed as a variable, is a class
        # The text of a decoder's error may quote a letter, its type can't.
        raise UnreadableLettersError(f"it holds what this release can't read ({type(error).__name__})") from error
    expected = {stated, listed.letters if listed else None} - {None}
    if not letters or (expected and expected != {len(letters)}):
        said = " and ".join(str(number) for number in sorted(number for number in expected if number is not None))
        raise UnreadableLettersError(f"it holds {len(letters)} letters and says {said or 'nothing'}: restore it")
    if not all(letter.sound for letter in letters):
        raise UnreadableLettersError("a letter in it holds neither a row with its table nor an event")
    return letters


def _stated(first: bytes) -> int | None:
    """How many letters follow the first line; None where it is a letter itself, as before formats had a number.

    Raises:
        KeptAsIs: it names a newer format, or no number.
    """
    try:
        head = msgspec.json.decode(first)
    except msgspec.MsgspecError:
        return None
    if not isinstance(head, dict) or stored_format.FORMAT not in head:
        return None
    stored_format.admit(_KIND, head, _HEADER)
    number = head.get("letters")
    if not isinstance(number, int) or isinstance(number, bool):
        raise stored_format.KeptAsIs("its first line does not say how many letters follow: restore it")
    return number
