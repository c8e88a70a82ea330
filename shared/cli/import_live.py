"""`import`: write export files for what is live, including automations of other tools.

Exit codes: 0 all was read, 1 an error, or discovery was incomplete; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.cli.app_context import add_target
from shared.cli.command_services import add_scope, with_services
from shared.cli.exit_codes import UsageError

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.cli.api_client import ApiClient


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("import", help="write export files for the exports that others made")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the files here; without it they are printed")
    parser.add_argument("--adopt", action="store_true", help="mark the files, so that apply takes the automations over")
    add_scope(parser)
    add_target(parser)
    parser.set_defaults(run=with_services(_import, _import_by_app))


async def _import(arguments: argparse.Namespace, services: Services) -> int:
    from shared.reconcile.importer.imported_exports import import_exports
    from shared.reconcile.narrowing import places

    inventory = await services.reconciler.discover(arguments.management_group)
    instance_id = services.settings.instance_id
    chosen = places(inventory, arguments.subscription, arguments.management_group)
    automations = [live for live in inventory.automations if live.id.key[0] in chosen]
    imported, left = import_exports(automations, inventory.subscriptions, instance_id, adopt=arguments.adopt)
    files = [
        _File(one.name, one.text, len(one.automations), [f"{each.code}: {each.sentence}" for each in one.findings])
        for one in imported
    ]
    taken = [live.id for one in imported for live in one.automations]
    policies = await services.reconciler.policies_behind(taken, inventory)
    return _put(arguments, files, [(str(live.id), reason) for live, reason in left], (inventory.reasons, policies))


async def _import_by_app(arguments: argparse.Namespace, api: ApiClient) -> int:
    asked = {
        "subscriptions": arguments.subscription,
        "managementGroups": arguments.management_group,
        "adopt": arguments.adopt,
    }
    found = await api.document("POST", "import", json={name: value for name, value in asked.items() if value})
    files = [
        _File(
            one["name"],
            one["text"],
            len(one["automations"]),
            [f"{each['code']}: {each['sentence']}" for each in one["findings"]],
        )
        for one in found["files"]
    ]
    told = found["reasons"], found.get("warnings") or ()
    return _put(arguments, files, [(one["automation"], one["reason"]) for one in found["left"]], told)


class _File(NamedTuple):
    """An export file that was written for live automations, with their number and what the linter says."""

    name: str
    text: str
    automations: int
    findings: Sequence[str]


def _put(
    arguments: argparse.Namespace,
    files: Sequence[_File],
    left: Sequence[tuple[str, str]],
    told: tuple[Sequence[str], Sequence[str]],
) -> int:
    """Keep the files, or print them; then a summary beside them, with why discovery is incomplete and warnings."""
    reasons, warnings = told
    if arguments.out:
        _keep(files, arguments.out)
    else:
        for one in files:
            print(f"# --- {one.name}.yaml\n{one.text}")
    _tell(files, left, reasons, warnings)
    return 1 if reasons else 0


def _keep(files: Sequence[_File], folder: Path) -> None:
    """Write every file, or none when one of them is there already.

    Raises:
        UsageError: one is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{one.name}.yaml": one.text for one in files}
    there = [path.as_posix() for path in paths if path.exists()]
    if there:
        raise UsageError(f"{', '.join(there)}: already there; choose another folder, and nothing was written")
    for path, text in paths.items():
        path.write_text(text, encoding="utf-8")


def _tell(
    files: Sequence[_File], left: Sequence[tuple[str, str]], reasons: Sequence[str], warnings: Sequence[str]
) -> None:
    """A summary beside the files, which may be on standard output."""
    from shared.shown_text import printable

    lines = [
        f"{one.name}: {_count(one.automations, 'automation')}" + "".join(f"\n  ! {finding}" for finding in one.findings)
        for one in files
    ]
    lines += [f"left out {automation}: {reason}" for automation, reason in left]
    lines += [f"! {warning}" for warning in warnings]
    lines += [f"discovery is incomplete: {reason}" for reason in reasons]
    total = sum(one.automations for one in files)
    lines.append(f"{_count(len(files), 'file')} for {_count(total, 'automation')}.")
    print("\n".join("\n".join(map(printable, line.split("\n"))) for line in lines), file=sys.stderr)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
