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

from shared.exports.automation_linter import lint_actions
from shared.exports.compiler import NAME_TAG, compile_automation
from shared.exports.diagnostics import Diagnostic, InvalidExport, errors
from shared.exports.event_sources import member
from shared.exports.linter import CODES
from shared.exports.ownership import managed, tag
from shared.exports.rule_sets import MalformedRules, Source, normalise, parse_sources
from shared.exports.validation import check_config
from shared.exports.yaml_writer import write
from shared.reconcile.importer.automation_as_sections import Unsayable, export_section
from shared.reconcile.model import Live, Subscription
from shared.reconcile.plan.automation_diff import diff
from shared.shown_text import printable

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig

_WAIVED = "imported as it was found"
_SEVERAL_SCOPES = (
    "It has several scopes, which Azure is reported to take no more. It stays one automation until this file changes; "
    "then it becomes one for each resource group."
)


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
        str(member(properties, "description") or ""),
        member(properties, "isEnabled") is not False,
        _resource_groups(live, properties),
        _destination(properties),
        normalise(parse_sources(properties)),
    )


def _resource_groups(live: Live, properties: Mapping[str, Any]) -> tuple[str, ...]:
    """The resource groups that an automation looks at; none for the whole subscription."""
    whole = f"subscriptions/{live.id.subscription_id.lower()}"
    scopes = _mappings(properties, "scopes")
    if not scopes:
        raise Unsayable("it has no scope, so it exports nothing")
    paths = {str(member(scope, "scopePath") or "").strip("/").lower() for scope in scopes}
    groups = {path: re.fullmatch(rf"{re.escape(whole)}/resourcegroups/([^/]+)", path) for path in sorted(paths)}
    names = tuple(group[1] for group in groups.values() if group)
    others = [path for path, group in groups.items() if group is None and path != whole]
    if others:
        raise Unsayable(f"its scope {others[0]!r} is neither its subscription nor a resource group of it")
    return () if whole in paths else names


def _mappings(properties: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """A list of objects in an automation's properties.

    Raises:
        Unsayable: it is none.
    """
    listed = member(properties, name)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise Unsayable(f"its {name} are not of the API's shape")
    return listed


def _destination(properties: Mapping[str, Any]) -> tuple[str, str, str]:
    """Kind, resource id and way in of the only action."""
    actions = _mappings(properties, "actions")
    if len(actions) != 1:
        raise Unsayable(f"it has {len(actions)} actions, and an export file has one destination")
    action = actions[0]
    kind = str(member(action, "actionType") or "").lower()
    if kind == "logicapp":
        raise Unsayable("its action starts a logic app, which is workflow automation, not export")
    broken = lint_actions({"actions": [action]}, "")
    if broken and broken[0].code != "no-credential":
        raise Unsayable(broken[0].sentence.rstrip("."))
    if broken:
        raise Unsayable("Azure does not show which key it sends with")
    if kind == "workspace":
        return kind, str(member(action, "workspaceResourceId")).strip("/").lower(), ""
    trusted = member(action, "isTrustedServiceEnabled") is True
    rule = "" if trusted else str(member(action, "sasPolicyName") or "")
    return kind, str(member(action, "eventHubResourceId")).strip("/").lower(), rule.lower()


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
    text = _heading(shape, members, known, findings) + write(document)
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
    document["destination"] = _where(_mappings(properties, "actions")[0])
    return document


def _where(action: Mapping[str, Any]) -> dict[str, Any]:
    if str(member(action, "actionType")).lower() == "workspace":
        return {"logAnalyticsWorkspace": {"resourceId": _id(member(action, "workspaceResourceId"))}}
    trusted = member(action, "isTrustedServiceEnabled") is True
    way = {"trustedService": True} if trusted else {"authorizationRule": str(member(action, "sasPolicyName"))}
    return {"eventHub": {"resourceId": _id(member(action, "eventHubResourceId")), **way}}


def _id(value: Any) -> str:
    return f"/{str(value).strip('/')}"


def _heading(
    shape: _Shape, members: Sequence[Live], known: Mapping[str, Subscription], findings: Collection[Diagnostic]
) -> str:
    """Comments for people: whose automations these were, and what is wrong with them."""
    count = f"{len(members)} automation{'s' if len(members) > 1 else ''}"
    lines = [f"Imported from {count} named {members[0].id.name}."]
    lines += [f"{live.id.subscription_id}  {known[live.id.key[0]].name}" for live in members]
    if shape.resource_groups[1:]:
        lines.append(_SEVERAL_SCOPES)
    if findings:
        lines += ["What the linter has against it:", *(f"{one.code}: {one.sentence} {one.fix}" for one in findings)]
    return "".join(f"# {printable(line).strip()}\n" for line in lines)


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
