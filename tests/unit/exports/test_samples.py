"""The sample files and the published schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from shared.exports.compiler import compile_sources
from shared.exports.event_sources import EVENT_SOURCES
from shared.exports.explain import explain
from shared.exports.file_tests import run_tests
from shared.exports.json_schema import export_schema
from shared.exports.model import parse_export
from shared.exports.rule_sets import Source
from shared.exports.validation import check_text, check_together
from shared.exports.yaml_reader import read
from tests.unit.exports.examples import export

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "exports").glob("*.yaml"))
SCHEMA = ROOT / "docs" / "export.schema.json"
SQL_FINDINGS = (
    'recommendations whose scanner is "SQL Vulnerability Assessment" and whose severity is Critical, High or Medium'
)
MODELINE = "# yaml-language-server: $schema=../docs/export.schema.json"


def sources(name: str) -> tuple[Source, ...]:
    return compile_sources(parse_export((ROOT / "exports" / f"{name}.yaml").read_bytes()))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_a_sample_is_clean_named_like_its_file_and_its_tests_pass(path: Path) -> None:
    checked = check_text(path.read_bytes(), path.name)
    assert checked.findings == ()
    assert checked.config is not None
    assert checked.config.name == path.stem
    outcomes = run_tests(checked.config)
    assert outcomes
    assert [outcome for outcome in outcomes if not outcome.passed] == []


def test_the_samples_can_be_pushed_together() -> None:
    found = check_together([(path.name, parse_export(path.read_bytes())) for path in SAMPLES])
    assert found == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("high-alerts-to-event-hub", ["alerts whose severity is High"]),
        (
            "sql-findings-to-workspace",
            [SQL_FINDINGS],
        ),
        ("secure-score-to-workspace", ["all secure scores", "all secure score controls"]),
    ],
)
def test_the_examples_of_microsoft_s_page_say_what_the_page_says(name: str, said: list[str]) -> None:
    assert [explain(source) for source in sources(name)] == said


def test_named_recommendations_go_to_either_destination() -> None:
    assert sources("chosen-recommendations-to-event-hub") == sources("chosen-recommendations-to-workspace")


def test_everything_is_everything() -> None:
    sent = [name for name in EVENT_SOURCES if not name.startswith("SubAssessments")]  # retired on 31 July 2026
    assert sources("everything") == tuple(map(Source, sent))


def test_the_committed_schema_is_current() -> None:
    assert json.loads(SCHEMA.read_text()) == export_schema()
    assert SCHEMA.read_text() == json.dumps(export_schema(), indent=2) + "\n"


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(export_schema())


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_editors_find_the_schema_and_it_takes_the_sample(path: Path) -> None:
    text = path.read_text()
    assert text.splitlines()[0] == MODELINE
    Draft202012Validator(export_schema()).validate(read(text).content)


@pytest.mark.parametrize(
    "parts",
    [
        {"nmae": "x"},
        {"export": {"alerts": {"severities": ["Hgih"]}}},
        {"export": {"alerts": {"frequency": ["snapshot"]}}},
        {"export": {"secureScore": {"controls": 7}}},
        {"version": 2},
        {"enabled": "yes"},
    ],
)
def test_the_schema_refuses_what_the_model_refuses(parts: dict[str, object]) -> None:
    assert not Draft202012Validator(export_schema()).is_valid(export(**parts))
    assert Draft202012Validator(export_schema()).is_valid(export())
