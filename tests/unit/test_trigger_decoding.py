"""The deferred decoding gives what the programming model's own gives."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from azure.functions.meta import Datum

from shared.enrich.invocation import trigger_decoding
from shared.enrich.invocation.trigger_decoding import DeferredEvent, decode, parse_time

model_decode = trigger_decoding._decode_batch
model_parse = trigger_decoding._parse_any
TIMES = [
    "2026-11-22T10:00:00", "2026-11-22T10:00:00.992", "2026-11-22T10:00:00.1", "2026-11-22T10:00:00.1234567",
    "2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123Z", "2026-11-22T10:00:00.1234567Z", "2026-11-22T10:00:00+00:00",
    "2026-11-22T10:00:00.123456789-00:00", "11/22/2026 10:00:00Z", "11/22/2026T10:00:00.5", "", None,
    "2026-11-22T24:00:00Z", "2026-11-22T10:00:60", "2026-02-30T10:00:00Z", "2026-11-22", "2026-11-22T10:00:00+01:00",
    "2026-11-22 10:00:00", "2026-11-22T10:00:00.Z", "2026-11-22T10:00:00,5Z", "yesterday", "2026-1-2T3:4:5Z",
    "2026-11-22T10:00:00Z\n", "0000-11-22T10:00:00Z", "2026-W47-7T10:00:00Z", "\uff12026-11-22T10:00:00Z",
]  # fmt: skip


def outcome(run: Any, *arguments: Any) -> Any:
    try:
        return run(*arguments)
    except Exception as error:  # noqa: BLE001 # whatever it is, both have to raise it
        return type(error)


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_read_as_the_programming_model_reads_it(text: str | None) -> None:
    ours, theirs = outcome(parse_time, text), outcome(model_parse, text)
    assert ours == theirs
    if isinstance(theirs, datetime):
        assert ours.tzinfo == theirs.tzinfo


def batch(properties: Any, count: int | None = None) -> tuple[Datum, dict[str, Datum]]:
    bodies = [b"%d" % number for number in range(len(properties) if count is None else count)]
    metadata = {
        "SystemPropertiesArray": Datum(json.dumps(properties), "json"),
        "PartitionContext": Datum('{"PartitionId": "3"}', "json"),
    }
    return Datum(SimpleNamespace(bytes=bodies), "collection_bytes"), metadata


def facts(event: Any) -> list[Any]:
    return [event.get_body(), event.enqueued_time, event.sequence_number, event.partition_key, event.offset,
            event.iothub_metadata, event.metadata]  # fmt: skip


@pytest.mark.parametrize(
    "properties",
    [
        [],
        [{}],
        [{"SequenceNumber": 7, "Offset": "100", "PartitionKey": "k", "EnqueuedTimeUtc": "2026-11-22T10:00:00.992"}],
        [{"SequenceNumber": "7", "Offset": 100, "PartitionKey": None, "EnqueuedTimeUtc": None}],
        [{"SequenceNumber": 2**40, "iothub-connection-device-id": "d"}, {"Offset": None}],
    ],
)
def test_every_property_of_an_event_is_the_programming_models(properties: Any) -> None:
    ours, theirs = decode(*batch(properties)), model_decode(*batch(properties))
    assert [facts(event) for event in ours] == [facts(event) for event in theirs]
    assert all(isinstance(event, DeferredEvent) for event in ours)


def test_bodies_and_properties_that_differ_in_number_are_refused_as_before() -> None:
    with pytest.raises(AssertionError, match="mismatched"):
        decode(*batch([{}], count=2))


def test_texts_are_decoded_by_the_programming_model() -> None:
    _, metadata = batch([{"EnqueuedTimeUtc": "2026-11-22T10:00:00Z"}])
    (event,) = decode(Datum(SimpleNamespace(string=["one"]), "collection_string"), metadata)
    assert (event.get_body(), event.enqueued_time) == (b"one", datetime(2026, 11, 22, 10, tzinfo=UTC))
