"""From export files to the automations that should be there: which subscriptions, and what in each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.exports.compiler import BodyTooLarge, automation_name, compile_automation, one_scope_each
from shared.reconcile.model import Desired, ResourceId, Subscription
from shared.reconcile.plan.model import DestinationState, Rollout, Target

if TYPE_CHECKING:
    from shared.exports.model import ExportConfig
from shared.exports.scope_selection import judged, selects

# Stands for the subscription in a body that is compiled once and then filled in for each.
ANY_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Prepared:
    """What is known about an export's destination before anything is written to it.

    `tags` go on the automation (a key's fingerprint), `blocked` is why nothing can be written, `broken` why nothing
    would arrive, `unverified` what could not be looked at, `warnings` are worth knowing; all are sentences.  With
    `key_unknown` there is a key, and its fingerprint is not known.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    blocked: str = ""
    warnings: tuple[str, ...] = ()
    broken: str = ""
    unverified: tuple[str, ...] = ()
    key_unknown: bool = False

    @property
    def state(self) -> DestinationState:
        """What these sentences amount to."""
        if self.blocked or self.broken:
            return DestinationState.BROKEN
        return DestinationState.UNVERIFIED if self.unverified else DestinationState.READY


def desired_automations(
    configs: Sequence[ExportConfig],
    subscriptions: Iterable[Subscription],
    instance_id: str,
    prepared: Mapping[str, Prepared],
    numbers: Mapping[str, int] | None = None,
) -> Iterator[Desired]:
    """Each automation that the files ask for; `prepared` and `numbers` (of the files' versions) are by export name.

    Raises:
        shared.exports.compiler.BodyTooLarge: an export compiles to more than Azure takes.
    """
    templates = [
        (_template(part, instance_id), whole, prepared.get(config.name, Prepared()))
        for config in configs
        for parts in (one_scope_each(config),)
        for whole in (_template(config, instance_id) if len(parts) > 1 else None,)
        for part in parts
    ]
    for subscription in subscriptions:
        for template, whole, destination in templates:
            config = template.config
            if not (
                selects(config.scope, subscription) and judged(config.scope, subscription, placed=subscription.placed)
            ):
                continue
            number = (numbers or {}).get(config.name, 0)
            desired = _desired(template, subscription, destination, number)
            together = None if whole is None else _desired(whole, subscription, destination, number)
            yield replace(desired, together=together) if together else desired


class _Template(NamedTuple):
    """One automation of an export, compiled once for all subscriptions."""

    config: ExportConfig
    name: str
    body: Mapping[str, Any]


def _template(config: ExportConfig, instance_id: str) -> _Template:
    return _Template(config, automation_name(config), compile_automation(config, ANY_SUBSCRIPTION, instance_id))


def _desired(template: _Template, subscription: Subscription, destination: Prepared, number: int) -> Desired:
    config = template.config
    return Desired(
        config.name,
        ResourceId(subscription.id, config.automation.resource_group, template.name),
        _filled(template.body, subscription.id, destination.tags),
        adopt=config.automation.adopt,
        enabled=config.enabled,
        create_group=config.automation.create_resource_group,
        group_tags=config.automation.tags,
        blocked=destination.blocked,
        key_unknown=destination.key_unknown,
        tenant_id=config.destination.tenant_id or "",
        number=number,
    )


def rollouts(configs: Iterable[ExportConfig], prepared: Mapping[str, Prepared]) -> dict[str, Rollout]:
    """The exports that reach their management groups one after another, by name."""
    return {
        config.name: Rollout(
            config.rollout.management_groups,
            timedelta(hours=config.rollout.wait_hours),
            prepared.get(config.name, Prepared()).blocked,
        )
        for config in configs
        if config.rollout is not None
    }


def targets(configs: Iterable[ExportConfig], prepared: Mapping[str, Prepared]) -> tuple[Target, ...]:
    """The destinations of the exports, each once for all exports that say and know the same about it."""
    found: dict[tuple[str, bool, DestinationState, tuple[str, ...]], list[str]] = {}
    spelt: dict[str, str] = {}
    for config in configs:
        place = config.destination.event_hub or config.destination.log_analytics_workspace
        if place is None or (known := prepared.get(config.name)) is None:
            continue
        spelt.setdefault(place.resource_id.lower(), place.resource_id)
        reasons = tuple(filter(None, (known.blocked, known.broken))) or known.unverified
        key = place.resource_id.lower(), config.destination.verify, known.state, reasons
        found.setdefault(key, []).append(config.name)
    return tuple(
        Target(spelt[place], state, reasons, tuple(sorted(names)), verify)
        for (place, verify, state, reasons), names in sorted(found.items())
    )


def oversized(configs: Iterable[ExportConfig], instance_id: str) -> dict[str, str]:
    """Exports that compile to more than Azure takes, with the sentence that says so; they must not stop the others."""
    refused = {}
    for config in configs:
        try:
            compile_automation(config, ANY_SUBSCRIPTION, instance_id)
        except BodyTooLarge as error:
            refused[config.name] = str(error)
    return refused


def _filled(template: Mapping[str, Any], subscription_id: str, tags: Mapping[str, str]) -> dict[str, Any]:
    properties = template["properties"]
    scopes = [
        {name: text.replace(ANY_SUBSCRIPTION, subscription_id) for name, text in scope.items()}
        for scope in properties["scopes"]
    ]
    return {**template, "tags": {**template["tags"], **tags}, "properties": {**properties, "scopes": scopes}}
