"""`host.json` and app settings, as far as this host reads them, with Azure's defaults.

Source of the defaults: Azure Functions documentation, "host.json reference" and the page of each trigger.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues`."""

    encoding: str = "base64"
    batch_size: int = 16
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta(0)


@dataclass(frozen=True)
class EventHubOptions:
    """`extensions.eventHubs`; a batch waits for `min_batch` events, but no longer than `max_wait`."""

    max_batch: int = 100
    min_batch: int = 1
    max_wait: timedelta = timedelta(minutes=1)
    prefetch: int = 300
    checkpoint_every: int = 1
    from_start: bool = True


@dataclass(frozen=True)
class HostConfig:
    """What `host.json` says."""

    route_prefix: str = "api"
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    function_timeout: timedelta = timedelta(minutes=30)
    queues: QueueOptions = QueueOptions()
    event_hubs: EventHubOptions = EventHubOptions()

    @classmethod
    def load(cls, path: Path) -> HostConfig:
        """Read the file; without one, everything has its default.

        Raises:
            ValueError: the file is no JSON, or a value has the wrong form.
        """
        return cls.parse(json.loads(path.read_text())) if path.is_file() else cls()

    @classmethod
    def parse(cls, host: Mapping[str, Any]) -> HostConfig:
        """Read the content of a `host.json`."""
        extensions = host.get("extensions", {})
        http, queues, hubs = (extensions.get(name, {}) for name in ("http", "queues", "eventHubs"))
        return cls(
            route_prefix=http.get("routePrefix", "api").strip("/"),
            custom_headers=http.get("customHeaders", {}),
            function_timeout=time_span(host.get("functionTimeout", "00:30:00")),
            queues=QueueOptions(
                encoding=queues.get("messageEncoding", "base64").lower(),
                batch_size=queues.get("batchSize", 16),
                max_dequeue_count=queues.get("maxDequeueCount", 5),
                visibility_timeout=time_span(queues.get("visibilityTimeout", "00:00:00")),
            ),
            event_hubs=EventHubOptions(
                max_batch=hubs.get("maxEventBatchSize", 100),
                min_batch=hubs.get("minEventBatchSize", 1),
                max_wait=time_span(hubs.get("maxWaitTime", "00:01:00")),
                prefetch=hubs.get("prefetchCount", 300),
                checkpoint_every=hubs.get("batchCheckpointFrequency", 1),
                from_start=hubs.get("initialOffsetOptions", {}).get("type", "fromStart").lower() == "fromstart",
            ),
        )


def time_span(text: str) -> timedelta:
    """A .NET time span, `[d.]hh:mm:ss[.fff]`; `-1` means without end.

    Raises:
        ValueError: it is none.
    """
    if text == "-1":
        return timedelta.max
    match = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", text)
    if not match:
        raise ValueError(f"'{text}' is no time span of the form hh:mm:ss.")
    days, hours, minutes, seconds = match.groups()
    return timedelta(days=int(days or 0), hours=int(hours), minutes=int(minutes), seconds=float(seconds))


def resolve(text: str, settings: Mapping[str, str]) -> str:
    """The text with each `%NAME%` replaced by that app setting.

    Raises:
        KeyError: a setting is missing; the real host does not index such a function either.
    """
    return re.sub(r"%([^%]+)%", lambda match: settings[match[1]], text)
