"""The settings that the app reads, their sample, their documentation, and host.json say the same."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.settings import AS_WRITTEN, Settings, SettingsError, declarations
from tools.settings_docs import DOCS, HOST, PLATFORM, REASONS, ROOT, SAMPLE, document, leaves, sample

APP_FILES = [ROOT / "function_app.py", *sorted((ROOT / "shared").rglob("*.py"))]
SAMPLE_VALUES: dict[str, str] = json.loads(SAMPLE.read_text())["Values"]
DECLARED = {declaration.name for declaration in declarations().values()}
# Set by the platform where it applies, and nobody's to set: read directly.
PLATFORM_MARKERS = {"WEBSITE_AUTH_ENABLED", "WEBSITE_HOSTNAME"}
# Read by the command line from the terminal of whoever pushes; the app never sees it.
TERMINAL = {
    "DEFENDER_EXPORT_URL",
    "DEFENDER_EXPORT_RESOURCE",
    "DEFENDER_EXPORT_KEY",
    "DEFENDER_EXPORT_DEBUG",
    "DEFENDER_EXPORT_TIMEOUT",
    "NO_COLOR",
    "TERM",
}


def constants(path: Path) -> Iterator[tuple[str, str]]:
    """The string constants of a module, by name."""
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if isinstance(value := node.value.value, str):
            yield from ((target.id, value) for target in targets if isinstance(target, ast.Name))


CONSTANTS = {name: value for path in APP_FILES for name, value in constants(path)}


def names_read(path: Path) -> Iterator[str]:
    """Settings that a module names to a trigger or takes from the environment itself."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from re.findall(r"^%([^%]+)%$", node.value)
        if isinstance(node, ast.keyword) and node.arg == "connection" and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        keys = []
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.environ.get", "os.getenv", "environ.get"}:
            keys = node.args[:1]
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"os.environ", "environ"}:
            keys = [node.slice]
        for key in keys:
            yield CONSTANTS.get(key.id, key.id) if isinstance(key, ast.Name) else str(ast.literal_eval(key))


def test_the_sample_names_every_setting_and_no_other() -> None:
    assert set(SAMPLE_VALUES) == DECLARED | set(PLATFORM)


def test_the_sample_and_the_documentation_are_up_to_date() -> None:
    assert SAMPLE.read_text() == sample()
    assert DOCS.read_text() == document()


def test_the_sample_loads_and_is_all_defaults() -> None:
    assert Settings.load(SAMPLE_VALUES) == Settings.load({})


@pytest.mark.parametrize("path", APP_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_setting_that_a_module_reads_is_declared(path: Path) -> None:
    assert set(names_read(path)) <= DECLARED | PLATFORM_MARKERS | TERMINAL


def test_names_are_unique_and_every_setting_says_what_it_means() -> None:
    assert len(DECLARED) == len(declarations())
    for declaration in declarations().values():
        assert declaration.meaning.endswith(".")


def test_every_value_in_host_json_has_its_reason_and_no_reason_is_left_over() -> None:
    assert [path for path, _ in leaves(json.loads(HOST.read_text()))] == list(REASONS)


def test_the_function_timeout_is_said_twice_and_the_same() -> None:
    hours, minutes, seconds = map(int, json.loads(HOST.read_text())["functionTimeout"].split(":"))
    timeout = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    settings = Settings.load({})
    assert settings.function_timeout == timeout
    assert settings.apply_budget < timeout


def test_wrong_values_are_all_named_and_secrets_are_not_shown() -> None:
    wrong = {"MAX_DELETES": "many", "RECONCILE_MODE": "yolo", "EventHubConnection": "Endpoint=sb://secret"}
    with pytest.raises(SettingsError) as refused:
        Settings.load_all_readable(wrong)
    message = str(refused.value)
    assert message == "; ".join(Settings.load(wrong).problems.values())
    assert "MAX_DELETES" in message
    assert "RECONCILE_MODE: 'yolo' must be one of plan, apply" in message
    assert "secret" not in message


@pytest.mark.parametrize("path", APP_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_of_the_app_knows_that_it_runs_locally(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    imported += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in imported if name.split(".")[0] in {"local", "tests", "tools"}]
    hints = r"localhost|127\.0\.0\.1|azurite|devstoreaccount|UseDevelopment|AZURE_FUNCTIONS_ENVIRONMENT|is_local"
    assert not re.search(hints, path.read_text(), re.IGNORECASE)


def test_only_the_app_is_published() -> None:
    ignored = {
        line.strip("/") for line in (ROOT / ".funcignore").read_text().splitlines() if line and not line.startswith("#")
    }
    published = {"function_app.py", "host.json", "requirements.txt", "shared", "LICENSE"}
    assert not ignored & published
    tracked = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"}
    assert {name for name in tracked if not name.endswith(".egg-info")} - ignored <= published


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MAX_DELETES", "many", "must be a whole number from "),
        ("MAX_DELETES", "-1", "must be a whole number from "),
        ("CONTEXT_TTL_SECONDS", "an hour", "must be a number of seconds"),
        ("CONTEXT_TTL_SECONDS", "nan", "must be a number of seconds"),
    ],
)
def test_a_wrong_number_is_told_what_would_be_right(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: '{value}' {said}"):
        Settings.load_all_readable({name: value})


@pytest.mark.parametrize("name", [one.name for one in declarations().values()])
def test_no_value_of_any_setting_stops_the_others(name: str) -> None:
    for value in ("approve", "-5", "{", "5 hours", "\x00", "ja", "[1", "9" * 400):
        settings = Settings.load({name: value, "MAX_DELETES": "7"} if name != "MAX_DELETES" else {name: value})
        if name not in settings.problems:
            continue
        (attribute,) = (key for key, one in declarations().items() if one.name == name)
        declared = declarations()[attribute]
        stands = value.strip() if declared.unreadable == AS_WRITTEN else declared.parse(declared.stands_in)
        assert getattr(settings, attribute) == stands
        if name != "MAX_DELETES":
            assert settings.max_deletes == 7


def test_a_word_that_is_not_known_acts_as_documented() -> None:
    wrong = dict.fromkeys(("RECONCILE_MODE", "RAW_COLUMN", "KEEP_RECORDS", "DROP_RECORDS", "APPLY_CONCURRENCY"), "x")
    settings = Settings.load(wrong)
    assert settings.reconcile_mode == "plan"
    assert settings.raw_column == "whole"
    assert (settings.keep_records, settings.drop_records, settings.apply_concurrency) == ("", "", 32)
    assert set(settings.problems) == set(wrong)
    with pytest.raises(SettingsError, match="RECONCILE_MODE"):
        settings.require("RECONCILE_MODE")
    settings.require("MAX_DELETES")
