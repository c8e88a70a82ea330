"""Values of one record replaced by invented ones of the same type and format.

A date becomes another date written alike, a GUID another GUID, a number another of as many digits, an id or address
one with the same public parts; every other text becomes `text 1`, every other name `name-1`.  Equal values, in any
casing, become equal ones and different ones stay different, so that what refers to each other still does.  A text that
is JSON is replaced inside.  Words of `public_words` stay.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from ipaddress import ip_address
from itertools import islice
from typing import Any

from shared.enrich.records.derived.attack_paths import TECHNIQUE
from shared.enrich.records.derived.cves import CVE, LONGEST_TEXT, score
from shared.enrich.records.json_values import encoded
from shared.enrich.records.tolerant_reader import DEEPEST, UnreadableError, convert, load, moment
from shared.enrich.shapes.public_words import NAMES, WORDS

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:(?P<joint>[Tt ])\d{2}:\d{2}(?P<seconds>:\d{2}(?:(?P<point>\.)(?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>[Zz]|[+-]\d{2}:?\d{2})?)?",
    re.ASCII,
)
_FIRST_OR_LAST = re.compile(
    r"(?:0001-01-01T00:00:00(?:\.0+)?|9999-12-31T23:59:59(?:\.9+)?)(?:Z|[+-]\d{2}:\d{2})?", re.ASCII
)
"""The first and last moment of .NET, which stand for no time at all."""
_PLACE = re.compile(r"(?:/subscriptions/|subscriptionId/)" + _GUID.pattern, re.IGNORECASE)
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}", re.IGNORECASE)
_PATH_JOINTS = re.compile(r"([/:#?=&@]+)")
_TEXT_JOINTS = re.compile(r"([;:,\n]+)")
_SPACE = re.compile(r"\s")
_CLOUD_PREFIX = re.compile(r"(?:aws|gcp)[-.]")
_OF_GOOGLE = ".googleapis.com"
MOST_PARTS = 50
"""Parts of a text that are looked at one by one; what follows counts as one."""
MOST_ELEMENTS = 1_000
"""Elements of a list that are looked at; what follows is left out."""
_MOST_TRIES = 40
_NUMBER_TYPES = ("int", "long", "real")
_DEEPEST_TEXT = 8
"""JSON in a text in a text, so many times."""


class Invention:
    """The replacements of one record.

    Args:
        names: names of members that stay beside the public ones, in lower case.

    `withheld` are the names of members that were replaced.
    """

    def __init__(self, names: frozenset[str] = frozenset()) -> None:
        self.withheld: set[str] = set()
        self._names = NAMES | names
        self._places: dict[tuple[str, str], int] = {}
        self._counts: Counter[str] = Counter()
        self._numbers: dict[Decimal, Decimal] = {}
        self._taken: set[Decimal] = set()
        self._level = 0
        self._texts = 0

    def value(self, value: Any) -> Any:
        """A parsed JSON value, replaced throughout."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict | list):
            if self._level >= DEEPEST:
                return type(value)()  # only what a text holds can lie so deep
            self._level += 1
            if isinstance(value, dict):
                invented: Any = self._object(value)
            else:
                invented = [self.value(item) for item in value[:MOST_ELEMENTS]]
            self._level -= 1
            return invented
        if value is None or isinstance(value, bool):
            return value
        return self._number(value)

    def text(self, text: str) -> str:
        """A text, replaced by one of the same format."""
        if not text or text.isspace():
            return text and " "
        if text.lower() in WORDS:
            return text
        return self._format(text)(text)

    def _object(self, members: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in members.items():
            shown = self._member(name)
            while shown in found:
                shown = f"{shown}-{len(found)}"
            found[shown] = self.value(value)
        return found

    def _member(self, name: str) -> str:
        if name.lower() in self._names:
            return name
        self.withheld.add(name)
        return self.text(name)

    def _format(self, text: str) -> Callable[[str], str]:
        """What replaces a text of this format."""
        if self._texts < _DEEPEST_TEXT and _json(text) is not None:
            return self._json
        if _GUID.fullmatch(text.strip("{}")):
            return self._guid
        if moment(text) is not None or _FIRST_OR_LAST.fullmatch(text):
            return self._date
        if any(convert(text, kind) is not None for kind in _NUMBER_TYPES):  # type: ignore[arg-type] # three of them
            return self._number_text
        if CVE.fullmatch(text) or TECHNIQUE.fullmatch(text):
            return self._embedded
        if (address := _address(text)) is not None:
            return self._address_4 if address == 4 else self._address_6  # noqa: PLR2004 - versions of IP
        if _HASH.fullmatch(text):
            return self._hash
        if not _SPACE.search(text) and ("/" in text or text.startswith("arn:")):
            return self._path
        if _SPACE.search(text) or _TEXT_JOINTS.search(text):
            return self._sentence
        return self._name

    def _json(self, text: str) -> str:
        self._texts += 1
        invented = encoded(self.value(_json(text))).decode()
        self._texts -= 1
        return invented

    def _place(self, kind: str, text: str) -> int:
        """Which of its kind a text is in this record, from 1 on."""
        key = kind, text.lower()
        if key not in self._places:
            self._counts[kind] += 1
            self._places[key] = self._counts[kind]
        return self._places[key]

    def _guid(self, text: str) -> str:
        bare = text.strip("{}")
        invented = f"00000000-0000-4000-8000-{self._place('guid', bare):012x}"
        cased = invented.upper() if bare.isupper() else invented
        return f"{{{cased}}}" if text != bare else cased

    def _date(self, text: str) -> str:
        if _FIRST_OR_LAST.fullmatch(text):
            return text
        place = self._place("date", text)
        found = _DATE.fullmatch(text)
        day, minute = place // 1440 % 28 + 1, place % 1440
        written = f"2026-01-{day:02}"
        if found and not found["joint"]:
            return f"2026-{place // 28 % 12 + 1:02}-{place % 28 + 1:02}"
        time = f"{minute // 60:02}:{minute % 60:02}"
        if found is None:
            return f"{written}T{time}:05Z"
        fraction = f".{'123456789'[: len(found['fraction'])]}" if found["point"] else ""
        seconds = f":05{fraction}" if found["seconds"] else ""
        return f"{written}{found['joint']}{time}{seconds}{found['zone'] or ''}"

    def _number(self, value: float) -> float:
        invented = self._invented_number(Decimal(str(value)), value, type(value))
        return type(value)(invented)

    def _number_text(self, text: str) -> str:
        exact = Decimal(text.strip())
        exponent = exact.as_tuple().exponent
        places = -exponent if isinstance(exponent, int) and exponent < 0 else 0

        def written(number: Decimal) -> str:
            own = number.as_tuple().exponent
            return f"{number:.{max(places, -own if isinstance(own, int) else 0)}f}"

        return written(self._invented_number(exact, text, written))

    def _invented_number(self, exact: Decimal, value: float | str, write: Callable[[Decimal], Any]) -> Decimal:
        """A number that columns take or refuse as they do this one; the same for the same number."""
        if exact == 0:
            return Decimal(0)
        if exact not in self._numbers:
            wanted = _taken_by(value)
            form = f"{exact.adjusted()} {exact < 0} {exact == exact.to_integral_value()}"
            candidates = islice(_like(exact, self._counts[form]), _MOST_TRIES)
            fitting = (one for one in candidates if one not in self._taken and _taken_by(write(one)) == wanted)
            self._numbers[exact] = next(fitting, Decimal(1))
            self._taken.add(self._numbers[exact])
            self._counts[form] += 1
        return self._numbers[exact]

    def _embedded(self, text: str) -> str:
        """What other columns are worked out from, wherever it stands: ids of CVEs, techniques and subscriptions."""
        found = [f"{cve[:3]}-2000-{self._place('cve', cve):04}" for cve in CVE.findall(text)]
        for technique in TECHNIQUE.findall(encoded(text).decode()):
            main = f"T{1000 + self._place('technique', technique[:5])}"
            found.append(f"{main}.{self._place('part', technique):03}" if "." in technique else main)
        for place in _PLACE.findall(text):
            head, _, guid = place.rpartition("/")
            found.append(f"{head}/{self._guid(guid)}")
        return " ".join(found)

    def _address_4(self, text: str) -> str:
        place = self._place("address", text)
        return f"192.0.{place // 250 % 250}.{place % 250 + 1}"

    def _address_6(self, text: str) -> str:
        return f"2001:db8::{self._place('address', text):x}"

    def _hash(self, text: str) -> str:
        invented = f"f{self._place('hash', text):0{len(text) - 1}x}"  # with a letter, or it would be a number
        return invented.upper() if text.isupper() else invented

    def _path(self, text: str) -> str:
        """An id or address: its joints stay, its parts are replaced one by one."""
        return "".join(part if place % 2 else self.text(part) for place, part in enumerate(_PATH_JOINTS.split(text)))

    def _sentence(self, text: str) -> str:
        """Words in a row; lists of public words stay lists of those."""
        parts = _TEXT_JOINTS.split(text, maxsplit=MOST_PARTS)
        return "".join(joint if place % 2 else self._phrase(joint) for place, joint in enumerate(parts))

    def _phrase(self, text: str) -> str:
        bare = text.strip()
        if not bare or bare.lower() in WORDS:
            return text if len(text) - len(bare) < 2 else bare  # noqa: PLR2004 - one space
        embedded = self._embedded(bare)
        lead = " " if text[:1].isspace() else ""
        return f"{lead}text {self._place('text', bare)}{embedded and ' '}{embedded}"

    def _name(self, text: str) -> str:
        lowered = text.lower()
        prefix = found[0] if (found := _CLOUD_PREFIX.match(lowered)) else ""
        suffix = _OF_GOOGLE if lowered.endswith(_OF_GOOGLE) else ""
        invented = f"name-{self._place('name', text)}"
        cased = invented.upper() if text.isupper() else invented if text.islower() else invented.capitalize()
        embedded = self._embedded(text)
        return f"{text[: len(prefix)]}{cased}{suffix}{embedded and '-'}{embedded.replace(' ', '-')}"


def _json(text: str) -> Any:
    """The object or list that a text holds; None for any other."""
    if len(text) > LONGEST_TEXT or text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return load(text.encode())
    except (UnreadableError, UnicodeEncodeError):
        return None


def _address(text: str) -> int | None:
    """The version of an IP address; None where the text is none."""
    if "." not in text and ":" not in text:
        return None
    try:
        return ip_address(text).version
    except ValueError:
        return None


def _taken_by(value: Any) -> tuple[bool, ...]:
    """Which types of column take a number, and whether it can be a score of CVSS."""
    kinds = (convert(value, kind) is not None for kind in _NUMBER_TYPES)  # type: ignore[arg-type] # three of them
    return (*kinds, score(value) is not None)


def _like(exact: Decimal, begun: int) -> Iterator[Decimal]:
    """Numbers with as many digits before the point, of the same sign, whole where this one is."""
    sign = -1 if exact < 0 else 1
    whole = exact == exact.to_integral_value()
    digits = max(exact.adjusted(), 0)
    place = begun
    while True:
        for least in (10**digits, 95 * 10 ** (digits - 1)) if digits else (1,):
            number = Decimal(least + place) if whole else least + place + Decimal("0.5")
            yield sign * (number if whole or exact.adjusted() >= 0 else Decimal("0.5") + Decimal(place) / 1000)
        place += 1
