"""Which app a command asks, and where `use` keeps it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path, PureWindowsPath

import pytest

from shared.cli import app_context
from shared.cli.app_context import AppContext, chosen, place
from shared.cli.exit_codes import UsageError

KEPT = AppContext("https://kept", "kept-key", "")


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(app_context.CONFIG_VARIABLE, str(tmp_path / "deep" / "app.json"))
    for name in (
        app_context.URL_VARIABLE,
        app_context.KEY_VARIABLE,
        app_context.RESOURCE_VARIABLE,
        "AzureWebJobsStorage",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AzureWebJobsStorage__blobServiceUri", raising=False)


def asked(**options: object) -> AppContext | None:
    return chosen(Namespace(**{"url": None, "direct": False, "entra": False, "resource": None} | options))


def test_nothing_said_is_refused_and_settings_of_the_app_mean_direct_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="defender-export use"):
        asked()
    monkeypatch.setenv("AzureWebJobsStorage__blobServiceUri", "https://x")
    assert asked() is None


def test_an_option_goes_before_the_environment_and_that_before_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    app_context.keep(KEPT)
    assert asked() == KEPT
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    assert asked() == KEPT, "what was said by `use` goes before what happens to be in the shell"
    monkeypatch.setenv(app_context.URL_VARIABLE, "https://env")
    assert asked() == AppContext("https://env"), "a key goes to no other app than the one that it was kept for"
    assert asked(url="https://option") == AppContext("https://option")
    assert asked(url="https://kept/") == AppContext("https://kept/", "kept-key")
    assert asked(direct=True) is None


def test_entra_goes_before_a_key_where_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    app_context.keep(AppContext("https://kept", "", "api://app"))
    assert asked() == AppContext("https://kept", "", "api://app")
    monkeypatch.setenv(app_context.KEY_VARIABLE, "from-the-shell")
    assert asked() == AppContext("https://kept", "from-the-shell", "api://app")
    assert asked(entra=True) == AppContext("https://kept", "", "api://app")


def test_what_is_kept_is_for_its_owner_alone_and_can_be_forgotten() -> None:
    path = app_context.keep(KEPT)
    assert path.stat().st_mode & 0o777 == 0o600
    assert app_context.keep(AppContext("https://other", "k")) == path
    assert app_context.read() == AppContext("https://other", "k")
    assert (app_context.forget(), app_context.forget(), app_context.read()) == (True, False, None)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "7"])
def test_a_spoilt_file_is_named_with_its_mend(text: str) -> None:
    path = app_context.place()
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(UsageError, match="writes it anew"):
        asked()


def test_each_platform_has_its_own_place() -> None:
    assert place({"XDG_CONFIG_HOME": "/cfg"}, "linux") == Path("/cfg/defender-export/app.json")
    assert place({}, "linux") == Path.home() / ".config" / "defender-export" / "app.json"
    appdata = "C:\\Users\\a b\\AppData\\Roaming"
    assert PureWindowsPath(place({"APPDATA": appdata}, "win32")) == PureWindowsPath(
        appdata, "defender-export", "app.json"
    )
    assert place({"DEFENDER_EXPORT_CONFIG": "/elsewhere.json"}, "win32") == Path("/elsewhere.json")
