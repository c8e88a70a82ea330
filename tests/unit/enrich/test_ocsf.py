"""Rows as OCSF events: valid by the official schema, nothing lost, none over the hub's limit."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ocsf_json_schema.loader import get_packaged_versions

from local.ocsf_schema import ocsf_schema
from local.records import KINDS, OLD_MODEL, generate
from shared.enrich.delivery.output_format import BESIDE_THE_BODY, OutputEncoder, RowFormat
from shared.enrich.delivery.packing import pack
from shared.enrich.delivery.truncation import fit
from shared.enrich.ocsf.attribute_mapping import BASE, CLASSES, MAPPING, PROFILES, VERSION, Line
from shared.enrich.ocsf.attribute_values import CONVERSIONS, MEANINGS
from shared.enrich.ocsf.event_builder import OcsfFormat
from shared.enrich.records.model import Row
from shared.enrich.records.parser import Parser
from shared.enrich.tables import BY_KIND, RECORD_TABLES
from tests.unit.enrich.builders import NOW, alert, assessment, event, finding, row
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.alerts import ALERT
from tests.unit.enrich.golden.base import REC, SECURITY, SUB, VM, Golden
from tests.unit.enrich.golden.individual import ON_A_MACHINE, SQL_RULE
from tests.unit.enrich.golden.paths import AS_EXPORTED, UNKNOWN
from tests.unit.enrich.golden.scores import COMPLIANCE, CONTROL, SCORE
from tests.unit.enrich.test_nothing_lost import changed, scalars
from tools import ocsf_docs

pytestmark = pytest.mark.slow  # draws many examples

LARGE = 2**20
SCHEMA = ocsf_schema(VERSION, PROFILES)
FORMAT = OcsfFormat()


def sent(of: Row, limit: int = LARGE) -> dict[str, Any]:
    text, _ = FORMAT.encode(of, limit)
    assert len(text) <= limit
    found: dict[str, Any] = orjson.loads(text)
    return found


def of_record(record: Any) -> dict[str, Any]:
    return sent(row(record))


@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_every_golden_record_is_valid_and_of_a_class_of_its_kind(golden: Golden) -> None:
    found = of_record(golden.record)
    assert SCHEMA.problems(found) == []
    assert (golden.row["RecordKind"], found["class_uid"]) in {(kind, of.uid) for kind, of in MAPPING}


def test_the_version_is_the_newest_stable_one_that_is_packaged() -> None:
    stable = [tuple(map(int, version.split("."))) for version in get_packaged_versions() if "-" not in version]
    assert ".".join(map(str, max(stable))) == VERSION


def test_every_conversion_is_used_and_explained_and_every_column_is_one_of_its_table() -> None:
    assert CONVERSIONS.keys() == MEANINGS.keys() == {line.conversion for lines in MAPPING.values() for line in lines}
    for (kind, _), lines in MAPPING.items():
        assert {column for line in lines for column in line.columns} <= BY_KIND[kind].types.keys()
    assert {kind for kind, _ in MAPPING} == {table.kind for table in RECORD_TABLES}


ONE_OF_EACH = {
    "Detection Finding": ALERT,
    "Compliance Finding": COMPLIANCE,
    "Vulnerability Finding": ON_A_MACHINE,
    "Base Event": UNKNOWN,
}
WRONG: list[tuple[str, Any]] = [
    ("severity_id", 42),
    ("severity", "Catastrophic"),
    ("activity_id", 7),
    ("type_uid", 1),
    ("category_uid", 9),
    ("time", "2026-11-10T07:45:00Z"),
    ("time_dt", "yesterday"),
    ("message", 7),
    ("unmapped", "a text"),
    ("novelty", "an attribute that the schema does not have"),
    ("metadata", {"version": "1.8.0"}),
    ("cloud", {}),
    ("class_uid", 2099),
]
OF_FINDINGS: list[tuple[str, Any]] = [
    ("finding_info", {"title": "without uid"}),
    ("finding_info", {"uid": "x", "created_time": "yesterday"}),
    ("finding_info", {"uid": "x", "attacks": [{}]}),
    ("activity_name", "Fix"),
    ("status_id", 17),
    ("status", "Open"),
    ("resources", [{"type": "neither uid nor name"}]),
    ("resources", {"uid": "x"}),
]
OF_CLASSES: dict[str, list[tuple[str, Any]]] = {
    "Detection Finding": [*OF_FINDINGS, ("is_alert", "yes"), ("evidences", [{}]), ("confidence_id", 5)],
    "Compliance Finding": [*OF_FINDINGS, ("compliance", {"status_id": 4}), ("compliance", None)],
    "Vulnerability Finding": [
        *OF_FINDINGS,
        ("vulnerabilities", [{"title": "neither CVE nor CWE nor advisory"}]),
        ("vulnerabilities", [{"cve": {"uid": "CVE-2026-1", "epss": {"score": 0.5}}}]),
        ("vulnerabilities", [{"cve": {"uid": "CVE-2026-1", "cvss": [{"base_score": 7}]}}]),
        ("vulnerabilities", None),
    ],
    "Base Event": [],
}


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [(of.caption, *wrong) for of in CLASSES for wrong in [*WRONG, *OF_CLASSES[of.caption]]],
)
def test_an_event_with_one_wrong_value_is_refused(name: str, attribute: str, value: Any) -> None:
    found = of_record(ONE_OF_EACH[name].record)
    assert found["class_name"] == name
    assert SCHEMA.problems(found) == []
    assert SCHEMA.problems({**found, attribute: value})


@pytest.mark.parametrize("needed", ["class_uid", "time", "severity_id", "metadata", "cloud", "activity_id", "type_uid"])
@pytest.mark.parametrize("golden", ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_an_event_without_what_the_schema_requires_is_refused(golden: Golden, needed: str) -> None:
    found = of_record(golden.record)
    del found[needed]
    assert SCHEMA.problems(found)


def attribute_of(found: Mapping[str, Any], line: Line) -> Iterator[Any]:
    """The scalars at a line's attribute and at those that go with it."""
    *parents, name = line.attribute.split(".")
    levels: list[dict[str, Any]] = [dict(found)]
    for parent in parents:
        if parent.startswith("resources["):
            levels = found.get("resources", [])
        else:
            levels = [each[parent] for each in levels if parent in each]
    for level in levels:
        for key in (name, f"{name}_id", f"{name}_dt"):
            yield from (value for _, value in scalars(level.get(key)))


