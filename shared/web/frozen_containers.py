"""Containers whose blobs can't be changed, by a policy of the organisation, though the app must."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

    from shared.bootstrap import Services

PATIENCE_SECONDS = 5.0


async def frozen_containers(services: Services, *, control: bool) -> list[str]:
    """A sentence for each container under a container-level immutability policy or a legal hold.

    One that can't be asked is the business of the checks.  `control` says that export files and reports are this app's.
    """
    from shared.settings import SettingsError

    settings, clients = services.settings, services.clients
    try:
        containers = [clients.data_blobs.get_container_client(settings.dead_letters_container)]
        if control:
            names = (settings.exports_container, settings.reports_container)
            containers += map(clients.blobs.get_container_client, names)
    except (SettingsError, ValueError):
        return []
    told = await asyncio.gather(*map(_told, containers))
    return [sentence for sentence in told if sentence]


async def _told(container: ContainerClient) -> str:
    from azure.core.exceptions import AzureError

    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            found = await container.get_container_properties()
    except (AzureError, TimeoutError):
        return ""
    why = "an immutability policy" if found.has_immutability_policy else "a legal hold" if found.has_legal_hold else ""
    if not why:
        return ""
    return (
        f"the container {container.container_name} is under {why}, so what is in it can't be brought up to date: take "
        "the policy off it (docs/operate.md, Policies on the storage account)"
    )
