"""The readers' file: what it may say, and what each limit lets be seen."""

from dataclasses import dataclass

import pytest

from shared.exports.diagnostics import InvalidExport
from shared.web.readers_file import Limit, read_readers, seen_by, unresolved

TENANT = "22222222-2222-4222-8222-222222222222"


@dataclass(frozen=True)
class Placed:
    id: str
    tenant_id: str = TENANT
    ancestors: tuple[str, ...] = ()


HERE = (Placed("AA", ancestors=("unit", "root")), Placed("BB", "33333333-3333-4333-8333-333333333333", ("root",)))


def file(*lines: str) -> str:
    return "version: 1\nreaders:\n" + "".join(f"  - {line}\n" for line in lines)


def test_tenants_and_groups_of_each_role_in_any_casing() -> None:
    read = read_readers(
        file(
            f"{{role: Exports.Read.A, tenants: [{TENANT}]}}", "{role: Exports.Read.b-2, managementGroups: [Unit, x.y]}"
        )
    )
    assert read == {"Exports.Read.A": Limit((TENANT,)), "Exports.Read.b-2": Limit((), ("unit", "x.y"))}


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


def test_what_no_subscription_belongs_to_is_named() -> None:
    assert unresolved([Limit((TENANT,), ("unit",))], HERE) == []
    assert unresolved([Limit((), ("unit", "units"))], HERE) == ["the management group units"]
    assert unresolved([Limit((TENANT,))], ()) == [f"the tenant {TENANT}"]
