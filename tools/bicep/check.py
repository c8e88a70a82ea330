"""What a compiler would refuse: unknown symbols, functions, modules, parameters, outputs and files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tools.bicep.document import BicepSyntaxError, Document, Output, Parameter, parse

# The functions of the Bicep language that these templates use (Bicep functions reference).
_FUNCTIONS = frozenset(
    {
        "any",
        "array",
        "bool",
        "concat",
        "contains",
        "deployment",
        "empty",
        "endsWith",
        "environment",
        "extensionResourceId",
        "first",
        "format",
        "guid",
        "int",
        "intersection",
        "join",
        "last",
        "length",
        "listKeys",
        "loadJsonContent",
        "loadTextContent",
        "managementGroup",
        "managementGroupResourceId",
        "max",
        "min",
        "newGuid",
        "padLeft",
        "range",
        "replace",
        "resourceGroup",
        "resourceId",
        "skip",
        "split",
        "startsWith",
        "string",
        "subscription",
        "subscriptionResourceId",
        "substring",
        "take",
        "tenant",
        "tenantResourceId",
        "toLower",
        "toUpper",
        "trim",
        "union",
        "uniqueString",
        "uri",
        "utcNow",
    }
)
_NAMESPACES = frozenset({"az", "sys"})
_PRIMITIVES = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}


class Finding(NamedTuple):
    """Something that does not resolve, and where."""

    file: str
    line: int
    message: str


def check_folder(folder: Path) -> list[Finding]:
    """Parse every Bicep file below `folder` and resolve all that each refers to."""
    documents: dict[Path, Document] = {}
    findings: list[Finding] = []
    for path in sorted(folder.rglob("*.bicep")):
        try:
            documents[path.resolve()] = parse(path)
        except BicepSyntaxError as error:
            findings.append(Finding(path.name, 1, str(error)))
    for document in documents.values():
        findings += [
            Finding(str(document.path.relative_to(folder)), line, message)
            for line, message in _check(document, documents)
        ]
    return findings


def _check(document: Document, documents: Mapping[Path, Document]) -> Iterator[tuple[int, str]]:
    yield from ((line, f"{symbol!r} is declared twice") for symbol, line in document.duplicates)
    yield from _check_symbols(document)
    yield from _check_functions(document)
    yield from _check_descriptions(document)
    for symbol in document.modules:
        yield from _check_module(document, symbol, documents)


def _check_symbols(document: Document) -> Iterator[tuple[int, str]]:
    known = document.symbols | _NAMESPACES
    used = {reference.symbol for reference in document.references}
    for reference in document.references:
        if reference.symbol not in known:
            yield reference.line, f"{reference.symbol!r} is not declared"
    for parameter in document.parameters.values():
        if parameter.name not in used:
            yield parameter.line, f"parameter {parameter.name!r} is never used"
    for variable in document.variables:
        if variable not in used:
            yield 1, f"variable {variable!r} is never used"
    for resource in document.resources.values():
        if resource.existing and resource.symbol not in used:
            yield resource.line, f"existing resource {resource.symbol!r} is never used"


def _check_functions(document: Document) -> Iterator[tuple[int, str]]:
    for name, line in document.functions:
        if name not in _FUNCTIONS:
            yield line, f"{name}() is not a function that these templates know"
    for name, line in document.loaded_files:
        if not (document.path.parent / name).is_file():
            yield line, f"file {name!r} does not exist"
    yield from _check_loaded_members(document)


def _check_loaded_members(document: Document) -> Iterator[tuple[int, str]]:
    """A variable bound to a JSON file may only be asked for keys that the file has."""
    for variable, text in document.variables.items():
        bound = re.fullmatch(r"loadJsonContent\('([^']+)'\)", text.strip())
        path = document.path.parent / bound.group(1) if bound else None
        if path is None or not path.is_file():
            continue
        content = json.loads(path.read_text())
        for reference in document.references:
            missing = _missing_member(content, reference.members) if reference.symbol == variable else None
            if missing:
                yield reference.line, f"{path.name} has no {missing!r}"


def _missing_member(content: Any, members: tuple[str, ...]) -> str | None:
    for member in members:
        if not isinstance(content, dict) or member not in content:
            return member
        content = content[member]
    return None


def _check_descriptions(document: Document) -> Iterator[tuple[int, str]]:
    declarations: tuple[Parameter | Output, ...] = (*document.parameters.values(), *document.outputs.values())
    for declared in declarations:
        if not declared.decorators.get("description", "").strip("' "):
            yield declared.line, f"{declared.name!r} has no description"


def _check_module(document: Document, symbol: str, documents: Mapping[Path, Document]) -> Iterator[tuple[int, str]]:
    module = document.modules[symbol]
    target = documents.get((document.path.parent / module.path).resolve())
    if target is None:
        yield module.line, f"module {module.path!r} does not exist, or can't be parsed"
        return
    for name in module.parameters:
        if name not in target.parameters:
            yield module.line, f"module {module.path!r} has no parameter {name!r}"
    for parameter in target.parameters.values():
        if parameter.default is None and not parameter.type.endswith("?") and parameter.name not in module.parameters:
            yield module.line, f"module {module.path!r} needs parameter {parameter.name!r}"
    if target.scope != document.scope and "scope" not in module.body:
        yield module.line, f"module {module.path!r} deploys to a {target.scope}, so it needs a scope"
    yield from _check_outputs(document, symbol, target)


def _check_outputs(document: Document, symbol: str, target: Document) -> Iterator[tuple[int, str]]:
    for reference in document.references:
        if reference.symbol == symbol and reference.members[:1] == ("outputs",):
            for output in reference.members[1:2]:
                if output not in target.outputs:
                    yield reference.line, f"module {document.modules[symbol].path!r} has no output {output!r}"


def check_parameter_file(path: Path, template: Path) -> list[Finding]:
    """Whether a JSON parameter file gives a template what it needs, in the types and values that it takes.

    Values of the form `${NAME}` and `${NAME=default}` are filled in from the environment by azd and are not typed.
    """
    document = parse(template)
    given: dict[str, Any] = json.loads(path.read_text())["parameters"]
    messages = [f"{template.name} has no parameter {name!r}" for name in given if name not in document.parameters]
    for parameter in document.parameters.values():
        if parameter.name not in given:
            if parameter.default is None:
                messages.append(f"{parameter.name!r} is missing")
            continue
        value = given[parameter.name]["value"]
        if isinstance(value, str) and value.startswith("${"):
            continue
        wanted = _PRIMITIVES.get(parameter.type)
        if wanted is not None and type(value) is not wanted:
            messages.append(f"{parameter.name!r} must be of type {parameter.type}")
        elif parameter.allowed and value not in parameter.allowed:
            messages.append(f"{parameter.name!r} must be one of {', '.join(parameter.allowed)}")
    return [Finding(path.name, 1, message) for message in messages]
