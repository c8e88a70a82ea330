"""One Bicep file as data: what it declares, and every name it refers to.

pycep's own result no longer tells a quoted string from a symbol, so this reads pycep's parse tree instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lark import Token, Tree
from lark.exceptions import LarkError
from pycep import BicepParser

Node = Tree[Token]

_INTERPOLATION = re.compile(r"\$\{((?:[^{}']|'(?:[^'\\]|\\.)*')*)\}")
_MEMBERS = re.compile(r"(?:!?\.\??(\w+)|!?\[[^\[\]]*\])")


@dataclass(frozen=True)
class Reference:
    """A use of a symbol with the members read from it: `network.outputs.subnetId`."""

    symbol: str
    members: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Parameter:
    """A `param`; `default` is its source text, None when the caller must give a value."""

    name: str
    type: str
    default: str | None
    decorators: dict[str, str]
    line: int

    @property
    def allowed(self) -> tuple[str, ...]:
        """The values that `@allowed` names; empty when any value is taken."""
        return tuple(re.findall(r"'([^']*)'", self.decorators.get("allowed", "")))


@dataclass(frozen=True)
class Output:
    """An `output`."""

    name: str
    type: str
    decorators: dict[str, str]
    line: int


@dataclass(frozen=True)
class Resource:
    """A `resource`, existing or deployed, with the source text of its body's top-level properties."""

    symbol: str
    type: str
    api_version: str
    existing: bool
    body: dict[str, str]
    line: int


@dataclass(frozen=True)
class Module:
    """A `module` with the source text of its parameters."""

    symbol: str
    path: str
    parameters: dict[str, str]
    body: dict[str, str]
    line: int


@dataclass
class Document:
    """A parsed file."""

    path: Path
    source: str
    scope: str = "resourceGroup"
    parameters: dict[str, Parameter] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    modules: dict[str, Module] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    functions: list[tuple[str, int]] = field(default_factory=list)
    loaded_files: list[tuple[str, int]] = field(default_factory=list)
    duplicates: list[tuple[str, int]] = field(default_factory=list)

    @property
    def symbols(self) -> set[str]:
        """Every symbol that expressions of this file may use."""
        return {*self.parameters, *self.variables, *self.resources, *self.modules}


class BicepSyntaxError(ValueError):
    """The file can't be parsed; the message says where."""


@cache
def _parser() -> BicepParser:
    return BicepParser(cache=False)  # a cache would be left behind in the temporary folder


def parse(path: Path) -> Document:
    """Parse one file.

    Raises:
        BicepSyntaxError: the file isn't Bicep that pycep reads.
    """
    source = path.read_text()
    document = Document(path, source)
    for element in _tree(source, path).children:
        if isinstance(element, Tree):
            _declare(document, element)
            _refer(document, element, source, first_line=1)
    return document


def _tree(source: str, path: Path) -> Node:
    try:
        return _parser()._create_tree(text=source, file_path=None)  # noqa: SLF001 - the public method returns text
    except (LarkError, ValueError) as error:
        message = str(error).split("\n", maxsplit=1)[0]
        raise BicepSyntaxError(f"{path.name}: {message}") from error


def _declare(document: Document, element: Node) -> None:
    parts = element.children
    line = element.meta.line
    kind = element.data
    if kind == "scope":
        document.scope = _unquote(str(parts[0]))
        return
    decorators = _decorators(parts[0], document.source)
    symbol = str(parts[1])
    if kind == "output":
        document.outputs[symbol] = Output(symbol, _text(parts[2], document.source), decorators, line)
        return
    if symbol in document.symbols:
        document.duplicates.append((symbol, line))
    if kind == "param":
        default = None if parts[3] is None else _text(parts[3], document.source)
        document.parameters[symbol] = Parameter(symbol, _text(parts[2], document.source), default, decorators, line)
    elif kind == "var":
        document.variables[symbol] = _text(parts[-1], document.source)
    elif kind == "resource":
        type_, _, version = _unquote(_text(parts[2], document.source)).partition("@")
        body = _pairs(_object(parts[-1]), document.source)
        document.resources[symbol] = Resource(symbol, type_, version, parts[3] is not None, body, line)
    elif kind == "module":
        config = _object(parts[-1])
        given = next((pair.children[-1] for pair in _pair_nodes(config) if _key(pair) == "params"), None)
        body = _pairs(config, document.source)
        path = _unquote(_text(parts[2], document.source))
        document.modules[symbol] = Module(symbol, path, _pairs(given, document.source), body, line)


