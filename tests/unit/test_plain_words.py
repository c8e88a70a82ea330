"""Docstrings and comments of app and tools are plain technical English: figures of speech that were struck stay out."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("shared", "local", "tools", "benchmarks")
STRUCK = re.compile(
    r"\b(?:honest(?:ly)?|o'clock|hears?|heard of|stumbles?|in vain|spoilt|without a word|for good|said dead|say it dead"
    r"|heart beating|(?:some|no)body|someone|whoever|everyone|hangs? on|lets? us in|under one roof"
    r"|while there is hope|page to write on|told of|told by|patient reader|speaks? of|lives? side by side|in no time"
    r"|by the way|keeps? an eye|wakes? up|falls? asleep|knows? better|last resort|second chance"
    r"|behind \w+(?:'s)? back|stumbl\w+|everybody|goes? round|signs? of life|outside world|on the word of|wall between"
    r"|lives? on|lifelike|in life|pays? for|saved up|out of the blue)\b",
    re.IGNORECASE,
)


def texts(path: Path) -> Iterator[str]:
    source = path.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield ast.get_docstring(node) or ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_no_figure_of_speech_that_was_struck_is_back() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r} in {text.strip().splitlines()[0][:80]!r}"
        for path in [
            *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))),
            ROOT / "function_app.py",
        ]
        for text in texts(path)
        if (match := STRUCK.search(" ".join(text.split())))
    ]
    assert found == []
