"""What an app says of itself in its storage, so that direct work on it takes its settings rather than a laptop's.

`deployment.json` beside the export files holds no secret.  The app writes it when it differs from what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shared import stored_format
from shared.settings import Settings, SettingsError, declarations

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

_BLOB: Final = "deployment.json"
_KIND: Final = "deployment"
INSTANCE: Final = "INSTANCE_ID"
KEPT: Final = (
    INSTANCE,
    "APPROVAL",
    "AZURE_CLOUD",
    "TENANT_ID",
    "EVENT_HUB_RESOURCE_ID",
    "INVENTORY",
    "MAX_DELETES",
    "MAX_CHANGE_PERCENT",
    "REGISTER_PROVIDER",
    "SECURITY_PROVIDER_PRINCIPAL_ID",
    "SNAPSHOT_DUE_DAYS",
)
"""The settings that decide what a run does, or what an answer says."""


def texts(settings: Settings) -> dict[str, str]:
    """The kept settings as an environment would have them."""
    found: dict[str, str] = {}
    for attribute, declaration in declarations().items():
        if declaration.name in KEPT:
            found[declaration.name] = _text(getattr(settings, attribute))
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


async def keep(container: ContainerClient, settings: Settings) -> None:
    """Write the file where it says something else."""
    from azure.core.exceptions import ResourceNotFoundError

    said = json.dumps({**stored_format.stamp(_KIND), "settings": texts(settings)}, sort_keys=True).encode()
    try:
        there = await (await container.download_blob(_BLOB)).readall()
    except ResourceNotFoundError:
        there = b""
    if there != said:
        await container.upload_blob(_BLOB, said, overwrite=True)


async def read(container: ContainerClient) -> dict[str, str] | None:
    """The settings that the app keeps; None where no app has kept any.

    Raises:
        KeptAsIs: the file is of a newer format, or none.
    """
    from azure.core.exceptions import ResourceNotFoundError

    try:
        data = await (await container.download_blob(_BLOB)).readall()
    except ResourceNotFoundError as error:
        if getattr(error, "error_code", "") == "ContainerNotFound":
            raise
        return None
    found = stored_format.read_object(_KIND, data).get("settings")
    if not isinstance(found, Mapping):
        raise stored_format.KeptAsIs("this deployment holds no settings: the app's next run writes it anew")
    return {name: str(value) for name, value in found.items() if name in KEPT}


def combined(environment: Mapping[str, str], kept: Mapping[str, str] | None) -> dict[str, str]:
    """The environment with the app's own settings in place of a laptop's.

    Raises:
        SettingsError: the environment names another instance, or none where the app has kept nothing.
    """
    mine = environment.get(INSTANCE, "")
    if kept is None:
        if not mine:
            raise SettingsError(
                "which instance is this? The app has not said so in its storage yet, as its first run does: set "
                "INSTANCE_ID"
            )
        return dict(environment)
    theirs = kept.get(INSTANCE, "")
    if mine and mine != theirs:
        raise SettingsError(
            f"this storage belongs to the instance {theirs}, and INSTANCE_ID here is {mine}: unset it, or choose the "
            "storage of that instance"
        )
    return {**environment, **kept}
