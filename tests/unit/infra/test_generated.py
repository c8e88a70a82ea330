"""What is generated is current, and fits Azure's limits."""

import json
import re
from typing import Any

import pytest

from shared.enrich.tables import TABLES
from tools import infra

LIMITS = {"streams": 10, "columns": 500, "name": 45}


@pytest.mark.parametrize("path", infra.generated(), ids=lambda path: path.name)
def test_generated_files_are_current(path: Any) -> None:
    assert path.read_text() == infra.generated()[path], "out of date: run python -m tools.infra"


def load(name: str) -> Any:
    return json.loads((infra.INFRA / "generated" / name).read_text())


def test_each_stream_has_one_rule_which_takes_ten() -> None:
    streams = load("streams.json")
    assert list(streams["records"]) == [table.stream for table in TABLES if table.holds_records]
    assert list(streams["own"]) == [table.stream for table in TABLES if not table.holds_records]
    assert all(len(of_rule) <= LIMITS["streams"] for of_rule in streams.values())


def test_tables_and_streams_have_the_same_columns() -> None:
    streams = {name: one for of_rule in load("streams.json").values() for name, one in of_rule.items()}
    for table in load("tables.json")["tables"]:
        assert table["name"] == table["schema"]["name"]
        columns = [(column["name"], column["type"].lower()) for column in table["schema"]["columns"]]
        assert columns == [(column["name"], column["type"]) for column in streams[table["stream"]]["columns"]]
        assert len(columns) <= LIMITS["columns"]
        assert all(re.fullmatch(rf"[A-Za-z]\w{{0,{LIMITS['name'] - 1}}}", name) for name, _ in columns)


def test_two_functions_a_table_of_records() -> None:
    names = [function["name"] for function in load("functions.json")["functions"]]
    assert len(names) == len(set(names))
    for table in TABLES:
        stem = table.name.removesuffix("_CL")
        assert (f"{stem}_Distinct" in names) == (f"{stem}_Current" in names) == table.holds_records


def test_alert_rules_are_what_azure_monitor_takes() -> None:
    minutes = {"PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "PT6H": 360, "P1D": 1440, "P2D": 2880}
    alerts = load("alerts.json")["alerts"]
    assert len({alert["name"] for alert in alerts}) == len(alerts)
    for alert in alerts:
        assert alert["severity"] in range(5)
        assert minutes[alert["every"]] <= minutes[alert["window"]]
        assert alert["title"]
        assert alert["description"].endswith(".")


def test_every_alert_has_its_entry_in_the_operators_page() -> None:
    page = (infra.ROOT / "docs" / "operate.md").read_text()
    headings = set(re.findall(r"^### (.+)$", page, re.MULTILINE))
    assert {alert["title"] for alert in load("alerts.json")["alerts"]} <= headings


def walk(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [item, *(found for child in item["content"].get("items", ()) for found in walk(child))]


def test_the_workbook_is_a_gallery_template() -> None:
    document = load("workbook.json")
    assert document["version"] == "Notebook/1.0"
    items = [found for item in document["items"] for found in walk(item)]
    assert {item["type"] for item in items} == {1, 3, 9, 11, 12}  # text, query, parameters, tabs, groups
    tabs = next(item for item in items if item["type"] == 11)
    groups = {item["conditionalVisibility"]["value"] for item in items if item["type"] == 12}
    assert {link["subTarget"] for link in tabs["content"]["links"]} == groups
    names = [item["name"] for item in items]
    assert len(names) == len(set(names))
    parameters = next(item for item in items if item["type"] == 9)["content"]["parameters"]
    defined = {parameter["name"] for parameter in parameters}
    for item in items:
        if item["type"] == 3:
            assert item["content"]["visualization"] in {"table", "barchart", "timechart"}
            assert item["content"]["timeContextFromParameter"] in defined
            assert set(re.findall(r"\{(\w+)\}", item["content"]["query"])) <= defined
