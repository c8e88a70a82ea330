"""Present records are read under exactly the deployed role; where a right is missing, none are read and it is said.

Resource Graph shows no rows of a type that the caller may not read, and answers 200 all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from local.certs import Certificates
from local.stack import LocalAzure
from local.tenant import APP, destinations, synthetic_tenant
from local.tenant.roles import custom_role
from local.tenant.state import Tenant
from shared.bootstrap import Services
from shared.cli.watch import _follow
from shared.jobs.export_choice import Subscriptions
from shared.jobs.runners import preview, stored_choice
from shared.settings import Settings
from shared.watch.present_records import OPERATION_OF_KIND, Gaps
from tools.roles import custom_actions

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDS = "Microsoft.Security/*/read"
REGISTERED = [kind for kind in OPERATION_OF_KIND if kind not in {"RegulatoryComplianceAssessment", "AttackPaths"}]
EVERYTHING = """
version: 1
name: everything
scope: {{managementGroups: [contoso]}}
automation: {{location: westeurope}}
export:
  alerts: {{}}
  recommendations: {{findings: {{}}}}
  secureScore: {{controls: true}}
  regulatoryCompliance: {{}}
  attackPaths: {{}}
destination:
  eventHub: {{resourceId: {hub}, trustedService: true}}
"""


def without(kind: str) -> tuple[str, ...]:
    """The deployed role with each other kind's own operation in place of the wildcard."""
    others = [operation for other, operation in OPERATION_OF_KIND.items() if other != kind]
    return (*(action for action in custom_actions() if action != RECORDS), *others)


def sentence(kind: str, operation: str = "") -> str:
    lacking = operation or OPERATION_OF_KIND[kind]
    return (
        f"{kind} of some subscriptions: this app's roles there lack {lacking}; "
        f"{RECORDS} of the deployed role permits it"
    )


