"""The YAML for the community's repository, held against the fields that its guides name, and the KQL bound.

`sentinel_published.json` has the tables, with where each was read.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import yaml

from tools import infra
from tools.kql import Text, bind, workspace
from tools.kql.binder import Database, Function
from tools.sentinel import COMMUNITY, generated, hunting, parameters, parsers, rules

PUBLISHED = json.loads((infra.ROOT / "tests/unit/infra/sentinel_published.json").read_text())
GUIDE = PUBLISHED["guide"]
RULES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((COMMUNITY / "analytics-rules").glob("*.yaml"))}
HUNTING = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((COMMUNITY / "hunting-queries").glob("*.yaml"))
}
PARSERS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((COMMUNITY / "parsers").glob("*.yaml"))}
QUERIES = RULES | HUNTING
# What the issue of incidents asks for.
SUBJECTS = {
    "silent-export", "updates-held-back", "export-fought-over", "exploitable-and-exposed",
    "attack-path-to-critical-asset", "high-alert-on-critical-asset",
}  # fmt: skip


def span(text: str) -> timedelta:
    """A KQL timespan."""
    match = re.fullmatch(r"(\d+)([mhd])", text)
    assert match, text
    return int(match[1]) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[match[2]]


def wrong_fields(template: dict[str, Any], kind: str) -> list[str]:
    """Fields that are missing, or that the guide does not know."""
    named = GUIDE[kind]
    missing = [f"without {name}" for name in named["mandatory"] if name not in template]
    return missing + [f"unknown {name}" for name in template if name not in {*named["mandatory"], *named["optional"]}]


def wrong_attack(template: dict[str, Any]) -> list[str]:
    """Tactics that there are not, techniques that belong to none of the tactics, and tactics without a technique."""
    techniques = {name: PUBLISHED["techniques"].get(name, []) for name in template["tactics"]}
    found = [name for name in template["tactics"] if name not in PUBLISHED["tactics"]]
    found += [one for one in template["relevantTechniques"] if not any(one in known for known in techniques.values())]
    return found + [name for name, known in techniques.items() if not {*known} & {*template["relevantTechniques"]}]


def wrong_entities(template: dict[str, Any], columns: set[str] | None) -> list[str]:
    """Mappings of unknown types or identifiers, without one that identifies, too many, or of columns not answered."""
    found = []
    for mapping in template["entityMappings"]:
        known = PUBLISHED["entities"].get(mapping["entityType"])
        if known is None:
            found.append(mapping["entityType"])
            continue
        identifiers = [each["identifier"] for each in mapping["fieldMappings"]]
        found += [name for name in identifiers if name not in known["identifiers"]]
        found += [] if {*identifiers} & {*known["one of"]} else [f"{mapping['entityType']} is not identified"]
        found += [] if len(identifiers) <= GUIDE["fieldMappings"] else ["too many fields"]
        if columns is not None:
            found += [each["columnName"] for each in mapping["fieldMappings"] if each["columnName"] not in columns]
    return found + ([] if 1 <= len(template["entityMappings"]) <= GUIDE["entityMappings"] else ["number of mappings"])


def test_each_template_comes_from_its_source_and_is_current() -> None:
    files = {path: text for path, text in generated(infra.tables_read).items() if path.suffix == ".yaml"}
    assert {path.stem for path in files} == {*RULES, *HUNTING, *PARSERS}
    assert [str(path) for path, text in files.items() if path.read_text() != text] == []
    assert {*RULES} == {rule.name for rule in rules()} == SUBJECTS
    assert {*HUNTING} == {query.name for query in hunting()}
    assert {*PARSERS} == {parser.name for parser in parsers()}


@pytest.mark.parametrize(("name", "template"), QUERIES.items(), ids=QUERIES)
def test_a_template_has_the_fields_that_the_guide_names(name: str, template: dict[str, Any]) -> None:
    assert wrong_fields(template, "rule" if name in RULES else "hunting") == []
    assert UUID(template["id"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", template["version"])
    assert list(template)[-1] == "version"
    assert template["requiredDataConnectors"] == []


def test_every_template_has_a_guid_of_its_own() -> None:
    assert len({template["id"] for template in QUERIES.values()}) == len(QUERIES)


@pytest.mark.parametrize(("name", "template"), QUERIES.items(), ids=QUERIES)
def test_name_and_description_are_as_the_guide_wants_them(name: str, template: dict[str, Any]) -> None:
    assert len(template["name"]) <= GUIDE["nameLength"]
    assert not template["name"].endswith(".")
    assert template["name"][0].isupper()
    described = template["description"]
    assert described.startswith(tuple(GUIDE["beginnings"]))
    assert len(re.findall(r"[.!?](?:\s|$)", described)) <= GUIDE["sentences"]
    assert name in RULES or len(described) <= GUIDE["huntingDescriptionLength"]
    assert not re.search(r"_CL\b|connector|\bKQL\b", described)


@pytest.mark.parametrize("template", QUERIES.values(), ids=QUERIES)
def test_tactics_and_techniques_exist_and_belong_together(template: dict[str, Any]) -> None:
    assert wrong_attack(template) == []


@pytest.mark.parametrize("template", RULES.values(), ids=RULES)
def test_a_rule_runs_as_the_guide_allows(template: dict[str, Any]) -> None:
    every, period = span(template["queryFrequency"]), span(template["queryPeriod"])
    shortest, longest = map(span, GUIDE["period"])
    assert shortest <= every <= period <= longest
    long = GUIDE["longPeriod"]
    if period >= span(long["from"]):
        assert every >= span(long["frequency"])
        assert template["severity"] == long["severity"]
    assert template["kind"] in GUIDE["kinds"]
    assert template["severity"] in GUIDE["severities"]
    assert template["triggerOperator"] in GUIDE["triggerOperators"]
    assert 0 <= template["triggerThreshold"] <= 10_000
    assert template["eventGroupingSettings"]["aggregationKind"] in GUIDE["aggregationKinds"]
    grouping = template["incidentConfiguration"]["groupingConfiguration"]
    assert grouping["matchingMethod"] in GUIDE["matchingMethods"]
    assert {*grouping["groupByEntities"]} <= {mapping["entityType"] for mapping in template["entityMappings"]}
    assert {*grouping["groupByCustomDetails"]} <= {*template["customDetails"]}


@pytest.mark.parametrize("template", QUERIES.values(), ids=QUERIES)
def test_a_query_fits_and_reads_nothing_that_is_not_allowed(template: dict[str, Any]) -> None:
    assert 1 <= len(template["query"]) <= GUIDE["queryLength"]
    assert not re.search(r"\b(?:search|union) \*", template["query"])
    assert "{" not in re.sub(r"\(\?[^)]*\)", "", template["query"])


@pytest.mark.parametrize("template", RULES.values(), ids=RULES)
def test_details_are_short_and_few(template: dict[str, Any]) -> None:
    details, override = template["customDetails"], template["alertDetailsOverride"]
    assert len(details) <= GUIDE["customDetails"]
    assert all(re.fullmatch(rf"[A-Za-z]\w{{0,{GUIDE['customDetailKey'] - 1}}}", key) for key in details)
    name = override["alertDisplayNameFormat"]
    assert len(name) <= GUIDE["alertName"]
    assert len(re.findall(r"\{\{\w+\}\}", name)) <= GUIDE["placeholders"]


class TestMistakes:
    """What a broken template would be found by."""

    template = QUERIES["silent-export"]

    def test_a_field_that_is_missing_or_unknown(self) -> None:
        broken = {name: value for name, value in self.template.items() if name != "severity"} | {"techniques": []}
        assert wrong_fields(broken, "rule") == ["without severity", "unknown techniques"]

    @pytest.mark.parametrize(
        ("tactics", "techniques", "wrong"),
        [
            (["Defense Evasion"], ["T1562"], ["Defense Evasion", "T1562", "Defense Evasion"]),
            (["DefenseEvasion"], ["T1190"], ["T1190", "DefenseEvasion"]),
            (["DefenseEvasion", "Impact"], ["T1562"], ["Impact"]),
            (["DefenseEvasion"], ["T9999", "T1562"], ["T9999"]),
        ],
    )
    def test_tactics_and_techniques(self, tactics: list[str], techniques: list[str], wrong: list[str]) -> None:
        assert wrong_attack({"tactics": tactics, "relevantTechniques": techniques}) == wrong

    @pytest.mark.parametrize(
        ("kind", "fields", "wrong"),
        [
            ("Machine", {"HostName": "A"}, ["Machine"]),
            ("Host", {"Hostname": "A"}, ["Hostname", "Host is not identified"]),
            ("Host", {"OSFamily": "A"}, ["Host is not identified"]),
            ("AzureResource", {"ResourceId": "B"}, ["B"]),
            ("Host", {"HostName": "A", "AzureID": "A", "FullName": "A", "DnsDomain": "A"}, ["too many fields"]),
        ],
    )
    def test_entities(self, kind: str, fields: dict[str, str], wrong: list[str]) -> None:
        mapped = [{"identifier": identifier, "columnName": column} for identifier, column in fields.items()]
        assert wrong_entities({"entityMappings": [{"entityType": kind, "fieldMappings": mapped}]}, {"A"}) == wrong


def test_a_parser_has_the_fields_of_the_communitys_own() -> None:
    for name, template in PARSERS.items():
        assert wrong_fields(template, "parser") == []
        assert template["ParserName"] == name
        assert template["Normalization"] == {
            "Schema": PUBLISHED["asim"]["schema"],
            "Version": PUBLISHED["asim"]["version"],
        }
        assert re.fullmatch(r"(vim|ASim)AlertEvent[A-Za-z]+", name)


def test_the_filtering_parser_takes_the_parameters_of_the_schema() -> None:
    filtering, plain = parsers()
    assert [list(each) for each in parameters(filtering)] == PUBLISHED["asim"]["parameters"]
    assert [list(each) for each in parameters(plain)] == PUBLISHED["asim"]["parameters"][-1:]


def _database() -> Database:
    base = workspace(infra.kql_functions())
    own = (Function(parser.name, parser.options["Parameters"], parser.text) for parser in parsers())
    return Database(base.tables, (*base.functions, *own))


@pytest.mark.slow
def test_every_query_and_parser_binds_with_the_columns_that_it_maps() -> None:
    texts = [Text(name, "workspace", template["query"]) for name, template in QUERIES.items()]
    for name, template in QUERIES.items():
        columns = [each["columnName"] for mapping in template["entityMappings"] for each in mapping["fieldMappings"]]
        columns += list(template.get("customDetails", {}).values())
        override = template.get("alertDetailsOverride", {})
        columns += re.findall(r"\{\{(\w+)\}\}", override.get("alertDisplayNameFormat", ""))
        columns += [override["alertTacticsColumnName"]] if "alertTacticsColumnName" in override else []
        assert columns
        asked = f"{template['query']}\n| project {', '.join(dict.fromkeys(columns))}"
        texts.append(Text(f"{name}: columns", "workspace", asked))
    texts += [Text(parser.name, "workspace", f"{parser.name}()") for parser in parsers()]
    texts.append(Text("broken", "workspace", f"{texts[0].text}\n| project NoSuchColumn"))
    found = bind({"workspace": _database()}, texts)
    assert {diagnostic.id for diagnostic in found} == {"broken"}


@pytest.mark.parametrize("template", QUERIES.values(), ids=QUERIES)
def test_entities_are_of_types_that_there_are_and_are_identified(template: dict[str, Any]) -> None:
    assert wrong_entities(template, None) == []
