"""docs/exports.md is held against the model, the linter and the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from shared.cli import main
from shared.exports.file_tests import run_tests
from shared.exports.linter import CODES
from shared.exports.model import ExportConfig
from shared.exports.validation import check_text

PAGE = (Path(__file__).parents[3] / "docs" / "exports.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("| ").split(" | ")] for line in PAGE.splitlines() if line.startswith("| `")
]


def models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models(argument)


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for field in model.model_fields.values():
        yield f"{prefix}{field.alias}"
        for inner in dict.fromkeys(models(field.annotation)):
            yield from keys(inner, f"{prefix}{field.alias}.")


def table(heading: str) -> dict[str, list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [row for row in ROWS if any(row[0] in line for line in section.splitlines())]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_every_key_is_documented_and_no_other() -> None:
    assert sorted(table("Keys")) == sorted(keys(ExportConfig))


def test_required_keys_are_called_required() -> None:
    said = {key for key, (_, *default) in table("Keys").items() if default == ["required"] and "." not in key}
    assert said == {field.alias for field in ExportConfig.model_fields.values() if field.is_required()}


def test_every_code_is_documented_with_its_severity() -> None:
    documented = table("Findings of the linter")
    assert {code: documented[code][0] for code in CODES} == dict(CODES)


def test_every_code_that_can_be_raised_is_documented() -> None:
    sources = "".join(path.read_text() for path in (Path(__file__).parents[3] / "shared" / "exports").glob("*.py"))
    raised = set(re.findall(r"""Diagnostic\(\s*"([a-z0-9-]+)",|Unreadable\(\s*"([a-z0-9-]+)",""", sources))
    assert raised
    for code in {one or other for one, other in raised}:
        assert f"`{code}`" in PAGE, code


def test_the_example_is_valid_and_its_tests_pass() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    checked = check_text(example)
    assert checked.findings == ()
    assert checked.config is not None
    assert all(outcome.passed for outcome in run_tests(checked.config))


@pytest.mark.parametrize("command", re.findall(r"^\| `defender-export (\w+)", PAGE, re.MULTILINE))
def test_every_command_exists(command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
