"""A tenant's records over days: what is there, what was exported, and what the tables and the comparison say."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from local.stack import LocalAzure
from local.tenant.security import ASSESSMENTS, ATTACK_PATHS, SUB_ASSESSMENTS, SecurityData
from shared.azure.resource_graph import Graph
from shared.azure.role_permissions import OwnPermissions
from shared.bootstrap import Services
from shared.enrich.records.model import Event
from shared.lifecycle.gone_check import LATEST, GoneCheck
from shared.lifecycle.gone_pass import Pass, dumped, loaded
from shared.lifecycle.kept_state import KeptState
from shared.lifecycle.open_in_tables import OpenInTables
from shared.lifecycle.present_ids import PresentIds
from shared.watch.present_records import as_exported

DAY = timedelta(days=1)
Record = dict[str, Any]


class Life:
    """A tenant's records: what is there, what was exported, and the time, in days after the start."""

    def __init__(self, azure: LocalAzure, services: Services) -> None:
        self.azure = azure
        self.services = services
        assert isinstance(azure.tenant.security_records, SecurityData)
        self.security = azure.tenant.security_records
        self.start = datetime.now(UTC)
        self.day = 0.0
        self.there: dict[str, Record] = {}
        mine = [one for one in azure.tenant.subscriptions.values() if one.tenant_id == azure.tenant.home]
        self.subscriptions = sorted(one.id for one in mine if one.state == "Enabled")
        for one in mine:
            for kind in (ASSESSMENTS, SUB_ASSESSMENTS, ATTACK_PATHS):
                self.security.remove(one.id, kind)
        azure.ingestion._now = lambda: self.now

    @property
    def now(self) -> datetime:
        return self.start + self.day * DAY

    def check(self, *, seconds: float = 60, percent: float = 20) -> GoneCheck:
        clients, settings = self.services.clients, self.services.settings
        return GoneCheck(
            OpenInTables(clients.logs_query, settings.workspace_id),
            PresentIds(Graph(clients), OwnPermissions(clients)),
            KeptState(clients.blobs.get_container_client(settings.reports_container), LATEST, dumped, loaded),
            self.services.pipeline.sink,
            instance_id="local",
            every=timedelta(hours=12),
            most_percent=percent,
            seconds=seconds,
        )

    async def compare(self, day: float, **how: Any) -> Pass:
        """A whole pass on a day."""
        self.day = day
        check = self.check(**how)
        state = await check.begin(self.now)
        while state.ended is None:
            state = await check.tick(self.now) or state
        return state

    async def appear(self, day: float, *rows: Record, exported: bool = True) -> None:
        """Records come to be, in Resource Graph and as exported events."""
        self.day = day
        for row in rows:
            self.security.add(row["subscriptionId"], row)
            self.there[row["id"].lower()] = row
        if exported:
            await self.export(day, rows)

    async def export(self, day: float, rows: Iterable[Record]) -> None:
        self.day = day
        mark = {"securityEventDataEnrichment": {"action": "Insert", "isSnapshot": False}}
        events = [
            Event(json.dumps({**as_exported(row), **mark}).encode(), self.now, "0", int(day * 1000) + index)
            for index, row in enumerate(rows)
        ]
        await self.services.pipeline.run(events)

    def vanish(self, rows: Iterable[Record]) -> None:
        for row in list(rows):
            self.security.take_away(row["subscriptionId"], row["id"])
            self.there.pop(row["id"].lower(), None)

    def package(self, subscription: str, day: float, machine: str = "vm1") -> Record:
        """A package to update, as of a day; `machine` names where."""
        since = (self.start + day * DAY).isoformat()
        own = uuid.uuid4()
        target = (
            f"/subscriptions/{subscription}/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/{machine}"
        )
        return row(subscription, f"{target}/providers/Microsoft.Security/assessments/{own}", ASSESSMENTS, {
            "displayName": "Update openssl",
            "resourceDetails": {"Source": "Azure", "Id": target, "ResourceName": machine},
            "status": {"code": "Unhealthy", "statusChangeDate": since},
            "metadata": {"assessmentType": "DynamicBuiltIn", "severity": "High",
                         "recommendationCategory": "SoftwareUpdate"},
        })  # fmt: skip

    def packages(self, count: int, day: float = 0, subscription: int = 0) -> list[Record]:
        return [self.package(self.subscriptions[subscription], day) for _ in range(count)]

    def finding(self, subscription: str) -> Record:
        parent = (
            f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/old"
            "/providers/Microsoft.Security/assessments/1195afff-c881-495e-9bc5-1486211ae03f"
        )
        return row(subscription, f"{parent}/subAssessments/{uuid.uuid4()}", SUB_ASSESSMENTS, {
            "id": "CVE-2026-1", "displayName": "a finding", "status": {"code": "Unhealthy", "severity": "High"},
            "timeGenerated": self.start.isoformat(), "resourceDetails": {"source": "Azure", "id": parent},
        })  # fmt: skip

    def path(self, subscription: str) -> Record:
        name = str(uuid.uuid4())
        place = f"/subscriptions/{subscription}/providers/Microsoft.Security/attackPaths/{name}"
        return row(subscription, place, ATTACK_PATHS, {
            "displayName": "Internet exposed VM", "attackPathID": name, "riskLevel": "High",
        })  # fmt: skip

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return (await self.azure.workspace.kql(query)).rows

    async def open_now(self) -> set[str]:
        found = await self.rows("DefenderRecords_Open() | project RecordId")
        assert len(found) == len(set(found))
        return {each for (each,) in found}

    async def said(self) -> dict[str, list[str]]:
        """What was concluded of each record, in its order."""
        found: dict[str, list[str]] = {}
        asked = "DefenderGone_CL | order by TimeGenerated asc | project RecordId, Action"
        for record_id, action in await self.rows(asked):
            found.setdefault(record_id, []).append(action)
        return found

    def ids(self, rows: Iterable[Record]) -> set[str]:
        """The ids of records as the tables have them."""
        return {
            each["name"].lower() if each["type"] == ATTACK_PATHS else each["id"].lower() for each in rows
        }  # an attack path's own id

    @property
    def truth(self) -> set[str]:
        return self.ids(self.there.values())


def row(subscription: str, id_: str, kind: str, properties: Record) -> Record:
    return {
        "id": id_, "name": id_.rsplit("/", 1)[-1], "type": kind, "tenantId": "", "kind": "", "location": "",
        "resourceGroup": "rg", "subscriptionId": subscription, "tags": None, "properties": properties,
    }  # fmt: skip
