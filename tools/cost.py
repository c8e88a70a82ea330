"""What a deployment costs a month, part by part: the formula of docs/operate.md, and its worked examples.

`python -m tools.cost` writes the examples into docs/operate.md; `--check` only says whether they are out of date.
Prices are examples, in no currency: the price lists of Azure Monitor, Event Hubs, Functions, Storage and Private Link
have those of a region.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from tools.infra import alerts
from tools.package import ROOT

PAGE = ROOT / "docs" / "operate.md"
_BEGIN, _END = "<!-- cost: python -m tools.cost -->", "<!-- end of cost -->"
HOURS = 730  # in a month
DAYS = HOURS / 24
MILLION = 1_000_000
SECONDS_A_RUN = 1  # the least that Flex Consumption bills for an execution (Flex Consumption plan, billing)


@dataclass(frozen=True)
class Prices:
    """By GB, GB and month, million, hour or GB-second."""

    ingest: float = 2.50
    retention: float = 0.12  # interactive, beyond the 31 days that are included
    archive: float = 0.02  # long-term, beyond the interactive days
    events: float = 0.028  # a million events of up to 64 KB
    unit: float = 0.03  # a throughput unit and hour
    gb_second: float = 0.000026
    executions: float = 0.40  # a million
    ready: float = 0.000004  # a GB-second of an instance that waits
    transactions: float = 0.50  # a million, between reads and writes
    alert: float = 0.50  # a rule and month, every fifteen minutes; more rows of dimensions cost more
    endpoint: float = 0.01  # a private endpoint and hour


@dataclass(frozen=True)
class Size:
    """What decides the cost; `records` are millions a month."""

    records: float
    gigabytes: float = 2.7  # a million rows take
    interactive: float = 90  # days
    total: float = 365  # days
    units: float = 1  # throughput units held on average
    memory: float = 2.0  # GB of an instance
    cpu: float = 60.0  # seconds that a million records take
    batch: float = 100.0  # records
    wait: float = 1.0  # seconds that a batch waits for the API
    subscriptions: int = 3
    http: float = 0.01  # million requests of people and runbooks
    ready: int = 0  # instances that are always ready
    endpoints: int = 0
    traces: float = 2.0  # KB of telemetry an execution leaves
    metrics: float = 0.6  # GB a month of platform metrics and logs, of hub, storage and rules


def timer_seconds(size: Size) -> dict[str, tuple[float, float]]:
    """Runs a month of each timer, and seconds each takes: a reconcile reads every subscription."""
    return {
        "reconcile_exports": (96 * DAYS, 5 + size.subscriptions / 50),
        "retry_dead_letters": (288 * DAYS, 1),
        "check_freshness": (24 * DAYS, 5 + size.subscriptions / 50),
        "send_news": (288 * DAYS, 1),
        "close_gone": (24 * DAYS, 1),
        "refresh_cves": (24 * DAYS, 1),
    }


def parts(size: Size, prices: Prices = Prices()) -> dict[str, float]:
    """Each part of a month's cost, by name, in the order of the formula."""
    rows = size.records * size.gigabytes
    batches = size.records * MILLION / size.batch
    busy = max(size.cpu * size.batch / MILLION + size.wait, SECONDS_A_RUN)
    timers = timer_seconds(size)
    requests = size.http * MILLION
    runs = batches + requests + sum(number for number, _ in timers.values())
    seconds = (
        batches * busy
        + requests * SECONDS_A_RUN
        + sum(number * max(each, SECONDS_A_RUN) for number, each in timers.values())
    )
    telemetry = size.metrics + runs * size.traces / MILLION
    return {
        "rows: ingestion": rows * prices.ingest,
        "rows: interactive retention": rows * max(0.0, size.interactive - 31) / 30 * prices.retention,
        "rows: long-term retention": rows * max(0.0, size.total - size.interactive) / 30 * prices.archive,
        "Event Hubs: events": size.records * prices.events,
        "Event Hubs: throughput units": HOURS * size.units * prices.unit,
        "functions: memory and time": seconds * size.memory * prices.gb_second,
        "functions: executions": runs / MILLION * prices.executions,
        "functions: always ready": HOURS * 3600 * size.ready * size.memory * prices.ready,
        "storage: transactions": (5 * batches + 20 * (runs - batches)) / MILLION * prices.transactions,
        "telemetry, platform metrics and logs": telemetry * prices.ingest,
        "alert rules": len(alerts()) * prices.alert,
        "private endpoints": HOURS * size.endpoints * prices.endpoint,
    }


# 1,500 records are present in a subscription; a weekly snapshot sends them 4.3 times a month, changes a fifth more.
RECORDS = 1_500 * 4.3 * 1.2 / MILLION
EXAMPLES = {
    "3 subscriptions": Size(3 * RECORDS, interactive=30, total=90, subscriptions=3),
    "600 subscriptions": Size(600 * RECORDS, batch=400, subscriptions=600, units=2, http=0.1),
    "10,000 subscriptions, private, data plane apart": Size(
        10_000 * RECORDS,
        batch=1_000,
        interactive=180,
        total=730,
        subscriptions=10_000,
        units=6,
        http=0.5,
        ready=2,
        endpoints=7,
    ),
}


def table() -> str:
    """The worked examples in Markdown, a column each."""
    found = {name: parts(size) for name, size in EXAMPLES.items()}
    lines = [f"| part of a month | {' | '.join(found)} |", f"| --- |{' --- |' * len(found)}"]
    lines.append(f"| million records | {' | '.join(f'{size.records:.2f}' for size in EXAMPLES.values())} |")
    names = next(iter(found.values()))
    lines += [f"| {part} | {' | '.join(f'{one[part]:,.2f}' for one in found.values())} |" for part in names]
    lines.append(f"| **together** | {' | '.join(f'**{sum(one.values()):,.2f}**' for one in found.values())} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the examples as they are now."""
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{table()}\n\n{_END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` say that it is out of date."""
    text = PAGE.read_text()
    current = page(text)
    if text == current:
        return 0
    print(PAGE.relative_to(ROOT))
    if "--check" in arguments:
        return 1
    PAGE.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
