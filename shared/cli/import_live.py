"""`import`: write export files for what is live, including automations of other tools.

Exit codes: 0 all was read, 1 an error, or discovery was incomplete; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.command_services import add_scope, with_services

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.reconcile.importer.imported_exports import Imported, Left
    from shared.reconcile.model import Inventory, Subscription


def register(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("import", help="write export files for the exports that others made")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the files here; without it they are printed")
    parser.add_argument("--adopt", action="store_true", help="mark the files, so that apply takes the automations over")
    add_scope(parser)
    parser.set_defaults(run=with_services(_import))


async def _import(arguments: argparse.Namespace, services: Services) -> int:
    inventory = await services.reconciler.discover(arguments.management_group)
    return _write(arguments, inventory, services.settings.instance_id)


def _write(arguments: argparse.Namespace, inventory: Inventory, instance_id: str) -> int:
    from shared.reconcile.importer.imported_exports import import_exports

    chosen = _chosen(inventory.subscriptions, arguments.subscription, arguments.management_group)
    automations = [live for live in inventory.automations if live.id.key[0] in chosen]
    imported, left = import_exports(automations, inventory.subscriptions, instance_id, adopt=arguments.adopt)
    if arguments.out:
        _keep(imported, arguments.out)
    else:
        for one in imported:
            print(f"# --- {one.name}.yaml\n{one.text}")
    _tell(imported, left, inventory.reasons)
    return 1 if inventory.reasons else 0


def _chosen(subscriptions: Sequence[Subscription], asked: Sequence[str], groups: Sequence[str]) -> set[str]:
    """The lower-case ids of the subscriptions asked for; all when none was named."""
    from shared.reconcile.discover import subscription_names

    ids = {one.lower() for one in subscription_names.named(asked, subscriptions)}
    above = {one.lower() for one in groups}
    return {
        one.id.lower()
        for one in subscriptions
        if not (ids or above) or one.id.lower() in ids or above.intersection(one.ancestors)
    }


def _keep(imported: Sequence[Imported], folder: Path) -> None:
    """Write every file, or none when one of them is there already.

    Raises:
        FileExistsError: one is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{one.name}.yaml": one.text for one in imported}
    there = [path.as_posix() for path in paths if path.exists()]
    if there:
        raise FileExistsError(f"{', '.join(there)}: already there; choose another folder, and nothing was written")
    for path, text in paths.items():
        path.write_text(text, encoding="utf-8")


def _tell(imported: Sequence[Imported], left: Sequence[Left], reasons: Sequence[str]) -> None:
    """A summary beside the files, which may be on standard output."""
    from shared.reconcile.plan.plan_render import printable

    lines = [
        f"{one.name}: {len(one.automations)} automation(s)"
        + "".join(f"\n  ! {finding.code}: {finding.sentence}" for finding in one.findings)
        for one in imported
    ]
    lines += [f"left out {automation.id}: {reason}" for automation, reason in left]
    lines += [f"discovery is incomplete: {reason}" for reason in reasons]
    lines.append(f"{len(imported)} file(s) for {sum(len(one.automations) for one in imported)} automation(s).")
    print("\n".join("\n".join(map(printable, line.split("\n"))) for line in lines), file=sys.stderr)
