from typing import Any

import pytest

from shared.exports.model import Scope
from shared.exports.scope_findings import KnownNames, scope_findings
from shared.reconcile.model import Subscription

ONE, TWO = "0a000000-0000-4000-8000-000000000001", "0a000000-0000-4000-8000-000000000002"
TENANT = (
    Subscription(ONE, tags={"env": "prod", "Team": "SOC"}, ancestors=("contoso-prod", "contoso", "root")),
    Subscription(TWO, tags={"env": "test"}, ancestors=("contoso-test", "contoso", "root")),
)


def found(tenant: tuple[Subscription, ...] = TENANT, **parts: Any) -> tuple[str, ...]:
    return scope_findings(Scope.model_validate(parts), tenant, KnownNames.of(tenant))


@pytest.mark.parametrize(
    "parts",
    [
        {"managementGroups": ["Contoso"]},
        {"managementGroups": ["contoso-prod", "ROOT"], "subscriptions": [TWO.upper()]},
        {"managementGroups": ["contoso"], "tags": {"ENV": "Prod"}},
        {"managementGroups": ["contoso"], "exclude": {"tags": {"defender-export": "off"}}},
        {"managementGroups": ["contoso"], "exclude": {"managementGroups": ["contoso-test"], "subscriptions": [TWO]}},
    ],
)
def test_known_names_in_any_case_and_opt_outs_that_nobody_uses_are_no_finding(parts: dict[str, Any]) -> None:
    assert found(**parts) == ()


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (
            {"managementGroups": ["contosoo"]},
            "contosoo: it does not exist, or this app may not read it, or it is empty",
        ),
        ({"managementGroups": ["contosoo"]}, "Did you mean contoso?"),
        ({"managementGroups": ["contoso", "zzz"]}, "management group zzz"),
        ({"subscriptions": [ONE.replace("8000", "8001")]}, f"Did you mean {ONE}?"),
        ({"subscriptions": ["ffffffff-ffff-4fff-8fff-ffffffffffff"]}, "it does not exist, or this app may not read it"),
        ({"managementGroups": ["contoso"], "tags": {"evn": "prod"}}, "the tag evn. Did you mean env?"),
        ({"managementGroups": ["contoso"], "tags": {"env": "prd"}}, "the tag env: prd. Did you mean prod?"),
        ({"managementGroups": ["contoso"], "exclude": {"managementGroups": ["contoso-tst"]}}, "contoso-test?"),
        ({"managementGroups": ["contoso"], "exclude": {"subscriptions": [TWO[:-1] + "9"]}}, "scope.exclude"),
        ({"managementGroups": ["contoso"], "tags": {"env": "test", "team": "soc"}}, "selects no visible subscription"),
        ({"subscriptions": [ONE], "exclude": {"subscriptions": [ONE]}}, "selects no visible subscription"),
    ],
)
def test_what_selects_nothing_is_said_with_the_nearest_name(parts: dict[str, Any], said: str) -> None:
    assert any(said in sentence for sentence in found(**parts)), found(**parts)


def test_every_part_that_selects_nothing_is_named() -> None:
    assert len(found(managementGroups=["x1", "x2", "contoso"], subscriptions=[ONE[:-1] + "7"])) == 3


def test_an_id_that_only_looks_alike_is_not_suggested() -> None:
    (sentence,) = found(managementGroups=["contoso"], subscriptions=["0a0b0c0d-0000-4000-8000-000000000077"])
    assert "Did you mean" not in sentence
