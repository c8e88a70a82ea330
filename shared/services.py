"""The composition root: each service is built once per process, from settings and clients, on first use."""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING

from shared.clients import Clients
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.exports.store import ExportStore
    from shared.jobs.store import JobStore
    from shared.reconcile.run import Reconciler
    from shared.survey import Surveyor


class Services:
    """What the triggers, the HTTP side and the command line call; `await close()` when the process is done."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def clients(self) -> Clients:
        """Credentials and SDK clients, made on first use."""
        return Clients(self.settings)

    @cached_property
    def exports(self) -> ExportStore:
        """Export files, the only source of truth."""
        from shared.exports.store import ExportStore

        return ExportStore(self.clients.blobs.get_container_client(self.settings.exports_container))

    @cached_property
    def jobs(self) -> JobStore:
        """The states of on-demand jobs."""
        from azure.storage.queue import TextBase64EncodePolicy

        from shared.jobs.store import JobStore

        settings = self.settings
        return JobStore(
            self.clients.tables.get_table_client(settings.jobs_table),
            self.clients.blobs.get_container_client(settings.reports_container),
            # The queue trigger reads base64 (host.json: messageEncoding).
            self.clients.queues.get_queue_client(settings.jobs_queue, message_encode_policy=TextBase64EncodePolicy()),
        )

    @cached_property
    def reconciler(self) -> Reconciler:
        """Plans and applies across every subscription."""
        from shared.reconcile.run import Reconciler

        return Reconciler(self.settings, self.clients, self.exports)

    @cached_property
    def surveyor(self) -> Surveyor:
        """Reads the tenant for coverage, freshness and previews."""
        from shared.survey import Surveyor

        return Surveyor(self.clients, self.exports, self.settings.instance_id)

    async def close(self) -> None:
        """Close what was opened."""
        await self.clients.close()


@cache
def services() -> Services:
    """This process's services, from its environment.

    Raises:
        shared.settings.SettingsError: a setting can't be read; the message names every one.
    """
    return Services(Settings.load())
