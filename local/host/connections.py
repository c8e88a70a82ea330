"""Clients for an app's connections, by connection string or by the identity-based form of the setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from azure.eventhub.aio import EventHubConsumerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.identity.aio import ManagedIdentityCredential
from azure.storage.blob.aio import ContainerClient
from azure.storage.queue.aio import QueueClient

STORAGE = "AzureWebJobsStorage"
CHECKPOINTS = "azure-webjobs-eventhub"


class Connections:
    """Makes the host's own clients from app settings.

    Raises:
        KeyError: from any method, when neither form of the connection is set.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self._credentials: list[ManagedIdentityCredential] = []

    def queue(self, connection: str, name: str) -> QueueClient:
        """A storage queue; messages come and go as the text they are."""
        if text := self._settings.get(connection):
            return QueueClient.from_connection_string(text, name)
        return QueueClient(self._settings[f"{connection}__queueServiceUri"], name, credential=self._credential())

    def checkpoint_container(self) -> ContainerClient:
        """The container of checkpoints, to create it."""
        if text := self._settings.get(STORAGE):
            return ContainerClient.from_connection_string(text, CHECKPOINTS)
        return ContainerClient(self._settings[f"{STORAGE}__blobServiceUri"], CHECKPOINTS, credential=self._credential())

    def checkpoint_store(self) -> BlobCheckpointStore:
        """Checkpoints and ownership, in the container that the Event Hubs extension uses."""
        if text := self._settings.get(STORAGE):
            return BlobCheckpointStore.from_connection_string(text, CHECKPOINTS)
        return BlobCheckpointStore(
            self._settings[f"{STORAGE}__blobServiceUri"], CHECKPOINTS, credential=self._credential()
        )

    def consumer(self, connection: str, hub: str, group: str, **options: Any) -> EventHubConsumerClient:
        """A consumer of a hub."""
        if text := self._settings.get(connection):
            return EventHubConsumerClient.from_connection_string(text, group, eventhub_name=hub, **options)
        namespace = self._settings[f"{connection}__fullyQualifiedNamespace"]
        return EventHubConsumerClient(namespace, hub, group, self._credential(), **options)

    async def close(self) -> None:
        """Close the credentials; clients are closed by their users."""
        for credential in self._credentials:
            await credential.close()

    def _credential(self) -> ManagedIdentityCredential:
        credential = ManagedIdentityCredential(client_id=self._settings.get("AZURE_CLIENT_ID"))
        self._credentials.append(credential)
        return credential
