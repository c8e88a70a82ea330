"""Each analytics rule and hunting query, executed for a planted case and for a quiet tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from local.workspace import Workspace
from tests.unit.enrich.golden import alerts as golden_alerts
from tests.unit.enrich.golden import individual, paths
from tests.unit.infra.incidents import alerts, details, entities, incidents
from tests.unit.infra.planted import (
    NOW,
    OTHER_SUB,
    OWN,
    SUB,
    Planted,
    ask,
    check,
    for_instance,
    plant,
    record,
    run,
    window_of,
)  # fmt: skip
from tools.sentinel import Content, hunting, rule_properties, rules

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

RULES = {rule.name: rule for rule in rules()}
HUNTING = {query.name: query for query in hunting()}
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GROUP = f"/subscriptions/{SUB}/resourcegroups/rg/providers"
WEB = f"{GROUP}/microsoft.compute/virtualmachines/web01"
STORE = f"{GROUP}/microsoft.storage/storageaccounts/store01"
MACHINE: dict[str, Any] = {
    "ResourceId": WEB,
    "ResourceName": "web01",
    "ResourceType": "microsoft.compute/virtualmachines",
}
PAAS: dict[str, Any] = {
    "ResourceId": STORE,
    "ResourceName": "store01",
    "ResourceType": "microsoft.storage/storageaccounts",
}
NO_RESOURCE: dict[str, Any] = {"ResourceId": None, "ResourceName": None, "ResourceType": None}
OF_CRITICAL_RISK: dict[str, Any] = {"AttackPathsReferences": None, "RiskLevel": "Critical", "IsContextualRisk": True}
_COMMON = {"TimeGenerated", "EventTime", "EnqueuedTime", "PartitionId", "SequenceNumber"}


def golden(row: dict[str, Any]) -> dict[str, Any]:
    """What the app's parser makes of a record, without when it came."""
    return {name: value for name, value in row.items() if name not in _COMMON}


def alert(age: timedelta, key: str = "a", arrived: timedelta | None = None, **values: Any) -> Planted:
    when = NOW - age
    times = dict.fromkeys(("StartTime", "EndTime", "AlertTimeGenerated", "ProcessingEndTime"), when)
    told = (
        golden(golden_alerts.ALERT.row)
        | MACHINE
        | times
        | {"RecordId": key, "RecordKey": f"{key}-{when}", "Owner": "web team"}
    )
    return record(
        "DefenderAlerts_CL", age, arrived, **told | {"Criticality": "Critical", "SystemAlertId": key} | values
    )


def vulnerability(age: timedelta, key: str = "v", arrived: timedelta | None = None, **values: Any) -> Planted:
    told = golden(individual.GOLDENS[0].row) | MACHINE
    risk = {"RecommendationState": "Unhealthy", "RiskFactors": ["Internet exposure"], "RiskLevel": "High"}
    path = {"AttackPathsReferences": ["p-1"], "CveIds": ["CVE-2026-1001"], "SoftwareName": "openssl", "CvssScore": 7.1}
    identity = {
        "RecordId": key,
        "RecordKey": f"{key}-{NOW - age}",
        "RecommendationAdditionalData": {},
        "Owner": "web team",
    }
    when = {"StatusChangeDate": NOW - age, "FirstEvaluationDate": NOW - age}
    return record("DefenderAssessments_CL", age, arrived, **told | risk | path | identity | when | values)


def path(age: timedelta, key: str = "p", arrived: timedelta | None = None, **values: Any) -> Planted:
    told = golden(paths.AS_EXPORTED.row) | MACHINE
    own = {
        "RecordId": key,
        "RecordKey": f"{key}-{NOW - age}",
        "AttackPathId": key,
        "TargetId": STORE,
        "EntryPointId": WEB,
    }
    return record("DefenderAttackPaths_CL", age, arrived, **told | own | {"Owner": "web team"} | values)


def exploit(known: str) -> dict[str, str]:
    """What records told of a CVE until August 2026."""
    return {"CvesDetails": f'[{{"ExploitabilityDetails":{{"IsInExploitKit":{known}}}}}]'}


def critical_store(age: timedelta = 3 * DAY) -> Planted:
    """A recommendation that shows how the store is tagged."""
    quiet: dict[str, Any] = {"RiskFactors": [], "AttackPathsReferences": [], "CveIds": None, "Criticality": "critical"}
    return vulnerability(age, "store", **PAAS | quiet)


class Case(NamedTuple):
    """Rows that make incidents, by what they are about; rows of a tenant where nothing of the kind happens."""

    planted: list[Planted]
    about: set[str]
    quiet: list[Planted]


def silence(verdict: str = "silent", **values: Any) -> list[Planted]:
    return [check(timedelta(minutes=5), Verdict=verdict, **values)]


