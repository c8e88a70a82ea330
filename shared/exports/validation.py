"""Everything that can be said about export files before anything is written: alone, and as a set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from shared.exports.compiler import BodyTooLarge, automation_name, compile_automation, compile_sources
from shared.exports.diagnostics import Diagnostic, InvalidExport, errors
from shared.exports.linter import CODES, lint_sources

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig, Scope

_SOME_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
_PORTAL_NAMES: Final = {"exporttoeventhub": "eventHub", "exporttoworkspace": "logAnalyticsWorkspace"}


@dataclass(frozen=True)
class Checked:
    """One file after its checks; `config` is None when it could not be read at all."""

    source: str
    text: str | bytes
    config: ExportConfig | None
    findings: tuple[Diagnostic, ...]

    @property
    def valid(self) -> bool:
        """Whether the file may be stored and applied; warnings don't stand in the way."""
        return self.config is not None and not errors(self.findings)


def check_text(text: str | bytes, source: str = "<text>") -> Checked:
    """Read and lint one file; never raises for what the file holds."""
    from shared.exports.model import parse_export

    try:
        config = parse_export(text, source)
    except InvalidExport as error:
        return Checked(source, text, None, error.findings)
    return Checked(source, text, config, tuple(check_config(config, source)))


def check_config(config: ExportConfig, source: str = "<text>") -> list[Diagnostic]:
    """Findings on one export that follows the model, less those that the file waives."""
    found = [*_check_alone(config, source), *lint_sources(compile_sources(config), where=source)]
    try:
        compile_automation(config, _SOME_SUBSCRIPTION, "")
    except BodyTooLarge as error:
        found.append(Diagnostic("too-large", "error", source, f"{error}.", "Split the export into several files."))
    waived = {waiver.code for waiver in config.waive}
    return [
        *(finding for finding in found if finding.code not in waived or finding.code not in CODES),
        *_check_waivers(waived, {finding.code for finding in found}, source),
    ]


def _check_alone(config: ExportConfig, source: str) -> Iterator[Diagnostic]:
    alerts = config.export.alerts
    if alerts is not None and alerts.frequency is None and "snapshot" in config.export.frequency:
        yield Diagnostic(
            "alerts-have-no-snapshot",
            "warning",
            f"{source}: export.alerts",
            "alerts have no snapshot; they are exported as they arise only.",
            "Say so: alerts.frequency: [streaming].",
        )
    sections = dict(_sections(config))
    for custom in config.export.custom:
        if custom.event_source in sections and not (custom.rule_sets and sections[custom.event_source]):
            yield Diagnostic(
                "custom-adds-nothing",
                "warning",
                f"{source}: export.custom",
                f"{custom.event_source} is exported whole, by its section or here; other rule sets count for nothing.",
                "Take one of the two out.",
            )
    wanted = _PORTAL_NAMES.get(automation_name(config).lower())
    if wanted == "eventHub" and config.destination.event_hub is None:
        yield _misnamed(source, "ExportToWorkspace")
    if wanted == "logAnalyticsWorkspace" and config.destination.log_analytics_workspace is None:
        yield _misnamed(source, "ExportToEventHub")


def _sections(config: ExportConfig) -> Iterator[tuple[str, bool]]:
    """The event sources that the sections alone give, and whether each is filtered."""
    export = config.export.model_copy(update={"custom": ()})
    for source in compile_sources(config.model_copy(update={"export": export})):
        yield source.event_source, bool(source.rule_sets)


def _misnamed(source: str, right: str) -> Diagnostic:
    return Diagnostic(
        "portal-name-mismatch",
        "warning",
        f"{source}: automation.name",
        "the portal shows an automation of this name on the tab of the other kind of destination.",
        f"Name it {right}, or anything else.",
    )


def _check_waivers(waived: Iterable[str], found: set[str], source: str) -> Iterator[Diagnostic]:
    for code in sorted(waived):
        where = f"{source}: waive"
        if code not in CODES:
            sentence = f"{code!r} is no code of the linter."
            yield Diagnostic("unknown-waiver", "error", where, sentence, f"One of {', '.join(CODES)}.")
        elif code not in found:
            yield Diagnostic("unused-waiver", "warning", where, f"nothing here is {code!r} any more.", "Take it out.")


def check_together(files: Iterable[tuple[str, ExportConfig]]) -> list[Diagnostic]:
    """Findings on a set of exports, each with the name of its file: repeated names, two owners of one automation."""
    listed = list(files)
    by_name: dict[str, list[str]] = defaultdict(list)
    by_automation: dict[tuple[str, str], list[tuple[str, ExportConfig]]] = defaultdict(list)
    for source, config in listed:
        by_name[config.name].append(source)
        key = (automation_name(config).lower(), config.automation.resource_group.lower())
        by_automation[key].append((source, config))
    found = [
        Diagnostic(
            "duplicate-name",
            "error",
            f"{source}: name",
            f"{name!r} is also the name in {sources[0]}.",
            "A name is an export's identity; choose another.",
        )
        for name, sources in by_name.items()
        for source in sources[1:]
    ]
    for (name, group), owners in by_automation.items():
        for (first, one), (second, other) in combinations(owners, 2):
            if one.name == other.name or (overlap := _overlap(one.scope, other.scope)) == "none":
                continue
            certain = overlap == "certain"
            found.append(
                Diagnostic(
                    "same-automation",
                    "error" if certain else "warning",
                    f"{second}: automation",
                    f"this export and the one in {first} {'would' if certain else 'may'} own the same automation "
                    f"{name} in {group}.",
                    "Give one of them another automation.name or resourceGroup.",
                )
            )
    return found


def _overlap(one: Scope, other: Scope) -> str:
    """Whether a subscription can be in both scopes: certain, possible or none, as far as the files tell."""
    if one.tags or other.tags or one.exclude != other.exclude:
        certain = False
    else:
        certain = bool(_lowered(one.subscriptions) & _lowered(other.subscriptions)) or bool(
            _lowered(one.management_groups) & _lowered(other.management_groups)
        )
    if certain:
        return "certain"
    only_listed = not one.management_groups and not other.management_groups
    return "none" if only_listed and not _lowered(one.subscriptions) & _lowered(other.subscriptions) else "possible"


def _lowered(names: Sequence[str]) -> set[str]:
    return {name.lower() for name in names}
