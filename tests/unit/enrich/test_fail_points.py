"""The registry of fail points is complete: every touch of the outside world is announced, and each point is one."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import shared
import shared.enrich
import shared.fail_points
from shared.azure import blob_container
from shared.fail_points import POINTS, listen, touching

FILES = [
    *Path(shared.enrich.__file__).parent.rglob("*.py"),
    Path(shared.fail_points.__file__),
    Path(blob_container.__file__),
]
MODULES = {path.stem: ast.parse(path.read_text()) for path in FILES if path.stem != "__init__"}
EVERYWHERE = [ast.parse(path.read_text()) for path in Path(shared.__path__[0]).rglob("*.py")]
EDGES = ("blob_container", "output_hub", "logs_ingestion", "accepted_routes")


def points(tree: ast.AST) -> Iterator[tuple[str, ast.With]]:
    """Each `with touching("...")`."""
    for node in ast.walk(tree):
        for call in [item.context_expr for item in node.items] if isinstance(node, ast.With) else ():
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "touching":
                (argument,) = call.args
                assert isinstance(argument, ast.Constant)
                assert isinstance(node, ast.With)
                yield str(argument.value), node


def foreign_waits(tree: ast.AST) -> Iterator[ast.AST]:
    """Each wait for something that is neither this object's own method nor asyncio's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFor):
            yield node
        if isinstance(node, ast.Await):
            yield from [node] if not own(node.value) else []
        if isinstance(node, ast.AsyncWith):
            yield from [node] if not all(own(item.context_expr) for item in node.items) else []


def own(call: ast.expr) -> bool:
    return (
        isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in {"self", "asyncio"}
    )


def handed_in(call: ast.expr) -> bool:
    """Whether a call leaves this package through what it was given: the look-ups of context, and freshness."""
    return isinstance(call, ast.Call) and ast.unparse(call.func) in {"context.enrich", "self._observer"}


def names_clients(tree: ast.AST) -> bool:
    """Whether a module uses SDK clients: it reads an attribute of `clients` or imports an SDK."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "_clients":
            return True
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("azure."):
            return True
    return False


def test_only_the_edges_touch_the_outside_world() -> None:
    users = {name for name, tree in MODULES.items() if names_clients(tree)}
    assert users - {"telemetry", "trigger_decoding"} == set(EDGES)  # an exporter and the programming model: no waits


@pytest.mark.parametrize("module", EDGES)
def test_every_wait_for_the_outside_world_is_a_fail_point(module: str) -> None:
    tree = MODULES[module]
    announced = {id(inner) for _, block in points(tree) for inner in ast.walk(block)}
    silent = [ast.unparse(node) for node in foreign_waits(tree) if id(node) not in announced]
    assert silent == []
    assert any(foreign_waits(tree))


@pytest.mark.parametrize("module", ["freshness_notes", "preparation"])
def test_what_is_handed_in_is_called_at_a_fail_point(module: str) -> None:
    announced = {id(inner) for _, block in points(MODULES[module]) for inner in ast.walk(block)}
    calls = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.Await) and handed_in(node.value)]
    assert len(calls) == 1
    assert id(calls[0]) in announced


def test_the_registry_names_each_point_once_and_no_other() -> None:
    used = Counter(name for tree in EVERYWHERE for name, _ in points(tree))
    assert used == dict.fromkeys(POINTS, 1)


def test_each_touch_is_announced_before_and_after_and_not_after_a_failure() -> None:
    heard: list[str] = []
    listen(heard.append)
    try:
        with touching("blob.put"):
            heard.append("put")
        with pytest.raises(OSError, match="down"), touching("blob.get"):
            raise OSError("down")
    finally:
        listen(None)
    assert heard == ["blob.put:before", "put", "blob.put:after", "blob.get:before"]


def test_nothing_but_a_call_can_arm_it() -> None:
    imported = {node.module for node in ast.walk(MODULES["fail_points"]) if isinstance(node, ast.ImportFrom)}
    assert imported == {"__future__", "collections.abc", "contextlib"}  # no way to read the environment or a file
    assert not [name for name, tree in MODULES.items() if name != "fail_points" and "listen(" in ast.unparse(tree)]
