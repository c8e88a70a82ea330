"""The formula of docs/operate.md, by hand where it is simple, and its examples as they are printed."""

import re
from dataclasses import replace

import pytest

from tools.cost import EXAMPLES, HOURS, PAGE, RECORDS, Prices, Size, page, parts, timer_seconds
from tools.infra import alerts
from tools.snapshots import committed

FIXED = ("Event Hubs: throughput units", "telemetry, platform metrics and logs", "alert rules")


def test_the_page_has_the_examples_as_they_are_now() -> None:
    text = PAGE.read_text()
    assert page(text) == text, "out of date: run python -m tools.cost"
    assert [size.subscriptions for size in EXAMPLES.values()] == [3, 600, 10_000]


@pytest.mark.parametrize(("batch", "gigabyte_seconds"), [(1000, 2_120), (100, 20_120)])
def test_a_million_records_take_the_seconds_of_their_batches(batch: int, gigabyte_seconds: float) -> None:
    """A batch is paid for as long as it waits for the API: 2 GB, a second, and 60 microseconds a record."""
    nothing = Size(0, http=0)
    one = replace(nothing, records=1, batch=batch)
    more = parts(one)["functions: memory and time"] - parts(nothing)["functions: memory and time"]
    assert more / Prices().gb_second == pytest.approx(gigabyte_seconds)


def test_an_execution_is_billed_for_a_second_at_least() -> None:
    quick = replace(Size(1, batch=100), wait=0.0, cpu=0.0)
    assert parts(quick)["functions: memory and time"] == parts(replace(quick, wait=1.0))["functions: memory and time"]


def test_three_subscriptions_by_hand() -> None:
    found = parts(EXAMPLES["3 subscriptions"])
    records = 3 * 1_500 * 4.3 * 1.2 / 1e6
    assert found["rows: ingestion"] == pytest.approx(records * 2.7 * 2.50)
    assert found["rows: interactive retention"] == 0
    assert found["rows: long-term retention"] == pytest.approx(records * 2.7 * 60 / 30 * 0.02)
    assert found["Event Hubs: throughput units"] == pytest.approx(730 * 0.03)
    assert found["alert rules"] == len(alerts()) * 0.50
    assert sum(found[part] for part in FIXED) > 50 * found["rows: ingestion"]


def test_ten_thousand_subscriptions_by_hand() -> None:
    found = parts(EXAMPLES["10,000 subscriptions, private, data plane apart"])
    rows = 10_000 * RECORDS * 2.7
    assert found["rows: ingestion"] == pytest.approx(rows * 2.50)
    assert found["rows: interactive retention"] == pytest.approx(rows * 149 / 30 * 0.12)
    assert found["rows: long-term retention"] == pytest.approx(rows * 550 / 30 * 0.02)
    assert found["functions: always ready"] == pytest.approx(730 * 3600 * 2 * 2 * 0.000004)
    assert found["private endpoints"] == pytest.approx(730 * 7 * 0.01)
    assert found["rows: ingestion"] == max(found.values())


def test_what_does_not_depend_on_records_is_paid_without_any() -> None:
    nothing = parts(Size(0, http=0))
    assert all(nothing[part] > 0 for part in FIXED)
    assert all(value == 0 for part, value in nothing.items() if part.startswith("rows"))


def test_the_numbers_of_the_formula_are_those_of_the_deployment() -> None:
    text = PAGE.read_text()
    runs = sum(number for number, _ in timer_seconds(Size(0)).values())
    assert f"n = {runs:,.0f} runs of timers" in text
    enterprise = committed()["enterprise"]
    assert len(enterprise.of_type("Microsoft.Network/privateEndpoints")) == 7
    assert len(enterprise.of_type("Microsoft.Insights/scheduledQueryRules")) == len(alerts())
    schedules = {
        one["properties"]["RECONCILE_SCHEDULE"]: one["properties"]["DEAD_LETTER_SCHEDULE"]
        for one in enterprise.of_type("Microsoft.Web/sites/config")
        if one["name"].endswith("/appsettings")
    }
    assert schedules == {"0 */15 * * * *": "0 */5 * * * *"}
    assert pytest.approx(HOURS / 24 * (96 + 2 * 288 + 24 + 24 + 24)) == runs


def test_every_letter_of_the_formula_is_explained() -> None:
    section = PAGE.read_text().split("\n## What it costs\n", 1)[1]
    formula = "\n".join(line for line in section.splitlines() if line.startswith("    "))
    rows = " ".join(re.findall(r"^\| ([\w, .]+) \|", section, re.MULTILINE))
    words = re.findall(r"\b[a-zA-Z]_?[a-z]?\b", re.sub(r"  {3,}[a-z].*", "", formula))
    assert {word for word in words if word not in {"R", "B", "T", "n", "w", "by", "is"}} <= set(
        re.findall(r"\w+", rows)
    ) | {"p"}
