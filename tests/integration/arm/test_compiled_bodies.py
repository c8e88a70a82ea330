"""Every body that an export file compiles to is accepted by the local ARM, and reads back as what was meant."""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from local.arm import Arm
from local.tenant import Subscription, Tenant, destinations
from shared.exports.compiler import automation_name, compile_automation, one_scope_each
from shared.exports.model import ExportConfig, parse_export
from shared.reconcile.model import Live
from shared.reconcile.plan.automation_diff import diff
from tests.unit.exports.examples import export

from .conftest import GROUP, V2019, V2023, Rest, automation_path, connection_string

SAMPLES = sorted((Path(__file__).parents[3] / "exports").glob("*.yaml"))
LEVELS = ["High", "Medium", "Low"]
IDS = ["82e20e14-edc5-4373-bfc4-f13121257c37", "f97aa83c-9b63-4f9a-99f6-b22c4398f936"]
RULE = {"propertyJPath": "properties.score.percentage", "propertyType": "Number", "operator": "LesserThan"}
FREQUENCIES = (["streaming"], ["snapshot"], ["streaming", "snapshot"])
BY_LEVEL: list[dict[str, Any]] = [{}, {"minimumSeverity": "Medium"}]
BY_ID: list[dict[str, Any]] = [{}, {"ids": IDS}]
FINDINGS: list[dict[str, Any]] = [{}, {"findings": {}}, {"findings": {"severities": LEVELS}}]
CHOICES: dict[str, list[dict[str, Any]]] = {
    "alerts": [
        {"frequency": ["streaming"]},
        {"frequency": ["streaming"], "minimumSeverity": "Informational"},
        {"frequency": ["streaming"], "severities": ["Low"], "plans": ["Storage", "Dns"]},
    ],
    "recommendations": [{**level, **ids, **findings} for level, ids, findings in product(BY_LEVEL, BY_ID, FINDINGS)],
    "secureScore": [{"controls": controls} for controls in (False, True, IDS)],
    "regulatoryCompliance": [{}, {"standards": ["Azure-CIS-1.4.0", "PCI-DSS-4"]}],
    "attackPaths": [{}, {"minimumRiskLevel": "Medium"}],
    "custom": [{"eventSource": "SecureScores", "ruleSets": [{"rules": [RULE | {"expectedValue": "0.5"}]}]}],
}


def retargeted(whole: dict[str, Any], tenant: Tenant) -> ExportConfig:
    """The same export to a destination that the tenant has."""
    places = destinations(tenant)
    for name, id_ in (("eventHub", places.event_hub), ("logAnalyticsWorkspace", places.workspace)):
        if name in whole["destination"]:
            whole["destination"][name]["resourceId"] = id_
    return parse_export(json.dumps(whole))


def exports(tenant: Tenant) -> list[ExportConfig]:
    """The samples; every choice of every section at every frequency; and mixtures of them."""
    found = []
    for path in SAMPLES:
        config = parse_export(path.read_bytes())
        found.append(retargeted(config.model_dump(by_alias=True, exclude_none=True, mode="json"), tenant))
    chance = random.Random(4)
    sections = [{name: [one] if name == "custom" else one} for name, choices in CHOICES.items() for one in choices]
    sections += [
        {
            name: [one] if name == "custom" else one
            for name, choices in CHOICES.items()
            for one in chance.sample(choices, 1)
        }
        for _ in range(20)
    ]
    ways = [
        {"eventHub": {"resourceId": "", "trustedService": True}},
        {"eventHub": {"resourceId": "", "authorizationRule": "defender-send"}},
        {"logAnalyticsWorkspace": {"resourceId": ""}},
    ]
    for index, (section, frequency) in enumerate(product(sections, FREQUENCIES)):
        scope = {"managementGroups": ["contoso"], "resourceGroups": chance.sample(["rg-app", "rg-data"], index % 3)}
        destination = json.loads(json.dumps(ways[index % 3]))
        whole = export(
            name=f"export-{index}",
            enabled=index % 4 > 0,
            scope=scope,
            destination=destination,
            export={"frequency": frequency, **section},
            automation={"location": "West Europe", "tags": {"team": "soc"}},
        )
        found.append(retargeted(whole, tenant))
    return found


@pytest.mark.parametrize("version", [V2023, V2019])
async def test_every_compiled_body_is_accepted_and_reads_back_equal(
    rest: Rest, arm: Arm, tenant: Tenant, home: Subscription, version: str
) -> None:
    arm.throttling = False
    listed = exports(tenant)
    assert len(listed) > 100
    for config in (part for whole in listed for part in one_scope_each(whole)):
        body = compile_automation(config, home.id, "test")
        if version == V2019 and "AttackPaths" in json.dumps(body):
            continue  # that version does not know them
        sent = json.loads(json.dumps(body))
        hub = config.destination.event_hub
        if hub is not None and hub.authorization_rule:
            sent["properties"]["actions"][0]["connectionString"] = connection_string()
        path = automation_path(home, automation_name(config), GROUP)
        validated = await rest("POST", f"{path}/validate", sent, version=version)
        assert (validated.status, validated.body.get("isValid")) == (200, True), (config.name, validated.body)
        put = await rest("PUT", path, sent, version=version)
        assert put.status == 201, (config.name, put.body)
        read = await rest("GET", path, version=version)
        assert diff(Live.from_body(read.body), body) == (), config.name
    other = {**body, "properties": {**body["properties"], "sources": [{"eventSource": "AttackPaths"}]}}
    assert diff(Live.from_body(read.body), other)  # the comparison can tell
