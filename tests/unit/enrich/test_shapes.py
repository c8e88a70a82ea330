"""Shapes of records: nothing of the tenant comes out, and what comes out is read as the record was."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.records import KINDS, generate
from shared.enrich.invocation.preparation import Preparer
from shared.enrich.records.parser import Parser
from shared.enrich.shapes import record_shapes, shape_digest
from shared.enrich.shapes.invented_values import Invention
from shared.enrich.shapes.record_shapes import Met, Shape, shapes_of
from shared.enrich.shapes.shape_digest import digest_of, digest_of_bytes
from shared.enrich.shapes.shape_request import ShapeRequest, ShapeRequestError
from tests.unit.enrich.builders import NOW, event
from tests.unit.enrich.golden import GOLDENS
from tests.unit.enrich.golden.base import SUB, Golden
from tests.unit.enrich.golden.casings import CASINGS, Casing
from tests.unit.enrich.test_nothing_lost import changed


def shape(record: Any, **options: Any) -> Shape:
    (only,) = shapes_of([Met(json.dumps(record).encode())], **options).found.values()
    return only


@pytest.mark.parametrize("casing", CASINGS, ids=lambda casing: casing.name)
@pytest.mark.parametrize("golden", GOLDENS, ids=lambda golden: golden.name)
def test_the_shape_of_a_golden_parses_like_it(golden: Golden, casing: Casing) -> None:
    record = casing.record(golden.record)
    found = shape(record)
    assert found.differs == ()
    assert found.kind == golden.row["RecordKind"]
    assert set(golden.row) <= set(found.columns)
    assert digest_of(found.record) == found.shape or found.record.keys() != record.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_so_do_generated_records(kind: str) -> None:
    for made in generate(21, [SUB], 12, kinds={kind: 1}, bad=0):
        assert shape(json.loads(made.body)).differs == ()


SHORT = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=2_500, deadline=None, suppress_health_check=list(HealthCheck))


@SHORT
@given(changed())
def test_so_do_unknown_members_and_other_types_anywhere(record: dict[str, Any]) -> None:
    assert shape(record).differs == ()


@pytest.mark.soak
@LONG
@given(changed())
def test_so_do_thousands_of_them(record: dict[str, Any]) -> None:
    assert shape(record).differs == ()


Plant = Callable[[int], tuple[str, Any]]
"""A secret that the output must not hold, and the value that holds it."""


def _planted(form: str, make: Callable[[str], Any] = str) -> Plant:
    def plant(number: int) -> tuple[str, Any]:
        secret = form.format(number)
        return secret, make(secret)

    return plant


SECRETS: tuple[Plant, ...] = (
    _planted("xq{}zcanary"),
    _planted("Canary{}Qz"),
    _planted("QZ-CANARY{}-{}".replace("-{}", "-X")),
    _planted("xq{}zkey", lambda secret: f"/subscriptions/{secret}/resourceGroups/{secret}"),
    _planted("xq{}zword", lambda secret: f"The password of {secret} is {secret}; keep it: {secret}"),
    _planted("xq{}zmail", lambda secret: f"{secret}@{secret}.example"),
    _planted("xq{}zhost", lambda secret: f"https://{secret}.azurewebsites.net/?code={secret}"),
    _planted("xq{}zhidden", lambda secret: json.dumps({"data": [secret], "id": {"key": secret}, secret: 1})),
    _planted("xq{}zcloud", lambda secret: f"arn:aws:ec2:eu-{secret}:{secret}:instance/{secret}"),
    _planted("xq{}zgoogle", lambda secret: f"//{secret}.googleapis.com/projects/{secret}/zones/{secret}"),
    _planted("xq{}zwith", lambda secret: f"{secret} CVE-2026-12345 T1059.001 {secret}"),
    _planted("xq{}zé漢\u202e"),
    _planted("7{:09}3"),
    _planted("7{:09}3", int),
    _planted("7{:09}.25", float),
    _planted("7e57c0de-{:04}-4000-8000-5ec2e7000000"),
    _planted("7E57C0DE{:04}AAAABBBBCCCC5EC2E7000000"),
    _planted("2019-03-{:02}T23:47".replace("{:02}", "17") + ":{:02}Z".replace("{:02}", "59")),
    _planted("172.31.254.{}"),
    _planted("fd00:7e57:c0de::{}"),
    _planted("CVE-1987-7{:06}"),
    _planted("T98{:02}.7{:02}".replace("7{:02}", "737")),
)


@st.composite
def full_of_secrets(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    """A golden in some casing whose values, and some of whose names, are secrets, and those secrets."""
    record = draw(st.sampled_from(CASINGS)).record(copy.deepcopy(draw(st.sampled_from(GOLDENS)).record))
    secrets: list[str] = []
    share = draw(st.integers(1, 4))

    def planted() -> Any:
        number = len(secrets) % 60
        secret, value = draw(st.sampled_from(SECRETS))(number)
        secrets.append(secret)
        return value

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            walked = {name: walk(inner) for name, inner in value.items()}
            if draw(st.integers(0, 5)) == 0:
                walked[str(planted())] = planted()
            return walked
        if isinstance(value, list):
            return [walk(item) for item in value]
        return planted() if draw(st.integers(1, share)) == 1 else value

    return walk(record), secrets


@SHORT
@given(full_of_secrets())
def test_no_secret_comes_out(planted: tuple[dict[str, Any], list[str]]) -> None:
    check(*planted)


@pytest.mark.soak
@LONG
@given(full_of_secrets())
def test_no_secret_comes_out_of_thousands(planted: tuple[dict[str, Any], list[str]]) -> None:
    check(*planted)


def check(record: dict[str, Any], secrets: list[str]) -> None:
    found = shape(record)
    said = json.dumps([found.record, found.shape, found.kind, found.columns], ensure_ascii=False).lower()
    assert [secret for secret in secrets if secret.lower() in said] == []
    assert found.differs == ()


@pytest.mark.parametrize("plant", SECRETS, ids=lambda plant: plant(1)[0])
def test_a_secret_alone_is_replaced(plant: Plant) -> None:
    secret, value = plant(7)
    invention = Invention()
    for _ in range(2):
        assert secret.lower() not in str(invention.value(value)).lower()
    assert str(value) not in str(invention.value({str(value): value}))
    assert str(value) in invention.withheld


def test_a_shape_is_the_same_whatever_the_values_and_the_order_of_members() -> None:
    one = {"type": "x", "properties": {"items": [{"name": "a"}, {"id": 1}, {"name": "b"}], "own": "a", "none": None}}
    other = {"properties": {"mine": "b", "items": [{"id": 2}, {"name": "c"}]}, "TYPE": "y"}
    assert digest_of(one) == digest_of(other) == digest_of_bytes(json.dumps(other).encode())
    assert digest_of(one) != digest_of(one | {"id": "x"})
    assert digest_of(one) != digest_of(one | {"type": 1})
    assert digest_of_bytes(b"[]") == digest_of_bytes(b"\xff") == "unreadable"


def test_as_many_records_are_looked_at_as_are_asked_for_and_no_more_bytes_than_are_borne(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = json.dumps([{"type": "x", "number": number} for number in range(5)]).encode()
    several = [Met(body), Met(body)]
    for most, seen, more in ((3, 3, True), (10, 10, False), (11, 10, False)):
        shapes = shapes_of(several, most=most)
        assert (sum(each.records for each in shapes.found.values()), shapes.more) == (seen, more)
    (only,) = shapes_of(several).found.values()
    assert only.largest < len(body) / 4, "of the record, not of the event"
    monkeypatch.setattr(record_shapes, "MOST_BYTES", 1)
    assert shapes_of(several).more


def test_rows_of_a_table_that_is_unknown_or_damaged_tell_nothing() -> None:
    rows = [Met(b'{"Mine": "xq1"}', "DefenderAlerts_CL"), Met(b'{"Mine": 1}', "xq2_CL"), Met(b'{"Mine', "xq3_CL")]
    shapes = shapes_of(rows)
    assert "xq" not in json.dumps(shapes.document())
    assert "Mine" not in json.dumps(shapes.document())
    assert {kind for kind, _ in shapes.found} == {"DefenderAlerts_CL", "an unknown table"}
    assert shapes.withheld == {"Mine"}
    assert sum(shapes.unreadable.values()) == 1


def test_names_are_shown_on_wish_alone() -> None:
    record = {"type": "Microsoft.Security/unheardOf", "RiskIndex": 1, "riskIndex": 2, "Contoso": {"xq": 1}}
    shapes = shapes_of([Met(json.dumps(record).encode())], ["RISKINDEX"])
    (only,) = shapes.found.values()
    assert {"RiskIndex", "riskIndex"} <= only.record.keys()
    assert shapes.withheld == {"Contoso", "xq"}


DEEP = json.dumps({"a": json.loads("[" * 200 + "1" + "]" * 200)})
HOSTILE: dict[str, Callable[[], Any]] = {
    "texts in texts, deep": lambda: {"own": [[[DEEP]]], "type": json.dumps({"b": DEEP})},
    "names that differ in casing": lambda: {
        f"{at:018b}".replace("0", "x").replace("1", "X"): at for at in range(4_000)
    },
    "numbers": lambda: {"own": [*range(10**6, 10**6 + 20_000), -(10**299), 1e308, 5e-324, 0.1, 10**25]},
    "names that are JSON": lambda: {'{"xq": [1]}': 1, "[]": 2, "{}": {"": ""}, " ": "\t"},
    "an id without end": lambda: {"id": "/" * 50_000 + "x" * 50_000, "own": ";" * 50_000},
    "marks": lambda: {"own": ["\u0000", "\u202e", "\ufeff", "\U0001f600", "\ud800"], "\u0000": None},
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_record_is_no_trouble(hostile: Callable[[], Any]) -> None:
    record = hostile()
    found = shape(record)
    text = json.dumps(found.record)
    assert len(text) <= 3 * len(json.dumps(record)) + 1_000
    assert found.shape == digest_of_bytes(json.dumps(record).encode())


@pytest.mark.parametrize("text", ["deadbeefcafe" * 3 + "dead", "DEADBEEFCAFE0123DEADBEEFCAFE0123"])
def test_a_hash_becomes_another_and_no_number(text: str) -> None:
    invented = Invention().text(text)
    assert (len(invented), invented.isupper(), invented.isdecimal()) == (len(text), text.isupper(), False)


def test_lists_keep_an_element_of_each_form_and_few_that_are_alike() -> None:
    found = shape({"type": "x", "own": [{"name": f"Contoso {at}"} for at in range(500)] + [7, "x", None]})
    assert len(next(value for value in found.record.values() if isinstance(value, list))) == 3 + 3


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (ShapeRequest("hub", group="Enrich"), "make another consumer group"),
        (ShapeRequest("hub", day="2026-01-01"), "leave the day out"),
        (ShapeRequest("oversize", group="other"), "for the hub alone"),
    ],
)
def test_what_means_nothing_is_refused(asked: ShapeRequest, told: str) -> None:
    with pytest.raises(ShapeRequestError, match=told):
        asked.check("enrich")
    ShapeRequest("hub").check("enrich")
    ShapeRequest("dead-letters", day="2026-01-01").check("$Default")


def unheard_of(number: int) -> dict[str, Any]:
    return {"type": "Microsoft.Security/unheardOf", "id": f"/subscriptions/{SUB}/{number}", "Contoso": {"xq": number}}


async def test_records_of_no_known_kind_are_counted_by_the_shape_that_the_command_shows() -> None:
    events = [event(unheard_of(number)) for number in range(3)] + [event(GOLDENS[0].record), event(b"\xff")]
    work = await Preparer(Parser, None).prepare(events, NOW)
    (found,) = shapes_of([Met(each.body) for each in events[:3]]).found.values()
    assert work.unplaced == {found.shape: 3}
    assert (await Preparer(Parser, None).prepare([event(GOLDENS[0].record)], NOW)).unplaced == {}


async def test_the_shape_of_a_large_record_is_not_worked_out_on_the_way() -> None:
    """40,000 names take seconds of processor, and the batch would wait for them."""
    large = unheard_of(1) | {f"name-{number}": number for number in range(40_000)}
    began = time.process_time()
    work = await Preparer(Parser, None).prepare([event(large)] * 3, NOW)
    assert work.unplaced == {"large": 3}
    assert len(work.parsed.rows) == 3
    assert time.process_time() - began < 4


async def test_whatever_happens_while_they_are_counted_they_are_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bytes) -> str:
        raise MemoryError

    monkeypatch.setattr(shape_digest, "digest_of_bytes", fail)
    work = await Preparer(Parser, None).prepare([event(unheard_of(1)), event(unheard_of(2))], NOW)
    assert work.unplaced == {"unknown": 2}
    assert sum(len(body.rows) for body in work.bodies) == 2


PROGRAM = """
import asyncio, json, sys
import function_app, shared.enrich.invocation.pipeline_factory
from datetime import UTC, datetime
from shared.enrich.invocation.preparation import Preparer
from shared.enrich.records.model import Event
from shared.enrich.records.parser import Parser
from tests.unit.enrich.golden import GOLDENS
now = datetime(2026, 11, 10, 12, tzinfo=UTC)
events = [Event(json.dumps(golden.record).encode(), now) for golden in GOLDENS if golden.row["RecordKind"] != "Other"]
work = asyncio.run(Preparer(Parser, None).prepare(events, now))
assert work.bodies
print([name for name in sys.modules if name.startswith("shared.enrich.shapes")])
"""


def test_nothing_of_it_is_loaded_as_long_as_every_record_is_of_a_known_kind() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
