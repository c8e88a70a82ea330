"""Notices against receivers over HTTPS: each once, again after a kill with the same id, and never lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.storage.blob.aio import BlobServiceClient, ContainerClient

from local.azurite import StorageAccount
from local.certs import Certificates
from local.notice_receivers import CANARY, NoticeReceivers
from shared.azure.http_transport import transport
from shared.clock import Clock
from shared.fail_points import listen
from shared.notify.events import Condition, Event, Observed, follow
from shared.notify.http_sender import HttpSender
from shared.notify.notifier import Deployment, Look, Looks, Notifier, Placed
from shared.notify.rules import read_rules
from shared.notify.state import BLOB, State, StoredState
from shared.stored_format import KeptAsIs

BEGAN = datetime(2026, 11, 28, 12, tzinfo=UTC)
HTTP = ("teams", "slack", "webhook")
RULES = read_rules("""version: 1
receivers:
- {name: teams, channel: teams}
- {name: slack, channel: slack}
- {name: webhook, channel: webhook}
- {name: mail, channel: mail}
rules:
- {send: [teams, slack, webhook, mail]}
- {send: [mail], when: daily}
""")


class Killed(BaseException):
    """The process ends here: nothing of ours catches it."""


@dataclass
class World:
    """One deployment whose time and troubles the test sets; each look is by a process of its own."""

    container: ContainerClient
    receivers: NoticeReceivers
    addresses: dict[str, str]
    now: datetime = BEGAN
    wrong: list[Condition] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    async def look(self, *, seconds: float = 5.0) -> None:
        async def observe(state: State, now: datetime) -> Look:
            return Look(Observed(list(self.wrong)), ())

        async def place(events: Sequence[Event]) -> Placed:
            return Placed(events, known=True)

        async def offer(table: str, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
            self.rows += rows
            return range(len(rows))

        sender = HttpSender(self.addresses, seconds=1.0)
        notifier = Notifier(
            self.container, Looks(observe, place), sender, offer, Deployment("prod", "https://app/api/operations"),
            clock=Clock(lambda: self.now), receiver_seconds=seconds,
        )  # fmt: skip
        try:
            await notifier.look(RULES)
        finally:
            await sender.close()

    async def later(self, minutes: float, **more: Any) -> None:
        self.now += timedelta(minutes=minutes)
        await self.look(**more)

    def told(self, receiver: str) -> list[str]:
        if receiver != "mail":
            return self.receivers.ids(receiver)
        return [f"{row['Details']['id']}.{row['Verdict']}" for row in self.rows]


@pytest.fixture
async def world(storage: StorageAccount, local_certs: Certificates) -> AsyncIterator[World]:
    options: dict[str, Any] = {"transport": transport("Blob Storage")}
    async with (
        NoticeReceivers(local_certs.server_context()) as receivers,
        BlobServiceClient.from_connection_string(storage.connection_string, **options) as service,
    ):
        yield World(service.get_container_client("run-reports"), receivers, receivers.addresses(*HTTP))


@pytest.fixture(autouse=True)
def _nobody_listens() -> Iterator[None]:
    yield
    listen(None)


def trouble(name: str) -> Condition:
    return Condition("subscription-silent", name, f"{name}, Alerts", "nothing came", BEGAN, name)


def ids(*conditions: Condition) -> list[str]:
    return [each.id for each in follow((), Observed(conditions), BEGAN).begun]


async def test_each_beginning_and_end_is_sent_once_to_each(world: World) -> None:
    world.wrong = [trouble("a"), trouble("b")]
    a, b = ids(*world.wrong)
    await world.look()
    await world.later(5)
    world.wrong.pop()
    for _ in range(3):
        await world.later(5)
    for receiver in (*HTTP, "mail"):
        assert world.told(receiver)[:3] == [f"{a}.began", f"{b}.began", f"{b}.ended"]
    assert [len(world.told(receiver)) for receiver in HTTP] == [3, 3, 3]
    card = world.receivers.got["teams"][0][1]
    assert card["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert a in str(card)
    assert [name async for name in world.container.list_blob_names(name_starts_with="notify/sent/")] == []
    await world.later(24 * 60)
    assert [each.split(".")[1] for each in world.told("mail")] == ["began", "began", "ended", "digest"]


async def points(world: World) -> list[str]:
    met: list[str] = []
    listen(met.append)
    await world.look()
    listen(None)
    return met


async def test_a_kill_at_each_fail_point_repeats_at_most_one_message_a_receiver_and_loses_none(world: World) -> None:
    world.wrong = [trouble("first")]
    touched = len(await points(world))
    assert touched > 20
    kills = repeats = 0
    for number in range(touched):
        world.wrong = [trouble(f"of {number}")]
        left, before = number, {name: len(world.told(name)) for name in (*HTTP, "mail")}

        def kill(_: str) -> None:
            nonlocal left, kills
            left -= 1
            if left < 0:
                kills += left == -1
                raise Killed

        listen(kill)
        with suppress(Killed, BaseExceptionGroup):
            await world.later(60)
        listen(None)
        await world.later(60)  # another process, after the claim
        expected = {f"{one}.began" for one in ids(*world.wrong)}
        for receiver in (*HTTP, "mail"):
            told = world.told(receiver)[before[receiver] :]
            assert expected <= set(told), (number, receiver)
            again = len(told) - len(set(told))
            assert again <= 1, (number, receiver)
            repeats += again
    assert kills >= touched // 2
    assert repeats > 0  # the kills between sending and noting it
    world.wrong = []
    await world.later(60)
    for receiver in HTTP:
        told = world.told(receiver)
        begun = {each.split(".")[0] for each in told if each.endswith("began")}
        assert begun == {each.split(".")[0] for each in told if each.endswith("ended")}
        assert len(begun) == 1 + touched


async def test_dead_slow_and_refusing_receivers_delay_no_other_and_lose_nothing(world: World) -> None:
    world.wrong = [trouble("a"), trouble("b")]
    world.receivers.slow["teams"] = 3.0
    world.receivers.down["slack"] = 429
    world.addresses["webhook"] = "https://localhost:1/dead"
    began = time.monotonic()
    await world.look()
    assert time.monotonic() - began < 3.0
    assert len(world.told("mail")) == 2
    assert world.receivers.asked == {"teams": 1, "slack": 1}
    await world.later(0.5)
    assert world.receivers.asked == {"teams": 1, "slack": 1}  # not before their pause is over
    world.receivers.down["slack"] = 404
    await world.later(2)
    assert world.receivers.asked == {"teams": 2, "slack": 3}  # what refuses one message is asked for the next
    for status in (301, 500, 410):
        world.receivers.down["slack"] = status
        await world.later(61)
    world.receivers.down.clear()
    world.receivers.slow.clear()
    world.addresses |= world.receivers.addresses("webhook")
    await world.later(61)
    for receiver in HTTP:
        assert world.told(receiver) == [f"{one}.began" for one in ids(*world.wrong)]
    assert len(world.told("mail")) == 2


async def test_the_longest_wait_that_a_receiver_can_ask_for_is_an_hour(world: World) -> None:
    world.wrong = [trouble("a")]
    world.receivers.down["slack"] = 429
    for _ in range(12):
        await world.later(61)
    assert world.receivers.asked["slack"] == 12


async def test_a_slow_receiver_of_many_messages_ends_with_its_time(world: World) -> None:
    world.wrong = [trouble(str(number)) for number in range(8)]
    world.receivers.slow["teams"] = 0.9
    began = time.monotonic()
    await world.look(seconds=2.5)
    assert time.monotonic() - began < 8
    assert 0 < len(world.told("teams")) < 8
    assert len(world.told("slack")) == 8
    world.receivers.slow.clear()
    await world.later(61)
    assert sorted(world.told("teams")) == sorted(f"{one}.began" for one in ids(*world.wrong))


async def test_two_processes_at_once_send_each_message_once(world: World) -> None:
    world.wrong = [trouble("a")]
    await asyncio.gather(*(world.look() for _ in range(4)))
    assert [len(world.told(receiver)) for receiver in (*HTTP, "mail")] == [1, 1, 1, 1]


async def test_what_a_later_release_wrote_is_left_alone(world: World) -> None:
    world.wrong = [trouble("a")]
    for kept in (b'{"format": 9}', b"[", b'{"format": 1, "since": "x"}', b'{"format": 1, "unknown": 1}'):
        await world.container.upload_blob(BLOB, kept, overwrite=True)
        with pytest.raises(KeptAsIs):
            await world.look()
        assert await (await world.container.download_blob(BLOB)).readall() == kept
    assert world.told("teams") == []


async def test_an_address_is_nowhere(
    world: World, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = CANARY
    world.wrong = [trouble("a")]
    world.receivers.down = {"teams": 500, "slack": 301}
    world.addresses["webhook"] = f"https://{secret}.invalid/{secret}"
    await world.look()
    await world.later(61)
    kept = [name async for name in world.container.list_blob_names()]
    texts = [(await (await world.container.download_blob(name)).readall()).decode() for name in kept]
    state = await StoredState(world.container).read(world.now)
    printed = capfd.readouterr()
    produced = [*kept, *texts, repr(state), str(world.rows), caplog.text, printed.out, printed.err]
    assert all(secret not in text for text in produced)
    assert "notices for teams wait: it answers 500" in caplog.text
    assert "notices for webhook wait" in caplog.text
