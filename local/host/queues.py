"""Storage queue triggers: visibility, dequeue count and the poison queue."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.functions.queue import QueueMessageInConverter
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local.host.config import QueueOptions, resolve
from local.host.connections import STORAGE, Connections
from local.host.functions import Function
from local.host.invoke import Invoker

log = logging.getLogger("local.host")
PROCESSING_SECONDS = 600  # the extension hides a message for ten minutes while it is worked on, and renews that


class QueueListener:
    """Feeds one function from its queue."""

    def __init__(
        self,
        function: Function,
        invoker: Invoker,
        settings: Mapping[str, str],
        connections: Connections,
        *,
        options: QueueOptions,
        poll_seconds: float,
    ) -> None:
        self._function, self._invoker, self._options, self._poll = function, invoker, options, poll_seconds
        name = resolve(str(function.trigger["queueName"]), settings)
        connection = str(function.trigger.get("connection") or STORAGE)
        self._queue = connections.queue(connection, name)
        self._poison = connections.queue(connection, f"{name}-poison")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to poll; a queue that does not exist yet is waited for."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Take no more messages; one that is being worked on becomes visible again if it does not end."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._queue.close()
        await self._poison.close()

    async def run_once(self, text: str) -> None:
        """Invoke with a message of this text, which was never in the queue."""
        message = QueueMessage(content=None)
        message.id, message.dequeue_count, message.pop_receipt = "manual", 1, ""
        with contextlib.suppress(Exception):  # the invoker has logged it; there is no message to put back
            await self._invoker.invoke(self._function, _input(message, text.encode()))

    async def _run(self) -> None:
        while True:
            try:
                found = [
                    message
                    async for message in self._queue.receive_messages(
                        max_messages=self._options.batch_size, visibility_timeout=PROCESSING_SECONDS
                    )
                ]
            except ResourceNotFoundError:
                found = []
            except AzureError as error:
                log.warning("%s cannot read its queue: %s", self._function.name, type(error).__name__)
                found = []
            if found:
                await asyncio.gather(*(self._process(message) for message in found))
            else:
                await asyncio.sleep(self._poll)

    async def _process(self, message: QueueMessage) -> None:
        try:
            body = self._decode(message)
        except (ValueError, binascii.Error):
            await self._to_poison(message)  # what cannot be read now never can be
            return
        try:
            await self._invoker.invoke(self._function, _input(message, body))
        except Exception:  # noqa: BLE001 - a handler may raise anything; the invoker has logged it
            if (message.dequeue_count or 0) >= self._options.max_dequeue_count:
                await self._to_poison(message)
            else:
                hidden = int(self._options.visibility_timeout.total_seconds())
                await self._queue.update_message(message, visibility_timeout=hidden)
            return
        await self._queue.delete_message(message)

    def _decode(self, message: QueueMessage) -> bytes:
        text = str(message.content)
        return base64.b64decode(text, validate=True) if self._options.encoding == "base64" else text.encode()

    async def _to_poison(self, message: QueueMessage) -> None:
        with contextlib.suppress(ResourceExistsError):
            await self._poison.create_queue()
        await self._poison.send_message(message.content)
        await self._queue.delete_message(message)

    @property
    def queue(self) -> QueueClient:
        """The queue this function reads."""
        return self._queue


def _input(message: QueueMessage, body: bytes) -> Any:
    def moment(value: Any) -> Datum:
        return Datum(json.dumps(value.isoformat() if value else ""), "json")

    metadata = {
        "Id": Datum(message.id, "string"),
        "DequeueCount": Datum(json.dumps(message.dequeue_count), "json"),
        "PopReceipt": Datum(message.pop_receipt or "", "string"),
        "ExpirationTime": moment(message.expires_on),
        "InsertionTime": moment(message.inserted_on),
        "NextVisibleTime": moment(message.next_visible_on),
    }
    if not message.inserted_on:
        metadata = {name: value for name, value in metadata.items() if not name.endswith("Time")}
    return QueueMessageInConverter.decode(Datum(body, "bytes"), trigger_metadata=metadata)
