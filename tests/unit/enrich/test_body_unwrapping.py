"""Bodies as pipelines send them: each gives its records, or says what it is, and every event is accounted for."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import orjson
import pytest

from shared.enrich.records.body_unwrapping import MOST_BYTES
from shared.enrich.records.parser import Parser
from tests.unit.enrich.builders import NOW, alert, assessment, columns, event, finding, parse
from tests.unit.enrich.golden.base import SUB, VM
from tests.unit.enrich.golden.paths import AS_EXPORTED, UNKNOWN_RECORD

ONE = json.dumps(assessment())
TWO = json.dumps(alert())
BOTH = [assessment(), alert()]


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def coded(value: Any) -> str:
    return base64.b64encode(text(value)).decode()


EVENT_GRID = {
    "id": "e1",
    "topic": f"/subscriptions/{SUB}",
    "subject": "records",
    "eventType": "Defender.Record",
    "eventTime": "2026-11-10T11:00:00Z",
    "dataVersion": "1.0",
    "metadataVersion": "1",
}
CLOUD_EVENT = {"specversion": "1.0", "id": "e1", "source": "/defender", "type": "Defender.Record"}
SECURITY_ALERT = {
    "TenantId": "99999999-9999-4999-8999-999999999999",
    "TimeGenerated": "2026-11-10T11:00:00Z",
    "SystemAlertId": "2518_AB12",
    "AlertSeverity": "High",
    "DisplayName": "Suspicious activity",
    "ResourceId": VM,
    "Type": "SecurityAlert",
}
# name: the body, the kinds of the rows that it gives, and how the reasons of its letters begin.
WRAPPED: dict[str, tuple[bytes, list[str], list[str]]] = {
    "byte order mark": (b"\xef\xbb\xbf" + ONE.encode(), ["Assessment"], []),
    "UTF-16 little endian with mark": (b"\xff\xfe" + ONE.encode("utf-16-le"), ["Assessment"], []),
    "UTF-16 big endian with mark": (b"\xfe\xff" + ONE.encode("utf-16-be"), ["Assessment"], []),
    "UTF-16 without mark": (ONE.encode("utf-16-le"), ["Assessment"], []),
    "UTF-32": (ONE.encode("utf-32"), ["Assessment"], []),
    "NULs at the end": (ONE.encode() + b"\x00\x00", ["Assessment"], []),
    "white space around": (b"\r\n  " + ONE.encode() + b"\n\n", ["Assessment"], []),
    "JSON lines": (f"{ONE}\n{TWO}\n".encode(), ["Assessment", "Alert"], []),
    "JSON lines of Windows with a mark": (
        b"\xef\xbb\xbf" + f"{ONE}\r\n{TWO}\r\n".encode(),
        ["Assessment", "Alert"],
        [],
    ),
    "objects one after another": (f"{ONE}{TWO}".encode(), ["Assessment", "Alert"], []),
    "objects with commas between": (f"{ONE},\n{TWO}".encode(), ["Assessment", "Alert"], []),
    "JSON text sequence": (f"\x1e{ONE}\n\x1e{TWO}\n".encode(), ["Assessment", "Alert"], []),
    "JSON lines, one of them broken": (f"{ONE}\n{{oops}}\n{TWO}".encode(), ["Assessment", "Alert"], ["not JSON"]),
    "JSON lines, the last cut": (f"{ONE}\n{TWO[:50]}".encode(), ["Assessment"], ["not JSON"]),
    "array": (text(BOTH), ["Assessment", "Alert"], []),
    "array of arrays": (text([[assessment()], [alert()]]), ["Assessment", "Alert"], []),
    "array with a number": (text([assessment(), 7, None]), ["Assessment"], ["not a JSON object", "not a JSON object"]),
    "empty array": (b"[]", [], ["no record in it"]),
    "records": (text({"records": BOTH}), ["Assessment", "Alert"], []),
    "records with neighbours": (text({"records": BOTH, "count": 2, "source": "x"}), ["Assessment", "Alert"], []),
    "no records": (text({"records": []}), [], ["no record in it"]),
    "no records with neighbours": (text({"Records": [], "count": 0}), [], ["no record in it"]),
    "value, as ARM answers": (text({"value": BOTH, "nextLink": "https://next"}), ["Assessment", "Alert"], []),
    "data, as Resource Graph answers": (text({"totalRecords": 2, "data": BOTH}), ["Assessment", "Alert"], []),
    "Event Grid": (text([{**EVENT_GRID, "data": assessment()}]), ["Assessment"], []),
    "Event Grid, several": (text([{**EVENT_GRID, "data": each} for each in BOTH]), ["Assessment", "Alert"], []),
    "Event Grid of an unknown kind": (text([{**EVENT_GRID, "data": UNKNOWN_RECORD}]), ["Other"], []),
    "CloudEvents": (text({**CLOUD_EVENT, "data": alert()}), ["Alert"], []),
    "CloudEvents in base64": (text({**CLOUD_EVENT, "data_base64": coded(alert())}), ["Alert"], []),
    "Logic App: body": (text({"headers": {"a": "b"}, "body": assessment()}), ["Assessment"], []),
    "Logic App: content": (text({"$content-type": "application/json", "$content": coded(alert())}), ["Alert"], []),
    "Logic App: ContentData": (text({"ContentData": coded(assessment()), "Properties": {}}), ["Assessment"], []),
    "Splunk": (text({"time": 1, "sourcetype": "azure", "event": alert()}), ["Alert"], []),
    "Beats": (text({"@timestamp": "2026-11-10T11:00:00Z", "message": TWO}), ["Alert"], []),
    "gzip": (gzip.compress(ONE.encode()), ["Assessment"], []),
    "gzip of JSON lines": (gzip.compress(f"{ONE}\n{TWO}".encode()), ["Assessment", "Alert"], []),
    "two gzip files": (gzip.compress(f"{ONE}\n".encode()) + gzip.compress(TWO.encode()), ["Assessment", "Alert"], []),
    "zlib": (zlib.compress(ONE.encode()), ["Assessment"], []),
    "gzip in base64": (base64.b64encode(gzip.compress(ONE.encode())), ["Assessment"], []),
    "gzip, cut": (gzip.compress(ONE.encode())[:-20], [], ["not JSON: compressed"]),
    "gzip of too much": (gzip.compress(b" " * (MOST_BYTES + 1)), [], ["not JSON: more than"]),
    "base64": (coded(assessment()).encode(), ["Assessment"], []),
    "JSON in a JSON text": (text(ONE), ["Assessment"], []),
    "JSON in a JSON text in a JSON text": (text(json.dumps(ONE)), ["Assessment"], []),
    "list of JSON texts": (text([ONE, TWO]), ["Assessment", "Alert"], []),
    "records of JSON texts": (text({"records": [ONE, TWO]}), ["Assessment", "Alert"], []),
    "a plain text": (text("hello"), [], ["not a JSON object"]),
    "a number": (b"42", [], ["not a JSON object"]),
    "an empty object": (b"{}", [], ["not a JSON object"]),
    "nothing": (b"", [], ["not JSON"]),
    "white space": (b" \n ", [], ["not JSON"]),
    "NaN": (b'{"id": NaN}', [], ["not JSON"]),
    "a number beyond any double": (ONE[:-1].encode() + b',"novelty":1e400}', ["Assessment"], []),
    "Zstandard": (b"\x28\xb5\x2f\xfd" + bytes(20), [], ["not JSON: Zstandard"]),
    "Avro": (b"Obj\x01" + bytes(20), [], ["not JSON: Avro"]),
    "a log line": (b"<13>Nov 10 host app: " + ONE.encode(), [], ["not JSON"]),
    "rows of the table SecurityAlert": (text({"records": [SECURITY_ALERT]}), ["Other"], []),
    "an unknown kind with a list of values": (text({**UNKNOWN_RECORD, "value": [1, 2]}), ["Other"], []),
    "an unknown object with data": (text({"id": "x", "data": {"a": 1}}), ["Other"], []),
    "an unknown object with records": (text({"id": "x", "records": [1, 2]}), ["Other"], []),
    "an attack path in a wrapper": (text({"payload": AS_EXPORTED.record}), ["AttackPath"], []),
    "two members with records": (
        text({"records": [assessment()], "value": [alert()], "data": UNKNOWN_RECORD}),
        ["Assessment", "Alert", "Other"],
        [],
    ),
    "two members with records, no list": (text({"body": assessment(), "data": alert()}), ["Assessment", "Alert"], []),
    "two spellings of records": (
        text({"Records": [assessment()], "records": [alert()]}),
        ["Assessment", "Alert"],
        [],
    ),
    "an empty list beside records": (text({"records": [], "value": BOTH}), ["Assessment", "Alert"], []),
    "one record as an object and as its text": (text({"data": alert(), "message": TWO}), ["Alert"], []),
    "wrapped five times": (
        text({"body": {"data": [{"event": {"message": text(BOTH).decode()}}]}}),
        ["Assessment", "Alert"],
        [],
    ),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_a_body_gives_its_records_or_says_what_it_is(name: str) -> None:
    body, kinds, reasons = WRAPPED[name]
    parsed = parse(body)
    assert [row.kind for row in parsed.rows] == kinds
    assert len(parsed.bad) == len(reasons)
    for bad, reason in zip(parsed.bad, reasons, strict=True):
        assert bad.reason.startswith(reason)


def test_there_are_forty_kinds_and_every_event_is_accounted_for() -> None:
    assert len(WRAPPED) >= 40
    events = [event(body, sequence=number) for number, (body, _, _) in enumerate(WRAPPED.values())]
    parsed = Parser().parse(events, NOW)
    assert len(parsed.rows) == sum(len(kinds) for _, kinds, _ in WRAPPED.values())
    assert len(parsed.bad) == sum(len(reasons) for _, _, reasons in WRAPPED.values())
    seen = {row.event.sequence for row in parsed.rows} | {bad.event.sequence for bad in parsed.bad}
    assert seen == set(range(len(WRAPPED)))


@pytest.mark.parametrize(
    "name",
    [name for name, (_, kinds, _) in WRAPPED.items() if kinds and kinds[0] == "Assessment" and "beyond" not in name],
)
def test_a_record_is_the_same_however_it_is_wrapped(name: str) -> None:
    row = parse(WRAPPED[name][0]).rows[0]
    alone = {name: value for name, value in columns(assessment()).items() if name != "SequenceNumber"}
    got = {name: value for name, value in orjson.loads(row.json).items() if value is not None}
    assert {name: value for name, value in got.items() if name != "SequenceNumber"} == alone
    assert json.loads(row.whole) == assessment()


def test_a_number_beyond_any_double_is_kept_as_a_text() -> None:
    assert columns(WRAPPED["a number beyond any double"][0])["Raw"] == {"novelty": "1e400"}


def test_rows_of_the_table_security_alert_are_told_apart_from_alerts() -> None:
    got = columns({"records": [SECURITY_ALERT]})
    assert (got["RecordKind"], got["RecordType"]) == ("Other", "SecurityAlert")
    assert (got["RecordId"], got["ResourceId"], got["SubscriptionId"]) == ("2518_ab12", VM.lower(), SUB)
    assert "SourceTenantId" not in got  # what they name is the workspace
    assert got["Raw"] == SECURITY_ALERT


def test_a_body_that_unpacks_beyond_all_bounds_is_refused_without_being_unpacked() -> None:
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    (bad,) = parse(bomb).bad
    assert bad.reason.startswith("not JSON: more than")


@pytest.mark.parametrize("depth", [9, 40, 2_000])
def test_what_is_wrapped_too_often_is_kept_whole(depth: int) -> None:
    body = json.dumps(finding({}))
    wrapped = '{"data":' * depth + body + "}" * depth
    parsed = parse(wrapped.encode())
    assert len(parsed.rows) + len(parsed.bad) == 1
