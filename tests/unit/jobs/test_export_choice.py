"""Which subscriptions and records an export chooses, and what is said of those that it can't tell about."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.exports.model import parse_export
from shared.exports.scope_findings import UnknownName
from shared.jobs.export_choice import ExportChoice, all_of
from shared.reconcile.model import Subscription
from shared.tenant_state import TenantState

ONE, TWO, THREE = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "123")
HUB = f"/subscriptions/{ONE}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/soc-hubs/eventhubs/all"
FILE = """
version: 1
name: soc
scope: {scope}
automation: {{location: westeurope}}
export: {{recommendations: {{minimumSeverity: High}}}}
destination: {{eventHub: {{resourceId: "{hub}", trustedService: true}}}}
"""


def choice(scope: str) -> ExportChoice:
    return ExportChoice.of(parse_export(FILE.format(scope=scope, hub=HUB), "soc"))


def state(subscriptions: Sequence[Subscription], **changes: Any) -> TenantState:
    return TenantState(datetime.now(UTC), subscriptions, (), (), **changes)


TENANT = state([
    Subscription(ONE, "one", ancestors=("units", "contoso")),
    Subscription(TWO.upper(), "two", ancestors=("contoso",), tags={"Team": "Pay"}),
    Subscription(THREE, "three", ancestors=(), placed=False),
])  # fmt: skip


def test_a_group_of_the_scope_chooses_those_whose_groups_are_known_and_says_of_how_many_they_are_not() -> None:
    chosen = choice("{managementGroups: [Contoso]}").of_those(TENANT, (), ())
    assert chosen.ids == [ONE, TWO]
    (reason,) = chosen.reasons
    assert reason.startswith("the management groups of 1 subscriptions are not known")


def test_one_that_is_listed_needs_no_known_groups() -> None:
    assert choice(f"{{subscriptions: [{THREE.upper()}]}}").of_those(TENANT, (), ()) == ([THREE], [])


def test_what_is_asked_for_narrows_and_never_widens() -> None:
    export = choice("{managementGroups: [units]}")
    placed = state(TENANT.subscriptions[:2])
    assert export.of_those(placed, ["two"], ()) == ([], ["the scope of soc covers none of 1 subscriptions"])
    assert export.of_those(placed, (), ["contoso"]) == ([ONE], ["the scope of soc leaves out 1 of those asked for"])
    with pytest.raises(UnknownName):
        export.of_those(placed, ["nobody"], ())


def test_names_of_the_scope_that_select_nothing_and_what_was_not_read_are_said() -> None:
    export = choice("{managementGroups: [contosso, units]}")
    part = replace(state(TENANT.subscriptions[:2]), unseen=("page 2 was not read",), reasons=("page 2 was not read",))
    ids, reasons = export.of_those(part, (), ())
    assert ids == [ONE]
    assert reasons[0] == "page 2 was not read"
    assert "scope of soc:" in reasons[1]
    assert "contosso" in reasons[1]
    assert all_of(part, (), ()) == ([ONE, TWO], ["page 2 was not read"])


@pytest.mark.parametrize(
    ("record", "sent"),
    [
        ({"id": f"/subscriptions/{ONE}/RESOURCEGROUPS/RG-Web/providers/x"}, True),
        ({"id": f"/subscriptions/{ONE}/resourceGroups/rg-web"}, True),
        ({"AzureResourceId": f"/subscriptions/{ONE}/resourcegroups/rg-web/providers/y"}, True),
        ({"id": f"/subscriptions/{ONE}/resourceGroups/rg-web-2/providers/x"}, False),
        ({"id": f"/subscriptions/{ONE}/providers/Microsoft.Security/secureScores/rg-web"}, False),
        ({"id": "/providers/Microsoft.Security/x/subscriptions/a/resourceGroups/rg-web"}, False),
        ({"id": None}, False),
        ({"id": ["/subscriptions/a/resourceGroups/rg-web"]}, False),
        ({}, False),
    ],
    ids=str,
)
def test_an_export_of_resource_groups_holds_what_lies_in_them(record: dict[str, Any], sent: bool) -> None:
    assert choice(f"{{subscriptions: [{ONE}], resourceGroups: [rg-WEB]}}").holds(record) is sent
    assert choice(f"{{subscriptions: [{ONE}]}}").holds(record)


def test_the_digest_tells_scopes_and_filters_apart() -> None:
    scopes = ("{managementGroups: [a]}", "{managementGroups: [b]}", "{managementGroups: [a], resourceGroups: [c]}")
    assert len({choice(scope).digest for scope in scopes}) == len(scopes)
    assert choice(scopes[0]).digest == choice(scopes[0]).digest


def test_a_scope_of_many_names_that_select_nothing_is_told_in_few_sentences() -> None:
    names = ", ".join(f"{number:08}-0000-4000-8000-000000000000" for number in range(900))
    _, reasons = choice(f"{{subscriptions: [{names}]}}").of_those(TENANT, (), ())
    assert len(reasons) == 7
    assert "895 more names" in reasons[-2]
