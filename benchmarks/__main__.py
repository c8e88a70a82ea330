"""Every benchmark, one after the other, each in a process of its own: `python -m benchmarks [names]`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def main(chosen: Sequence[str]) -> int:
    """Run the benchmarks whose names contain one of `chosen`, all when empty; 1 when one misses its budget."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    missed = []
    for name in names:
        if not chosen or any(part in name for part in chosen):
            print(f"\n{name}", flush=True)
            if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:  # noqa: S603 # our own
                missed.append(name)
    print(f"\nmissed: {', '.join(missed)}" if missed else "\nevery budget is met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
