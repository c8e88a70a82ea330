"""Everything that can be said about export files before anything is written: alone, and as a set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Final

from shared.exports.compiler import BodyTooLarge, automation_name, compile_automation, compile_sources, one_scope_each
from shared.exports.diagnostics import MAX_FINDINGS, Diagnostic, InvalidExport, errors, limit
from shared.exports.known_values import CHINA_REGIONS, PLAN_PAIRS, PLANS, REGIONS
from shared.exports.linter import CODES, lint_sources
from shared.exports.source_map import SourceMap
from shared.exports.suggestions import suggest

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig, Scope
    from shared.exports.yaml_reader import Document

_SOME_SUBSCRIPTION: Final = "00000000-0000-0000-0000-000000000000"
_PLAN_NAMES: Final = {plan.lower(): plan for plan in PLANS}
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
    from shared.exports.model import parse_document, read_document
    from shared.exports.tightened_checks import check_tightened

    stricter: list[Diagnostic] = []
    try:
        document = read_document(text, source)
        stricter = check_tightened(document, source)
        config = parse_document(document, source)
    except InvalidExport as error:
        places = {finding.where for finding in error.findings}
        others = [finding for finding in stricter if finding.where not in places]
        return Checked(source, text, None, (*error.findings, *others)[: MAX_FINDINGS + 1])
    found = [*stricter, *check_config(config, source, document)]
    return Checked(source, text, config, tuple(limit(found, source)))


def check_version(name: str, text: str | bytes) -> Checked:
    """The checks of `text` as the version of export `name`: those of the file, and that its name is this one."""
    checked = check_text(text, name)
    if checked.config is None or checked.config.name == name:
        return checked
    finding = Diagnostic(
        "name-mismatch",
        "error",
        f"{name}: name",
        f"the file says {checked.config.name!r} but is stored as {name!r}.",
        "A name is an export's identity: store it under its own.",
    )
    return Checked(checked.source, checked.text, checked.config, (*checked.findings, finding))


def check_new_version(name: str, text: str | bytes) -> Checked:
    """The checks of `text` before it is stored as export `name`, its own tests among them; the set is left."""
    checked = check_version(name, text)
    if checked.config is None or not checked.valid:
        return checked
    return replace(checked, findings=tuple(limit((*checked.findings, *failing_tests(checked.config, name)), name)))


def check_config(config: ExportConfig, source: str = "<text>", document: Document | None = None) -> list[Diagnostic]:
    """Findings on one export that follows the model, less those that the file waives.

    With the `document` that it was read from, findings name the line and the path in the file.
    """
    found = list(_check_alone(config, source, document))
    try:
        compile_automation(config, _SOME_SUBSCRIPTION, "")
    except BodyTooLarge as error:  # whatever else there is has to wait: findings on so many rules would not be read
        found.append(Diagnostic("too-large", "error", source, f"{error}.", "Split the export into several files."))
    else:
        sources = compile_sources(config)
        names = None if document is None else SourceMap(document, config, sources, source).name
        found += lint_sources(sources, where=source, place_names=names)
    waived = {waiver.code for waiver in config.waive}
    return [
        *(finding for finding in found if finding.code not in waived or finding.code not in CODES),
        *_check_waivers(waived, {finding.code for finding in found}, source),
    ]


def _check_alone(config: ExportConfig, source: str, document: Document | None) -> Iterator[Diagnostic]:
    def place(*path: str) -> str:
        line = "" if document is None else f"{document.line_of(path)}:"
        return f"{source}:{line} {'.'.join(path)}"

    alerts = config.export.alerts
    if alerts is not None and alerts.frequency is None and "snapshot" in config.export.frequency:
        yield Diagnostic(
            "alerts-have-no-snapshot",
            "warning",
            place("export", "alerts"),
            "alerts have no snapshot; they are exported as they arise only.",
            "Say so: alerts.frequency: [streaming].",
        )
    sections = dict(_sections(config))
    for custom in config.export.custom:
        if custom.event_source in sections and not (custom.rule_sets and sections[custom.event_source]):
            yield Diagnostic(
                "custom-adds-nothing",
                "warning",
                place("export", "custom"),
                f"{custom.event_source} is exported whole, by its section or here; other rule sets count for nothing.",
                "Take one of the two out.",
            )
    yield from _check_region(config.automation.location, place("automation", "location"))
    yield from _check_plans(config, place("export", "alerts", "plans"))
    wanted = _PORTAL_NAMES.get(automation_name(config).lower())
    if wanted == "eventHub" and config.destination.event_hub is None:
        yield _misnamed(place("automation", "name"), "ExportToWorkspace")
    if wanted == "logAnalyticsWorkspace" and config.destination.log_analytics_workspace is None:
        yield _misnamed(place("automation", "name"), "ExportToEventHub")


def _check_region(location: str, where: str) -> Iterator[Diagnostic]:
    """An open set: Azure has regions that are not listed here."""
    name = location.replace(" ", "").lower()
    if name in CHINA_REGIONS:
        sentence = f"{location!r} is in Azure China, where Defender for Cloud was retired on 18 August 2026."
        yield Diagnostic("retired-cloud", CODES["retired-cloud"], where, sentence, "Nothing is exported from there.")
    elif name not in REGIONS:
        sentence = f"{location!r} is not a region that is known here."
        fix = suggest(name, REGIONS) or "See `az account list-locations`."
        yield Diagnostic("unknown-region", CODES["unknown-region"], where, sentence, fix)
    elif name != location:
        sentence = f"{location!r} is not the name of a region as Azure writes it."
        yield Diagnostic("unknown-region", CODES["unknown-region"], where, sentence, f"Write {name}.")


def _check_plans(config: ExportConfig, where: str) -> Iterator[Diagnostic]:
    """Plans whose alerts bear one of two names, when only one is listed."""
    plans = {plan.lower() for plan in (config.export.alerts.plans if config.export.alerts else None) or ()}
    for plan, other in PLAN_PAIRS.items():
        if plan in plans and other.lower() not in plans:
            sentence = f"alerts on servers say {_PLAN_NAMES[plan]} or {other}, and only one of them is listed."
            yield Diagnostic("half-a-plan", "warning", where, sentence, f"Add {other}.")


def _sections(config: ExportConfig) -> Iterator[tuple[str, bool]]:
    """The event sources that the sections alone give, and whether each is filtered."""
    export = config.export.model_copy(update={"custom": ()})
    for source in compile_sources(config.model_copy(update={"export": export})):
        yield source.event_source, bool(source.rule_sets)


def _misnamed(where: str, right: str) -> Diagnostic:
    return Diagnostic(
        "portal-name-mismatch",
        "warning",
        where,
        "the portal shows an automation of this name on the tab of the other kind of destination.",
        f"Name it {right}, or anything else.",
    )


def _check_waivers(waived: Iterable[str], found: set[str], source: str) -> Iterator[Diagnostic]:
    where, known = f"{source}: waive", f"One of {', '.join(CODES)}."
    for code in sorted(waived):
        if code not in CODES:
            sentence = f"{code!r} is no code of the linter."
            yield Diagnostic("unknown-waiver", "error", where, sentence, known)
        elif code not in found:
            yield Diagnostic("unused-waiver", "warning", where, f"nothing here is {code!r} any more.", "Take it out.")


def check_together(files: Iterable[tuple[str, ExportConfig]]) -> list[Diagnostic]:
    """Findings on a set of exports, each with the name of its file: repeated names, two owners of one automation."""
    listed = list(files)
    by_name: dict[str, list[str]] = defaultdict(list)
    by_automation: dict[tuple[str, str], list[tuple[str, ExportConfig]]] = defaultdict(list)
    for source, config in listed:
        by_name[config.name].append(source)
        for part in one_scope_each(config):
            key = (automation_name(part).lower(), part.automation.resource_group.lower())
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
    return [*found, *_check_renames(listed)]


def check_beside(name: str, config: ExportConfig, others: Mapping[str, ExportConfig]) -> list[Diagnostic]:
    """What one export brings into a set: the findings that there are with it and not without it.

    A former name that is still an export's is a warning here: the new file is put before the old one is deleted.
    """
    rest = list(others.items())
    before = check_together(rest)
    found = [finding for finding in check_together([*rest, (name, config)]) if finding not in before]
    return [replace(one, severity="warning") if one.code == "still-declared" else one for one in found]


def failing_tests(config: ExportConfig, source: str) -> list[Diagnostic]:
    """An error for each of a file's own tests that fails; what the record holds is not repeated."""
    from shared.exports.file_tests import run_tests

    return [
        Diagnostic(
            "failing-test",
            "error",
            f"{source}: {outcome.label}",
            f"the record should be {'exported' if outcome.expected else 'left out'}, and is not.",
            "Run `defender-export test` on the file, which says why.",
        )
        for outcome in run_tests(config)
        if not outcome.passed
    ]


def _check_renames(files: Sequence[tuple[str, ExportConfig]]) -> Iterator[Diagnostic]:
    """Former names that are still an export's, or that two exports claim."""
    by_name = {config.name: source for source, config in files}
    heirs: dict[str, str] = {}
    for source, config in files:
        former = config.renamed_from
        if former is None:
            continue
        where = f"{source}: renamedFrom"
        if former in by_name:
            sentence = f"{former!r} is still the name in {by_name[former]}."
            yield Diagnostic("still-declared", "error", where, sentence, "Delete that export, or take the key out.")
        if heirs.setdefault(former, source) != source:
            sentence = f"{heirs[former]} says that it was {former!r}, too."
            yield Diagnostic("two-heirs", "error", where, sentence, "One export can take over from another.")


def renames(configs: Sequence[ExportConfig]) -> dict[str, str]:
    """Former names with the one export that bears a new one, where that is certain."""
    names = {config.name for config in configs}
    former = Counter(config.renamed_from for config in configs if config.renamed_from)
    return {
        config.renamed_from: config.name
        for config in configs
        if config.renamed_from and config.renamed_from not in names and former[config.renamed_from] == 1
    }


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
