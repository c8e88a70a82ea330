"""What the first request after a start pays for: nothing but the programming model."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RUNS = 7
HEAVY = ("pydantic", "yaml", "azure.core", "azure.identity", "azure.storage", "azure.data", "azure.eventhub",
         "azure.mgmt", "azure.monitor", "aiohttp", "opentelemetry")  # fmt: skip
MEASURE = "import time; began = time.process_time(); import {module}; print(time.process_time() - began)"


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_importing_the_app_costs_at_most_half_as_much_again_as_its_programming_model() -> None:
    """The least processor time of several runs each, taken in turns, so that a busy machine weighs on both alike."""
    seconds: dict[str, list[float]] = {"azure.functions": [], "function_app": []}
    for _ in range(RUNS):
        for module, measured in seconds.items():
            measured.append(float(run(MEASURE.format(module=module))))
    assert min(seconds["function_app"]) <= 1.5 * min(seconds["azure.functions"]), seconds


def test_importing_the_app_loads_no_sdk_no_pydantic_and_no_yaml() -> None:
    loaded = run("import sys, function_app; print(*sys.modules, sep='\\n')").split()
    assert "shared.bootstrap" in loaded
    assert [name for name in loaded if name.startswith("shared.web")] == []
    assert [name for name in loaded if name.startswith(tuple(HEAVY))] == []


def test_what_reads_no_export_file_loads_no_pydantic() -> None:
    modules = "shared.exports.store, shared.jobs.runners, shared.reconcile.run, shared.web.exports"
    assert run(f"import sys, {modules}; print('pydantic' in sys.modules)").strip() == "False"
