"""Draws the picture in docs/architecture.md from the imports of `shared/`.

`python -m tools.architecture` writes it; a test holds it current.  Arrows that follow from others are left out
(transitive reduction), so that the picture shows the order of the layers.
"""

from __future__ import annotations

import sys
from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
BEGIN, END = "<!-- picture: python -m tools.architecture -->\n", "<!-- end of picture -->\n"


def arrows() -> list[tuple[str, str]]:
    """Which part of `shared/` imports which, without what follows from others."""
    graph = grimp.build_graph("shared", exclude_type_checking_imports=True)
    for part in graph.find_children("shared"):
        graph.squash_module(part)
    imports = {
        part: set(graph.find_modules_directly_imported_by(part)) - {"shared", part}
        for part in graph.find_children("shared")
    }

    def reached(part: str) -> set[str]:
        return imports[part].union(*(reached(each) for each in imports[part])) if imports[part] else set()

    return sorted(
        (part.removeprefix("shared."), target.removeprefix("shared."))
        for part, targets in imports.items()
        for target in targets
        if not any(target in reached(other) for other in targets - {target})
    )


def picture() -> str:
    """The picture as a Mermaid diagram."""
    lines = [
        f"    {part} --> {target}"
        for part, target in [("function_app", "bootstrap"), ("function_app", "web"), *arrows()]
    ]
    return "\n".join(["```mermaid", "flowchart TD", *lines, "```", ""])


def page() -> str:
    """docs/architecture.md with the picture of today."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + picture() + END + after


def main() -> int:
    """Write the page."""
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
