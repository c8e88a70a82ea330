"""Every page's links lead somewhere, every test that a page names exists, and no file knows where it was written."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTED = subprocess.run(
    ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git is used
    cwd=ROOT,
    check=True,
    capture_output=True,
    text=True,
).stdout.split("\0")
FILES = sorted(path for name in set(filter(None, LISTED)) if (path := ROOT / name).is_file())
PAGES = [path for path in FILES if path.suffix == ".md"]
SOURCES = [path for path in FILES if path.suffix in {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".bicep", ".mjs"}]

NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)(?:\[[^`]*\])?`")
LINK = re.compile(r"\[[^\]\[]*(?:\[[^\]]*\][^\]\[]*)*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
# A path or host of one machine; written in parts, or this file would name them itself.
ELSEWHERE = re.compile(
    "|".join(["/" + "work/", "/" + "home/[a-z]", "/" + "root/", "/" + "Users/[a-z]", r"pypi\." + "org"])
)


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the tests in a file: functions, and methods as Class::method."""

    def named(nodes: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                yield from named(node.body, f"{prefix}{node.name}::")
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                yield prefix + node.name
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute):  # Machine.TestCase
                yield from (prefix + target.id for target in node.targets if isinstance(target, ast.Name))

    return frozenset(named(ast.parse(path.read_text()).body, ""))


@cache
def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them: a repeated one is numbered."""
    found: dict[str, int] = {}
    names: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?)\s*#*$", FENCE.sub("", page.read_text()), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain).strip().lower().replace(" ", "-")
        names.add(f"{slug}-{found[slug]}" if slug in found else slug)
        found[slug] = found.get(slug, 0) + 1
    return frozenset(names)


def links(page: Path) -> list[str]:
    return LINK.findall(CODE.sub("", FENCE.sub("", page.read_text())))


def test_there_are_pages_and_they_name_tests_and_have_links() -> None:
    assert {"README.md", "docs/guarantees.md", "docs/security.md"} <= {relative(page) for page in PAGES}
    assert len(NAMED_TEST.findall((ROOT / "docs" / "guarantees.md").read_text())) > 20
    assert len(NAMED_TEST.findall((ROOT / "docs" / "security.md").read_text())) > 20
    assert sum(len(links(page)) for page in PAGES) > 20


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    named = NAMED_TEST.findall(text)
    assert len(named) == text.count(".py::"), "a test is named as `tests/path/test_x.py::test_name`"
    missing = [f"{file}::{name}" for file, name in named if not _exists(file, name)]
    assert missing == []


def test_each_guarantee_is_there_with_its_tests() -> None:
    text = (ROOT / "docs" / "guarantees.md").read_text()
    parts = re.split(r"^\*\*(?=G\d)", text, flags=re.MULTILINE)[1:]
    numbers = [int(part[1 : part.index(".")]) for part in parts]
    assert sorted(numbers) == list(range(1, 30))
    assert [number for number, part in zip(numbers, parts, strict=True) if not NAMED_TEST.search(part)] == []


def _exists(file: str, name: str) -> bool:
    path = ROOT / file
    return path.is_file() and any(test == name or test.startswith(f"{name}::") for test in names_in(path))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in links(page):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        known = linked.is_relative_to(ROOT) and linked.exists()
        if not known or (anchor and linked.suffix == ".md" and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


def test_no_file_names_a_machine_or_where_packages_came_from() -> None:
    found = [
        f"{relative(path)}:{number}: {line.strip()[:100]}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ELSEWHERE.search(line)
    ]
    assert found == []


def test_the_patterns_see_what_they_are_for() -> None:
    assert NAMED_TEST.findall("`tests/unit/test_x.py::TestY::test_z` (why)") == [
        ("tests/unit/test_x.py", "TestY::test_z")
    ]
    assert LINK.findall("[a](b.md#c) ![d [e]](f.png) [g](<h.md>)") == ["b.md#c", "f.png", "h.md"]
    assert ELSEWHERE.search("see /" + "home/me/x")
    assert not ELSEWHERE.search("/workbooks/work")
    assert "test_the_patterns_see_what_they_are_for" in names_in(Path(__file__))
    assert not _exists("tests/unit/test_docs_links.py", "test_that_nobody_wrote")
