"""Event Hub triggers: batches, one invocation a partition at a time, and the checkpoint's rules.

The checkpoint moves after an invocation whether it succeeded or not; under a retry policy only once that has ended;
never while the host stops, and never after a timeout, which restarts the worker.
Source: the Event Hubs extension's EventHubListener, and Azure Functions documentation, "error handling and retries".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from azure.core.exceptions import ResourceExistsError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum

from local.host.config import EventHubOptions, resolve
from local.host.connections import Connections
from local.host.functions import Function, UnsupportedFunctionError
from local.host.invoke import FunctionTimeoutError, Invoker

log = logging.getLogger("local.host")


class EventHubListener:
    """Feeds one function from its hub."""

    def __init__(
        self,
        function: Function,
        invoker: Invoker,
        settings: Mapping[str, str],
        connections: Connections,
        *,
        options: EventHubOptions,
        poll_seconds: float,
    ) -> None:
        trigger = function.trigger
        if str(trigger.get("cardinality", "")).lower() != "many":
            raise UnsupportedFunctionError(f"{function.name}: this host feeds batches only (cardinality many).")
        self._function, self._invoker, self._options, self._poll = function, invoker, options, poll_seconds
        self._connections, self._connection = connections, str(trigger["connection"])
        self._hub = resolve(str(trigger["eventHubName"]), settings)
        self._group = resolve(str(trigger.get("consumerGroup") or "$Default"), settings)
        self._waiting: dict[str, tuple[float, list[EventData]]] = {}
        self._batches: dict[str, int] = {}
        self._stopping = False
        self._client: EventHubConsumerClient | None = None
        self._store: Any = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to read where the checkpoints are."""
        async with self._connections.checkpoint_container() as container:
            with contextlib.suppress(ResourceExistsError):
                await container.create_container()
        self._store = self._connections.checkpoint_store()
        self._client = self._connections.consumer(
            self._connection,
            self._hub,
            self._group,
            checkpoint_store=self._store,
            load_balancing_interval=self._poll,
            partition_ownership_expiration_interval=max(10 * self._poll, 2),
            load_balancing_strategy="greedy",
        )
        self._task = asyncio.create_task(
            self._client.receive_batch(
                self._receive,
                max_batch_size=self._options.max_batch,
                max_wait_time=self._poll,
                prefetch=self._options.prefetch,
                starting_position="-1" if self._options.from_start else "@latest",
                on_error=self._on_error,
                on_partition_initialize=self._on_partition,
            )
        )

    def prepare_to_stop(self) -> None:
        """Begin no invocation and write no checkpoint from now on."""
        self._stopping = True

    async def stop(self) -> None:
        """Give the partitions back."""
        self._stopping = True
        if self._client and self._task:
            await self._client.close()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._store:
            await self._store.close()

    async def run_once(self, text: str) -> None:
        """Invoke with one event of this text, which was never in the hub."""
        with contextlib.suppress(Exception):  # the invoker has logged it
            await self._invoker.invoke(self._function, self._input([EventData(text)], "0", ""))

    async def _on_partition(self, context: PartitionContext) -> None:
        self._waiting.pop(context.partition_id, None)  # what was not checkpointed comes again

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        where = context.partition_id if context else "all partitions"
        log.info("%s reads %s again after %s", self._function.name, where, type(error).__name__)

    async def _receive(self, context: PartitionContext, received: list[EventData]) -> None:
        began, events = self._waiting.pop(context.partition_id, (time.monotonic(), []))
        events += received
        if not events or self._stopping:
            return
        waited = time.monotonic() - began
        if len(events) < self._options.min_batch and waited < self._options.max_wait.total_seconds():
            self._waiting[context.partition_id] = (began, events)
            return
        size = self._options.max_batch
        for start in range(0, len(events), size):
            await self._process(context, events[start : start + size])

    async def _process(self, context: PartitionContext, events: Sequence[EventData]) -> None:
        data = self._input(events, context.partition_id, context.fully_qualified_namespace)
        try:
            await self._invoker.invoke(self._function, data)
        except FunctionTimeoutError:
            raise  # the client then gives the partition up and takes it again at its checkpoint
        except asyncio.CancelledError:
            if self._stopping:
                return
            raise
        except Exception:  # noqa: BLE001 - whatever the handler raised, the checkpoint moves on as Azure's does
            log.debug("%s lost a batch to its handler", self._function.name)
        if self._stopping:
            return
        batches = self._batches[context.partition_id] = self._batches.get(context.partition_id, 0) + 1
        if batches % self._options.checkpoint_every == 0:
            await context.update_checkpoint(events[-1])

    def _input(self, events: Sequence[EventData], partition_id: str, namespace: str) -> Any:
        system = [_system_properties(event) for event in events]
        context = {
            "FullyQualifiedNamespace": namespace,
            "EventHubName": self._hub,
            "ConsumerGroup": self._group,
            "PartitionId": partition_id,
        }
        arrays = {
            f"{name}Array": [one[name] for one in system]
            for name in ("PartitionKey", "SequenceNumber", "Offset", "EnqueuedTimeUtc")
        }
        properties = [{_text(key): _plain(value) for key, value in (one.properties or {}).items()} for one in events]
        values = {"SystemPropertiesArray": system, "PropertiesArray": properties, "PartitionContext": context, **arrays}
        metadata = {name: Datum(json.dumps(value), "json") for name, value in values.items()}
        bodies = [b"".join(cast("Any", event.body)) for event in events]
        binary = str(self._function.trigger.get("dataType", "")).lower() == "binary"
        body = (
            Datum(SimpleNamespace(bytes=bodies), "collection_bytes")
            if binary
            else Datum(SimpleNamespace(string=[one.decode() for one in bodies]), "collection_string")
        )
        return EventHubTriggerConverter.decode(body, trigger_metadata=metadata)


def _system_properties(event: EventData) -> dict[str, Any]:
    key = event.partition_key
    enqueued = event.enqueued_time or datetime.now(UTC)
    stamp = enqueued.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    place = {
        "SequenceNumber": event.sequence_number or 0,
        "Offset": event.offset or "0",
        "PartitionKey": key.decode() if isinstance(key, bytes) else key,
        "EnqueuedTimeUtc": stamp,
    }
    return place | {
        "x-opt-sequence-number": place["SequenceNumber"],
        "x-opt-offset": place["Offset"],
        "x-opt-enqueued-time": stamp,
    }


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float, bool, type(None))) else _text(value)