def lost(of: Row, found: Mapping[str, Any]) -> list[str]:
    """The columns that are neither unmapped nor whole in an attribute that the mapping gives them."""
    unmapped = found.get("unmapped", {})
    known = {(kind, each.uid): lines for (kind, each), lines in MAPPING.items()}
    lines = known[of.kind, found["class_uid"]]
    at = {line: set(attribute_of(found, line)) for line in lines}
    missing = []
    for column, value in orjson.loads(of.json).items():
        if value is None or (column in unmapped and json.dumps(unmapped[column]) == json.dumps(value)):
            continue
        held = {found.get("status"), found.get("activity_name")}.union(
            *(at[each] for each in lines if column in each.columns)
        )
        texts = {part for each in held if isinstance(each, str) for part in each.split("\n")}
        if column in unmapped or not all(each in held or each in texts for _, each in scalars(value)):
            missing.append(column)
        if isinstance(value, dict):  # names count too: only tags are spelt out
            missing += [column] if not all(name in held for name in value) else []
    return missing


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed(), st.booleans())
def test_whatever_a_record_holds_its_event_is_valid_and_nothing_is_lost(record: dict[str, Any], alone: bool) -> None:
    body = json.dumps(record if alone else [record], ensure_ascii=False).encode()
    (only,) = Parser().parse([event(body)], NOW).rows
    found = sent(only)
    assert SCHEMA.problems(found) == []
    assert (only.kind == "Other") == (found["class_uid"] == BASE.uid)
    assert lost(only, found) == []


@pytest.mark.parametrize("shares", [KINDS, OLD_MODEL], ids=["individual", "old model"])
def test_every_generated_record_is_valid_and_nothing_is_lost(shares: Mapping[str, int]) -> None:
    kinds = dict.fromkeys(shares, 1)
    for made in generate(34, [SUB], 50, kinds=kinds, bad=0):
        for only in Parser(raw="whole").parse([event(made.body)], NOW).rows:
            found = sent(only)
            assert SCHEMA.problems(found) == []
            assert lost(only, found) == []