class Granted:
    """The app's services, and which role it has where."""

    def __init__(self, azure: LocalAzure, services: Services) -> None:
        self.azure = azure
        self.tenant: Tenant = azure.tenant
        self.services = services
        mine = [one for one in self.tenant.subscriptions.values() if one.tenant_id == self.tenant.home]
        self.subscriptions = sorted(one.id for one in mine)

    def role(self, *actions: str, scope: str = "") -> None:
        """Give the app this role, over everything unless told otherwise."""
        root = f"/providers/Microsoft.Management/managementGroups/{self.tenant.home}"
        self.tenant.assign(APP, scope or root, custom_role(f"Test {len(self.tenant.assignments)}", *actions))

    def only(self, *actions: str) -> None:
        """Give the app this role and no other."""
        self.tenant.revoke(APP)
        self.role(*actions)

    async def read(self, *kinds: str) -> tuple[Counter[tuple[str, str]], Gaps]:
        """How many records of each subscription and kind there are to see, and what may be missing."""
        gaps = Gaps()
        reading = self.services.present.read(kinds or list(OPERATION_OF_KIND), self.subscriptions, gaps)
        return Counter([(found.subscription, found.kind) async for found in reading]), gaps


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_azure(
    tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates
) -> AsyncIterator[tuple[LocalAzure, Services]]:
    folder: Path = tmp_path_factory.mktemp("azure")
    parts = ("azurite", "arm", "ingestion")
    tenant = synthetic_tenant(3, 6, untidy=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("local.arm.graph.QUOTA", 10_000)  # waiting for it is another test's matter
        async with LocalAzure(folder, parts=parts, tenant=tenant, certificates=local_certs) as azure:
            for name, value in azure.app_settings().items():
                patch.setenv(name, value)
            services = Services(Settings.load())
            yield azure, services
            await services.close()


@pytest.fixture
def granted(shared_azure: tuple[LocalAzure, Services]) -> Iterator[Granted]:
    made = Granted(*shared_azure)
    made.only(*custom_actions())
    yield made
    made.azure.arm.faults.clear()


async def test_the_deployed_role_reads_each_of_the_seven_kinds(granted: Granted) -> None:
    assert RECORDS in custom_actions()
    seen, gaps = await granted.read()
    assert {kind for _, kind in seen} == set(OPERATION_OF_KIND)
    assert (gaps.said, gaps.unreadable) == ([], {})


@pytest.mark.parametrize("kind", OPERATION_OF_KIND)
async def test_a_role_without_the_operation_reads_none_of_that_kind_and_says_which_is_missing(
    granted: Granted, kind: str
) -> None:
    before, _ = await granted.read()
    granted.only(*without(kind))
    seen, gaps = await granted.read()
    assert seen == {place: count for place, count in before.items() if place[1] != kind}
    assert gaps.said == [sentence(kind)]
    assert set(gaps.unreadable) == {(one, kind) for one in granted.subscriptions}


@pytest.mark.parametrize("kind", REGISTERED)
async def test_the_operation_alone_reads_the_kind(granted: Granted, kind: str) -> None:
    before, _ = await granted.read(kind)
    granted.only(OPERATION_OF_KIND[kind])
    seen, gaps = await granted.read()
    assert seen == before
    assert gaps.said == sorted(sentence(other) for other in OPERATION_OF_KIND if other != kind)


async def test_a_right_that_is_taken_back_or_written_in_capitals_counts_as_azure_counts_it(granted: Granted) -> None:
    granted.only(*(action.upper() for action in custom_actions()))
    assert (await granted.read())[1].said == []
    granted.only("Microsoft.Security/assessments/*/read", "Microsoft.Resources/subscriptions/read")
    seen, gaps = await granted.read("Assessments", "SubAssessments")
    assert {kind for _, kind in seen} == {"SubAssessments"}
    assert gaps.said == [sentence("Assessments")]


async def test_a_right_that_is_missing_in_one_subscription_is_said_of_that_one(granted: Granted) -> None:
    before, _ = await granted.read("Assessments")
    poor, *rich = granted.subscriptions
    granted.tenant.revoke(APP)
    for one in granted.subscriptions:
        granted.role(*(without("Assessments") if one == poor else custom_actions()), scope=f"/subscriptions/{one}")
    seen, gaps = await granted.read("Assessments")
    assert seen == {(one, "Assessments"): before[one, "Assessments"] for one in rich}
    assert set(gaps.unreadable) == {(poor, "Assessments")}


@pytest.mark.parametrize(("status", "said"), [(403, "403"), (404, "404")])
async def test_rights_that_cannot_be_asked_leave_it_open_whether_there_are_records(
    granted: Granted, status: int, said: str
) -> None:
    granted.only(*without("Alerts"))
    granted.azure.arm.faults.add("error", matching="GET .*Microsoft.Authorization/permissions", status=status)
    _, gaps = await granted.read("Alerts", "Assessments")
    assert gaps.said == [f"Alerts of some subscriptions: what this app may read there could not be asked ({said})"]


async def test_backfill_and_preview_give_the_reason_to_who_asked(
    granted: Granted, capsys: pytest.CaptureFixture[str]
) -> None:
    services, hub = granted.services, destinations(granted.tenant).event_hub
    await services.exports.put("everything", EVERYTHING.format(hub=hub))
    granted.only(*without("SubAssessments"))
    export = await stored_choice(services.exports, "everything")
    everyone = Subscriptions(list(granted.subscriptions), [])
    assert (await preview(services.present, export, everyone, services.to_rows))["reasons"] == [
        sentence("SubAssessments")
    ]
    for kind, arguments in (
        ("preview", {"export": "everything"}),
        ("backfill", {"kinds": ["SubAssessments", "SecureScores"]}),
    ):
        job = await services.jobs.submit(kind, arguments, "test", now=datetime.now(UTC))
        await services.job_worker.run(job.id)
        done = await services.jobs.settled(job.id, datetime.now(UTC))
        assert (done.state, (done.result or {})["reasons"]) == ("succeeded", [sentence("SubAssessments")])
    assert await _follow(job.id, services, as_json=False) == 1
    assert "\nsucceeded in part: " in capsys.readouterr().out