CASES: dict[str, Case] = {
    "silent-export": Case(
        [
            *silence(Reason="its export is gone"),
            *silence(Reason="its export is gone", RecordKind="Assessments"),
            *silence(SubscriptionId=OTHER_SUB, SubscriptionName=None, Reason="no snapshot came"),
            # silent since long: told before
            *(check(timedelta(minutes=5) + hours * HOUR, Verdict="silent", SubscriptionId="old") for hours in range(5)),
        ],
        {f"/subscriptions/{SUB}", f"/subscriptions/{OTHER_SUB}"},
        [
            *silence("fresh"),
            *silence("quiet", SubscriptionId="b"),
            *silence("not observable", SubscriptionId="c"),
            *silence(InstanceId="another", SubscriptionId="d"),
            # silent an hour ago, and no longer
            check(timedelta(minutes=65), Verdict="silent", SubscriptionId="e"),
            *silence("fresh", SubscriptionId="e"),
            # no longer expected to send
            check(timedelta(minutes=125), Verdict="silent", SubscriptionId="f"),
            check(timedelta(minutes=5), CheckName="stored", Verdict="silent", SubscriptionId="g"),
        ],
    ),
    "updates-held-back": Case(
        [run(timedelta(minutes=5), Guard="5 deletes are more than MAX_DELETES allows (3)", Reason="held")],
        {"MAX_DELETES"},
        [
            run(timedelta(minutes=5)),
            run(timedelta(minutes=4), Guard="x MAX_DELETES", InstanceId="another"),
            run(timedelta(minutes=4), Guard="x MAX_DELETES", Trigger="cli"),
            run(timedelta(minutes=3), Complete=False, Outcome="Skipped"),
            # held, and then not any more
            run(timedelta(minutes=35), Guard="x MAX_DELETES"),
        ],
    ),
    "export-fought-over": Case(
        [run(hours * HOUR, Updated=1) for hours in (1, 9, 20)],
        {OWN},
        [
            run(1 * HOUR, Updated=1),
            run(9 * HOUR, Updated=7),
            run(26 * HOUR, Updated=1),
            *(run(hours * HOUR, Updated=1, InstanceId="another", Mode="plan") for hours in (1, 2, 3)),
            *(run(hours * HOUR, Updated=1, Trigger="cli") for hours in (1, 2, 3)),
        ],
    ),
    "exploitable-and-exposed": Case(
        [
            vulnerability(HOUR),
            vulnerability(2 * HOUR, "v2", CveIds=["CVE-2026-2002"]),
            vulnerability(HOUR, "v3", **PAAS | OF_CRITICAL_RISK),
            vulnerability(
                HOUR, "v4", Cloud="AWS", ResourceId=None, NativeResourceId="arn:aws:ec2:eu-west-1:1:instance/i-1",
                AttackPathsReferences=[], RecommendationAdditionalData=exploit("true"),
            ),
        ],
        {WEB, STORE, "arn:aws:ec2:eu-west-1:1:instance/i-1"},
        [
            vulnerability(HOUR, "w1", RiskFactors=["Sensitive data"]),
            vulnerability(HOUR, "w2", AttackPathsReferences=None, CvssScore=9.9),
            vulnerability(HOUR, "w3", AttackPathsReferences=[], RiskLevel="Critical", IsContextualRisk=False),
            vulnerability(HOUR, "w4", CveIds=[]),
            vulnerability(HOUR, "w5", RecommendationState="Healthy"),
            vulnerability(HOUR, "w6", Action="Delete"),
            vulnerability(HOUR, "w7", AttackPathsReferences=[], RecommendationAdditionalData=exploit("false")),
            # told a week ago, and sent again in today's snapshot
            vulnerability(7 * DAY, "w8"),
            vulnerability(HOUR, "w8", EventTime=NOW - 7 * DAY),
            # found and mended within the hours between two runs
            vulnerability(3 * HOUR, "w9"),
            vulnerability(HOUR, "w9", RecommendationState="Healthy"),
            # gone: the same state, deleted
            vulnerability(3 * HOUR, "w10"),
            vulnerability(2 * HOUR, "w10", EventTime=NOW - 3 * HOUR, Action="Delete"),
        ],
    ),
    "attack-path-to-critical-asset": Case(
        [critical_store(), path(HOUR), path(HOUR, "p2", DisplayName="By another way"), path(HOUR, "p3", TargetId=WEB)],
        {STORE},
        [
            critical_store(),
            vulnerability(3 * DAY, "plain", Criticality="low", AttackPathsReferences=[]),
            path(HOUR, "q1", TargetId=WEB),
            path(HOUR, "q2", TargetId="storage-1"),
            path(HOUR, "q3", TargetId=None),
            # sent every day
            *(path(days * DAY + HOUR, "q4") for days in range(5)),
            path(3 * HOUR, "q5"),
            path(2 * HOUR, "q5", Action="Delete"),
        ],
    ),
    "high-alert-on-critical-asset": Case(
        [
            alert(timedelta(minutes=10)),
            alert(timedelta(minutes=10), "b", Criticality="HIGH", **PAAS),
            # delivered after a day in the dead-letter store
            alert(DAY, "c", timedelta(minutes=4), **NO_RESOURCE | {"CompromisedEntity": "onprem01"}),
        ],
        {WEB, STORE, "onprem01"},
        [
            alert(timedelta(minutes=10), "d", AlertSeverity="Medium"),
            alert(timedelta(minutes=10), "e", Criticality="low"),
            alert(timedelta(minutes=10), "f", Criticality=None),
            alert(timedelta(minutes=10), "g", Status="Resolved"),
            # told yesterday, and changed just now
            alert(DAY, "h"),
            alert(timedelta(minutes=10), "h", Status="InProgress", AlertTimeGenerated=NOW - DAY),
            # of last week: its first row lies outside of the window
            alert(timedelta(minutes=10), "i", Status="InProgress", AlertTimeGenerated=NOW - 7 * DAY),
            # raised and closed between two runs
            alert(timedelta(minutes=12), "j"),
            alert(timedelta(minutes=3), "j", Status="Dismissed", AlertTimeGenerated=NOW - timedelta(minutes=12)),
        ],
    ),
}  # fmt: skip

