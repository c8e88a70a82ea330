"""Direct work: the services of this process, with the settings that the app keeps in its storage."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.bootstrap import Services


@asynccontextmanager
async def open_services() -> AsyncIterator[Services]:
    """Services on the storage that the environment names, as the app's own settings have them.

    Raises:
        SettingsError: no storage is named, or the environment and the storage name different instances.
    """
    from shared import deployment_file
    from shared.bootstrap import Services
    from shared.settings import Settings

    first = Services(Settings.load_all_readable())
    try:
        container = first.clients.blobs.get_container_client(first.settings.exports_container)
        environment = deployment_file.combined(os.environ, await deployment_file.read(container))
    finally:
        await first.close()
    services = Services(Settings.load_all_readable(environment))
    try:
        yield services
    finally:
        await services.close()
