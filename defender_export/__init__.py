"""The command line as an installed package.

The wheel holds the app's `shared` below this package, so that it neither lays a `shared` of its own beside others' nor
takes theirs for it (docs/decisions/the-wheel-has-its-own-package.md).
"""

from __future__ import annotations

import sys
from pathlib import Path


def home() -> Path:
    """The folder that holds the app's `shared`: in a wheel below this package, in the repository beside it."""
    here = Path(__file__).resolve().parent
    below = here / "app"
    return below if below.is_dir() else here.parent


def main() -> int:
    """Run the command line, whatever else is called `shared` in this environment."""
    ours = home()
    there = sys.modules.get("shared")
    if there is not None and not str(getattr(there, "__file__", "")).startswith(str(ours)):
        for name in [name for name in sys.modules if name == "shared" or name.startswith("shared.")]:
            del sys.modules[name]
    sys.path.insert(0, str(ours))
    from shared.cli import main as run

    return run()
