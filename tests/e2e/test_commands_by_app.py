"""Every command that asks an app ends in time, whatever the app does, or one of the services that the app needs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.certs import Certificates
from shared.cli.time_limit import CLEANING_SECONDS
from tests.e2e.api import Api
from tests.integration.forked import Ended, run_commands
from tests.integration.outages import MODES, SERVICES, Door, behind_doors
from tests.unit.cli.test_interrupted import COMMANDS

LOG = logging.getLogger(__name__)
TIMEOUT = 14  # with what is then cleaned up, within 80 % of a function's 30 seconds
SHORT_TIMEOUT = 2
NOISE = 3.0  # seconds by which a loaded machine may be late
FEW = (
    "status", "plan", "apply --yes", "backfill", "push soc.yaml", "jobs show 1 --wait", "doctor",
    "use http://127.0.0.1:{port}",
)  # fmt: skip


def carried_out(urls: Sequence[str], key: str, folder: Path, commands: Sequence[str], seconds: int) -> list[Ended]:
    """What came of each command at each address, all at once; the folder has an export file."""
    environment = {
        "DEFENDER_EXPORT_KEY": key, "DEFENDER_EXPORT_TIMEOUT": str(seconds),
        "DEFENDER_EXPORT_CONFIG": str(folder / "app.json"),
    }  # fmt: skip
    orders = [
        (each.format(port=urlsplit(url).port), environment | {"DEFENDER_EXPORT_URL": url})
        for url in urls
        for each in commands
    ]
    return run_commands(orders, folder)


def judge(ended: Sequence[Ended], seconds: int, about: str) -> None:
    """Each ended in time, with a code that is documented, and in one line where it is an error."""
    for each in ended:
        LOG.info("%s %s: %d after %.1f s: %s", about, each.command, each.code, each.seconds, each.err[:300])
    assert [each for each in ended if each.seconds > seconds + CLEANING_SECONDS + NOISE] == []
    assert [each for each in ended if each.code not in {0, 1, 2, 124} or "Traceback" in each.err] == []
    assert [each for each in ended if "a fault of defender-export" in each.err] == []
    why = ("the app at 127.0.0.1:", "said nothing new")
    assert [each for each in ended if each.code == 124 and not any(one in each.err for one in why)] == []


@contextmanager
def door(api: Api, mode: str, certificates: Certificates) -> Iterator[str]:
    """The address of the app behind a door."""
    address = urlsplit(api.url)
    made = Door(address.hostname or "", address.port or 80, certificates.server_context(), mode)
    api.on_loop(made.open)
    try:
        yield f"http://127.0.0.1:{made.own_port}"
    finally:
        api.on_loop(made.close)


def test_an_app_that_is_silent_refuses_or_is_slow_ends_each_command_in_time(
    api: Api, local_certs: Certificates, tmp_path: Path
) -> None:
    (tmp_path / "soc.yaml").write_text(api.export("soc"))
    with ExitStack() as doors:
        urls = {mode: doors.enter_context(door(api, mode, local_certs)) for mode in MODES[:3]}
        ended = carried_out([*urls.values()], api.key, tmp_path, FEW, SHORT_TIMEOUT)
    by_mode = {mode: ended[number * len(FEW) : (number + 1) * len(FEW)] for number, mode in enumerate(urls)}
    for mode, each in by_mode.items():
        judge(each, SHORT_TIMEOUT, mode)
    assert all(each.code for each in ended)
    assert [each for each in by_mode["refuses"] if "look at the address, the network" not in each.said] == []


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("service", SERVICES)
def test_an_app_whose_service_is_in_trouble_ends_each_command_in_time(
    api: Api, local_certs: Certificates, tmp_path: Path, service: str, mode: str
) -> None:
    (tmp_path / "soc.yaml").write_text(api.export("soc"))
    settings = api.azure.app_settings() | {
        "FORWARD_EVENT_HUB": max(api.azure.broker.hubs), "ForwardConnection": api.azure.broker.connection_string,
    }  # fmt: skip
    if (service, mode) == ("output_hub", MODES[-1]):
        pytest.skip("a hub does not speak HTTP")
    with behind(api, settings, local_certs, service, mode) as changed, api.beside("troubled", **changed) as app:
        ended = carried_out([app.url], app.key, tmp_path, COMMANDS, TIMEOUT)
    judge(ended, TIMEOUT, f"{service} {mode}")


@contextmanager
def behind(
    api: Api, settings: dict[str, str], certificates: Certificates, service: str, mode: str
) -> Iterator[dict[str, str]]:
    """The app's settings with a service behind a door, which stands on the loop of the local Azure."""
    doors = AsyncExitStack()
    opened = behind_doors(settings, certificates.server_context(), **{service: mode})
    try:
        yield api.on_loop(lambda: doors.enter_async_context(opened))
    finally:
        api.on_loop(doors.aclose)
