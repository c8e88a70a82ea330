"""From an export file to the automation that one subscription should have.

Nothing here depends on the order of keys or lists in the file: equal declarations compile to equal bodies.  The rule
sets for "everything of this severity" or "these recommendations" are those that the built-in policies write.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from shared.exports.event_sources import EVENT_SOURCES, SNAPSHOT
from shared.exports.known_values import ALERT_SEVERITIES, RECOMMENDATION_SEVERITIES, RISK_LEVELS
from shared.exports.rule_sets import Rule, RuleSet, Source, build_sources

if TYPE_CHECKING:
    from shared.exports.model import CategoryFilter, ExportConfig, Recommendations

MANAGED_BY_TAG: Final = "managed-by"
MANAGED_BY: Final = "defender-export"
INSTANCE_TAG: Final = "defender-export-instance"
NAME_TAG: Final = "defender-export-name"
FINGERPRINT_TAG: Final = "defender-export-key-fingerprint"
DEFAULT_DESCRIPTION: Final = "Continuous export of Microsoft Defender for Cloud data"
_SEVERITY: Final = "properties.metadata.severity"
_CATEGORY: Final = "properties.metadata.recommendationCategory"
_SCANNER: Final = "properties.additionalData.Scanner"
_RESOURCE_TYPE: Final = "properties.resourceDetails.ResourceType"
_CLOUD: Final = "properties.resourceDetails.Source"
_RESOURCE_ID: Final = "properties.resourceDetails.Id"
MAX_BODY_BYTES: Final = 1_048_576
"""Azure Resource Manager's limit for one resource definition."""


MAX_NAME: Final = 260
"""Characters of an automation's name (learn.microsoft.com/azure/templates/microsoft.security/automations)."""
_PLAIN_NAME: Final = re.compile(r"[-A-Za-z0-9_]+")


class BodyTooLarge(ValueError):  # noqa: N818 - names the state of the body
    """A compiled body is larger than Azure Resource Manager takes; the message has both numbers."""


def automation_name(config: ExportConfig) -> str:
    """The name of the automation in every subscription."""
    return config.automation.name or f"defender-export-{config.name}"


def one_scope_each(config: ExportConfig) -> tuple[ExportConfig, ...]:
    """The export as one export for each automation: several resource groups become as many, named by a suffix.

    Azure is reported to refuse an automation with more than one scope (terraform-provider-azurerm pull request 32868).
    The suffix is the group's own name, so that adding or removing a group leaves the others as they are.
    """
    groups = _resource_groups(config)
    if len(groups) < 2:  # noqa: PLR2004 - one scope or the whole subscription
        return (config,)
    return tuple(
        config.model_copy(
            update={
                "scope": config.scope.model_copy(update={"resource_groups": (group,)}),
                "automation": config.automation.model_copy(update={"name": _part_name(automation_name(config), group)}),
            }
        )
        for group in groups
    )


def _part_name(name: str, group: str) -> str:
    """An automation's name for one resource group; a digest stands for what a name can't hold."""
    plain = f"{name}-{group.lower()}"
    if _PLAIN_NAME.fullmatch(group) and len(plain) <= MAX_NAME:
        return plain
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    spelt = re.sub(r"[^a-z0-9_-]+", "-", group.lower()).strip("-")
    return f"{name[:150]}-{spelt}-{digest}"


def resource_group_id(config: ExportConfig, subscription_id: str) -> str:
    """The resource id of the group that holds the automation."""
    return f"/subscriptions/{subscription_id}/resourceGroups/{config.automation.resource_group}"


def automation_id(config: ExportConfig, subscription_id: str) -> str:
    """The automation's resource id in one subscription."""
    group = resource_group_id(config, subscription_id)
    return f"{group}/providers/Microsoft.Security/automations/{automation_name(config)}"


def ownership_tags(config: ExportConfig, instance_id: str) -> dict[str, str]:
    """The tags that say who manages the automation: this product, which deployment of it, which export."""
    return {MANAGED_BY_TAG: MANAGED_BY, INSTANCE_TAG: instance_id, NAME_TAG: config.name}


