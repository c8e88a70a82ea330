"""What export files would change of what is stored, before anything is: a pull request's own effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.exports.last_known_good import LoadedExport, LoadedExports

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig


@dataclass(frozen=True)
class Proposal:
    """The exports as they would be stored, and how they differ by name from those that are.

    `renamed` maps a new name to the former one: a deleted export that says the same.  `kept` are stored and not among
    the files, and stay.
    """

    loaded: LoadedExports
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: Mapping[str, str] | None = None
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The differences as JSON-ready data."""
        return {
            "new": list(self.new),
            "changed": list(self.changed),
            "renamed": dict(self.renamed or {}),
            "deleted": list(self.deleted),
            "kept": list(self.kept),
            "unchanged": list(self.unchanged),
        }


def propose(stored: LoadedExports, configs: Sequence[ExportConfig], *, prune: bool) -> Proposal:
    """What a push of `configs` would leave in the store; with `prune`, what is not among them goes.

    A stored file that can't be read is replaced by one of its name, or goes, as a push would have it.
    """
    before = {export.name: export for export in stored.exports}
    unreadable = {problem.name for problem in stored.problems if not problem.in_force}
    files = {config.name: config for config in configs}
    absent = sorted({*before, *unreadable} - {*files})
    new = [name for name in files if name not in before and name not in unreadable]
    renamed = _renamed({name: files[name] for name in new}, {n: before[n].config for n in absent if n in before})
    renamed = renamed if prune else {}
    number = stored.number + 1  # as the push gives it: what differs then is an edit, not drift
    same = {name for name, config in files.items() if name in before and before[name].config == config}
    after = [
        *(
            before[name] if name in same else replace(before[name], config=config, last_known_good=False, number=number)
            for name, config in files.items()
            if name in before
        ),
        *(LoadedExport(name, config, "", number=number) for name, config in files.items() if name not in before),
        *(before[name] for name in absent if name in before and not prune),
    ]
    left = tuple(problem for problem in stored.problems if problem.name not in files and not prune)
    gone = {name: why for name, why in stored.deleted.items() if name not in files}
    gone |= dict.fromkeys(absent if prune else (), "it is not among the files")
    return Proposal(
        replace(stored, exports=tuple(sorted(after, key=lambda export: export.name)), problems=left, deleted=gone),
        new=tuple(name for name in new if name not in renamed),
        changed=tuple(name for name in files if name not in same and name not in new),
        renamed=renamed,
        deleted=tuple(name for name in absent if prune and name not in renamed.values()),
        kept=() if prune else tuple(absent),
        unchanged=tuple(sorted(same)),
    )


def _renamed(new: Mapping[str, ExportConfig], gone: Mapping[str, ExportConfig]) -> dict[str, str]:
    """New names with the former one of an export that says the same but for its name and its words about itself."""
    found: dict[str, str] = {}
    for name, config in new.items():
        for former, old in gone.items():
            if former not in found.values() and _meaning(config) == _meaning(old):
                found[name] = former
                break
    return found


def _meaning(config: ExportConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"name", "description", "tests"})
