"""`init` writes a file that the checks take, or none."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shared.cli import main
from shared.exports.model import parse_export

HUB = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg"
    "/providers/Microsoft.EventHub/namespaces/soc-hubs/eventhubs/hub"
)
WORKSPACE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg"
    "/providers/Microsoft.OperationalInsights/workspaces/contoso-soc"
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEFENDER_EXPORT_CONFIG", str(tmp_path / "app.json"))


def test_options_alone_make_a_valid_file(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["init", "soc", "--destination", HUB, "--management-group", "contoso", "--location", "WestEurope"]
    assert main([*asked, "--send", "alerts", "--send", "Recommendations", "--severity", "high"]) == 0
    config = parse_export(Path("exports/soc.yaml").read_bytes(), "soc")
    assert config.scope.management_groups == ("contoso",)
    assert config.automation.location == "westeurope"
    assert config.export.alerts
    assert config.export.alerts.minimum_severity == "High"
    assert config.export.recommendations
    assert config.destination.event_hub
    assert "`defender-export plan exports/soc.yaml`" in capsys.readouterr().out
    before = Path("exports/soc.yaml").read_bytes()
    assert main(asked) == 2, "a file that is there stays as it is"
    assert Path("exports/soc.yaml").read_bytes() == before


def test_a_workspace_and_a_subscription_will_do() -> None:
    subscription = "22222222-2222-4222-8222-222222222222"
    asked = ["init", "soc", "--destination", WORKSPACE, "--subscription", subscription, "--location", "northeurope"]
    assert main([*asked, "--folder", "mine", "--send", "secure-score"]) == 0
    config = parse_export(Path("mine/soc.yaml").read_bytes(), "soc")
    assert config.destination.log_analytics_workspace
    assert config.scope.subscriptions == (subscription,)


PLACE = ["--location", "westeurope"]


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["soc"], 2, "--management-group is needed"),
        (["soc", "--management-group", "g"], 2, "--destination is needed"),
        (["soc", "--management-group", "g", "--destination", HUB], 2, "--location is needed"),
        (["SOC", "--management-group", "g", "--destination", HUB, *PLACE], 1, "wrong-value"),
        (["soc", "--management-group", "g", "--destination", "hub", *PLACE], 1, "nothing was written"),
        (["../x", "--management-group", "g", "--destination", HUB, *PLACE], 1, "nothing was written"),
        (["soc", "--subscription", "by-name", "--destination", HUB, *PLACE], 2, "it is not said which app"),
    ],
)
def test_what_is_missing_or_wrong_writes_nothing(
    more: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["init", *more]) == code
    assert told in capsys.readouterr().err
    assert list(tmp_path.rglob("*.yaml")) == []


def test_questions_offer_what_is_known(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(f"contoso\n{HUB}\n1\n"))
    assert main(["init", "soc"]) == 0
    config = parse_export(Path("exports/soc.yaml").read_bytes(), "soc")
    assert config.automation.location in capsys.readouterr().out
