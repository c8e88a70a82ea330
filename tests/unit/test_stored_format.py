"""The one rule on formats, and the page that lists every stored thing."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from shared import __version__
from shared.stored_format import FORMATS, KeptAsIs, admit, read_object, stamp, stamp_texts

PAGE = Path(__file__).parents[2] / "docs" / "stored-formats.md"


@pytest.mark.parametrize("kind", FORMATS)
def test_what_this_release_or_one_before_formats_wrote_is_read(kind: str) -> None:
    assert admit(kind, stamp(kind)) == FORMATS[kind].number
    assert admit(kind, stamp_texts(kind)) == FORMATS[kind].number
    assert admit(kind, {}) == 0
    assert stamp(kind)["release"] == __version__


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("number", [99, "99", -1, "-1", 1.5, True, None, "one", "", [], {}, "9" * 30, "\u0661"])
def test_another_format_is_kept(kind: str, number: Any) -> None:
    with pytest.raises(KeptAsIs):
        admit(kind, {"format": number})


def test_it_says_which_release_reads_it() -> None:
    with pytest.raises(KeptAsIs, match=r"format 7, this release reads up to 1: run release 4\.2\.0"):
        admit("job", {"format": 7, "release": "4.2.0"})


@pytest.mark.parametrize("kind", FORMATS)
def test_an_unknown_member_counts_as_newer_where_something_follows_from_it(kind: str) -> None:
    document = {**stamp(kind), "known": 1, "colour": "red"}
    if FORMATS[kind].strict:
        with pytest.raises(KeptAsIs, match="colour"):
            admit(kind, document, {"known"})
    else:
        admit(kind, document, {"known"})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"5", b'"x"', b"\xff", b"[" * 5000, b"{}x"])
def test_what_is_no_object_is_kept(data: bytes) -> None:
    with pytest.raises(KeptAsIs):
        read_object("run report", data)


def test_whatever_is_cut_is_read_or_kept() -> None:
    text = json.dumps({**stamp("tombstone"), "name": "a"})
    for seed in range(200):
        cut = text[: random.Random(seed).randrange(len(text))]
        with pytest.raises(KeptAsIs):
            read_object("tombstone", cut, {"name"})


def test_the_page_lists_every_kind_with_its_format_and_strictness() -> None:
    rows = dict[str, tuple[str, str]]()
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == 5:
            rows[cells[0]] = (cells[2], cells[3])
    for kind, known in FORMATS.items():
        assert rows[kind] == (str(known.number), "yes" if known.strict else "no"), kind


def test_no_module_writes_a_format_of_its_own() -> None:
    shared = Path(__file__).parents[2] / "shared"
    named = {
        kind
        for path in shared.rglob("*.py")
        if path.name != "stored_format.py"
        for kind in FORMATS
        if re.search(rf"[\"']{re.escape(kind)}[\"']", path.read_text())
    }
    assert set(FORMATS) - named <= {"whole record"}
