"""The budgets, measured: `python -m benchmarks`."""