def test_a_mapping_that_loses_a_column_would_be_found() -> None:
    only = row(ALERT.record)
    found = sent(only)
    assert lost(only, found) == []
    del found["finding_info"]["desc"], found["unmapped"]["IsIncident"]
    assert set(lost(only, found)) == {"IsIncident", "Description"}


def test_a_number_keeps_all_its_digits() -> None:
    record = {**ALERT.record, "novelty": 10**30 + 1, "Entities": [{"id": 10**25 + 7}]}
    text, _ = FORMAT.encode(row(record), LARGE)
    assert str(10**30 + 1).encode() in text
    assert str(10**25 + 7).encode() in text


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_are_left_out_take_nothing_away_that_the_schema_requires(kind: str) -> None:
    parser = Parser(drop_columns=[*BY_KIND[kind].types])
    for made in generate(3, [SUB], 20, kinds={kind: 1}, bad=0):
        for only in parser.parse([event(made.body)], NOW).rows:
            found = sent(only)
            assert SCHEMA.problems(found) == []
            assert found["time"] > 0
            assert found["metadata"]["uid"] == only.record_key


def status(record: Any) -> tuple[str, str, str | None]:
    found = of_record(record)
    return found["status"], found["activity_name"], found.get("compliance", {}).get("status")


def with_action(record: dict[str, Any], action: str) -> dict[str, Any]:
    return {**record, "securityEventDataEnrichment": {"action": action, "isSnapshot": False}}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (alert(Status="New"), ("New", "Create", None)),
        (alert(Status="Active"), ("New", "Create", None)),
        (alert(Status="InProgress"), ("In Progress", "Update", None)),
        (alert(Status="Resolved"), ("Resolved", "Close", None)),
        (alert(Status="Dismissed"), ("Suppressed", "Close", None)),
        (alert(Status="Pondering"), ("Pondering", "Unknown", None)),
        (alert(Status=None), ("Unknown", "Unknown", None)),
        (with_action(assessment(), "Insert"), ("New", "Create", "Fail")),
        (with_action(assessment(), "Write"), ("New", "Update", "Fail")),
        (with_action(assessment(), "Delete"), ("Resolved", "Close", "Fail")),
        (with_action(assessment(), "Gone"), ("Resolved", "Close", "Fail")),
        (with_action(assessment(), "Backfill"), ("New", "Backfill", "Fail")),
        (assessment(status={"code": "Healthy"}), ("Resolved", "Close", "Pass")),
        (assessment(status={"code": "NotApplicable"}), ("Suppressed", "Close", "NotApplicable")),
        (with_action(finding({}), "Gone"), ("Resolved", "Close", None)),
        (with_action(AS_EXPORTED.record, "Delete"), ("Resolved", "Close", None)),
        (AS_EXPORTED.record, ("New", "Update", None)),
        (SCORE.record, ("New", "Update", "Fail")),
        (CONTROL.record, ("New", "Update", "Fail")),
        (COMPLIANCE.record, ("New", "Update", "Fail")),
        ({**COMPLIANCE.record, "properties": {"state": "Passed"}}, ("Resolved", "Close", "Pass")),
        ({**COMPLIANCE.record, "properties": {"state": "Skipped"}}, ("Skipped", "Update", "Warning")),
    ],
)
def test_status_and_activity(record: Any, expected: tuple[str, str, str | None]) -> None:
    assert SCHEMA.problems(of_record(record)) == []
    assert status(record) == expected


def software(**additional: Any) -> dict[str, Any]:
    record = copy.deepcopy(ON_A_MACHINE.record)
    record["properties"]["additionalData"] |= additional
    return record


def test_a_recommendation_stays_of_its_class_when_it_is_healthy() -> None:
    """Healthy ones name no CVE any more."""
    healthy = software()
    healthy["properties"]["status"]["code"] = "Healthy"
    healthy["properties"]["additionalData"] = {}
    found = of_record(healthy)
    assert (found["class_name"], found["status"]) == ("Vulnerability Finding", "Resolved")
    assert found["vulnerabilities"][0]["advisory"] == {"uid": found["finding_info"]["analytic"]["uid"]}
    assert SCHEMA.problems(found) == []


