"""The local Azure refuses the rules that Azure refuses."""

from copy import deepcopy
from typing import Any

import pytest

from local.collection_rule import RuleRefusedError, properties_for, written
from shared.enrich.tables import OWN_TABLES, RECORD_TABLES, TABLES
from tools.snapshots import committed

MAIN = {name: one for name, one in committed().items() if not name.startswith("management-group")}


def ten() -> dict[str, Any]:
    """The properties of a rule that is full."""
    properties = properties_for(RECORD_TABLES)
    for number in range(len(RECORD_TABLES), 10):
        add_stream(properties, number)
        add_flow(properties, number)
    return properties


def add_stream(properties: dict[str, Any], number: int) -> None:
    properties["streamDeclarations"][f"Custom-More{number}_CL"] = {"columns": [{"name": "A", "type": "string"}]}


def add_flow(properties: dict[str, Any], number: int) -> None:
    name = f"Custom-More{number}_CL"
    properties["dataFlows"].append({"streams": [name], "destinations": ["workspace"], "outputStream": name})


@pytest.mark.parametrize("name", MAIN)
def test_every_deployed_rule_is_taken_and_each_table_has_one(name: str) -> None:
    rules = [
        written("dcr-1", one["properties"]) for one in MAIN[name].of_type("Microsoft.Insights/dataCollectionRules")
    ]
    assert sorted(table for rule in rules for table in rule.tables.values()) == sorted(table.name for table in TABLES)
    assert sorted(len(rule.tables) for rule in rules) == [len(OWN_TABLES), len(RECORD_TABLES)]


@pytest.mark.parametrize("name", MAIN)
def test_the_local_rules_are_the_deployed_ones(name: str) -> None:
    for rule in MAIN[name].of_type("Microsoft.Insights/dataCollectionRules"):
        tables = OWN_TABLES if "-own-" in rule["name"] else RECORD_TABLES
        local = properties_for(tables)
        assert rule["properties"]["streamDeclarations"] == local["streamDeclarations"]
        flows = sorted(local["dataFlows"], key=lambda flow: flow["outputStream"])
        assert sorted(rule["properties"]["dataFlows"], key=lambda flow: flow["outputStream"]) == flows


def test_ten_streams_and_flows_are_taken_and_an_eleventh_is_not() -> None:
    full = ten()
    assert len(written("dcr-1", full).tables) == 10
    more = deepcopy(full)
    add_stream(more, 10)
    with pytest.raises(RuleRefusedError, match="11 stream declarations"):
        written("dcr-1", more)
    more = deepcopy(full)
    more["dataFlows"].append(more["dataFlows"][0])
    with pytest.raises(RuleRefusedError, match="11 data flows"):
        written("dcr-1", more)


def wrong_type(properties: dict[str, Any]) -> None:
    properties["streamDeclarations"]["Custom-DefenderAlerts_CL"]["columns"][0]["type"] = "dateTime"


def no_prefix(properties: dict[str, Any]) -> None:
    properties["streamDeclarations"]["DefenderAlerts_CL"] = {"columns": []}


def undeclared(properties: dict[str, Any]) -> None:
    properties["dataFlows"][0]["streams"] = ["Custom-Nothing_CL"]


def nowhere(properties: dict[str, Any]) -> None:
    properties["dataFlows"][0]["destinations"] = ["elsewhere"]


def two_streams(properties: dict[str, Any]) -> None:
    properties["dataFlows"][0]["streams"] *= 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong_type, "no type"),
        (no_prefix, "begin with"),
        (undeclared, "not declared"),
        (nowhere, "no destination"),
        (two_streams, "one stream"),
    ],
)
def test_what_leads_nowhere_is_refused(change: Any, said: str) -> None:
    properties = properties_for(OWN_TABLES + RECORD_TABLES[:1])
    change(properties)
    with pytest.raises(RuleRefusedError, match=said):
        written("dcr-1", properties)
