"""Typical mistakes: each file gets a finding at its line that says what is wrong and what would be right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from shared.exports.model import ExportConfig
from shared.exports.validation import check_text, check_together
from shared.exports.validation_errors import _models

DATA = Path(__file__).parents[2] / "data"
# File, line and what is said there; the file is read as it is.
SAID = {
    "01-wrong-key": (8, "Did you mean severities?"),
    "02-lowercase-severity": (8, "Did you mean High?"),
    "03-critical": (8, "not one of High, Medium, Low, Informational"),
    "04-name-spaces": (2, "Write soc-alerts."),
    "05-string-for-list": (4, "Write [contoso]."),
    "06-null-alerts": (8, "write {} to export all of it"),
    "07-tab": (8, "Indent with spaces."),
    "08-short-id": (11, "the resource id of an event hub"),
    "09-namespace-id": (11, "append /eventhubs/<hub>"),
    "10-both-auth": (11, "give either trustedService: true or authorizationRule"),
    "11-no-auth": (11, "give either trustedService: true or authorizationRule"),
    "12-sub-name": (4, "Give the subscription's id"),
    "13-exports-key": (8, "Did you mean export?"),
    "14-display-name": (8, "a display name"),
    "15-weekly": (8, "not one of streaming, snapshot"),
    "16-no-version": (1, "Begin with `version: 1`."),
    "17-version-2": (1, "Write 1."),
    "18-list": (8, "Write keys with values below it."),
    "19-empty-list": (4, "give managementGroups or subscriptions"),
    "20-location-display": (6, "Write westeurope."),
    "21-findings-top": (8, "It belongs under export.recommendations."),
    "22-adopt-top": (5, "It belongs under automation."),
    "23-both": (8, "give either minimumSeverity or severities, not both"),
    "24-alert-snapshot": (8, "Write streaming."),
    "26-not": (1, "Begin with `version: 1`."),
    "27-empty": (1, "Begin with `version: 1`."),
    "28-unclosed": (8, "Add the missing }"),
    "29-alert-path": (12, "Use the path Severity."),
    "30-event-source": (9, "Did you mean Alerts?"),
    "31-tag": (5, "Did you mean tags?"),
    "32-destinations": (10, "Did you mean destination?"),
    "33-case": (11, "Did you mean eventHub?"),
    "40-null-sev": (9, "take the key out"),
    "41": (5, "take the key out"),
}
BLANK = {"a-plans": 10, "a-sev": 9, "a-sevs": 9, "r-find": 10, "r-ids": 9, "s-excl": 6, "x-rule": 11}


def test_every_file_is_listed() -> None:
    assert {path.stem for path in (DATA / "mistakes").glob("*.yaml")} == {*SAID, "25-dup-a", "25-dup-b"}
    assert {path.stem for path in (DATA / "blank_keys").glob("*.yaml")} == set(BLANK)


@pytest.mark.parametrize("name", SAID)
def test_a_mistake_is_named_at_its_line_with_what_would_be_right(name: str) -> None:
    line, words = SAID[name]
    checked = check_text((DATA / "mistakes" / f"{name}.yaml").read_bytes(), "f.yaml")
    assert checked.valid == (name == "20-location-display")
    assert [one for one in checked.findings if one.where.split(" ")[0].rstrip(":").startswith(f"f.yaml:{line}")]
    assert any(words in str(one) for one in checked.findings)


def test_two_files_with_one_name() -> None:
    files = [
        (name, check_text((DATA / "mistakes" / name).read_bytes(), name)) for name in ("25-dup-a.yaml", "25-dup-b.yaml")
    ]
    findings = check_together([(name, checked.config) for name, checked in files if checked.config])
    assert [finding.code for finding in findings] == ["duplicate-name"]


@pytest.mark.parametrize("name", BLANK)
def test_a_blank_key_is_refused_at_its_line(name: str) -> None:
    checked = check_text((DATA / "blank_keys" / f"{name}.yaml").read_bytes(), "f.yaml")
    assert not checked.valid
    assert any(one.code == "blank-key" and one.where.startswith(f"f.yaml:{BLANK[name]}:") for one in checked.findings)


def optional_keys(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        path = (*above, field.alias or name)
        if not field.is_required():
            yield path
        for inner in _models(field.annotation):
            yield from optional_keys(inner, path)


LISTS = {"custom", "ruleSets", "rules", "waive", "tests", "categories"}
WITH: dict[str, dict[str, Any]] = {
    "custom": {"eventSource": "Alerts"},
    "waive": {"code": "unknown-path", "reason": "because"},
    "tests": {"record": {"a": 1}, "exported": False},
    "categories": {"category": "SoftwareUpdate"},
}
EMPTY_IS_NONE = {("export", "custom"), ("tests",), ("waive",)}


def with_value(path: tuple[str, ...], value: Any) -> list[str]:
    """The lines of a valid file but for one key, with what has to surround it."""
    document: Any = json.loads((DATA / "valid.json").read_text())
    holder = document
    for step in path[:-1]:
        if step in LISTS:
            if not isinstance(holder.get(step), list):
                holder[step] = [dict(WITH.get(step) or {})]
            holder = holder[step][0]
        else:
            if not isinstance(holder.get(step), dict):
                holder[step] = {}
            holder = holder[step]
    holder[path[-1]] = value
    return json.dumps(document, indent=1).splitlines()


@pytest.mark.parametrize("path", sorted(set(optional_keys(ExportConfig))), ids=".".join)
def test_every_optional_key_left_blank_is_an_error_at_its_line(path: tuple[str, ...]) -> None:
    lines = with_value(path, None)
    line = next(number for number, text in enumerate(lines, 1) if text.rstrip(",").endswith(f'"{path[-1]}": null'))
    checked = check_text("\n".join(lines), "f.yaml")
    assert not checked.valid
    assert any(one.severity == "error" and one.where.startswith(f"f.yaml:{line}:") for one in checked.findings)


@pytest.mark.parametrize("path", sorted(set(optional_keys(ExportConfig)) - EMPTY_IS_NONE), ids=".".join)
def test_no_empty_list_stands_for_all(path: tuple[str, ...]) -> None:
    assert not check_text("\n".join(with_value(path, [])), "f.yaml").valid


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("01-category-rule", []),
        ("11-unicode-resource-ids", []),
        ("01-retired-ids", ["retired-recommendation", "retired-recommendation", "retired-source"]),
        ("34-status-active", ["unknown-value"]),
        ("36-standard-on-assessments", ["unknown-value"]),
        ("37-plans", ["unknown-value"] * 3),
    ],
)
def test_other_export_files(name: str, codes: list[str]) -> None:
    checked = check_text((DATA / "export_cases" / f"{name}.yaml").read_bytes(), name)
    assert checked.valid
    assert sorted(one.code for one in checked.findings) == codes


@pytest.mark.parametrize(
    ("written", "value"),
    [("1.10", "1.10"), ("007", "007"), ("1e10", "1e10"), ("'1.10'", "1.10"), ("true", "true"), ("-0", "-0"),
     (".5", ".5"), ("0x1F", "0x1F"), ("1_000", "1_000"), ("True", "True"), ("2026-01-01", "2026-01-01")],
)  # fmt: skip
def test_an_expected_value_is_the_text_as_typed(written: str, value: str) -> None:
    text = (
        (DATA / "mistakes" / "29-alert-path.yaml")
        .read_text()
        .replace("expectedValue: High", f"expectedValue: {written}")
    )
    checked = check_text(text.replace("properties.metadata.severity", "AlertType"))
    assert checked.config is not None
    (custom,) = checked.config.export.custom
    assert custom.source().rule_sets[0][0].value == value


@pytest.mark.parametrize("written", ["1.10", "007", "1e10", "true"])
def test_other_texts_ask_for_quotes_with_the_text_as_typed(written: str) -> None:
    text = (DATA / "mistakes" / "20-location-display.yaml").read_text()
    (finding,) = check_text(text.replace("name: soc-alerts", f"name: soc-alerts\ndescription: {written}")).findings
    assert finding.fix == f'Put it in quotes: "{written}".'


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("eventhubs/defender-export", "eventhubs/..", "dot-segment"),
        ("resourceGroups/rg-security-monitoring", "resourceGroups/..", "dot-segment"),
        ("managementGroups: [contoso]", "managementGroups: [..]", "dot-segment"),
        ("managementGroups: [contoso]", "management_groups: [contoso]", "unknown-key"),
        ("location: West Europe", "location: westeurope\n  tags: {Team: a, team: b}", "bad-tag"),
        ("location: West Europe", "location: westeurope\n  tags: {Microsoft-x: a}", "bad-tag"),
        ("alerts: {minimumSeverity: High}", "custom: [{eventSource: Alerts, ruleSets: []}]", "empty-list"),
        ("alerts: {minimumSeverity: High}", "custom: [{eventSource: Alerts, ruleSets: [{rules: []}]}]", "empty-list"),
        ("name: soc-alerts", "name: !!str soc-alerts", "odd-yaml"),
        ("name: soc-alerts", 'name: soc-alerts\ndescription: "a\\0b"', "odd-yaml"),
    ],
)
def test_what_became_stricter_is_refused_when_put_and_stays_readable(old: str, new: str, code: str) -> None:
    text = (DATA / "mistakes" / "20-location-display.yaml").read_text().replace(old, new)
    checked = check_text(text, "f.yaml")
    assert code in {finding.code for finding in checked.findings}
    assert not checked.valid
    assert checked.config is not None


@pytest.mark.parametrize(
    ("region", "code", "fix"),
    [
        ("westeurop", "unknown-region", "Did you mean westeurope?"),
        ("chinaeast2", "retired-cloud", "Nothing is exported from there."),
        ("zzzzzzz", "unknown-region", "See `az account list-locations`."),
        ("usgovvirginia", "", ""),
    ],
)
def test_regions_are_an_open_set(region: str, code: str, fix: str) -> None:
    text = (DATA / "mistakes" / "20-location-display.yaml").read_text().replace("West Europe", region)
    checked = check_text(text, "f.yaml")
    assert checked.valid
    assert [(one.code, one.fix, one.where) for one in checked.findings] == (
        [(code, fix, "f.yaml:6: automation.location")] if code else []
    )
