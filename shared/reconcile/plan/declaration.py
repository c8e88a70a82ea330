"""From the loaded export files to what a plan is made from: what is wanted, and what is wrong with the set of files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.exports.diagnostics import errors
from shared.exports.scope_findings import KnownNames, scope_findings
from shared.exports.scope_selection import depends_on_groups, judged
from shared.exports.validation import renames
from shared.reconcile.model import Inventory
from shared.reconcile.plan.desired import Prepared, desired_automations, rollouts, targets
from shared.reconcile.plan.model import Declaration

if TYPE_CHECKING:
    from shared.exports.last_known_good import LoadedExports, Problem
    from shared.exports.model import ExportConfig


_NOT_VERIFIED = "the file says `verify: false`, so what can't be looked at of its destination counts as in order: "


def declared(
    loaded: LoadedExports,
    configs: Sequence[ExportConfig],
    inventory: Inventory,
    instance_id: str,
    prepared: Mapping[str, Prepared],
) -> Declaration:
    """What the files of `configs`, those of `loaded` that can be compiled, ask for in this tenant."""
    numbers = {export.name: export.number for export in loaded.exports}
    known = KnownNames.of(inventory.subscriptions)
    unknown = {config.name: scope_findings(config.scope, inventory.subscriptions, known) for config in configs}
    # Where nothing was seen, a scope's names are not what is wrong.
    told = unknown if inventory.subscriptions else {}
    return Declaration(
        desired_automations(configs, inventory.subscriptions, instance_id, prepared, numbers),
        {config.name for config in configs},
        warnings=tuple(_about_destinations(configs, prepared)),
        deleted=loaded.deleted,
        doubtful={problem.name for problem in loaded.problems},
        unknown={name: found for name, found in unknown.items() if found},
        findings=(
            *(f"{name}: {sentence}" for name, found in told.items() for sentence in found),
            *_about_rollouts(configs, known),
            *_about_files(loaded),
            *_not_judged(configs, inventory),
        ),
        by_group={config.name for config in configs if depends_on_groups(config.scope)},
        rollouts=rollouts(configs, prepared),
        renamed=renames(configs),
        contested=_contested(configs),
        destinations=targets(configs, prepared),
    )


def first_sentence(problem: Problem) -> str:
    """What is wrong with a file, in one sentence."""
    return problem.findings[0].sentence if problem.findings else "it is invalid"


def _about_rollouts(configs: Sequence[ExportConfig], known: KnownNames) -> Iterator[str]:
    for config in configs:
        for group in config.rollout.management_groups if config.rollout else ():
            if sentence := known.management_groups.several(group):
                yield f"{config.name}: rollout.managementGroups: {sentence}"


def _about_destinations(configs: Sequence[ExportConfig], prepared: Mapping[str, Prepared]) -> Iterator[str]:
    """What is worth knowing about destinations, each sentence once with the names of its exports."""
    told: dict[str, list[str]] = defaultdict(list)
    for config in configs:
        ready = prepared.get(config.name, Prepared())
        for sentence in ready.warnings:
            told[sentence].append(config.name)
        if not config.destination.verify:
            told[_NOT_VERIFIED + ("; ".join(ready.unverified) or "all of it could be: take it out")].append(config.name)
    for sentence, names in told.items():
        yield f"{', '.join(sorted(names))}: {sentence}"


def _about_files(loaded: LoadedExports) -> Iterator[str]:
    for problem in loaded.problems:
        if problem.in_force:
            said = "its newest version is invalid, and the one before stands in"
            yield f"{problem.name}: {said}: {first_sentence(problem)}"
    for finding in errors(loaded.warnings):
        yield f"{finding.where}: {finding.sentence} {finding.fix}"


def _not_judged(configs: Sequence[ExportConfig], inventory: Inventory) -> Iterator[str]:
    nowhere = [one for one in inventory.subscriptions if not one.placed]
    for config in configs if nowhere else ():
        missed = [one for one in nowhere if not judged(config.scope, one, placed=False)]
        if missed:
            more = f" and {len(missed) - 1} more" if len(missed) > 1 else ""
            yield (
                f"{config.name}: the management groups of {missed[0].id}{more} are not shown, so it is not known "
                "whether its scope covers them"
            )


def _contested(configs: Sequence[ExportConfig]) -> dict[str, str]:
    claims = Counter(config.renamed_from for config in configs if config.renamed_from)
    return {
        former: f"{count} exports say that they were {former}: nothing of it is deleted before one is left"
        for former, count in claims.items()
        if count > 1
    }
