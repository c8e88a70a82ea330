"""A command ends: its time counts from the last sign that it got on, and its error says whom it waited for."""

from __future__ import annotations

import argparse
import asyncio
import io
import socket
import time
from collections.abc import Iterator

import pytest

from shared.azure.asked import SIGN_IN, asking
from shared.cli import command_parser, main, time_limit
from shared.cli.exit_codes import OutOfTimeError, UnansweredError, UsageError
from shared.cli.questions import answer
from shared.cli.time_limit import following, go_on_by, got_on, run_limited


def limited(seconds: int | None = 1) -> argparse.Namespace:
    return argparse.Namespace(timeout=seconds)


async def hangs(job_id: str = "") -> None:
    if job_id:
        following(job_id)
    with asking("Blob Storage", "https://a.blob.core.windows.net/c"):
        await asyncio.sleep(60)


def test_what_hangs_is_cut_off_and_named_with_how_to_go_on() -> None:
    begun = time.monotonic()
    with pytest.raises(OutOfTimeError) as told:
        run_limited(hangs(), limited())
    assert time.monotonic() - begun < 3
    assert str(told.value) == (
        "not done within 1 s (--timeout): Blob Storage at a.blob.core.windows.net has not answered, for 1 s: look at "
        "the network, the service's firewall and its state; nothing is undone by that, and the same command again "
        "does what is left"
    )
    with pytest.raises(OutOfTimeError, match=r"job 7 all the same: `jobs show 7 --wait` follows it$"):
        run_limited(hangs("7"), limited())


async def follows(job_id: str) -> None:
    following(job_id)
    with asking("the app", "https://app.example"):
        await asyncio.sleep(0.1)
    await asyncio.sleep(60)


def test_a_job_that_says_nothing_new_is_named_rather_than_a_service_that_answers() -> None:
    with pytest.raises(OutOfTimeError, match=r"\(--timeout\): job 7 said nothing new; the app works on job 7 all the"):
        run_limited(follows("7"), limited())


async def gets_on() -> int:
    for _ in range(4):
        await asyncio.sleep(0.4)
        got_on()
    return 5


def test_what_gets_on_may_last() -> None:
    assert run_limited(gets_on(), limited()) == 5


async def cleans_up_for_ever() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(60)


def test_what_is_cleaned_up_has_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_limit, "CLEANING_SECONDS", 0.3)
    begun = time.monotonic()
    with pytest.raises(OutOfTimeError, match="nothing outside was asked"):
        run_limited(cleans_up_for_ever(), limited())
    assert time.monotonic() - begun < 3


async def fails(error: Exception) -> None:
    go_on_by("go on so")
    raise error


def test_an_error_says_how_to_go_on_and_stays_what_it_is() -> None:
    for error in (ValueError("x"), TimeoutError("of its own"), OutOfTimeError("y")):
        with pytest.raises(type(error)) as told:
            run_limited(fails(error), limited())
        assert told.value is error
        assert told.value.__notes__ == ["go on so"]


async def signs_in() -> None:
    from azure.core.exceptions import ClientAuthenticationError

    try:
        async with asyncio.timeout(1.1):
            with asking(SIGN_IN, "https://login.example/x"):
                await asyncio.sleep(60)
    except TimeoutError:
        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token") from None


def test_a_silent_sign_in_is_not_taken_for_nobody_being_signed_in() -> None:
    with pytest.raises(UnansweredError, match=r"nobody could be signed in: Microsoft Entra at login\.example has not"):
        run_limited(signs_in(), limited(5))


class _Person(io.StringIO):
    """Takes longer to answer than a command may take."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override] # as its own stub has it
        time.sleep(1.2)
        return "yes\n"


async def asks() -> str:
    said = answer("really? ")
    await asyncio.sleep(0.2)
    return said


def test_a_person_may_think(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Person())
    assert run_limited(asks(), limited()) == "yes"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "1e3", "nan", "٣", "604801", " 5", "5s", "0x10", "1_0"])
def test_a_time_that_is_none_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEFENDER_EXPORT_KEY", "x")
    with pytest.raises(SystemExit, match="2"):
        main(["status", "--url", "http://127.0.0.1:1", f"--timeout={text}"])
    assert "is no whole number from 1 to 604800" in capsys.readouterr().err
    monkeypatch.setenv(time_limit.TIMEOUT_VARIABLE, text)
    assert main(["status", "--url", "http://127.0.0.1:1"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {time_limit.TIMEOUT_VARIABLE}: {text!r} is no whole number")
    with pytest.raises(UsageError):
        run_limited(gets_on(), limited(None))


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of an app that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_silent_app_ends_a_command_with_124(
    silent: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEFENDER_EXPORT_KEY", "x")
    assert main(["jobs", "list", "--url", silent, "--timeout", "1"]) == 124
    said = capsys.readouterr().err
    assert said.startswith(f"error: not done within 1 s (--timeout): the app at {silent.removeprefix('http://')} ")
    assert said.count("\n") == 1


def test_every_command_that_asks_anybody_can_be_limited() -> None:
    asking_commands = [
        each for each in leaves(command_parser()) if {"--url", "--forget"} & {*each._option_string_actions}
    ]
    assert len(asking_commands) > 20
    assert [each.prog for each in asking_commands if "--timeout" not in each._option_string_actions] == []


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in below:
        for each in action.choices.values():
            yield from leaves(each)
    if not below:
        yield parser
