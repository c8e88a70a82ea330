"""Errors of Azure's SDKs as one sentence that says what to do."""

from __future__ import annotations

import logging

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from shared.azure.blob_container import StoreError
from shared.cli.command_errors import sentence
from shared.cli.command_runner import carry_out

NOT_SIGNED_IN = (
    "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
    "\tEnvironmentCredential: EnvironmentCredential unavailable.\n\tAzureCliCredential: Azure CLI not found"
)
WRONG_SECRET = (
    "Authentication failed: AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value. "
    "Trace ID: 1234 Correlation ID: 5678 Timestamp: 2026-11-26 08:00:00Z"
)


def test_whoever_is_not_signed_in_is_told_to_sign_in() -> None:
    told = sentence(ClientAuthenticationError(message=NOT_SIGNED_IN))
    assert told.startswith("nobody is signed in to Azure: sign in with `az login`")


def test_a_wrong_secret_is_named_by_its_code_without_trace_ids() -> None:
    told = sentence(ClientAuthenticationError(message=WRONG_SECRET))
    assert told.startswith("the sign-in was refused (AADSTS7000215: Invalid client secret provided): look at the")
    assert "Trace ID" not in told


def test_no_network_names_the_host() -> None:
    error = ServiceRequestError("Cannot connect to host contoso.blob.core.windows.net:443 ssl:default [Name not known]")
    assert sentence(error).startswith("contoso.blob.core.windows.net:443 can't be reached: look at the network")


def test_an_error_of_the_store_is_told_by_what_caused_it() -> None:
    error = StoreError("ServiceRequestError")
    error.__cause__ = ServiceRequestError("Cannot connect to host contoso.blob.core.windows.net:443 ssl:default [x]")
    assert sentence(error).startswith("contoso.blob.core.windows.net:443 can't be reached: look at the network")
    assert sentence(StoreError("refused: BlobArchived")) == "refused: BlobArchived"


@pytest.mark.parametrize(
    "error",
    [ValueError("two\nlines"), "one\n\n  line", OSError(28, "No space", "/x"), RuntimeError(), ValueError("x" * 900)],
)
def test_every_sentence_is_one_line(error: Exception | str) -> None:
    told = sentence(error)
    assert told
    assert "\n" not in told
    assert len(told) <= 400


def test_text_of_others_does_not_steer_a_terminal() -> None:
    assert "\033" not in sentence(ValueError("\033[2Jgone"))


def test_a_fault_of_the_program_is_a_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> int:
        raise KeyError("x")

    assert carry_out(fails) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this is a fault of defender-export (KeyError: 'x'); please report")
    assert said.count("\n") == 1


def test_a_warning_of_the_app_is_a_line_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []

    def warns() -> int:
        error = ServiceRequestError("no route")
        logging.getLogger("shared.reconcile.run").error("run 1: its report could not be kept", exc_info=error)
        return 0

    try:
        assert carry_out(warns) == 0
    finally:
        root.handlers = before
    assert capsys.readouterr().err == (
        "! run 1: its report could not be kept: Azure can't be reached: look at the network, the proxy and the address "
        "(no route)\n"
    )
