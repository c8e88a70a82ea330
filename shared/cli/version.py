"""`--version`: which release this is, built from which commit."""

from __future__ import annotations

import platform

from shared import __version__, commit


def told() -> str:
    """The release, the commit where it is known, and the Python that runs it."""
    built = f", commit {commit()}" if commit() else ""
    return f"defender-export {__version__}{built} (Python {platform.python_version()})"