def test_both_models_give_vulnerabilities() -> None:
    new = of_record(ON_A_MACHINE.record)
    old = of_record(finding({"cve": [{"title": "CVE-2026-1234"}, {"title": "CVE-2026-0007"}]}))
    for found in (new, old):
        assert [each["cve"]["uid"] for each in found["vulnerabilities"]] == ["CVE-2026-1234", "CVE-2026-0007"]
    assert of_record(SQL_RULE.record)["vulnerabilities"][0]["advisory"] == {"uid": "VA1059"}


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"Epss": {"Score": 0.001, "Percentile": 0.1}}, {"score": "0.001", "percentile": 0.1}),
        ({"Epss": {"Score": 0}}, {"score": "0.0"}),
        ({"Epss": {"Percentile": 0.1}}, None),
        ({"Epss": None}, None),
        ({}, None),
    ],
)
def test_epss_only_where_there_is_one(details: Any, expected: Any) -> None:
    cve = {"CveId": "CVE-2026-1234", "FixStatus": "NoFix", "ExploitabilityDetails": details}
    found = of_record(software(CvesDetails=json.dumps([cve])))
    assert found["vulnerabilities"][0]["cve"].get("epss") == expected
    assert SCHEMA.problems(found) == []


def test_mitre_attack_is_named_once() -> None:
    attacks = of_record(ALERT.record)["finding_info"]["attacks"]
    assert attacks == [
        {"tactic": {"name": "Persistence"}},
        {"tactic": {"name": "CredentialAccess"}},
        {"technique": {"uid": "T1059"}, "sub_technique": {"uid": "T1059.001"}},
        {"technique": {"uid": "T1078"}},
    ]


def test_owner_account_and_organization() -> None:
    of = row(ALERT.record)
    columns = {"Owner": "ann@contoso.com", "SubscriptionName": "Prod", "ManagementGroupPath": "a/b"}
    of.json = orjson.dumps(orjson.loads(of.json) | columns | {"SourceTenantId": "tenant-1", "Tags": {"env": "prod"}})
    found = sent(of)
    assert found["resources"][0]["owner"] == {"name": "ann@contoso.com"}
    assert found["resources"][0]["tags"] == [{"name": "env", "value": "prod"}]
    assert found["cloud"]["account"]["name"] == "Prod"
    assert found["cloud"]["org"] == {"uid": "tenant-1", "ou_name": "a/b"}
    assert SCHEMA.problems(found) == []


def test_a_part_of_an_object_that_the_schema_would_refuse_is_unmapped() -> None:
    of = row(with_action(SCORE.record, "Write"))
    columns = orjson.loads(of.json) | {"ManagementGroupPath": "a/b", "EntityType": "odd"}
    for name in ("SourceTenantId", "ResourceId", "ResourceName"):
        columns.pop(name, None)
    of.json = orjson.dumps(columns)
    found = sent(of)
    assert {"ManagementGroupPath", "EntityType", "ResourceType"} <= found["unmapped"].keys()
    assert SCHEMA.problems(found) == []


SIX = ("Entities", "ExtendedLinks", "RemediationSteps", "ResourceIdentifiers", "ConfidenceReasons", "novelty")
TEXTS = (
    "Description",
    "AlertDisplayName",
    "ProductName",
    "VendorName",
    "CompromisedEntity",
    "SystemAlertId",
    "novelty",
)


def cves(count: int, **members: Any) -> str:
    named = [{"CveId": f"CVE-2026-{10_000 + number}", "FixStatus": "NoFix", **members} for number in range(count)]
    return json.dumps(named)


VERSIONS = json.dumps([str(number) for number in range(999)])
HUGE = [
    alert(**{name: [str(number) * 9 for number in range(12_000)] for name in SIX}),
    alert(Description="é" * 900_000),
    alert(Entities=[{"id": str(number) * 20} for number in range(30_000)]),
    alert(ExtendedProperties={f"name{number}": "v" * 60 for number in range(9_000)}, Description='"' * 300_000),
    alert(RemediationSteps=["\\" * 1_000] * 400, SystemAlertId="x" * 400_000),
    software(CvesDetails=cves(10_000)),
    software(DetectedSoftwareVersions=json.dumps([str(number) for number in range(60_000)])),
    {"type": "Microsoft.Security/new", "id": VM, "novelty": "\u0001" * 400_000},
    {"type": COMPLIANCE.record["type"], "id": f"{SECURITY}/a/{'b' * 500_000}", "name": REC},
    {
        **AS_EXPORTED.record,
        "attackPath": {"attackPathId": "P", "path": [{"resourceId": VM + str(n)} for n in range(9_000)]},
    },
    software(CvesDetails=cves(3_000), SoftwareName="n" * 60_000),  # what each vulnerability names, times their number
    software(CvesDetails=cves(1_000), SoftwareVendor="é" * 20_000),
    software(CvesDetails=cves(100), SoftwareName="\u0001" * 60_000, PackageType='"' * 60_000),
    software(
        CvesDetails=cves(1, FixedVersion="9" * 60_000), DetectedSoftwareVersions=json.dumps([*map(str, range(999))])
    ),
    alert(**dict.fromkeys(TEXTS, "😀" * 300000)),
    alert(**dict.fromkeys(TEXTS, "\x01" * 70000)),
    alert(ExtendedProperties={"n" * 50_000 + str(number): "v" for number in range(30)}),
]


