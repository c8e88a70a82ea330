"""Tokens of a query, and the refusal of one that can't be read."""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<number>\d+(\.\d+)?)
    |(?P<string>@?'(?:[^'\\]|\\.)*'|@?"(?:[^"\\]|\\.)*")
    |(?P<word>\$?[A-Za-z_][A-Za-z0-9_]*~?)
    |(?P<sign>!~|=~|==|!=|<=|>=|!in~|!in\b|!has_cs\b|!has\b|!contains\b|!startswith\b|!endswith\b|[|(),.\[\]=<>+\-*/])
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class QueryError(Exception):
    """A query that is wrong, or beyond what is emulated; `position` counts characters from 0."""

    def __init__(self, message: str, position: int = 0, token: str = "") -> None:
        super().__init__(message)
        self.position = position
        self.token = token


class Token(NamedTuple):
    """One token: its kind (number, string, word, sign, end), its text (a string's value) and where it starts."""

    kind: str
    text: str
    position: int


def tokens(query: str) -> list[Token]:
    """The tokens of a query, an `end` token last."""
    found: list[Token] = []
    position = 0
    while position < len(query):
        match = _TOKEN.match(query, position)
        if not match or not match.lastgroup:
            raise QueryError(f"unexpected character '{query[position]}'", position, query[position])
        kind = match.lastgroup if match.lastgroup in {"space", "number", "string", "word", "sign"} else "number"
        if kind == "string":
            found.append(Token(kind, _unquoted(match[0]), position))
        elif kind != "space":
            found.append(Token(kind, match[0], position))
        position = match.end()
    found.append(Token("end", "", len(query)))
    return found


def _unquoted(literal: str) -> str:
    if literal.startswith("@"):
        return literal[2:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), literal[1:-1])
