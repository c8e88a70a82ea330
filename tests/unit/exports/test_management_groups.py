"""A group is named `<tenant>/<group>`, or alone where one tenant has one of that name."""

from __future__ import annotations

import re

import pytest

from shared.exports.management_groups import FORM, GroupNames, lies_below
from shared.reconcile.model import Subscription

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
ONE = Subscription("1A", tenant_id=A.upper(), ancestors=("prod", "corp", A))
TWO = Subscription("2B", tenant_id=B, ancestors=("prod", B))
KNOWN = GroupNames.of([ONE, TWO])


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("Prod", True, True),
        (f"{A}/PROD", True, False),
        (f"{B.upper()}/prod", False, True),
        (f"{B}/corp", False, False),
        (A, True, False),
        (f"{A}/{A}", True, False),
        (f"{B}/{A}", False, False),
        ("prod/prod", False, False),
        ("/prod", True, True),
        (f"{A}/", False, False),
        (f"{A}/corp/prod", False, False),
        ("pro d", False, False),
        ("", False, False),
    ],
)
def test_a_group_is_found_by_both_of_its_names_in_any_casing(name: str, one: bool, two: bool) -> None:
    assert (lies_below(ONE, [name]), lies_below(TWO, [name])) == (one, two)


@pytest.mark.parametrize(
    "name",
    ["", "a b", "prod%2F", "pr/od", f"{A}/", f"/{A}", f"{A}/a/b", f"{A[:-1]}/prod", "prod🚀", "a" * 91, "straße"],
)
def test_what_is_no_name_is_refused(name: str) -> None:
    assert not re.fullmatch(FORM, name)


@pytest.mark.parametrize("name", ["prod", f"{A}/prod", f"{A.upper()}/Prod", A, f"{A}/{A}", "a" * 90, "(x)._-"])
def test_what_is_a_name_is_taken(name: str) -> None:
    assert re.fullmatch(FORM, name)


def test_a_name_of_several_tenants_says_what_to_write() -> None:
    assert KNOWN.several("PROD") == f"2 tenants have a management group prod: write {A}/prod or {B}/prod"
    assert [KNOWN.several(name) for name in ("corp", A, f"{A}/prod", "nowhere", "")] == [""] * 5
    assert KNOWN.written == sorted(["corp", A, B, f"{A}/prod", f"{B}/prod"])
    many = GroupNames.of([Subscription(str(n), tenant_id=f"t{n}", ancestors=("x",)) for n in range(9)])
    assert many.several("x").endswith("write t0/x or t1/x or t2/x or one of 6 more")


def test_a_name_of_several_tenants_silences_nothing() -> None:
    assert KNOWN.surely_above == {"1a": ("corp", A, f"{A}/prod", f"{A}/corp", f"{A}/{A}"),
                                  "2b": (B, f"{B}/prod", f"{B}/{B}")}  # fmt: skip
    assert KNOWN.sure("prod") == ()
    assert KNOWN.sure(f"{A}/Prod") == (f"{A}/prod",)
    assert KNOWN.sure("Corp") == KNOWN.sure(f"{A}/corp") == ("corp", f"{A}/corp")
    assert KNOWN.sure(f"{B}/corp") == (f"{B}/corp",)
    assert KNOWN.sure("gone") == ("gone",)


def test_a_group_may_be_named_as_another_tenant_is() -> None:
    known = GroupNames.of([ONE, Subscription("3", tenant_id=B, ancestors=(A, B))])
    assert known.several(A) == f"2 tenants have a management group {A}: write {A}/{A} or {B}/{A}"
    assert A not in known.surely_above["1a"]
    assert f"{B}/{A}" in known
    assert f"{B}/prod" not in known


def test_of_a_part_of_several_tenants_no_name_alone_is_sure() -> None:
    part = GroupNames.of([ONE, Subscription("4", tenant_id=B, ancestors=(B,))], complete=False)
    assert part.several("prod") == ""  # what asks is answered by what is seen
    assert part.doubt("prod").endswith(f"several tenants may have a management group prod: write {A}/prod")
    assert part.doubt("gone").endswith("write <tenant>/gone")
    assert part.sure("prod") == ()
    assert part.sure(f"{A}/prod") == (f"{A}/prod",)
    assert part.surely_above["1a"] == (f"{A}/prod", f"{A}/corp", f"{A}/{A}")
    alone = GroupNames.of([ONE], complete=False)
    assert alone.sure("prod") == ("prod", f"{A}/prod")


def test_a_subscription_of_an_unknown_tenant_is_one_of_its_own() -> None:
    known = GroupNames.of([ONE, Subscription("5", ancestors=("prod",))])
    assert known.several("prod") == f"2 tenants have a management group prod: write {A}/prod"
    assert known.surely_above["5"] == ()
    assert GroupNames.of([Subscription("5", ancestors=("prod",))]).surely_above == {"5": ("prod",)}
