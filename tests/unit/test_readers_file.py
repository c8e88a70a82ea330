"""The readers' file: what it may say, and what each limit lets be seen."""

from dataclasses import dataclass

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.readers_file import Limit, perhaps_more, read_readers, seen_by, unresolved

TENANT = "22222222-2222-4222-8222-222222222222"


@dataclass(frozen=True)
class Placed:
    id: str
    tenant_id: str = TENANT
    ancestors: tuple[str, ...] = ()
    placed: bool = True


OTHER = "33333333-3333-4333-8333-333333333333"
HERE = (Placed("AA", ancestors=("unit", "root")), Placed("BB", OTHER, ("root",)))


def file(*lines: str) -> str:
    return "version: 1\nreaders:\n" + "".join(f"  - {line}\n" for line in lines)


def test_tenants_and_groups_of_each_role_in_any_casing() -> None:
    read = read_readers(
        file(
            f"{{role: Exports.Read.A, tenants: [{TENANT}]}}",
            f"{{role: Exports.Read.b-2, managementGroups: [Unit, x.y, {TENANT}/Unit]}}",
        )
    )
    groups = ("unit", "x.y", f"{TENANT}/unit")
    assert read == {"Exports.Read.A": Limit((TENANT,)), "Exports.Read.b-2": Limit((), groups)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be a mapping"),
        ("[]", "must be a mapping"),
        ("version: 1", "'readers' must be a list"),
        ("version: 1\nreaders: []", "'readers' must be a list"),
        ("version: 2\nreaders: [{role: Exports.Read.A, tenants: [x]}]", "version must be 1"),
        (file("{role: Exports.Read.A}"), "it sees nothing"),
        (file("{role: Exports.Read.A, managementGroups: []}"), "list of 1 to"),
        (file("{role: Exports.Read.A, managementGroups: unit}"), "list of 1 to"),
        (file("{role: Exports.Read.A, managementGroups: ['*']}"), "'*' is no id of a management group"),
        (file("{role: Exports.Read.A, managementGroups: [[unit]]}"), "is no id of a management group"),
        (file("{role: Exports.Read.A, managementGroups: [contoso/unit]}"), "is no id of a management group"),
        (file(f"{{role: Exports.Read.A, managementGroups: [{TENANT}/]}}"), "is no id of a management group"),
        (file(f"{{role: Exports.Read.A, managementGroups: [{TENANT}/a/b]}}"), "is no id of a management group"),
        (file("{role: Exports.Read.A, tenants: [contoso]}"), "'contoso' is no id of a tenant"),
        (file(f"{{role: Exports.Read, tenants: [{TENANT}]}}"), "'Exports.Read' is no role of a limited reader"),
        (file(f"{{role: Exports.Write, tenants: [{TENANT}]}}"), "is no role of a limited reader"),
        (file(f"{{role: Exports.Read.A B, tenants: [{TENANT}]}}"), "is no role of a limited reader"),
        (file(f"{{role: Exports.Read.A, tenant: [{TENANT}]}}"), "Did you mean tenants?"),
        (file(*[f"{{role: Exports.Read.A, tenants: [{TENANT}]}}"] * 2), "declared twice"),
        (file(f"{{tenants: [{TENANT}]}}"), "'role' must be text"),
        ("version: 1\nreaders: &a [*a]", ""),
        ("\x00", ""),
        ("a" * 1_000_001, ""),
    ],
)
def test_what_is_wrong_is_told_in_a_line(text: str, said: str) -> None:
    with pytest.raises(InvalidExport) as refused:
        read_readers(text, "readers.yaml")
    lines = [str(finding) for finding in refused.value.findings]
    assert any(said in line for line in lines)
    assert all("\n" not in line and line.startswith("readers.yaml") for line in lines)


def test_a_limit_sees_its_tenants_and_what_is_below_its_groups() -> None:
    assert seen_by([Limit((TENANT,))], HERE) == {"aa"}
    assert seen_by([Limit((), ("root",))], HERE) == {"aa", "bb"}
    assert seen_by([Limit((), ("unit",)), Limit((HERE[1].tenant_id,))], HERE) == {"aa", "bb"}
    assert seen_by([], HERE) == seen_by([Limit()], HERE) == frozenset()


def test_a_group_of_one_tenant_is_not_that_of_another_with_its_name() -> None:
    assert seen_by([Limit((), (f"{TENANT}/root",))], HERE) == {"aa"}
    assert seen_by([Limit((), (f"{OTHER}/root",))], HERE) == {"bb"}
    assert unresolved([Limit((), (f"{TENANT}/root",))], HERE) == []
    assert unresolved([Limit((), ("root",))], HERE) == [
        "there are management groups root in 2 tenants (name one as TENANT/root)"
    ]


def test_what_no_subscription_belongs_to_is_named() -> None:
    unread = "is not among what the app can read"
    assert unresolved([Limit((TENANT,), ("unit",))], HERE) == []
    assert unresolved([Limit((), ("unit", "units"))], HERE) == [f"the management group units {unread}"]
    assert unresolved([Limit((), (f"{OTHER}/unit",))], HERE) == [f"the management group {OTHER}/unit {unread}"]
    assert unresolved([Limit((TENANT,))], ()) == [f"the tenant {TENANT} {unread}"]


def test_there_may_be_more_where_a_subscription_of_the_groups_tenant_is_in_no_group() -> None:
    assert not perhaps_more([Limit((), ("unit",))], HERE)
    assert perhaps_more([Limit((), ("unit",))], (*HERE, Placed("CC", placed=False)))
    assert not perhaps_more([Limit((), ("unit",))], (*HERE, Placed("CC", OTHER, placed=False)))
    assert not perhaps_more([Limit((TENANT,))], (*HERE, Placed("CC", placed=False)))
