"""The schemas obey Azure's rules, and every derived form says the same as the tables."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from shared.enrich.tables import (
    BY_KIND,
    OWN_TABLES,
    RECORD_TABLES,
    RESERVED_COLUMNS,
    SPINE,
    TABLES,
    ColumnType,
    Table,
    stream_declarations,
    table_schema,
)
from tools import tables_docs

RECORD_KINDS = [
    "Alert",
    "Assessment",
    "SubAssessment",
    "SecureScore",
    "SecureScoreControl",
    "RegulatoryCompliance",
    "AttackPath",
    "Other",
]


def test_two_data_collection_rules_take_all_streams() -> None:
    assert len(TABLES) == 13
    assert max(len(RECORD_TABLES), len(OWN_TABLES)) <= 10


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_names_obey_azures_rules(table: Table) -> None:
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,58}_CL", table.name)
    assert table.stream == f"Custom-{table.name}"
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names) <= 500
    for name in names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,44}", name)
        assert name not in RESERVED_COLUMNS


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_has_a_known_type_and_a_description(table: Table) -> None:
    for column in table.columns:
        assert column.type in get_args(ColumnType)
        assert column.description.endswith(".")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_has_time_generated(table: Table) -> None:
    assert table.types["TimeGenerated"] == "datetime"


@pytest.mark.parametrize("kind", RECORD_KINDS)
def test_record_tables_begin_with_the_spine(kind: str) -> None:
    table = BY_KIND[kind]
    assert table.holds_records
    assert table.columns[: len(SPINE)] == SPINE


def test_runs_and_health_have_no_spine() -> None:
    assert [table.kind for table in TABLES if not table.holds_records] == ["Run", "Health", "Audit", "Cve", "Gone"]


def test_stream_declarations_carry_every_column() -> None:
    declared = stream_declarations(TABLES)
    assert set(declared) == {f"Custom-{table.name}" for table in TABLES}
    for table in TABLES:
        assert {c["name"]: c["type"] for c in declared[table.stream]["columns"]} == table.types


def test_the_tables_api_spells_datetime_its_own_way() -> None:
    schema = table_schema(BY_KIND["Other"])
    columns = {column["name"]: column for column in schema["columns"]}  # type: ignore[attr-defined]
    assert schema["name"] == "DefenderOther_CL"
    assert columns["EventTime"]["type"] == "dateTime"
    assert columns["SequenceNumber"]["type"] == "long"


def test_the_documentation_is_up_to_date() -> None:
    assert tables_docs.TARGET.read_text(encoding="utf-8") == tables_docs.render()
