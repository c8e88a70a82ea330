"""`routes`: which rows go to which places.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.time_limit import add_timeout, run_limited

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.enrich.routing.route_model import Routes
    from shared.enrich.routing.route_preview import Share
    from shared.exports.diagnostics import Diagnostic
    from shared.reconcile.model import Inventory


def register(commands: Any) -> None:
    """Add the command."""
    routes = commands.add_parser("routes", help="which rows go to which places")
    below = routes.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = below.add_parser("check", help="check a file of routes")
    check.add_argument("file", type=Path)
    check.set_defaults(run=_check)
    preview = below.add_parser("preview", help="say who would get what by a file of routes, for each subscription")
    preview.add_argument("file", type=Path)
    preview.add_argument("--json", action="store_true")
    add_timeout(preview)
    preview.set_defaults(run=lambda arguments: run_limited(_preview(arguments), arguments))


def _check(arguments: argparse.Namespace) -> int:
    routes, warnings = _checked(arguments.file)
    for warning in warnings:
        print(warning, file=sys.stderr)
    print(f"{len(routes.places)} places, {len(routes.rules)} rules")
    return DONE


async def _preview(arguments: argparse.Namespace) -> int:
    """With the rights of who is signed in: the file lies here, and what is asked is what Resource Graph shows."""
    from shared.azure.clients import Clients
    from shared.azure.resource_graph import Graph
    from shared.enrich.routing.route_preview import Known, shares, who_decides
    from shared.enrich.routing.routes_linter import lint_groups
    from shared.exports.management_groups import GroupNames
    from shared.reconcile.discover.inventory import from_graph
    from shared.settings import Settings

    routes, warnings = _checked(arguments.file)
    settings = Settings.load_all_readable()
    clients = Clients(settings)
    try:
        found: Inventory = await from_graph(Graph(clients))
    finally:
        await clients.close()
    known = [Known(one.id, one.name, one.tenant_id, one.ancestors, one.tags) for one in found.subscriptions]
    warnings = [*warnings, *lint_groups(routes, str(arguments.file), GroupNames.of(found.subscriptions))]
    told = list(shares(routes, known, settings.owner_tags))
    decide = who_decides(routes, settings.owner_tags)
    if arguments.json:
        said = {"value": [one.as_dict() for one in told], "whoDecides": decide, "reasons": list(found.reasons)}
        print(json.dumps({**said, "warnings": [one.as_dict() for one in warnings]}, indent=2))
    else:
        _print(told, [*map(str, warnings), *decide])
    for reason in found.reasons:
        print(f"not all was seen: {reason}", file=sys.stderr)
    return NOT_WELL if found.reasons else DONE


def _print(told: Sequence[Share], notes: Sequence[str]) -> None:
    from shared.enrich.routing.routes_file import KINDS
    from shared.shown_text import printable

    for one in told:
        kinds = "all kinds" if len(one.kinds) == len(KINDS) else ", ".join(one.kinds)
        by = f" by {', '.join(one.rules)}" if one.rules else ""
        unless = f"; rows of resources with another owner by {', '.join(one.owners)}" if one.owners else ""
        name = printable(one.subscription or one.subscription_id)
        _wrapped(f"{name}: {kinds} -> {', '.join(one.places)}{by}{unless}")
    for note in notes:
        _wrapped(note)


def _wrapped(line: str) -> None:
    print(textwrap.fill(line, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))


def _checked(file: Path) -> tuple[Routes, list[Diagnostic]]:
    """The routes of a file, and what is odd in them.

    Raises:
        shared.exports.diagnostics.InvalidExport: it is no such file.
    """
    from shared.enrich.routing.routes_file import read_routes
    from shared.enrich.routing.routes_linter import lint_routes

    routes = read_routes(file.read_bytes(), str(file))
    return routes, lint_routes(routes, str(file))