# What a rule's row is about: the column that an incident is told by.
SUBJECT = {"updates-held-back": "Cause", "export-fought-over": "InstanceId", "silent-export": "SubscriptionResourceId"}
SUBJECT |= {"attack-path-to-critical-asset": "TargetId"}


def same_cause(row: Planted) -> bool:
    """Whether a row tells of what the planted ones tell of: this deployment's runs, or its verdicts on SUB."""
    own = row.values.get("InstanceId") == OWN
    return own and row.values.get("SubscriptionId", SUB) == SUB


async def answer(rule: Content, planted: list[Planted], change: Callable[[str], str] = str) -> list[dict[str, Any]]:
    async with Workspace() as opened:
        await plant(opened, planted)
        return await ask(opened, change(for_instance(rule)), window=window_of(rule))


async def test_every_rule_has_its_case() -> None:
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("name", CASES)
async def test_a_planted_case_makes_its_incidents_with_entities_and_attack_filled(name: str) -> None:
    rule, case = RULES[name], CASES[name]
    properties = rule_properties(rule)
    found = await answer(rule, case.planted)
    assert {row[SUBJECT.get(name, "Asset")] for row in found} == case.about
    opened = incidents(properties, alerts(properties, [(NOW, found)]))
    assert len(opened) == len(found) == len(case.about)
    for row in found:
        assert entities(properties, row), row
        assert any(value not in (None, "") for value in details(properties, row).values())
        for placeholder in ("alertDisplayNameFormat",):
            named = [part.split("}}")[0] for part in properties["alertDetailsOverride"][placeholder].split("{{")[1:]]
            assert all(row[column] not in (None, "") for column in named), row
    assert properties["tactics"]
    assert properties["techniques"]


@pytest.mark.parametrize("name", CASES)
async def test_a_quiet_tenant_makes_none(name: str) -> None:
    assert await answer(RULES[name], CASES[name].quiet) == []


@pytest.mark.parametrize("name", CASES)
async def test_a_planted_case_stands_out_among_the_quiet_rows(name: str) -> None:
    """Neither hides the other: the counts and sets of a rule go by what a row is about."""
    case = CASES[name]
    others = [row for row in case.quiet if not same_cause(row)]
    found = await answer(RULES[name], [*others, *case.planted])
    assert {row[SUBJECT.get(name, "Asset")] for row in found} == case.about


async def test_tactics_of_an_alert_are_its_own() -> None:
    rule = RULES["high-alert-on-critical-asset"]
    column = rule_properties(rule)["alertDetailsOverride"]["alertTacticsColumnName"]
    found = await answer(rule, CASES[rule.name].planted[:1])
    assert found[0][column] == '["Persistence", "CredentialAccess"]'


async def test_a_rule_without_another_deployments_rows_asks_about_every_deployment_in_the_community_template() -> None:
    rule = RULES["silent-export"]
    async with Workspace() as opened:
        await plant(opened, silence(InstanceId="another"))
        assert await ask(opened, for_instance(rule), window=window_of(rule)) == []
        assert len(await ask(opened, rule.plain_text, window=window_of(rule))) == 1


