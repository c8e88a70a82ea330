"""An empty text on the command line, such as a variable that is not set, never stands for all or for this folder."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from shared.cli import command_parser

HARMLESS = {"exports delete --reason", "claim --former", "use --resource", "accept --location"}


def given(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[str, ...]]:
    """Each command line that ends with an empty value, with what is needed before it."""
    needed = [action for action in parser._actions if not action.option_strings and action.nargs is None]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                if name != "complete":
                    yield from given(below, *words, name)
        elif action.option_strings and action.nargs != 0:
            yield (*words, action.option_strings[-1], "")
        elif not action.option_strings:
            yield (*words, *("x" for one in needed if one is not action), "")


@pytest.mark.parametrize("line", sorted(set(given(command_parser()))), ids=" ".join)
def test_is_refused_before_anything_is_asked(line: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    if " ".join(line[:-1]) in HARMLESS:
        command_parser().parse_args([*line[:-2], *(["x"] if line[0] == "exports" else []), *line[-2:]])
        return
    with pytest.raises(SystemExit, match="2"):
        command_parser().parse_args(line)
    assert capsys.readouterr().err.startswith("error: argument ")
