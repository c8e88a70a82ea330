"""From automations that others made to export files that mean the same.

Automations are grouped when one file can stand for all of them: the same name, place, destination and meaning in
several subscriptions.  Sections are used where they say exactly what is live, `custom` for the rest, and what the
linter has against it is waived and named, so that nothing changes by being imported.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.exports.compiler import NAME_TAG, compile_automation
from shared.exports.diagnostics import Diagnostic, InvalidExport, errors
from shared.exports.linter import CODES
from shared.exports.ownership import managed, tag
from shared.exports.rule_sets import MalformedRules, Source, normalise, parse_sources
from shared.exports.validation import check_config
from shared.exports.yaml_writer import write
from shared.reconcile.importer.sources_to_sections import Unsayable, export_section
from shared.reconcile.model import Live, Subscription
from shared.reconcile.plan.automation_diff import diff

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig

_WAIVED = "imported as it was found"


@dataclass(frozen=True)
class Imported:
    """One export file: its name and text, the automations it stands for, and what the linter has against them."""

    name: str
    text: str
    config: ExportConfig
    automations: tuple[Live, ...]
    findings: tuple[Diagnostic, ...]


class Left(NamedTuple):
    """An automation that no file was written for, and why."""

    automation: Live
    reason: str


class _Shape(NamedTuple):
    """Everything that one file fixes; equal for automations that one file can stand for."""

    name: str
    group: str
    location: str
    description: str
    enabled: bool
    resource_groups: tuple[str, ...]
    destination: tuple[str, str, str]
    sources: tuple[Source, ...]


def import_exports(
    automations: Iterable[Live],
    subscriptions: Iterable[Subscription],
    instance_id: str,
    *,
    adopt: bool = False,
) -> tuple[list[Imported], list[Left]]:
    """The files for all automations that can be said in one, and those that can't with the reason.

    `adopt` marks the files so that this app takes the automations over.
    """
    known = {subscription.id.lower(): subscription for subscription in subscriptions}
    groups: dict[_Shape, list[Live]] = {}
    left: list[Left] = []
    for live in sorted(automations, key=lambda live: live.id.key):
        try:
            _refuse(live, known.get(live.id.key[0]), instance_id)
            groups.setdefault(_shape(live), []).append(live)
        except (Unsayable, MalformedRules) as reason:
            left.append(Left(live, str(reason)))
    taken: set[str] = set()
    imported = []
    for shape, members in sorted(groups.items(), key=lambda entry: (entry[0].name, -len(entry[1]), entry[1][0].id.key)):
        try:
            one = _imported(_name(members[0].id.name, taken), shape, members, known, adopt=adopt)
        except (Unsayable, InvalidExport) as error:
            sentences = [one.sentence for one in error.findings] if isinstance(error, InvalidExport) else [str(error)]
            left += [Left(live, f"no export file can say it: {'; '.join(sentences)}") for live in members]
            continue
        taken.add(one.name)
        imported.append(one)
    return imported, left


def _refuse(live: Live, subscription: Subscription | None, instance_id: str) -> None:
    if managed(live.tags):
        owner = tag(live.tags, "defender-export-instance")
        ours = owner.lower() == instance_id.lower()
        raise Unsayable(
            f"the export {tag(live.tags, NAME_TAG)} declares it already" if ours else f"the deployment {owner} owns it"
        )
    if subscription is None:
        raise Unsayable("its subscription was not found")
    if not subscription.writable:
        raise Unsayable(f"its subscription is {subscription.state.lower()}, and so read-only")


def _shape(live: Live) -> _Shape:
    properties = live.properties
    return _Shape(
        live.id.name.lower(),
        live.id.resource_group.lower(),
        live.location.replace(" ", "").lower(),
        properties.get("description") or "",
        properties.get("isEnabled") is not False,
        _resource_groups(live, properties),
        _destination(properties),
        normalise(parse_sources(properties)),
    )


def _resource_groups(live: Live, properties: Mapping[str, Any]) -> tuple[str, ...]:
    """The resource groups that an automation looks at; none for the whole subscription."""
    whole = f"subscriptions/{live.id.subscription_id.lower()}"
    paths = {str(scope.get("scopePath")).strip("/").lower() for scope in properties.get("scopes") or ()}
    if paths == {whole}:
        return ()
    groups = [re.fullmatch(rf"{whole}/resourcegroups/([^/]+)", path) for path in sorted(paths)]
    names = tuple(group[1] for group in groups if group)
    if not names or len(names) < len(groups):
        raise Unsayable("its scopes are neither its subscription nor resource groups of it")
    return names


def _destination(properties: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, resource id and way in of the only action."""
    actions: Sequence[Mapping[str, Any]] = properties.get("actions") or ()
    if len(actions) != 1:
        raise Unsayable(f"it has {len(actions)} actions, and an export file has one destination")
    action = actions[0]
    kind = str(action.get("actionType")).lower()
    if kind == "workspace":
        return kind, str(action.get("workspaceResourceId")).lower(), ""
    if kind != "eventhub":
        raise Unsayable(f"its action is a {action.get('actionType')}, which is workflow automation, not export")
    rule = "" if action.get("isTrustedServiceEnabled") is True else str(action.get("sasPolicyName") or "")
    if not rule and action.get("isTrustedServiceEnabled") is not True:
        raise Unsayable("Azure does not show which key it sends with")
    return kind, str(action.get("eventHubResourceId")).lower(), rule.lower()


