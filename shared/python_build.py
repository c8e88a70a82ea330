"""Whether the packages beside the app fit the Python that runs it.

A build for another Python succeeds, and the app starts: only what is native in its packages can't be imported, so every
batch would fail while all looked well.  Each wheel says which Python it was built for (its WHEEL file, "Tag": binary
distribution format, packaging.python.org).
"""

from __future__ import annotations

import importlib
import re
import sys
from functools import cache

# Distributions with native modules that delivery and the API can't do without, each with one of those modules.
NATIVE = {
    "msgspec": "msgspec._core",
    "orjson": "orjson",
    "isal": "isal.isal_zlib",
    "pydantic_core": "pydantic_core._pydantic_core",
    "aiohttp": "aiohttp._http_parser",
    "PyYAML": "yaml._yaml",
}
_TAG = re.compile(r"^Tag: cp(\d)(\d+)-cp\1\2t?-", re.MULTILINE)  # a stable ABI (abi3) and pure Python fit any


@cache
def fault() -> str:
    """What is wrong, in a sentence that names both Pythons; empty when nothing is."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    built = {name: version for name in NATIVE for version in built_for(name)}
    broken = [name for name, module in NATIVE.items() if not _imports(module)]
    other = sorted({version for version in built.values() if version != running})
    if not broken and not other:
        return ""
    known = ", ".join(other or sorted(set(built.values()))) or "an unknown version"
    sentence = f"the packages were built for Python {known}, and this is Python {running}"
    names = f"; {', '.join(broken)} can't be imported" if broken else ""
    return f"{sentence}{names}: build the package with Python {running}, or publish the release's"


def built_for(distribution: str) -> list[str]:
    """The versions of Python that a distribution's wheel was built for; none where it fits any, or is not there."""
    from importlib import metadata

    try:
        text = metadata.distribution(distribution).read_text("WHEEL") or ""
    except metadata.PackageNotFoundError:
        return []
    return sorted({f"{major}.{minor}" for major, minor in _TAG.findall(text)})


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True