def compile_automation(config: ExportConfig, subscription_id: str, instance_id: str) -> dict[str, Any]:
    """The desired body of a PUT, without secrets: an authorization rule's connection string is added when applied.

    An authorization rule's name stands where Azure shows it (`sasPolicyName`), to be compared; it can't be written.

    An export of several resource groups gives one body with as many scopes, which only earlier releases wrote; see
    `one_scope_each`.

    Raises:
        BodyTooLarge: the rule sets make it larger than Azure Resource Manager takes.
    """
    body = {
        "location": config.automation.location.replace(" ", "").lower(),
        "tags": dict(sorted(config.automation.tags.items())) | ownership_tags(config, instance_id),
        "properties": {
            "description": DEFAULT_DESCRIPTION if config.description is None else config.description,
            "isEnabled": config.enabled,
            "scopes": [
                {"description": f"scope for {path}", "scopePath": path} for path in _scopes(config, subscription_id)
            ],
            "sources": build_sources(compile_sources(config)),
            "actions": [_action(config)],
        },
    }
    size = len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_BODY_BYTES:
        raise BodyTooLarge(
            f"the automation of export {config.name!r} would have {size:,} bytes; Azure takes {MAX_BODY_BYTES:,}"
        )
    return body


def compile_sources(config: ExportConfig) -> tuple[Source, ...]:
    """The event sources and rule sets of an export, in the order of EVENT_SOURCES; one entry for each source."""
    merged: dict[str, list[RuleSet]] = {}
    for source in (*_declared(config), *(custom.source() for custom in config.export.custom)):
        if source.event_source not in merged:
            merged[source.event_source] = list(source.rule_sets)
        elif merged[source.event_source] and source.rule_sets:
            merged[source.event_source] += source.rule_sets
        else:
            merged[source.event_source] = []
    return tuple(Source(name, tuple(dict.fromkeys(merged[name]))) for name in EVENT_SOURCES if name in merged)


def _scopes(config: ExportConfig, subscription_id: str) -> list[str]:
    subscription = f"/subscriptions/{subscription_id}"
    return [f"{subscription}/resourceGroups/{group}" for group in _resource_groups(config)] or [subscription]


def _resource_groups(config: ExportConfig) -> list[str]:
    return sorted({group.lower(): group for group in config.scope.resource_groups}.values(), key=str.lower)


def _action(config: ExportConfig) -> dict[str, Any]:
    hub, workspace = config.destination.event_hub, config.destination.log_analytics_workspace
    if hub is not None:
        rule = {"sasPolicyName": hub.authorization_rule} if hub.authorization_rule else {}
        return {
            "actionType": "EventHub",
            "eventHubResourceId": hub.resource_id,
            "isTrustedServiceEnabled": hub.trusted_service,
            **rule,
        }
    if workspace is not None:
        return {"actionType": "Workspace", "workspaceResourceId": workspace.resource_id}
    raise ValueError(f"the export {config.name} has no destination")  # the model lets no such file through


def _declared(config: ExportConfig) -> Iterator[Source]:
    """The sources of every section but `custom`."""
    export = config.export
    if export.alerts is not None:
        severities = _chosen(export.alerts.minimum_severity, export.alerts.severities, ALERT_SEVERITIES)
        yield Source(
            "Alerts",
            _cross(_equals("Severity", severities), _equals("ProductComponentName", _ordered(export.alerts.plans))),
        )
    if (part := export.recommendations) is not None:
        yield from _each(config, part.frequency, "Assessments", _assessments(part))
        if part.findings is not None:
            severities = _chosen(part.findings.minimum_severity, part.findings.severities, RECOMMENDATION_SEVERITIES)
            ids = [_contains("id", f"/assessments/{name}/") for name in _ordered(part.ids)]
            found = _cross(ids, _equals("properties.status.severity", severities))
            yield from _each(config, part.frequency, "SubAssessments", found)
    if (score := export.secure_score) is not None:
        yield from _each(config, score.frequency, "SecureScores", ())
        if score.controls:
            names = () if isinstance(score.controls, bool) else _ordered(score.controls)
            yield from _each(config, score.frequency, "SecureScoreControls", _cross(_equals("name", names)))
    if (compliance := export.regulatory_compliance) is not None:
        standards = _cross([_contains("id", name) for name in _ordered(compliance.standards)])
        yield from _each(config, compliance.frequency, "RegulatoryComplianceAssessment", standards)
    if (paths := export.attack_paths) is not None:
        levels = _chosen(paths.minimum_risk_level, paths.risk_levels, RISK_LEVELS)
        yield from _each(config, paths.frequency, "AttackPaths", _cross(_equals("attackPath.riskLevel", levels)))


