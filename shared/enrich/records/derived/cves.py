"""What both readers of scanners' data know: how CVE ids look, which words say that there is a fix, what is a score."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from shared.enrich.records.tolerant_reader import convert

LONGEST_TEXT = 1_000_000
"""Characters of a text that is tried as JSON: no event is longer."""
LONGEST_ID = 1_000
"""Characters of a field that is looked through for CVE ids."""
MOST_ITEMS = 10_000
"""Entries that are looked at in one list of vulnerabilities."""
CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}", re.IGNORECASE)
FIXABLE = {
    "fixavailable": True,
    "patched": True,
    "nofix": False,
    "nofixavailable": False,
    "nofixedversion": False,
    "willnotfix": False,
    "notfixed": False,
}
_SHORT = 8
"""Characters of a score as it is usually written."""


@lru_cache(8192)
def cves_in(text: str) -> tuple[str, ...]:
    """The CVE ids in a short text, in upper case: the same ones come from resource after resource."""
    return tuple(cve.upper() for cve in CVE.findall(text[:LONGEST_ID]))


def score(value: Any) -> float | None:
    """A base score of CVSS, 0 to 10; None where it is none."""
    if type(value) is str and len(value) <= _SHORT:
        return _score_of(value)
    number = value if type(value) is float else convert(value, "real")
    return number if number is not None and 0 <= number <= 10 else None  # noqa: PLR2004 # the range of CVSS


@lru_cache(1024)
def _score_of(text: str) -> float | None:
    number = convert(text, "real")
    return number if number is not None and 0 <= number <= 10 else None  # noqa: PLR2004 # the range of CVSS
