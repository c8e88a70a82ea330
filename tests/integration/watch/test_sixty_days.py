"""Sixty days of a tenant's life: no false alarm, and each true silence is named for as long as it lasts."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from local.tenant.plans import set_plan
from tests.integration.watch.test_freshness import FINDINGS, Flow, export, flow, present_keys, silences

__all__ = ["flow"]
pytestmark = pytest.mark.timeout(1_800)
KINDS = ("Assessments", "SubAssessments", "SecureScores", "SecureScoreControls", "RegulatoryComplianceAssessment")
DUE = 9.0
SNAPSHOTS = [0.1, 7.1, 15.6, 21.1, 28.1, 35.1, 42.1, 49.1, 56.1]
"""The third is a day and a half late: Defender for Cloud was out."""
TYPES = {
    "microsoft.security/assessments", FINDINGS, "microsoft.security/securescores",
    "microsoft.security/securescores/securescorecontrols",
    "microsoft.security/regulatorycompliancestandards/regulatorycompliancecontrols/regulatorycomplianceassessments",
}  # fmt: skip
HIGH_ONLY = [
    {"eventSource": "Assessments", "ruleSets": [{"rules": [
        {"propertyJPath": "properties.metadata.severity", "propertyType": "String", "operator": "Equals",
         "expectedValue": "High"}
    ]}]}
]  # fmt: skip
NOTHING = [{"propertyJPath": "name", "propertyType": "String", "operator": "Equals", "expectedValue": "none"}]


@dataclass
class Life:
    """What happens, by day, and what is true of each subscription meanwhile."""

    flow: Flow
    monkeypatch: pytest.MonkeyPatch
    subscriptions: list[str]
    last: dict[str, float] = field(default_factory=dict)
    sends_nothing: set[str] = field(default_factory=set)
    unreadable: bytes = b""

    @property
    def text(self) -> str:
        return export("everything", self.subscriptions, f"{{eventHub: {{resourceId: {self.flow.into.event_hub}}}}}")

    async def declare(self) -> None:
        await self.flow.declare(everything=self.text.replace("resourceId", "trustedService: true, resourceId"))

    def automation(self, subscription: str) -> dict[str, object]:
        return next(each for each in self.flow.tenant.all_automations() if each["id"].split("/")[2] == subscription)

    async def snapshot(self, day: float) -> None:
        sending = {one for one in self.subscriptions if one not in self.sends_nothing}
        await self.flow.snapshot(day, sending, KINDS)
        self.last |= dict.fromkeys(sending, day)

    async def filtered(self) -> None:
        """A cost filter leaves most recommendations out of the tables; they still came."""
        self.monkeypatch.setenv("KEEP_RECORDS", json.dumps(HIGH_ONLY))

    async def retired(self) -> None:
        for one in self.subscriptions:
            self.flow.tenant.security_records.remove(one, FINDINGS)  # type: ignore[attr-defined] # the synthetic one's

    async def deleted(self) -> None:
        gone = self.subscriptions[0]
        self.flow.tenant.delete_automation(self.automation(gone)["id"])  # type: ignore[arg-type] # an id is a text
        self.sends_nothing.add(gone)

    async def read_again(self) -> None:
        """Checkpoints are forgotten, and what the hub still holds comes once more."""
        await self.flow.snapshot(21.1, set(self.subscriptions[1:]), KINDS)
        await self.flow.snapshot(15.6, set(self.subscriptions), KINDS)

    async def misspelt(self) -> None:
        async with self.flow.services() as services:
            self.unreadable = (await services.exports.get("everything")).text
            container = services.clients.blobs.get_container_client("export-configs")
            await container.upload_blob("current/everything.yaml", b"version: 9\n", overwrite=True)
            await container.delete_blob("accepted/everything.yaml")

    async def mended(self) -> None:
        async with self.flow.services() as services:
            await services.exports.put("everything", self.unreadable)

    async def switched_off(self) -> None:
        one = self.subscriptions[1]
        for plan in ("VirtualMachines", "SqlServers", "CloudPosture"):
            set_plan(self.flow.tenant, one, plan, pricingTier="Free")
        for each in TYPES:
            self.flow.tenant.security_records.remove(one, each)  # type: ignore[attr-defined] # as above
        self.sends_nothing.add(one)

    async def emptied(self) -> None:
        one = self.subscriptions[2]
        found = self.automation(one)
        properties: dict[str, object] = dict(found["properties"])  # type: ignore[call-overload] # a JSON object
        properties["sources"] = [{**each, "ruleSets": [{"rules": NOTHING}]} for each in properties["sources"]]  # type: ignore[attr-defined] # a list
        self.flow.tenant.set_automation({**found, "properties": properties})
        self.sends_nothing.add(one)

    async def repaired(self) -> None:
        await self.declare()
        self.sends_nothing.difference_update({self.subscriptions[0], self.subscriptions[2]})

    async def silent(self, day: float) -> set[tuple[str, str]]:
        present = {key for key, _ in await present_keys(self.flow)}
        return {
            (one, kind) for one, kind in present if kind in KINDS and one in self.last and day > self.last[one] + DUE
        }


@pytest.mark.parametrize("hours", [120, pytest.param(6, marks=pytest.mark.soak)])
async def test_sixty_days_raise_no_false_alarm_and_name_each_true_silence(
    flow: Flow, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    enabled = [
        one.id
        for one in flow.tenant.subscriptions.values()
        if one.tenant_id == flow.tenant.home and one.state == "Enabled"
    ]
    life = Life(flow, monkeypatch, enabled[:5])
    await life.declare()
    happens: list[tuple[float, Callable[[], Awaitable[None]]]] = [
        (10, life.filtered), (17, life.retired), (22, life.deleted), (25, life.read_again), (27, life.misspelt),
        (29.5, life.mended), (33, life.switched_off), (38, life.emptied), (50, life.repaired),
    ]  # fmt: skip
    alarms = 0
    left = sorted([*happens, *((day, lambda day=day: life.snapshot(day)) for day in SNAPSHOTS)], key=lambda one: one[0])
    for number in range(60 * 24 // hours + 1):
        day = number * hours / 24
        while left and left[0][0] <= day:
            await left.pop(0)[1]()
        found = {key for key in silences(await flow.check(day)) if key[1] in KINDS}
        assert found == await life.silent(day), f"day {day}"
        alarms += len(found)
    assert alarms
