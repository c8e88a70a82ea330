"""A worker in a process of its own: `python -m tests.e2e.job_worker <connection string> <job> <seconds ahead> <work>`.

`work` is `forever` or `done`; either way the runner leaves a cursor first.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from shared.jobs.heartbeat import Progress
from shared.jobs.model import Job
from shared.jobs.store import JobStore
from shared.jobs.worker import JobWorker


class AheadStore(JobStore):
    """A store whose own clock a test may set ahead."""

    ahead = timedelta()

    async def now(self) -> datetime:
        return await super().now() + self.ahead

    async def save(self, job: Job, etag: str) -> str:
        """As ever; after it the clock is right again, since what was written bears the storage's own time."""
        saved = await super().save(job, etag)
        self.ahead = timedelta()
        return saved


@asynccontextmanager
async def open_store(connection: str) -> AsyncIterator[AheadStore]:
    async with (
        TableServiceClient.from_connection_string(connection) as tables,
        BlobServiceClient.from_connection_string(connection) as blobs,
        QueueServiceClient.from_connection_string(connection) as queues,
    ):
        table, results = await tables.create_table_if_not_exists("jobs"), blobs.get_container_client("run-reports")
        yield AheadStore(table, results, queues.get_queue_client("jobs"))


def worker(store: JobStore, ahead: float, runner: Any) -> JobWorker:
    if isinstance(store, AheadStore):
        store.ahead = timedelta(seconds=ahead)
    return JobWorker(store, {"plan": runner}, retention=timedelta(days=90))


async def main(connection: str, job: str, ahead: str, work: str) -> None:
    async def run(_: Job, progress: Progress) -> Mapping[str, Any]:
        progress.checkpoint({"after": "half"})
        if work == "forever":
            await asyncio.sleep(600)
        return {"ran": True}

    async with open_store(connection) as store:
        await worker(store, float(ahead), run).run(job)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
