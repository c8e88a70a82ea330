"""Builds the operations page: modules, styles and the plotting library, all in one file with nothing to load.

`python -m tools.page` writes it; `python -m tools.page --check` only says whether it is current (exit code 1).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "shared" / "web" / "page"
BUILT = SOURCE / "operations.html"
_ESBUILD = ROOT / "node_modules" / ".bin" / "esbuild"


def build() -> str:
    """The page as one HTML file.

    Raises:
        subprocess.CalledProcessError: esbuild refuses a source; its message is on standard error.
    """
    style, script = _bundle("style.css"), _bundle("main.js", "--format=iife", "--target=es2022")
    template = (SOURCE / "template.html").read_text()
    return template.replace("/*style*/", style).replace("/*script*/", script.replace("</script", "<\\/script"))


def _bundle(name: str, *options: str) -> str:
    arguments = ["--bundle", "--minify", "--charset=utf8", "--legal-comments=inline", "--log-level=warning", *options]
    done = subprocess.run(
        [_ESBUILD, SOURCE / name, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def main(arguments: list[str]) -> int:
    """Write the page, or with `--check` compare it."""
    current = BUILT.read_text() if BUILT.exists() else ""
    page = build()
    if "--check" in arguments:
        print("current" if page == current else f"{BUILT.relative_to(ROOT)} is not current: make page")
        return int(page != current)
    BUILT.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
