"""The local Azure that runs: where it wrote down its addresses, and how to ask it."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.stack import LocalAzure

PARTS = ("azurite", "eventhubs", "identity", "arm", "ingestion")
_ROOT = Path(__file__).resolve().parent.parent
STATE = Path(os.environ.get("LOCAL_AZURE_STATE", _ROOT / ".local" / "running.json"))


def state_of(azure: LocalAzure) -> dict[str, Any]:
    """What others need to know of a local Azure that runs."""
    return {
        "endpoints": azure.endpoints(),
        "settings": azure.app_settings(),
        "ca": str(azure.certificates.ca_file),
        "subscriptions": [one.id for one in azure.tenant.subscriptions.values()],
    }


class NotRunningError(RuntimeError):
    """No local Azure runs, or it does not serve what is asked for; the message says what to do."""


def write(state: dict[str, Any]) -> None:
    """Leave the addresses for others to find, readable by this user only: they hold the emulators' keys."""
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.unlink(missing_ok=True)
    descriptor = os.open(STATE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(state | {"pid": os.getpid()}, file, indent=2)


def forget() -> None:
    """Take the addresses away, unless another process has written its own since."""
    if STATE.exists() and json.loads(STATE.read_text())["pid"] == os.getpid():
        STATE.unlink()


def read() -> dict[str, Any]:
    """What the running one wrote: `endpoints`, `settings`, `ca` and `pid`.

    Raises:
        NotRunningError: nothing runs.
    """
    try:
        state: dict[str, Any] = json.loads(STATE.read_text())
        os.kill(state["pid"], 0)
    except (FileNotFoundError, ProcessLookupError):
        raise NotRunningError("No local Azure is running; start one with `python -m local`.") from None
    return state


def ask(service: str, method: str, route: str, body: bytes | None = None) -> Any:
    """The JSON answer of a control route of the running one.

    Raises:
        NotRunningError: nothing runs, or not this service.
        ValueError: the service refused; the message is its answer.
    """
    state = read()
    endpoint = state["endpoints"].get(service)
    if not endpoint:
        raise NotRunningError(f"The running local Azure has no {service}; it has {', '.join(state['endpoints'])}.")
    request = urllib.request.Request(endpoint + route, data=body, method=method)  # noqa: S310 - our own https address
    try:
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=state["ca"])) as answer:  # noqa: S310 - as above
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        raise ValueError(json.load(refused)["error"]) from None
    except urllib.error.URLError as error:
        raise NotRunningError(f"{service} does not answer at {endpoint}: {error.reason}") from None
