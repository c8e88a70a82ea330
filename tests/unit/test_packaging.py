"""Pipelines install the command line from this repository with pip: every package of the app must come along."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_package_of_the_app_is_found_when_it_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["setuptools"]["packages"] == {"find": {"include": ["shared*"]}}
    for module in (ROOT / "shared").rglob("*.py"):
        assert (module.parent / "__init__.py").exists(), module  # what has none, is not found