def _each(
    config: ExportConfig, frequency: tuple[str, ...] | None, name: str, rule_sets: tuple[RuleSet, ...]
) -> Iterator[Source]:
    """The source of a kind for each frequency that applies to it."""
    chosen = frequency or config.export.frequency
    if "streaming" in chosen:
        yield Source(name, rule_sets)
    if "snapshot" in chosen:
        yield Source(name + SNAPSHOT, rule_sets)


def _assessments(part: Recommendations) -> tuple[RuleSet, ...]:
    """The rule sets of recommendations: ids and categories are alternatives, everything else narrows both.

    As the policies do, a severity alone is paired with a rule on the type that every recommendation meets.
    """
    narrowed = [
        _equals(_RESOURCE_TYPE, _ordered(part.resource_types)),
        _equals(_CLOUD, _ordered(part.clouds)),
    ]
    severities = _equals(_SEVERITY, _recommendation_severities(part))
    names = [_contains("name", name) for name in _ordered(part.ids)]
    if not names and not part.categories:
        if severities and not any(narrowed):
            names = [_contains("type", "Microsoft.Security/assessments")]
        return _cross(names, *narrowed, severities)
    chosen = dict.fromkeys(_cross(names, *narrowed, severities) if names else ())
    for category in part.categories or ():
        chosen |= dict.fromkeys(_category(category, narrowed, severities))
    return tuple(chosen)


def _category(item: str | CategoryFilter, narrowed: list[list[Rule]], severities: list[Rule]) -> tuple[RuleSet, ...]:
    """The rule sets of one entry of `categories`; its own severity stands in place of the section's."""
    if isinstance(item, str):
        return _cross(_equals(_CATEGORY, [item]), *narrowed, severities)
    if item.minimum_severity is not None or item.severities is not None:
        severities = _equals(_SEVERITY, _recommendation_severities(item))
    excluded = [Rule(_RESOURCE_TYPE, "String", "NotEquals", name) for name in _ordered(item.except_resource_types)]
    return _cross(
        _equals(_CATEGORY, [item.category] if item.category else []),
        _equals(_SCANNER, [item.scanner] if item.scanner else []),
        _equals(_RESOURCE_TYPE, _ordered(item.resource_types)),
        _equals(_CLOUD, _ordered(item.clouds)),
        [_contains(_RESOURCE_ID, text) for text in _ordered(item.resource_id_contains)],
        *([rule] for rule in excluded),
        *narrowed,
        severities,
    )


def _recommendation_severities(part: Recommendations | CategoryFilter) -> tuple[str, ...]:
    return _chosen(part.minimum_severity, part.severities, RECOMMENDATION_SEVERITIES)


def _chosen(minimum: str | None, listed: Iterable[str] | None, ranks: tuple[str, ...]) -> tuple[str, ...]:
    """The chosen ranks, highest first; empty when nothing is chosen, which means all.

    The lowest minimum is no rule at all, so that a rank that is invented later passes it too.
    """
    if minimum is not None:
        return () if minimum == ranks[-1] else ranks[: ranks.index(minimum) + 1]
    return tuple(rank for rank in ranks if rank in set(listed or ()))


def _ordered(names: Iterable[str] | None) -> tuple[str, ...]:
    """Names sorted and without repeats in other casings."""
    return tuple(sorted({name.lower(): name for name in sorted(names or ())}.values(), key=str.lower))


def _equals(path: str, values: Iterable[str]) -> list[Rule]:
    return [Rule(path, "String", "Equals", value) for value in values]


def _contains(path: str, value: str) -> Rule:
    return Rule(path, "String", "Contains", value)


def _cross(*alternatives: list[Rule]) -> tuple[RuleSet, ...]:
    """One rule set for each combination of one rule from every list that has any; none when no list has."""
    filled = [rules for rules in alternatives if rules]
    return tuple(product(*filled)) if filled else ()
