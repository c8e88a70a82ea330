"""`evidence` and `requirements`: the report for auditors, and what it judges by.

Exit codes: 0 done, 1 an error or with `evidence --check` a requirement that is not met, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.cli.app_context import add_target
from shared.cli.command_services import failed, person, with_services
from shared.cli.exit_codes import DONE, NOT_WELL
from shared.cli.file_commands import FileCommands
from shared.watch.evidence.document import MET, WITH_EXCEPTIONS

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient
    from shared.watch.requirements_file import Required

OUTPUTS = ("html", "csv", "json")
_TRIES = 3


def register(commands: Any) -> None:
    """Add the two commands."""
    evidence = commands.add_parser("evidence", help="the report for auditors: which subscription meets what, and why")
    evidence.add_argument("--subscription", metavar="ID|NAME", help="only this one")
    evidence.add_argument("--management-group", metavar="[TENANT/]ID", help="only subscriptions below this one")
    evidence.add_argument("--output", choices=OUTPUTS, default="html", help="a page to print, a table or JSON")
    evidence.add_argument("--out", type=Path, metavar="FILE", help="write it there instead of to standard output")
    evidence.add_argument("--check", action="store_true", help="end with 1 unless every requirement is met or excepted")
    add_target(evidence)
    evidence.set_defaults(run=with_services(_evidence, _evidence_by_app))

    requirements = commands.add_parser("requirements", help="what every subscription must meet, and the exceptions")
    below = requirements.add_subparsers(dest="action", required=True, metavar="ACTION")
    _REQUIREMENTS.register(below)


async def _evidence(arguments: argparse.Namespace, services: Services) -> int:
    state = await services.tenant_state.take()
    if state.failed:
        return failed(f"the tenant could not be read: {'; '.join(state.reasons)}")
    group, one = arguments.management_group, arguments.subscription
    chosen = {each.id.lower() for each in state.below((), [group] if group else ())}
    if one:
        chosen &= {each.id.lower() for each in state.below([one], ())}
    return _given(await services.evidence(state, chosen, await person(services)), arguments)


async def _evidence_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    from shared.cli.subscriptions_by_app import ids_of

    params = {"limit": "1000"}
    if arguments.management_group:
        params["managementGroup"] = arguments.management_group
    if arguments.subscription:
        (params["subscription"],) = await ids_of([arguments.subscription], api)
    return _given(await _whole(api, params), arguments)


async def _whole(api: ApiClient, params: Mapping[str, str]) -> dict[str, Any]:
    """The report from all its pages, which must be of one reading of the tenant.

    Raises:
        ValueError: the tenant changed each time while they were read.
    """
    for _ in range(_TRIES):
        first = await api.document("GET", "evidence", params=params)
        rows, token, same = first["value"], first.pop("continuation"), True
        while token and same:
            page = await api.document("GET", "evidence", params={**params, "continuation": token})
            rows, token, same = rows + page["value"], page["continuation"], page["sources"] == first["sources"]
        if same:
            return {**first, "value": rows}
    raise ValueError("the tenant changed while the report was read; try again")


def _given(document: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    text = _formed(document, arguments.output)
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8", newline="")
    else:
        sys.stdout.write(text)
    for reason in document["reasons"]:
        print(f"! {reason}; what follows from it is not judged", file=sys.stderr)
    met = all(each["conclusion"] in {MET, WITH_EXCEPTIONS} for each in document["requirements"])
    return DONE if met or not arguments.check else NOT_WELL


def _formed(document: Mapping[str, Any], output: str) -> str:
    from shared.watch.evidence.csv_form import csv_table
    from shared.watch.evidence.html_form import html_page

    if output == "html":
        return html_page(document)
    if output == "csv":
        return csv_table(document, document["value"])
    return json.dumps(document, indent=1) + "\n"


def _read(text: bytes, source: str) -> Required:
    from shared.watch.requirements_file import read_requirements

    return read_requirements(text, source)


def _told(found: Required) -> str:
    return f"{len(found.requirements)} requirements, {len(found.exceptions)} exceptions"


_REQUIREMENTS: Final = FileCommands(
    "requirements",
    "there is no file of requirements: `defender-export requirements put FILE` stores one",
    lambda services: services.requirements,
    _read,
    _told,
)