@pytest.mark.parametrize("kilobytes", [1024, 256])
@pytest.mark.parametrize("record", HUGE, ids=range(len(HUGE)))
def test_no_event_is_over_the_hubs_limit_and_what_is_cut_is_named(record: Any, kilobytes: int) -> None:
    limit = kilobytes * 1024 - BESIDE_THE_BODY
    packed = pack(Parser().parse([event(record)], NOW).rows)
    (only,) = [each for body in packed.bodies for each in body.rows]
    for form in (FORMAT, RowFormat()):
        ((outgoing,), cut) = OutputEncoder(form, kilobytes).encode([only])
        assert len(outgoing.row) <= limit
        found = orjson.loads(outgoing.row)
        columns = found.get("unmapped", {}) if form is FORMAT else found
        before = set(orjson.loads(only.json).get("TruncatedColumns") or ())
        named = set(columns.get("TruncatedColumns") or ())
        assert named >= before
        assert named if cut else named == before
        if form is FORMAT:
            assert SCHEMA.problems(found) == []
            assert set(lost(only, found)) <= {*named, "TruncatedColumns"}
            assert found["metadata"].get("is_truncated", False) == bool(named)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(changed(), st.integers(4_000, 20_000), st.sampled_from(["é", '"', "\u0001", "a"]), st.integers(0, 30_000))
def test_no_event_is_over_any_limit(record: dict[str, Any], limit: int, filling: str, length: int) -> None:
    record["filling"] = filling * length
    only = row(record)
    found = sent(only, limit)
    assert SCHEMA.problems(found) == []
    if len(FORMAT.encode(only, LARGE)[0]) > limit:
        assert found["metadata"]["is_truncated"]
        assert found["unmapped"]["TruncatedColumns"]


@pytest.mark.parametrize("limit", [1, 20, 400])
def test_what_can_not_be_shortened_stays_however_small_the_limit(limit: int) -> None:
    text = orjson.dumps({"a": True, "b": None, "c": 7, "d": 0.5, "e": "é" * 99, "f": [1, 2], "g": {"h": 1}})
    found = orjson.loads(fit(text, limit))
    assert {name: found[name] for name in "abcd"} == {"a": True, "b": None, "c": 7, "d": 0.5}
    assert set(found.get("TruncatedColumns", ())) <= {"e", "f", "g"}


def test_what_is_not_cut_keeps_all_its_digits_beside_what_is() -> None:
    record = {**ALERT.record, "Description": "x" * 70_000, "Entities": [{"id": 10**25 + 7, "share": 1e-7}]}
    (only,) = [each for body in pack([row(record)]).bodies for each in body.rows]
    assert orjson.loads(only.json)["TruncatedColumns"] == ["Description"]
    for form in (FORMAT, RowFormat()):
        assert str(10**25 + 7).encode() in form.encode(only, LARGE)[0]


def test_what_is_not_repeated_in_each_vulnerability_is_unmapped() -> None:
    found = of_record(software(CvesDetails=cves(300), SoftwareName="n" * 2_000))
    assert not any("affected_packages" in each for each in found["vulnerabilities"])
    assert found["unmapped"]["SoftwareName"] == "n" * 2_000
    assert {"SoftwareVendor", "SoftwareVersions", "FixedVersion", "PackageType"} <= found["unmapped"].keys()


def test_the_page_is_current() -> None:
    assert ocsf_docs.TARGET.read_text(encoding="utf-8") == ocsf_docs.render(), "run python -m tools.ocsf_docs"
