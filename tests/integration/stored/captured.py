"""What commit 43a9e6c stored, as captured, and a storage account filled with it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.azure.clients import Clients

FILE = Path(__file__).parents[2] / "data" / "stored_by_43a9e6c" / "stored.json"


@cache
def captured() -> dict[str, Any]:
    """The whole capture; read its README for what is in it."""
    found: dict[str, Any] = json.loads(FILE.read_text())
    return found


def content(blob: Mapping[str, Any]) -> bytes:
    text = str(blob["content"])
    return base64.b64decode(text) if str(blob["name"]).endswith(".gz") else text.encode()


def blobs(container: str) -> list[dict[str, Any]]:
    return [blob for blob in captured()["blobs"] if blob["container"] == container]


def plain(entity: Mapping[str, Any]) -> dict[str, Any]:
    """An entity as the client takes it."""
    return {
        name: datetime.fromisoformat(value["$time"]).astimezone(UTC) if isinstance(value, dict) else value
        for name, value in entity.items()
        if name != "table"
    }


async def restore(clients: Clients, *containers: str, tables: bool = False) -> None:
    """Put captured blobs, and with `tables` the entities, where the app looks for them."""
    for container in containers:
        for blob in blobs(container):
            client = clients.blobs.get_blob_client(container, blob["name"])
            await client.upload_blob(content(blob), metadata=blob["metadata"], overwrite=True)
    if tables:
        for entity in captured()["entities"]:
            await clients.tables.get_table_client(entity["table"]).upsert_entity(plain(entity))
