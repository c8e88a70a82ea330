"""`shapes`: the structure of records met in a tenant, without what they say, to be sent to who maintains this.

Exit codes: 0 done, 1 refused, failed, or a record's shape is read otherwise than the record; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.app_context import add_target
from shared.cli.argument_parser import one_of, whole_number
from shared.cli.command_services import with_services
from shared.cli.dead_letters import day
from shared.cli.exit_codes import DONE, NOT_WELL, UsageError
from shared.cli.tables import print_table
from shared.enrich.shapes.shape_request import MOST_RECORDS, SOURCES, ShapeRequest, ShapeRequestError

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient

_HEAD = ("shape", "kind", "records", "bytes", "columns", "parses")


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("shapes", help="the structure of records, with every value invented")
    parser.add_argument(
        "--from", dest="source", type=one_of(*SOURCES), required=True, metavar="|".join(SOURCES),
        help="what could not be delivered, what was kept whole, or the newest events of the hub",
    )  # fmt: skip
    parser.add_argument("--day", type=day, metavar="YYYY-MM-DD", help="only blobs of this day")
    parser.add_argument(
        "--limit", type=whole_number(1, MOST_RECORDS), default=MOST_RECORDS, metavar="N",
        help=f"records to look at; {MOST_RECORDS} at most",
    )  # fmt: skip
    parser.add_argument(
        "--name", action="append", default=[], type=_name, metavar="NAME",
        help="show this name of a member although it is not public, where it tells nothing about you; repeatable",
    )  # fmt: skip
    parser.add_argument("--consumer-group", metavar="GROUP", help="to read the hub with; $Default by default")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write each invented record into a file there")
    parser.add_argument("--json", action="store_true")
    add_target(parser)
    parser.set_defaults(run=with_services(_shapes, _shapes_by_app))


def _name(text: str) -> str:
    if not text or "," in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a member without a comma")
    return text


async def _shapes(arguments: argparse.Namespace, services: Services) -> int:
    asked = ShapeRequest(
        arguments.source, arguments.day or "", tuple(arguments.name), arguments.limit, arguments.consumer_group or ""
    )
    try:
        shapes = await services.shapes(asked)
    except ShapeRequestError as refused:
        raise UsageError(str(refused)) from None
    return _show(shapes.document(), sorted(shapes.withheld), arguments)


async def _shapes_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    asked = {
        "from": arguments.source,
        "day": arguments.day,
        "names": ",".join(arguments.name),
        "limit": str(arguments.limit),
        "consumerGroup": arguments.consumer_group,
        "withheld": "true",
    }
    answer = await api.document("GET", "shapes", params={name: value for name, value in asked.items() if value})
    return _show(answer, answer.pop("withheld"), arguments)


def _show(shapes: Mapping[str, Any], withheld: Iterable[str], arguments: argparse.Namespace) -> int:
    """Show what may be given out on standard output and in files, and the rest on standard error."""
    found = shapes["value"]
    if arguments.out:
        _write(found, arguments.out)
    if arguments.json:
        print(json.dumps(shapes, indent=1))
    elif found:
        print_table(_HEAD, [_line(shape) for shape in found])
    else:
        print("no record was found there")
    _say(shapes, withheld)
    return NOT_WELL if any(shape["differs"] for shape in found) else DONE


def _write(found: Iterable[Mapping[str, Any]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for shape in found:
        name = re.sub(r"\W+", "-", f"{shape['kind']}-{shape['shape']}", flags=re.ASCII)
        text = json.dumps(shape["record"], indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


def _line(shape: Mapping[str, Any]) -> tuple[str, ...]:
    alike = f"not alike: {', '.join(shape['differs'])}" if shape["differs"] else "alike"
    counts = (f"{shape[name]:,}" for name in ("records", "largest"))
    return (shape["shape"], shape["kind"], *counts, str(len(shape["columns"])), alike)


def _say(shapes: Mapping[str, Any], withheld: Iterable[str]) -> None:
    """What is not in the shapes, for the person alone: on standard error."""
    if names := ", ".join(map(repr, withheld)):
        print(f"names that are not public were replaced; --name shows one: {names}", file=sys.stderr)
    for reason, count in shapes["unreadable"].items():
        print(f"{count:,} without a record: {reason}", file=sys.stderr)
    if shapes["more"]:
        print("there is more than was looked at", file=sys.stderr)
