"""Bundles the operations page's modules, styles and plotting library into the two files that the app serves inline.

`python -m tools.page` writes them; `python -m tools.page --check` only says whether they are current (exit code 1).
They are committed, so that a fresh clone can be published without Node.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "shared" / "web" / "page"
_ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"
_OPTIONS = ("--bundle", "--minify", "--charset=utf8", "--legal-comments=inline", "--log-level=warning")


def build() -> dict[Path, str]:
    """Each bundle's content by its path.

    Raises:
        subprocess.CalledProcessError: esbuild refuses a source; its message is on standard error.
    """
    script = _bundle("main.js", "--format=iife", "--target=es2022").replace("</script", "<\\/script")
    return {SOURCE / "bundle.css": _bundle("style.css") + "\n", SOURCE / "bundle.js": script + "\n"}


def _bundle(name: str, *options: str) -> str:
    command = [str(_ESBUILD), str(SOURCE / name), *_OPTIONS, *options]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def main(arguments: list[str]) -> int:
    """Write the bundles, or with `--check` compare them."""
    stale = [path for path, text in build().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        print("\n".join(f"{path.relative_to(ROOT)} is not current: make page" for path in stale) or "current")
        return int(bool(stale))
    for path, text in build().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
