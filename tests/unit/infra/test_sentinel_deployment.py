"""What the switch `sentinel` deploys: nothing while it is off, and while it is on what the sources say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.infra.test_compiler import WORKSPACE, evaluated
from tools.compiler import Compiler
from tools.sentinel import CRITICAL_VALUES, hunting, parsers, rule_properties, rules
from tools.snapshots import INFRA, Snapshot, committed

RULE = "Microsoft.SecurityInsights/alertRules"
SAVED = "Microsoft.OperationalInsights/workspaces/savedSearches"
ALL = committed()
ON = ALL["sentinel"]
# The properties of a scheduled rule (Microsoft.SecurityInsights/alertRules 2025-09-01, Azure/bicep-types-az).
REQUIRED = {
    "displayName", "enabled", "severity", "query", "queryFrequency", "queryPeriod", "triggerOperator",
    "triggerThreshold", "suppressionEnabled", "suppressionDuration",
}  # fmt: skip
OPTIONAL = {
    "description", "tactics", "techniques", "entityMappings", "customDetails", "alertDetailsOverride",
    "eventGroupingSettings", "incidentConfiguration", "alertRuleTemplateName", "templateVersion",
}  # fmt: skip


def content(snapshot: Snapshot) -> dict[str, list[str]]:
    """Titles of rules, and names of hunting queries and parsers."""
    saved = [one["properties"] for one in snapshot.of_type(SAVED)]
    return {
        "rules": sorted(one["properties"]["displayName"].partition(": ")[2] for one in snapshot.of_type(RULE)),
        "hunting": sorted(one["displayName"] for one in saved if one["category"] == "Hunting Queries"),
        "parsers": sorted(one["displayName"] for one in saved if "AlertEvent" in one["displayName"]),
    }


@pytest.mark.parametrize("name", sorted(set(ALL) - {"sentinel"}))
def test_off_unless_asked_for(name: str) -> None:
    assert content(ALL[name]) == {"rules": [], "hunting": [], "parsers": []}


def test_the_switch_is_off_by_default() -> None:
    template = json.loads((INFRA / "main.json").read_text())
    assert template["parameters"]["sentinel"]["defaultValue"] is False


def test_on_deploys_every_rule_query_and_parser() -> None:
    assert content(ON) == {
        "rules": sorted(rule.title for rule in rules()),
        "hunting": sorted(f"Defender Export: {query.title}" for query in hunting()),
        "parsers": sorted(parser.name for parser in parsers()),
    }


def test_everything_lies_in_the_workspace_under_names_of_its_own() -> None:
    found = ON.of_type(RULE)
    assert {one["id"].split("/providers/Microsoft.SecurityInsights/")[0].rsplit("/", 1)[1] for one in found} == {
        "log-sentinel"
    }
    assert len({one["name"] for one in found}) == len(found) == len({one["properties"]["displayName"] for one in found})


def test_a_rule_has_the_properties_that_its_type_knows_and_no_placeholder() -> None:
    by_title = {rule.title: rule for rule in rules()}
    for one in ON.of_type(RULE):
        properties = one["properties"]
        rule = by_title[properties["displayName"].partition(": ")[2]]
        assert one["kind"] == "Scheduled"
        assert REQUIRED <= set(properties) <= REQUIRED | OPTIONAL
        assert properties == properties | rule_properties(rule)
        assert not re.search(r"\{[A-Z]\w+\}", properties["query"])
        if rule.of_one_instance:
            assert "InstanceId == 'soc'" in properties["query"]


def test_the_usual_values_of_criticality_are_in_the_two_rules_that_go_by_them() -> None:
    asked = [one["properties"]["query"] for one in ON.of_type(RULE) if "Criticality in~" in one["properties"]["query"]]
    assert len(asked) == 2
    assert all(f"dynamic({json.dumps(list(CRITICAL_VALUES), separators=(',', ':'))})" in query for query in asked)


def test_parsers_take_their_parameters_as_log_analytics_writes_them() -> None:
    found = {
        one["properties"]["functionAlias"]: one["properties"]
        for one in ON.of_type(SAVED)
        if "AlertEvent" in one["name"]
    }
    taken = found["vimAlertEventMicrosoftDefenderForCloudExport"]["functionParameters"]
    assert taken.startswith(
        "starttime:datetime=datetime(null),endtime:datetime=datetime(null),ipaddr_has_any_prefix:dynamic=dynamic([])"
    )
    assert found["ASimAlertEventMicrosoftDefenderForCloudExport"]["functionParameters"] == "disabled:bool=false"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(INFRA, tmp_path_factory.mktemp("copy") / "infra"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "number"),
    [
        ({}, (6, 5, 2)),
        ({"workspaceResourceId": WORKSPACE, "writeTables": False}, (3, 0, 0)),
        ({"tablePlan": "Basic"}, (3, 0, 0)),
        ({"tablePlans": {"DefenderAlerts_CL": "Basic"}}, (4, 2, 0)),
        ({"tablePlans": {"DefenderAttackPaths_CL": "Basic"}}, (5, 3, 2)),
    ],
    ids=str,
)
def test_what_another_deployment_has_written_and_what_a_basic_table_can_not_answer_is_left_out(
    compiler: Compiler, copy: Path, given: dict[str, Any], number: tuple[int, int, int]
) -> None:
    found = content(evaluated(compiler, copy, sentinel=True, **given))
    assert (len(found["rules"]), len(found["hunting"]), len(found["parsers"])) == number


@pytest.mark.slow
def test_values_of_criticality_are_given_as_text_of_any_kind(compiler: Compiler, copy: Path) -> None:
    values = ["Tier 1", 'It\'s "critical"', "{InstanceId}"]
    found = evaluated(compiler, copy, sentinel=True, sentinelCriticalValues=values)
    asked = [
        one["properties"]["query"] for one in found.of_type(RULE) if "Criticality in~" in one["properties"]["query"]
    ]
    for query in asked:
        assert json.loads(re.search(r"Criticality in~ \(dynamic\((\[.*?\])\)\)", query)[1]) == values  # type: ignore[index]
