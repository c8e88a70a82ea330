"""The benchmarks run, and their loosest claims hold even on a busy machine."""

from __future__ import annotations

import pytest

from benchmarks import bench_shapes
from benchmarks.__main__ import page, table
from benchmarks.bench_enrich import BATCH, compare, growth, judge
from benchmarks.budgets import Budget, budgets_in

pytestmark = pytest.mark.slow


def test_enrichment_is_well_ahead_of_the_stock_way_and_within_sight_of_the_floor() -> None:
    least = compare("usual mix", "rest", BATCH, rounds=5)
    # Of genuine records both sides spend most on what scanners say, with the same functions, so the lead is smaller.
    assert least["stock, rows made"] > 2.5 * least["ours"]
    assert least["stock packing"] > 4 * least["our packing"]
    assert least["floor"] > 0.1 * least["ours"]
    assert least["floor"] < least["ours"]
    assert least["stock, rows given"] < least["stock, rows made"]


def test_nine_of_ten_genuine_shapes_are_for_the_typed_reader() -> None:
    by_shape = bench_shapes.shares(1_500)
    assert len(by_shape) >= 20
    assert bench_shapes.judge(by_shape).met, by_shape
    assert not bench_shapes.judge({**by_shape, **{f"odd {number}": 0.0 for number in range(5)}}).met


def test_memory_stays_flat() -> None:
    assert growth(3 * BATCH).met


@pytest.mark.parametrize("met", [True, False])
def test_a_budget_reads_as_it_was_written(met: bool) -> None:
    budget = Budget("packing alone (usual mix, Raw rest)", "11.8x", "10x", met)
    assert budgets_in(f"said before\n{budget.line()}\n  12.5 us a record\n") == [budget]


def test_a_missed_budget_shows_as_missed() -> None:
    missed = judge("usual mix", "rest", {"stock, rows made": 50.0, "stock, rows given": 40.0, "ours": 10.0,
                                         "stock packing": 99.0, "our packing": 9.0, "floor": 5.0})  # fmt: skip
    assert [budget.met for budget in missed] == [False, True, False]
    assert "| events to packed bodies (usual mix, Raw rest) | 8x | 5.0x" in table(missed)
    assert "**missed**" in page(missed, {})
