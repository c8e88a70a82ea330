"""Record in, row out: each kind and shape, in every casing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from msgspec import Raw

from shared.enrich.records.field_mapping import BY_NAME, KINDS
from shared.enrich.records.json_values import first_text, listed, loaded, mapping
from shared.enrich.records.parser import Parser
from shared.enrich.records.tolerant_reader import convert
from shared.enrich.tables import SPINE, TABLES, Table
from tests.unit.enrich.builders import (
    ENQUEUED,
    NOW,
    alert,
    assessment,
    columns,
    enrichment,
    event,
    finding,
    parse,
    row,
)
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB, VM, Golden
from tests.unit.enrich.golden.casings import CASINGS, Casing, is_enrichment, recased
from tests.unit.enrich.golden.paths import AS_EXPORTED, UNKNOWN
from tests.unit.enrich.golden.scores import COMPLIANCE, CONTROL

EVERY_GOLDEN = pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
EVERY_CASING = pytest.mark.parametrize("casing", CASINGS, ids=lambda casing: casing.name)


def expected(golden: Golden, casing: Casing, sent: dict[str, Any]) -> dict[str, Any]:
    """The golden row of a record sent in some casing, which only names inside of values passed on as sent follow."""
    row = {column: casing.value(value) for column, value in golden.row.items()}
    return row | {"Raw": sent} if golden is UNKNOWN else row


def without_key(row: dict[str, Any]) -> dict[str, Any]:
    assert len(row.pop("RecordKey")) == 32
    return row


@pytest.mark.parametrize(
    "patiently", [False, True], ids=["alone", "in an array"]
)  # arrays: for the patient reader only
@EVERY_CASING
@EVERY_GOLDEN
def test_a_row_is_the_same_in_every_casing(golden: Golden, casing: Casing, patiently: bool) -> None:
    sent = casing.record(golden.record)
    assert without_key(columns([sent] if patiently else sent)) == expected(golden, casing, sent)


@pytest.mark.parametrize("table", [table for table in TABLES if table.holds_records], ids=lambda table: table.kind)
def test_every_column_of_a_kinds_own_is_filled_in_a_golden_row(table: Table) -> None:
    filled = {column for golden in GOLDENS if golden.row["RecordKind"] == table.kind for column in golden.row}
    assert {column.name for column in table.columns[len(SPINE) :]} <= filled


@pytest.mark.parametrize(
    ("cvss", "score"),
    [
        ({"2.0": {"base": 9.5}, "3.0": {"base": 7.5}}, 9.5),
        ({"2.0": {"base": 7.5}, "3.0": {"BASE": "9.5"}}, 9.5),
        ({"2.0": {"base": 7.5}, "3.0": {"vector": "AV:N"}, "4.0": "none"}, 7.5),
        ({"2.0": {"base": True}}, None),
        ({}, None),
        ([{"base": 7.5}], 7.5),
        ([{"Key": "3.1", "Value": {"Base": 7.1}}], 7.1),
        ({"2.0": {"base": 99.5}}, None),
        ("7.5", None),
    ],
)
def test_the_score_of_a_vulnerability_is_the_highest_of_any_version(cvss: Any, score: float | None) -> None:
    row = columns(finding({"assessedResourceType": "ServerVulnerability", "cvss": cvss}))
    assert (row["Cvss"], row.get("CvssScore")) == (cvss, score)


@pytest.mark.parametrize(("action", "snapshot"), [("Insert", False), ("Write", True), ("Delete", None)])
@EVERY_CASING
@EVERY_GOLDEN
def test_every_kind_says_what_became_of_it_and_whether_the_snapshot_sent_it(
    golden: Golden, casing: Casing, action: str, snapshot: bool | None
) -> None:
    bare = {name: value for name, value in golden.record.items() if not is_enrichment(name)}
    sent = casing.record(bare | enrichment(action, snapshot=snapshot))
    said = {"Action": action, "IsSnapshot": bool(snapshot), "ApiVersion": "2019-01-01"}
    row = expected(golden, casing, sent) | said
    row.pop("ExportInterval", None)
    assert without_key(columns(sent)) == row


@pytest.mark.parametrize(
    ("changes", "subscription"),
    [
        ({}, SUB),
        ({"AzureResourceId": None, "ResourceIdentifiers": None}, SUB),
        ({"AzureResourceId": "", "ExtendedProperties": None}, SUB),
        ({"AzureResourceId": None, "ResourceIdentifiers": [], "ExtendedProperties": {}}, None),
        (
            {
                "AzureResourceId": None,
                "ResourceIdentifiers": None,
                "ExtendedProperties": None,
                "AlertUri": f"https://portal.azure.com/#x/subscriptionId/{SUB}/y",
            },
            SUB,
        ),
        (
            {
                "AzureResourceId": None,
                "ResourceIdentifiers": None,
                "ExtendedProperties": None,
                "AzureResourceSubscriptionId": SUB.upper(),
            },
            SUB,
        ),
    ],
)
def test_an_alerts_subscription_is_found_wherever_it_hides(changes: Any, subscription: str | None) -> None:
    assert columns(alert(**changes)).get("SubscriptionId") == subscription


def test_an_alerts_resource_is_found_among_its_extended_properties() -> None:
    hidden = {"ExtendedProperties": {"EffectiveAzureResourceId": VM}}
    got = columns(alert(AzureResourceId=None, ResourceIdentifiers=None, **hidden))
    assert got["ResourceId"] == VM.lower()


def test_an_attack_path_along_no_resource_has_the_subscription_of_its_id() -> None:
    record = {
        "type": "microsoft.security/attackpaths",
        "id": f"/subscriptions/{SUB}/providers/Microsoft.Security/attackPaths/P-4",
    }
    assert columns(record)["SubscriptionId"] == SUB
    nowhere = {"entryPoint": None, "target": None, "attackPathSteps": None}
    assert "SubscriptionId" not in columns({"attackPath": AS_EXPORTED.record["attackPath"] | nowhere})


def test_the_end_of_an_attack_path_that_is_not_in_azure_is_named_as_it_is() -> None:
    got = columns({"attackPath": AS_EXPORTED.record["attackPath"] | {"target": "Bucket-1"}})
    assert got["TargetId"] == "Bucket-1"


@pytest.mark.parametrize(("golden", "column"), [(CONTROL, "ControlId"), (COMPLIANCE, "RecommendationId")])
def test_an_id_says_more_than_a_name(golden: Golden, column: str) -> None:
    assert columns(golden.record | {"name": "another"})[column] == golden.row[column]


def test_a_cloud_that_nobody_knows_is_named_as_it_is() -> None:
    assert columns(assessment(resourceDetails={"source": "OnPremise", "id": VM}))["Cloud"] == "OnPremise"


def test_a_row_names_what_the_context_asks_for() -> None:
    placed = row(assessment() | {"tags": {"a": "b"}} | enrichment(snapshot=True))
    assert (placed.subscription, placed.resource, placed.group) == (SUB, VM.lower(), "rg-web")
    assert (placed.located, placed.tagged, placed.snapshot) == (True, True, True)
    nowhere = row({"id": "x"})
    assert (nowhere.subscription, nowhere.resource, nowhere.group) == ("", "", "")
    assert (nowhere.located, nowhere.tagged, nowhere.snapshot) == (False, False, False)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (2**31 - 1, "int", 2**31 - 1),
        (-(2**31), "int", -(2**31)),
        (2**31, "int", None),
        (-(2**31) - 1, "int", None),
        (2**63 - 1, "long", 2**63 - 1),
        (-(2**63), "long", -(2**63)),
        (2**63, "long", None),
        ("7.0", "int", 7),
        ("7.5", "int", None),
        (1, "real", 1.0),
        (True, "int", None),
        ("2026-11-10T07:45:00", "datetime", datetime(2026, 11, 10, 7, 45, tzinfo=UTC)),
    ],
)
def test_a_value_becomes_its_columns_type_where_nothing_is_lost(value: Any, kind: Any, expected: Any) -> None:
    assert convert(value, kind) == expected


@pytest.mark.parametrize("value", [{"Name": "x"}, ["x"], "x", 7, None])
def test_a_value_says_the_same_from_either_reader(value: Any) -> None:
    raw = Raw(orjson.dumps(value))
    assert loaded(raw) == loaded(value) == value
    assert mapping(raw) == mapping(value) == ({"name": "x"} if isinstance(value, dict) else {})
    assert listed(raw) == listed(value) == (["x"] if isinstance(value, list) else [])


def test_only_text_that_is_not_empty_is_text() -> None:
    assert [first_text({"a": value}, "a") for value in ("x", "", 7, None)] == ["x", None, None, None]


def test_an_unknown_kind_is_kept_whole() -> None:
    kept = row(UNKNOWN.record)
    assert kept.table == "DefenderOther_CL"
    assert orjson.loads(kept.json)["Raw"] == UNKNOWN.record


def test_raw_holds_what_no_column_carries() -> None:
    record = assessment(novelty={"x": 1})
    record["properties"]["metadata"]["rarity"] = True
    record["properties"]["status"]["firstEvaluationDate"] = "no date"
    assert columns(record)["Raw"] == {
        "properties": {
            "novelty": {"x": 1},
            "metadata": {"rarity": True},
            "status": {"firstEvaluationDate": "no date"},
        }
    }


def test_a_second_field_for_one_column_stays_in_raw_when_it_differs() -> None:
    record = assessment(displayName="Another title")
    got = columns(record)
    assert got["RecommendationDisplayName"] == "Another title"
    assert got["Raw"] == {"properties": {"metadata": {"displayName": "Machines should be patched"}}}


def test_raw_may_hold_the_whole_record() -> None:
    parser = Parser(raw="whole")
    assert columns(assessment(), parser)["Raw"] == assessment()
    assert columns(recased(assessment(), str.upper), parser)["Raw"] == recased(assessment(), str.upper)
    lone = json.dumps(alert(Description="x\ud800")).encode()
    assert columns(lone, parser)["Raw"] == alert(Description="x\ufffd")


def test_columns_can_be_left_out() -> None:
    got = columns(assessment(), Parser(drop_columns=["Description", "Tags", "NoSuchColumn", "TimeGenerated"]))
    assert "Description" not in got
    assert "Raw" not in got
    assert "TimeGenerated" in got


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_filter_is_told_the_kind_the_snapshot_and_the_record(snapshot: bool) -> None:
    record = alert() | enrichment(snapshot=snapshot)
    parser = Parser(kept={"Alert": lambda *said: said == (BY_NAME["Alert"], snapshot, record)})
    assert len(parser.parse([event(record)], NOW).rows) == 1


def test_filters_drop_and_count() -> None:
    parser = Parser(kept={"Assessment": lambda _kind, _snapshot, record: record["location"] != "westeurope"})
    parsed = parser.parse([event(assessment()), event(assessment() | {"location": "x"}), event(alert())], NOW)
    assert [row.kind for row in parsed.rows] == ["Assessment", "Alert"]
    assert parsed.dropped == {"Assessment": 1}
    assert parser.parse([event([assessment(), assessment()])], NOW).dropped == {"Assessment": 2}


@pytest.mark.parametrize(
    "wrap", [lambda records: records, lambda records: {"records": records}], ids=["array", "records"]
)
def test_several_records_in_one_event(wrap: Any) -> None:
    parsed = parse(wrap([assessment(), alert(), 7]))
    assert [each.kind for each in parsed.rows] == ["Assessment", "Alert"]
    assert [json.loads(each.whole) for each in parsed.rows] == [assessment(), alert()]
    assert [bad.reason for bad in parsed.bad] == ["not a JSON object with members"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"nonsense", "not JSON"),
        (b'{"id": NaN}', "not JSON"),
        (rb'{"id": NaN, "x": "\ud800"}', "not JSON"),
        (rb'{"x": "\ud800"', "not JSON"),
        (b'{"id": "\xff"}', "not JSON"),
        (b'{"id": "\\ud800\xff"}', "not UTF-8"),
        (b"42", "not a JSON object"),
        (b"{}", "not a JSON object"),
        (b'{"a":' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper"),
    ],
)
def test_what_no_row_can_be_made_of_is_handed_back_with_the_reason(body: bytes, reason: str) -> None:
    parsed = parse(body)
    assert parsed.rows == []
    (bad,) = parsed.bad
    assert bad.reason.startswith(reason)
    assert bad.body == body


def test_lone_surrogates_become_replacement_characters() -> None:
    body = json.dumps(alert(AlertDisplayName="x\ud800y")).encode()
    assert columns(body)["DisplayName"] == "x\ufffdy"


@pytest.mark.parametrize("lone", ["\ud800", "\udc00y", "\ud83dx", "\ud83d\n"])
def test_lone_surrogates_are_mended_even_inside_values_passed_on(lone: str) -> None:
    body = json.dumps(alert(Entities=[{"Name": lone}])).encode()
    assert columns(body)["Entities"] == [{"Name": lone.replace(lone[0], "\ufffd")}]


def test_bytes_that_are_not_utf8_are_refused_even_inside_values_passed_on() -> None:
    body = json.dumps(alert()).encode().replace(b'"host"', b'"\xff"')
    assert parse(body).rows == []


def at(moment: datetime) -> dict[str, Any]:
    return alert(ProcessingEndTime=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))


@pytest.mark.parametrize(
    ("age", "accepted"),
    [
        (timedelta(hours=47), True),
        (timedelta(hours=47, seconds=1), False),
        (timedelta(hours=-23), True),
        (timedelta(hours=-23, seconds=-1), False),
    ],
)
def test_time_generated_obeys_azures_window_and_event_time_does_not(age: timedelta, accepted: bool) -> None:
    moment = NOW - age
    got = columns(at(moment))
    assert datetime.fromisoformat(got["EventTime"]) == moment
    assert datetime.fromisoformat(got["TimeGenerated"]) == (moment if accepted else ENQUEUED)


@pytest.mark.parametrize("age", [timedelta(hours=47), timedelta(hours=-23)])
def test_time_generated_is_the_time_of_enqueuing_to_the_edge_of_the_window(age: timedelta) -> None:
    parsed = Parser().parse([event(at(NOW - timedelta(days=9)), enqueued=NOW - age)], NOW)
    assert datetime.fromisoformat(orjson.loads(parsed.rows[0].json)["TimeGenerated"]) == NOW - age


def test_time_generated_is_now_when_even_the_event_is_old() -> None:
    long_ago = NOW - timedelta(days=9)
    parsed = Parser().parse([event(at(long_ago), enqueued=long_ago)], NOW)
    assert datetime.fromisoformat(orjson.loads(parsed.rows[0].json)["TimeGenerated"]) == NOW


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.type], ids=lambda kind: kind.name)
def test_every_mapped_field_feeds_a_column_of_its_table(kind: Any) -> None:
    for target in kind.fields.values():
        assert target in {"", "-"} or target.startswith("@") or target in kind.table.types
