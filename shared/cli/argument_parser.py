"""The parser of every command: errors in one line with the nearest right word, help of at most 100 columns."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

from shared.cli.exit_codes import USAGE
from shared.exports.suggestions import suggest

WIDTH = 100
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CHOICES = re.compile(r"invalid choice: '(?P<given>[^']*)' \(choose from (?P<known>.*)\)", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that takes options by their whole names alone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "formatter_class": _help, **options})

    def parse_known_args(self, *given: Any, **options: Any) -> Any:
        """As argparse has it, but what a command does not know is its own error, not the program's."""
        found, unknown = super().parse_known_args(*given, **options)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """As argparse has it, but for empty texts: a variable that is not set must not mean "all", or this folder."""
        read_below = action.nargs == argparse.PARSER  # what follows a command's name is the command's to read
        if not arg_string.strip() and not read_below and action.default not in ("", [""]):
            raise argparse.ArgumentError(action, "it is empty; give it a value, or leave it out")
        return super()._get_value(action, arg_string)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and end with 2."""
        told = self._with_nearest(message)
        print(
            f"error: {told.rstrip('.?')}{told[-1] if told[-1] in '.?' else '.'} See `{self.prog} --help`.",
            file=sys.stderr,
        )
        sys.exit(USAGE)

    def _with_nearest(self, message: str) -> str:
        message = " ".join(message.split())
        if found := _CHOICES.search(message):
            known = re.findall(r"[\w-]+", found["known"])
            near = suggest(found["given"], known) or f"There is {', '.join(known)}."
            return f"{message[: found.start()]}there is no {found['given']!r}. {near}"
        if found := re.fullmatch("unrecognized arguments: (.*)", message):
            options = [option for option in self._option_string_actions if option.startswith("--")]
            return f"{found[1]!r} means nothing here. {suggest(found[1].split()[0], options)}".strip()
        return message


def _help(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=min(WIDTH, shutil.get_terminal_size().columns) - 2)


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `least` to `most`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def moment(text: str) -> datetime:
    """The type of an option that takes a time; without an offset it is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-26T08:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class one_of:  # noqa: N801 - reads as the other types do
    """The type of an option that takes one of the words, in any casing; completion offers them."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, text: str) -> str:
        """The word as it is known."""
        for word in self.words:
            if word.lower() == text.lower():
                return word
        told = f"{text!r} is none of {', '.join(self.words)}. {suggest(text, self.words)}"
        raise argparse.ArgumentTypeError(told.strip())


def subscription_id(text: str) -> str:
    """The type of an option that takes the id of a subscription where no tenant is asked for names."""
    if not _GUID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no subscription id such as 00000000-0000-0000-0000-000000000000")
    return text
