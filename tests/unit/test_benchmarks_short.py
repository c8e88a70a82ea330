"""The benchmarks run, and their loosest claims hold even on a busy machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import bench_shapes
from benchmarks.__main__ import Outcome, page, table
from benchmarks.bench_enrich import BATCH, compare, growth, judge
from benchmarks.bench_scale import judge as judge_growth
from benchmarks.budgets import Budget, budgets_in

pytestmark = pytest.mark.slow


def test_enrichment_is_well_ahead_of_the_stock_way() -> None:
    least = compare("usual mix", "rest", BATCH, rounds=5)
    assert least["stock"] > 2.5 * least["ours"]
    assert least["stock packing"] > 4 * least["our packing"]


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
    missed = judge("usual mix", "rest", {"stock packing": 99.0, "our packing": 10.0})
    assert not missed.met
    assert "| packing alone (usual mix, Raw rest) | at least 10x | 9.9x" in table([missed])
    assert "**missed**" in page([missed], {})


def test_growth_of_cpu_requests_and_memory_is_judged_at_its_worst_step() -> None:
    sizes = (100, 1_000, 10_000)
    linear = {size: {"cpu": size / 10, "requests": size, "memory": 100.0} for size in sizes}
    assert judge_growth({("step", size): each for size, each in linear.items()}, sizes)[0].met
    for name, factor in (("cpu", 1.3), ("requests", 1.3), ("memory", 11)):
        worse = {**linear, 10_000: {**linear[10_000], name: linear[10_000][name] * factor}}
        assert not judge_growth({("step", size): each for size, each in worse.items()}, sizes)[0].met, name


def test_what_was_measured_on_the_same_code_is_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "KEPT", tmp_path)
    name, arguments = "bench_start", ["--help"]
    first = runner.run_or_resume(name, arguments, "code", resume=True)
    assert first.text.startswith("usage")
    assert first.code == 0
    kept = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    marked = Outcome("kept", 1, "before")
    (tmp_path / f"{name}.json").write_text(json.dumps({**kept, "outcome": asdict(marked)}), encoding="utf-8")
    assert runner.run_or_resume(name, arguments, "code", resume=True) == marked
    assert runner.run_or_resume(name, arguments, "", resume=True).text == first.text
    assert runner.run_or_resume(name, arguments, "other code", resume=True).text == first.text
    assert runner.run_or_resume(name, arguments, "code", resume=False).text == first.text
