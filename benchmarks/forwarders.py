"""The steps of two published event hub forwarders in Python, written anew from what they do.

- `LabelledStreams`: as grafana/azure_eventhub_to_loki (November 2026): each record is decoded by `json`, gets a time, a
  few labels and its text anew; what its filter lets through (all, without one) is copied and gets its text once more
  (`stream_from_event_body`), and goes with those of the same labels into a protobuf message, compressed by snappy.
- `JoinedLines`: as logzio/logzio-azure-serverless-py (November 2026): each line of an event is decoded by `json`, loses
  its empty members, and its text anew is joined with others, a hundred a request.  The published one also writes two
  lines of log an event, to two handlers (`process_eventhub_message`): `told` does, into nothing.

Both post over a connection that is kept, where the first opens one for each batch.

Neither makes columns, adds context, tells changes apart or keeps what was not taken.  Messages are Loki's push requests
(`logproto` in grafana/loki): streams of labels and entries, an entry a time, a line and metadata.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterable
from typing import Any

import cramjam
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

_FIELD = descriptor_pb2.FieldDescriptorProto
LINES_A_REQUEST = 100


def _messages() -> dict[str, Any]:
    """The classes of Loki's messages, from their fields."""
    described = descriptor_pb2.FileDescriptorProto(name="push.proto", package="logproto", syntax="proto3")
    described.dependency.append("google/protobuf/timestamp.proto")
    fields = {
        "LabelPair": (("name", 1, "", False), ("value", 2, "", False)),
        "Entry": (
            ("timestamp", 1, ".google.protobuf.Timestamp", False),
            ("line", 2, "", False),
            ("metadata", 3, ".logproto.LabelPair", True),
        ),
        "Stream": (("labels", 1, "", False), ("entries", 2, ".logproto.Entry", True)),
        "PushRequest": (("streams", 1, ".logproto.Stream", True),),
    }
    for name, members in fields.items():
        message = described.message_type.add(name=name)
        for field, number, kind, repeated in members:
            message.field.add(
                name=field,
                number=number,
                type=_FIELD.TYPE_MESSAGE if kind else _FIELD.TYPE_STRING,
                type_name=kind or None,
                label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL,
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(described)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"logproto.{name}")) for name in fields}


_LOKI = _messages()


class LabelledStreams:
    """Decode, label, protobuf and snappy; one body a batch."""

    content_type = "application/x-protobuf"

    def bodies(self, events: Iterable[bytes]) -> list[bytes]:
        """What is posted for a batch."""
        push = _LOKI["PushRequest"]()
        for event in events:
            for stream in self._streams(json.loads(event)):
                push.streams.append(stream)
        return [bytes(cramjam.snappy.compress_raw(push.SerializeToString()))]

    def _streams(self, data: dict[str, Any]) -> Iterable[Any]:
        streams: dict[str, Any] = {}
        moment = time.time_ns()
        for record in data.get("records", [data]):
            moment += 1
            labels, entry = self._entry(record, moment)
            streams.setdefault(labels, _LOKI["Stream"](labels=labels)).entries.append(entry)
        return streams.values()

    def _entry(self, record: dict[str, Any], moment: int) -> tuple[str, Any]:
        entry = _LOKI["Entry"]()
        stated = next(
            (record[name] for name in ("timeStamp", "timestamp", "time", "created") if record.get(name)), None
        )
        if stated is not None:
            entry.timestamp.FromJsonString(stated)
        else:
            entry.timestamp.FromNanoseconds(moment)
        entry.metadata.add(name="forwarder", value="1")
        for name in ("resourceId", "correlationId"):
            if name in record:
                entry.metadata.add(name=name, value=record[name])
        entry.line = json.dumps(record)
        let_through = _LOKI["Entry"]()
        let_through.CopyFrom(entry)
        let_through.line = json.dumps(record)
        kind = record.get("type")
        if kind is None and record.get("ProductName") == "Microsoft Defender for Cloud":
            kind = f"Alert/{record.get('AlertType') or 'Unknown'}"
        named = {"category": record.get("category"), "type": kind}
        labels = ['job="azure"', *(f'{name}="{value}"' for name, value in named.items() if value is not None)]
        return "{" + ",".join(labels) + "}", let_through


class JoinedLines:
    """Decode, clean, dump and join; a body for a hundred lines.

    Args:
        told: whether each event is told in the log, as the published one does.
    """

    content_type = "application/json"

    def __init__(self, *, told: bool = False) -> None:
        self._log = logging.getLogger(f"{__name__}.told" if told else __name__)
        self._log.setLevel(logging.INFO if told else logging.ERROR)
        self._log.propagate = False
        for _ in range(2):
            handler = logging.StreamHandler(open(os.devnull, "w"))  # noqa: SIM115, PTH123 # for as long as the process
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            self._log.addHandler(handler)

    def bodies(self, events: Iterable[bytes]) -> list[bytes]:
        """What is posted for a batch."""
        lines: list[str] = []
        for event in events:
            self._log.info("Processing a message")
            began = time.time()
            lines += [json.dumps(self._cleaned(json.loads(line))) for line in event.decode().splitlines()]
            self._log.info("[message] Duration: %s seconds", time.time() - began)
        parts = (lines[start : start + LINES_A_REQUEST] for start in range(0, len(lines), LINES_A_REQUEST))
        return ["\n".join(part).encode() for part in parts]

    def _cleaned(self, record: Any) -> Any:
        if isinstance(record, list):
            return [self._cleaned(item) for item in record]
        if not isinstance(record, dict):
            return record
        if "time" in record:
            record["@timestamp"] = record["time"]
        return {name: value for name, value in record.items() if value is not None and value != ""}