ALERT_ON_WEB = alert(2 * DAY, "a1")
HUNTS: dict[str, Case] = {
    "owners-with-new-attack-paths": Case(
        [path(DAY), path(2 * DAY, "p2"), path(3 * DAY, "p3", Owner=None), path(20 * DAY, "old"), path(HOUR, "old")],
        {"web team", "nobody"},
        [path(20 * DAY), path(HOUR), path(DAY, "gone", Action="Delete")],
    ),
    "alerts-on-exploitable-assets": Case(
        [ALERT_ON_WEB, vulnerability(5 * DAY), vulnerability(5 * DAY, "v2", CveIds=["CVE-2026-2"])],
        {"a1"},
        [
            ALERT_ON_WEB,
            vulnerability(5 * DAY, AttackPathsReferences=[], CvssScore=8.9),
            vulnerability(5 * DAY, "v2", **PAAS),
            vulnerability(9 * DAY, "v3"),
            vulnerability(5 * DAY, "v3", RecommendationState="Healthy"),
            alert(2 * DAY, "a2", Status="Dismissed", **PAAS),
        ],
    ),
    "lost-export-before-alert": Case(
        [ALERT_ON_WEB, check(5 * DAY, Verdict="silent", RecordKind="Assessments"), check(4 * DAY, Verdict="silent")],
        {"a1"},
        [
            ALERT_ON_WEB,
            check(5 * DAY),
            check(5 * DAY, Verdict="silent", SubscriptionId=OTHER_SUB),
            # long before, and only after
            check(30 * DAY, Verdict="silent"),
            check(HOUR, Verdict="silent", RecordKind="Assessments"),
        ],
    ),
    "recommendations-closed-and-reopened": Case(
        [
            vulnerability(60 * DAY, "r1"),
            vulnerability(30 * DAY, "r1", RecommendationState="Healthy", FirstEvaluationDate=NOW - 60 * DAY),
            vulnerability(5 * DAY, "r1", FirstEvaluationDate=NOW - 60 * DAY),
        ],
        {WEB},
        [
            # opened, closed; closed, opened; opened, closed, deleted; sent twice
            vulnerability(60 * DAY, "r2"),
            vulnerability(30 * DAY, "r2", RecommendationState="Healthy"),
            vulnerability(30 * DAY, "r3", RecommendationState="Healthy", FirstEvaluationDate=NOW - 30 * DAY),
            vulnerability(5 * DAY, "r3", FirstEvaluationDate=NOW - 5 * DAY),
            vulnerability(60 * DAY, "r4"),
            vulnerability(20 * DAY, "r4", RecommendationState="Healthy"),
            vulnerability(5 * DAY, "r4", Action="Delete"),
            *(vulnerability(days * DAY, "r5", StatusChangeDate=NOW - 60 * DAY) for days in (60, 53, 46)),
        ],
    ),
    "sent-while-silent": Case(
        [
            check(4 * DAY, Verdict="silent", LastSeen=NOW - 12 * DAY),
            alert(HOUR, "b1", Action="Backfill", EventTime=NOW - 8 * DAY, EnqueuedTime=None),
        ],
        {WEB},
        [
            check(4 * DAY, Verdict="silent", LastSeen=NOW - 12 * DAY),
            # before, after, of another kind, of another subscription, and by the export itself
            alert(HOUR, "b2", Action="Backfill", EventTime=NOW - 13 * DAY),
            alert(HOUR, "b3", Action="Backfill", EventTime=NOW - 3 * DAY),
            vulnerability(HOUR, "b4", Action="Backfill", EventTime=NOW - 8 * DAY),
            alert(HOUR, "b5", Action="Backfill", EventTime=NOW - 8 * DAY, SubscriptionId=OTHER_SUB),
            alert(HOUR, "b6", EventTime=NOW - 8 * DAY),
        ],
    ),
}  # fmt: skip
HUNT_SUBJECT = {"owners-with-new-attack-paths": "Owner"}


@pytest_asyncio.fixture(loop_scope="module")
async def opened() -> AsyncIterator[Workspace]:
    async with Workspace() as workspace:
        yield workspace


async def test_every_hunting_query_has_its_case() -> None:
    assert set(HUNTS) == set(HUNTING)
    assert len(HUNTS) == 5


@pytest.mark.parametrize("name", HUNTS)
async def test_a_hunting_query_finds_the_planted_case(name: str, opened: Workspace) -> None:
    query, case = HUNTING[name], HUNTS[name]
    await plant(opened, case.planted)
    found = await ask(opened, query.plain_text)
    column = HUNT_SUBJECT.get(name, "ResourceId" if case.about == {WEB} else "DisplayName")
    about = case.about if column != "DisplayName" else {"Suspicious activity"}
    assert {row[column] for row in found} == about
    mapped = {"entityMappings": query.entities}
    assert all(entities(mapped, row) for row in found)


@pytest.mark.parametrize("name", HUNTS)
async def test_a_hunting_query_finds_nothing_in_a_quiet_tenant(name: str, opened: Workspace) -> None:
    await plant(opened, HUNTS[name].quiet)
    assert await ask(opened, HUNTING[name].plain_text) == []