def _imported(
    name: str,
    shape: _Shape,
    members: Sequence[Live],
    known: Mapping[str, Subscription],
    *,
    adopt: bool,
) -> Imported:
    from shared.exports.model import ExportConfig, parse_export

    document = _document(name, shape, members, adopt=adopt)
    config = parse_export(write(document))
    findings = check_config(config, name)
    codes = sorted({finding.code for finding in findings if finding.code in CODES})
    if codes:
        document["waive"] = [{"code": code, "reason": _WAIVED} for code in codes]
        config = parse_export(write(document))
    if remaining := errors(check_config(config, name)):
        raise InvalidExport(remaining)
    text = _heading(members, known, findings) + write(document)
    if parse_export(text) != config or ExportConfig.model_validate(document) != config:
        raise Unsayable("its text would not be read as it is meant")
    for live in members:
        _check_meaning(live, config)
    return Imported(name, text, config, tuple(members), tuple(findings))


def _check_meaning(live: Live, config: ExportConfig) -> None:
    """The proof: compiled for its subscription, the file differs from what is live in tags only."""
    body = compile_automation(config, live.id.subscription_id, "")
    other = [change.path for change in diff(live, body) if not change.path.startswith("tags.")]
    if other:
        raise Unsayable(f"a file would change {', '.join(other)}")


def _document(name: str, shape: _Shape, members: Sequence[Live], *, adopt: bool) -> dict[str, Any]:
    first = members[0]
    properties = first.properties
    names = Counter(live.id.name for live in members)
    groups = Counter(live.id.resource_group for live in members)
    document: dict[str, Any] = {"version": 1, "name": name, "description": shape.description}
    if not shape.enabled:
        document["enabled"] = False
    scope: dict[str, Any] = {"subscriptions": sorted({live.id.subscription_id.lower() for live in members})}
    if shape.resource_groups:
        scope["resourceGroups"] = list(shape.resource_groups)
    document["scope"] = scope
    document["automation"] = {
        "name": names.most_common(1)[0][0],
        "resourceGroup": groups.most_common(1)[0][0],
        "location": shape.location,
    } | ({"adopt": True} if adopt else {})
    document["export"] = export_section(parse_sources(properties))
    document["destination"] = _where(properties["actions"][0])
    return document


def _where(action: Mapping[str, Any]) -> dict[str, Any]:
    if str(action["actionType"]).lower() == "workspace":
        return {"logAnalyticsWorkspace": {"resourceId": str(action["workspaceResourceId"])}}
    trusted = action.get("isTrustedServiceEnabled") is True
    way = {"trustedService": True} if trusted else {"authorizationRule": action["sasPolicyName"]}
    return {"eventHub": {"resourceId": str(action["eventHubResourceId"]), **way}}


def _heading(members: Sequence[Live], known: Mapping[str, Subscription], findings: Collection[Diagnostic]) -> str:
    """Comments for people: whose automations these were, and what is wrong with them."""
    count = f"{len(members)} automation{'s' if len(members) > 1 else ''}"
    lines = [f"Imported from {count} named {members[0].id.name}."]
    lines += [f"{live.id.subscription_id}  {known[live.id.key[0]].name}" for live in members]
    if findings:
        lines += ["What the linter has against it:", *(f"{one.code}: {one.sentence} {one.fix}" for one in findings)]
    return "".join(f"# {_printable(line)}\n" for line in lines)


def _printable(line: str) -> str:
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line).strip()


def _name(automation: str, taken: Collection[str]) -> str:
    """An export's name after an automation's: ExportToEventHub becomes export-to-event-hub, then ...-2."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", automation).lower()
    name = re.sub(r"[^a-z0-9]+", "-", spaced).strip("-")[:56].strip("-") or "export"
    return next(one for one in _numbered(name) if one not in taken)


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1