def _decorators(node: Any, source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for decorator in node.children if isinstance(node, Tree) else ():
        name, *argument = decorator.children
        argument = [part for part in argument if isinstance(part, Tree)]
        found[str(name)] = _text(argument[0], source) if argument else ""
    return found


def _object(node: Any) -> Node | None:
    """The object inside a loop or a deployment condition, or the node itself."""
    while isinstance(node, Tree) and node.data in {"loop", "deploy_condition"}:
        node = node.children[-1] if isinstance(node.children[-1], Tree) else node.children[-2]
    return node if isinstance(node, Tree) and node.data == "object" else None


def _pair_nodes(node: Node | None) -> Iterator[Node]:
    for child in node.children if node is not None else ():
        if isinstance(child, Tree) and child.data == "pair":
            yield child


def _key(pair: Node) -> str:
    key = pair.children[0]
    assert isinstance(key, Tree)  # noqa: S101 - the grammar says so
    return _unquote(str(key.children[0]))


def _pairs(node: Any, source: str) -> dict[str, str]:
    return {_key(pair): _text(pair.children[-1], source) for pair in _pair_nodes(_object(node))}


def object_pairs(text: str) -> dict[str, str]:
    """The keys of an object literal, each with the source text of its value."""
    source = f"var x = {text}\n"
    element = next(child for child in _tree(source, Path("expression")).children if isinstance(child, Tree))
    return _pairs(element.children[-1], source)


def object_keys(text: str) -> set[str]:
    """Every key written in any object literal of an expression, at any depth."""
    tree = _tree(f"var x = {text}\n", Path("expression"))
    return {_key(pair) for pair in tree.find_data("pair")}


def _refer(document: Document, node: Node, source: str, first_line: int) -> None:
    """Collect symbols used, functions called and files loaded below `node`, leaving out a loop's own variables."""
    local = {str(token) for loop in _loops(node) for token in loop}
    for found in node.iter_subtrees():
        line = first_line + found.meta.line - 1 if not found.meta.empty else first_line
        if found.data == "string":
            token = found.children[0]
            assert isinstance(token, Token)  # noqa: S101 - the grammar says so
            if token.startswith("'"):
                _refer_inside(document, str(token), line, local)
            elif not _is_member(source, token) and str(token) not in local:
                assert token.end_pos is not None  # noqa: S101 - the lexer sets it
                document.references.append(Reference(str(token), _members(source, token.end_pos), line))
        elif found.data == "function":
            name = str(found.children[0]).rstrip("(").split(".")[-1]
            document.functions.append((name, line))
            if name in {"loadJsonContent", "loadTextContent"}:
                document.loaded_files.append((_unquote(_text(found.children[1], source)), line))


def _refer_inside(document: Document, quoted: str, line: int, local: set[str]) -> None:
    for match in _INTERPOLATION.finditer(quoted):
        source = f"var x = {match.group(1)}\n"
        inner = Document(document.path, source)
        for element in _tree(source, document.path).children:
            if isinstance(element, Tree):
                _refer(inner, element, source, line)
        document.references += [reference for reference in inner.references if reference.symbol not in local]
        document.functions += inner.functions


def _loops(node: Node) -> Iterator[list[Any]]:
    for kind in ("loop_array", "loop_array_index", "loop_object"):
        for loop in node.find_data(kind):
            yield [token for token in loop.children if isinstance(token, Token)]


def _is_member(source: str, token: Token) -> bool:
    assert token.start_pos is not None  # noqa: S101 - the lexer sets it
    before = source[: token.start_pos].rstrip(" ?")
    return before.endswith((".", "::"))


def _members(source: str, position: int) -> tuple[str, ...]:
    members: list[str] = []
    while match := _MEMBERS.match(source, position):
        if match.group(1):
            members.append(match.group(1))
        position = match.end()
    return tuple(members)


def _text(node: Any, source: str) -> str:
    if isinstance(node, Tree):
        return source[node.meta.start_pos : node.meta.end_pos] if not node.meta.empty else ""
    return str(node)


def _unquote(text: str) -> str:
    return text.strip().removeprefix("'").removesuffix("'")
