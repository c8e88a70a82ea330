"""One Node process binds any number of KQL texts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("bind.cjs")


@dataclass(frozen=True)
class Function:
    """A saved function: name, parameter list as KQL writes it (`minimum: real = 0.01`), and body."""

    name: str
    parameters: str
    body: str


@dataclass(frozen=True)
class Database:
    """What KQL texts may refer to: table name to column name to KQL type, and functions."""

    tables: Mapping[str, Mapping[str, str]]
    functions: tuple[Function, ...] = ()


class Text(NamedTuple):
    """One KQL text, the name to report it under, and the database that it is asked of."""

    id: str
    database: str
    text: str


class Diagnostic(NamedTuple):
    """What the language service says of a text."""

    id: str
    severity: str
    code: str
    line: int
    column: int
    message: str


def bind(databases: Mapping[str, Database], texts: Iterable[Text]) -> list[Diagnostic]:
    """Every error that Microsoft's language service finds in `texts` and in the databases' functions.

    Raises:
        subprocess.CalledProcessError: Node failed; its message is on standard error.
    """
    bodies = [
        Text(
            f"{name}: {function.name}()",
            name,
            f"let checked = ({function.parameters}) {{ {function.body}\n}};\nchecked()",
        )
        for name, database in databases.items()
        for function in database.functions
    ]
    request = {
        "databases": {name: _described(database) for name, database in databases.items()},
        "texts": [text._asdict() for text in (*bodies, *texts)],
    }
    answer = subprocess.run(
        ["node", _SCRIPT], input=json.dumps(request), cwd=_ROOT, check=True, capture_output=True, text=True
    )
    found = [Diagnostic(**diagnostic) for diagnostic in json.loads(answer.stdout)]
    return [diagnostic for diagnostic in found if diagnostic.severity == "Error"]


def _described(database: Database) -> dict[str, object]:
    return {
        "tables": {
            table: "(" + ", ".join(f"['{column}']: {kind}" for column, kind in columns.items()) + ")"
            for table, columns in database.tables.items()
        },
        "functions": [asdict(function) for function in database.functions],
    }
