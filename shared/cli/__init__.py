"""The services from a terminal: `defender-export <command>`.

Exit codes: 0 all well, 1 refused, failed or the answer is no, 2 wrong usage (docs/command-line.md has them all).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

_GROUPS = (
    "use",
    "init",
    "exports",
    "push",
    "reconcile",
    "stored_exports",
    "import_live",
    "watch",
    "evidence",
    "canary",
    "over_time",
    "notify",
    "mutes",
    "routes",
    "readers",
    "package",
    "jobs",
    "dead_letters",
    "shapes",
    "explain_code",
    "accept",
    "doctor",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `arguments` default to the process's own."""
    from shared.cli.command_runner import carry_out

    return carry_out(lambda: _run(arguments))


def command_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    from shared.cli import completion, version
    from shared.cli.argument_parser import Parser

    parser = Parser(
        prog="defender-export", description=__doc__, epilog="`defender-export COMMAND --help` tells of each command."
    )
    parser.add_argument("--version", action="version", version=version.told(), help="say which release this is")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for group in _GROUPS:
        importlib.import_module(f"shared.cli.{group}").register(commands)
    completion.register(commands, command_parser)
    return parser


def _run(arguments: Sequence[str] | None) -> int:
    chosen = command_parser().parse_args(arguments)
    result: int = chosen.run(chosen)
    return result


if __name__ == "__main__":
    sys.exit(main())
