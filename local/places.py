"""Further places for rows: each a workspace with a data collection rule of its own, in this tenant or another."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from local.certs import Certificates
from local.ingestion import Ingestion
from local.tenant import APP
from local.tokens import HOME_TENANT, TokenAuthority
from local.workspace import Workspace
from shared.lifecycle.gone_rows import GONE_TABLE


@asynccontextmanager
async def further_place(
    folder: Path,
    tokens: TokenAuthority,
    certificates: Certificates,
    *,
    publishers: Iterable[str] = (APP.object_id,),
    tenant_id: str = HOME_TENANT,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> AsyncIterator[Ingestion]:
    """A rule over a workspace, both of its own; `publishers` are the object ids that may send to it."""
    rule_id = f"dcr-{uuid.uuid4().hex}"
    async with (
        Workspace(folder / f"{rule_id}.duckdb", workspace_id=str(uuid.uuid4())) as workspace,
        Ingestion(
            workspace,
            tokens,
            certificates,
            publishers=publishers,
            rule_id=rule_id,
            tenant_id=tenant_id,
            now=now,
            also=[GONE_TABLE],
        ) as place,
    ):
        yield place


def keys_at(place: Ingestion) -> Counter[str]:
    """How often each RecordKey was taken there."""
    rows = (row for stored in place.stored for row in json.loads(stored.body))
    return Counter(row["RecordKey"] for row in rows)
