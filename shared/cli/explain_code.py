"""`explain CODE`: what a finding means, and where more is said.

Exit codes: 0 told, 2 there is no such code.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from typing import Any

from shared.cli.argument_parser import WIDTH
from shared.cli.exit_codes import DONE, UsageError

_PAGE = "docs/exports.md, findings of the linter"


class _Code:
    """The type of the argument: any text, while completion offers the codes that there are."""

    def __call__(self, text: str) -> str:
        return text

    @property
    def words(self) -> list[str]:
        """Every code."""
        from shared.exports.finding_meanings import MEANINGS

        return list(MEANINGS)


def register(commands: Any) -> None:
    """Add the command."""
    explain = commands.add_parser("explain", help="what the code of a finding means")
    explain.add_argument(
        "code", nargs="?", type=_Code(), metavar="CODE", help="such as unknown-path; without it, every code"
    )
    explain.add_argument("--json", action="store_true")
    explain.set_defaults(run=_explain)


def _explain(arguments: argparse.Namespace) -> int:
    from shared.exports.finding_meanings import MEANINGS, WAIVABLE
    from shared.exports.suggestions import suggest

    if arguments.code is not None and arguments.code not in MEANINGS:
        near = suggest(arguments.code, MEANINGS) or "`defender-export explain` lists all."
        raise UsageError(f"there is no finding {arguments.code}. {near}")
    chosen = [arguments.code] if arguments.code else list(MEANINGS)
    if arguments.json:
        told = [{"code": code, **MEANINGS[code]._asdict(), "waivable": code in WAIVABLE} for code in chosen]
        print(json.dumps(told, indent=1))
        return DONE
    for code in chosen:
        line = f"{code} ({MEANINGS[code].severity}): {MEANINGS[code].sentence}"
        print("\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_on_hyphens=False)))
    if arguments.code in WAIVABLE:
        print(f"A file can waive it: `waive: [{{code: {arguments.code}, reason: ...}}]`.")
    print(f"More: {_PAGE}.")
    return DONE
