"""Commands in texts, held against what their tools' own references say of them.

`commands.json` has what those said of each command, and when and where that was read.
"""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tools.infra import ROOT

PUBLISHED: dict[str, Any] = json.loads((ROOT / "tests/unit/infra/commands.json").read_text())
TOOLS: dict[str, dict[str, Any]] = PUBLISHED["tools"]
_FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PLACEHOLDER = re.compile(r"<[^<>\n]+>")
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_ENDS = {"|", "||", "&&", ";", ")", "("}
VALUE, ANY = "VALUE", "ANYTHING"
"""What stands for a value that the reader puts in, and for whatever the running app does."""


class Command(NamedTuple):
    """A command as it was found: the tool, and the words after it."""

    tool: str
    words: tuple[str, ...]


def code(path: Path) -> Iterator[str]:
    """The pieces of a file in which commands may stand."""
    text = path.read_text()
    if path.suffix == ".md":
        blocks = _FENCED.findall(text)
        yield from blocks
        yield from _INLINE.findall(_FENCED.sub("", text))
    elif path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                yield from _INLINE.findall(spoken(node))
    else:
        yield re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def spoken(node: ast.Constant | ast.JoinedStr) -> str:
    """A string of the app, with what is put into it left open."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(one.value) if isinstance(one, ast.Constant) else ANY for one in node.values)


def commands(text: str) -> Iterator[Command]:
    """The commands in a piece of code, each with all that belongs to it."""
    joined = _PLACEHOLDER.sub(VALUE, re.sub(r"[\\`]\n\s*", " ", text)).replace('"$(', "$(").replace(')"', ")")
    for line in whole(joined.splitlines()):
        words = list(split(line))
        for at, word in enumerate(words):
            if word not in TOOLS or (at and words[at - 1].startswith("-") and words[at - 1] != "-n1"):
                continue
            end = next((index for index in range(at, len(words)) if words[index] in _ENDS), len(words))
            if end > at + 1:
                yield Command(word, tuple(words[at + 1 : end]))


def whole(lines: list[str]) -> Iterator[str]:
    """Lines, joined where a quotation goes on in the next."""
    held = ""
    for line in lines:
        held = f"{held} {line}" if held else line
        if held.count("'") % 2 == 0:
            yield held
            held = ""
    if held:
        yield held


def split(line: str) -> Iterator[str]:
    """The words of a line of shell, without its comment."""
    reader = shlex.shlex(line, posix=True, punctuation_chars="();|&")
    reader.whitespace_split = True
    try:
        yield from reader
    except ValueError:  # an apostrophe of prose, or a quotation of another language
        yield from re.split(r"\s+|(?=[();|&])", line)


def complaints(command: Command) -> list[str]:
    """What the tool's reference does not know of a command."""
    tool = TOOLS[command.tool]
    plain = []
    for word in command.words:
        if not _WORD.fullmatch(word):
            break
        plain.append(word)
    name = next(
        (" ".join(plain[:size]) for size in range(len(plain), 0, -1) if " ".join(plain[:size]) in tool["commands"]), ""
    )
    if not name or (command.tool == "az" and name != " ".join(plain)):
        return [f"{command.tool} {' '.join(plain)} is no command"]
    known = tool["commands"][name]
    given = list(flags(command.words))
    names = {flag: one for one in (*known["required"], *known["optional"], *tool["everywhere"]) for flag in one.split()}
    said = [f"{command.tool} {name} has no {flag}" for flag, _ in given if flag not in names]
    for flag, value in given:
        accepted = known["values"].get(names.get(flag, ""), ())
        if accepted and _WORD.fullmatch(value.lower()) and value.lower() not in {one.lower() for one in accepted}:
            said.append(f"{command.tool} {name} {flag} takes no {value}")
    if given and "..." not in command.words and ANY not in " ".join(command.words):
        present = {names.get(flag) for flag, _ in given}
        said += [f"{command.tool} {name} needs {one}" for one in known["required"] if one not in present]
    return said


def flags(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each flag with what follows it."""
    for at, word in enumerate(words):
        if re.fullmatch(r"--[a-z][\w-]*(=.*)?|-[a-zA-Z]", word):
            flag, _, value = word.partition("=")
            following = words[at + 1] if at + 1 < len(words) and not words[at + 1].startswith("-") else ""
            yield flag, value or following


def wrong(sentence: str) -> list[str]:
    """What the references do not know of the commands in a sentence."""
    return [one for piece in _INLINE.findall(sentence) for command in commands(piece) for one in complaints(command)]
