"""Named points at which a test can stop the process: one around each call to a service.

There is no listener unless a test sets one, so in production a point costs one comparison, and no setting or
environment variable can change that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

POINTS = (
    "ingestion.upload",  # a body to the Logs Ingestion API
    "ingestion.token",  # a fresh token for it
    "blob.put",  # a dead letter, or the whole of a record that was cut
    "blob.exists",  # whether a blob that can't be written is there already, under an immutability policy
    "blob.replace",  # what remains of a dead letter after a replay
    "blob.list",
    "blob.get",
    "blob.lease",
    "blob.release",
    "blob.delete",  # a dead letter that was delivered
    "blob.describe",  # that a replay of a dead letter begins
    "hub.partitions",  # the output hub's partitions
    "hub.batch",  # an empty batch, whose size the link decides
    "hub.send",  # enriched rows to the output hub
    "context.enrich",  # Resource Graph
    "freshness.note",  # Table Storage
    "routes.read",  # Table Storage, for the routes that were in force before
    "routes.keep",  # the same, for those that are
    "graph.query",  # a page of Resource Graph
    "http.request",  # each request of any SDK client over HTTPS, those above included
    "hub.properties",  # how far the hub that is read reaches
    "hub.receive",  # its newest events, for their shapes
    "ready.endpoint",  # whether a data collection rule's address answers
    "app.request",  # what the command line asks of the app
    "canary.ask",  # Defender for Cloud, for a simulated alert and what became of it
    "canary.noted",  # Table Storage, for what the pipeline saw of it
    "canary.notes",  # the same, read
    "canary.notes-expire",
    "canary.keep",  # Table Storage, for what a canary has proven
    "canary.history",  # the same, read
    "canary.history-expire",
    "notify.send",  # a message to one of the receivers of notices
    "permissions.read",  # what the app's roles permit in a subscription
)

_listener: Callable[[str], None] | None = None


def listen(listener: Callable[[str], None] | None) -> None:
    """Call `listener` with "point:before" and "point:after" at each point; None stops it.  For tests only."""
    global _listener  # noqa: PLW0603 # one process, one listener
    _listener = listener


@contextmanager
def touching(point: str) -> Iterator[None]:
    """Run a call to a service between its two points; the after-point is reached only on success."""
    if _listener is not None:
        _listener(f"{point}:before")
    yield
    if _listener is not None:
        _listener(f"{point}:after")
