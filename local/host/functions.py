"""An app's functions, read through the public `azure.functions` API."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

TRIGGERS = {"httpTrigger", "timerTrigger", "queueTrigger", "eventHubTrigger"}
# The platform honours retry policies for these triggers alone (of those that are known here).
RETRIED = {"timerTrigger", "eventHubTrigger"}


class UnsupportedFunctionError(ValueError):
    """The app uses a binding that this host does not know."""


@dataclass(frozen=True)
class RetryPolicy:
    """`@app.retry`: how often (-1 without end) and how long between two attempts."""

    exponential: bool
    max_count: int
    shortest: timedelta
    longest: timedelta

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> RetryPolicy:
        """Read the decorator's settings.

        Raises:
            ValueError: an interval is not of the form hh:mm:ss, which is all that the worker reads.
        """
        if options["strategy"] == "fixed_delay":
            delay = _interval(options["delay_interval"])
            return cls(exponential=False, max_count=int(options["max_retry_count"]), shortest=delay, longest=delay)
        return cls(
            exponential=True,
            max_count=int(options["max_retry_count"]),
            shortest=_interval(options["minimum_interval"]),
            longest=_interval(options["maximum_interval"]),
        )

    def allows(self, retries: int) -> bool:
        """Whether there may be another attempt after so many retries."""
        return self.max_count < 0 or retries < self.max_count

    def delay(self, retries: int) -> float:
        """Seconds to wait before the next attempt."""
        factor = 2 ** min(retries, 32) if self.exponential else 1
        return min(self.shortest.total_seconds() * factor, self.longest.total_seconds())


def _interval(text: str) -> timedelta:
    moment = datetime.strptime(text, "%H:%M:%S")  # noqa: DTZ007 - a span, read as the worker reads it
    return timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)


@dataclass(frozen=True)
class Function:
    """One function: its handler and what triggers it, as in a `function.json`."""

    name: str
    handler: Callable[..., Any]
    trigger: Mapping[str, Any]
    retry: RetryPolicy | None
    disabled: bool
    directory: str

    @property
    def kind(self) -> str:
        """The trigger's type, such as `httpTrigger`."""
        return str(self.trigger["type"])

    @property
    def parameter(self) -> str:
        """The handler's parameter that takes the trigger's data."""
        return str(self.trigger["name"])

    @property
    def wants_context(self) -> bool:
        """Whether the handler has a parameter `context`."""
        return "context" in inspect.signature(self.handler).parameters


def load(app_file: Path, settings: Mapping[str, str]) -> list[Function]:
    """The functions of the `app` in a `function_app.py`, which is imported anew.

    Raises:
        UnsupportedFunctionError: a function uses a binding that this host does not know.
    """
    folder = str(app_file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(app_file.stem, app_file)
    if spec is None or spec.loader is None:
        raise UnsupportedFunctionError(f"{app_file} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [_function(function, settings, folder) for function in module.app.get_functions()]


def _function(function: Any, settings: Mapping[str, str], folder: str) -> Function:
    name = str(function.get_function_name())
    bindings: list[dict[str, Any]] = json.loads(function.get_function_json())["bindings"]
    triggers = [binding for binding in bindings if binding["type"] in TRIGGERS]
    others = [binding["type"] for binding in bindings if binding not in triggers and binding["type"] != "http"]
    if len(triggers) != 1 or others:
        raise UnsupportedFunctionError(
            f"{name} uses {', '.join(others) or 'no trigger'}, which this host does not know."
        )
    trigger = triggers[0]
    policy = function.get_settings_dict("retry_policy")
    flags = (settings.get(f"AzureWebJobs{mark}{name}{mark}Disabled", "") for mark in "._")
    return Function(
        name=name,
        handler=function.get_user_function(),
        trigger=trigger,
        retry=RetryPolicy.read(policy) if policy and trigger["type"] in RETRIED else None,
        disabled=any(flag.lower() in {"1", "true"} for flag in flags),
        directory=folder,
    )
