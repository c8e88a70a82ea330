"""The functions of the app, as the worker lists them: azure-functions lets a process ask for them once."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def app_functions() -> tuple[Any, ...]:
    """Every function with its trigger."""
    from function_app import app

    return tuple(app.get_functions())
