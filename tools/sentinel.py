"""Content for Microsoft Sentinel, read from `infra/sentinel/`: analytics rules, hunting queries and ASIM parsers.

One `.kql` file is the only source of each.  From it come what `infra/modules/sentinel.bicep` deploys and the YAML that
the community's repository takes (Azure/Azure-Sentinel, wiki page Query Style Guide).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import yaml

ROOT = Path(__file__).parents[1]
SENTINEL = ROOT / "infra" / "sentinel"
COMMUNITY = SENTINEL / "community"
INSTANCE = "{InstanceId}"
CRITICAL = "{CriticalValues}"
CRITICAL_VALUES = (
    "critical", "mission-critical", "mission critical", "business-critical", "business critical", "very high", "high",
    "tier 0", "tier0",
)  # fmt: skip
"""Values of the criticality tag that rules take for critical, in any casing."""
SCHEMA, SCHEMA_VERSION = "AlertEvent", "1.0.0"
"""The ASIM schema that the parsers fill, in its newest version (Microsoft Learn, dated 2026-09-16)."""
_OPTION = re.compile(r"([A-Z][A-Za-z]+): (.+)")
_SPAN = re.compile(r"P(?:T?)(\d+)([DHM])")


@dataclass(frozen=True)
class Content:
    """One file: what it is called, what it is for, its options and the KQL."""

    name: str
    title: str
    description: str
    options: Mapping[str, str]
    text: str

    @property
    def id(self) -> str:
        """A GUID that stays the same from release to release."""
        return str(uuid5(NAMESPACE_URL, f"https://defender-export/sentinel/{self.name}"))

    @property
    def tactics(self) -> list[str]:
        """MITRE ATT&CK tactics, as Sentinel spells them."""
        return _listed(self.options["Tactics"])

    @property
    def techniques(self) -> list[str]:
        """MITRE ATT&CK techniques."""
        return _listed(self.options["Techniques"])

    @property
    def entities(self) -> list[dict[str, Any]]:
        """Entity mappings: type, and column by identifier."""
        mappings = (mapping.split() for mapping in self.options["Entities"].split(";"))
        return [{"entityType": kind, "fieldMappings": [_field(pair) for pair in pairs]} for kind, *pairs in mappings]

    @property
    def details(self) -> dict[str, str]:
        """Custom details: column by key."""
        pairs = (detail.partition("=") for detail in _listed(self.options.get("Details", "")))
        return {key: column or key for key, _, column in pairs}

    @property
    def of_one_instance(self) -> bool:
        """Whether it asks about one deployment's own rows, so that each deployment in a workspace needs its own."""
        return INSTANCE in self.text

    @property
    def plain_text(self) -> str:
        """The KQL without placeholders: about every deployment, and with the usual values of the criticality tag."""
        lines = [line for line in self.text.splitlines() if INSTANCE not in line]
        return "\n".join(lines).replace(CRITICAL, f"dynamic({json.dumps(list(CRITICAL_VALUES))})")


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _field(pair: str) -> dict[str, str]:
    identifier, _, column = pair.partition("=")
    return {"identifier": identifier, "columnName": column}


def read(path: Path) -> Content:
    """A `.kql` file whose leading comments are a title, a description, and options of the form `Name: value`."""
    lines = path.read_text().splitlines()
    count = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    title, description, *options = (line.removeprefix("//").strip() for line in lines[:count])
    found = {match[1]: match[2] for line in options if (match := _OPTION.fullmatch(line))}
    return Content(path.stem, title, description, found, "\n".join(lines[count:]).strip())


def _all(folder: str) -> list[Content]:
    return [read(path) for path in sorted((SENTINEL / folder).glob("*.kql"))]


def rules() -> list[Content]:
    """The analytics rules."""
    return _all("rules")


def hunting() -> list[Content]:
    """The hunting queries."""
    return _all("hunting")


def parsers() -> list[Content]:
    """The ASIM parsers: one with filtering parameters, and one without that calls it."""
    return sorted(_all("parsers"), key=lambda parser: parser.name, reverse=True)


def grouping(rule: Content) -> dict[str, Any]:
    """How alerts of a rule become incidents: for how long, and by which entities and custom details."""
    span, _, by = rule.options["Group"].partition(" ")
    names = _listed(by)
    details = [name for name in names if name in rule.details]
    return {
        "enabled": True,
        # Not to be had in the Defender portal (Scheduled analytics rules, Alert grouping), so not relied on.
        "reopenClosedIncident": False,
        "lookbackDuration": span,
        "matchingMethod": "Selected",
        "groupByEntities": [name for name in names if name not in details],
        "groupByAlertDetails": [],
        "groupByCustomDetails": details,
    }


def alert_details(rule: Content) -> dict[str, str]:
    """What an alert is called, and the column that its tactics come from, where rows have their own."""
    found = {"alertDisplayNameFormat": rule.options["Alert"], "alertTacticsColumnName": rule.options.get("TacticsFrom")}
    return {name: value for name, value in found.items() if value}


def rule_properties(rule: Content) -> dict[str, Any]:
    """What the resource `Microsoft.SecurityInsights/alertRules` of kind Scheduled holds, but for names and the query.

    Suppression stays off: it stops the whole rule after any alert, and so would hide a second cause for as long.
    """
    return {
        "description": rule.description,
        "severity": rule.options["Severity"],
        "queryFrequency": rule.options["Every"],
        "queryPeriod": rule.options["Window"],
        "triggerOperator": "GreaterThan",
        "triggerThreshold": 0,
        "suppressionEnabled": False,
        "suppressionDuration": "PT5H",
        "tactics": rule.tactics,
        "techniques": rule.techniques,
        "entityMappings": rule.entities,
        "customDetails": rule.details,
        "alertDetailsOverride": alert_details(rule),
        "eventGroupingSettings": {"aggregationKind": "AlertPerResult"},
        "incidentConfiguration": {"createIncident": True, "groupingConfiguration": grouping(rule)},
    }


def parameters(parser: Content) -> list[tuple[str, str, str]]:
    """A parser's parameters: name, type and default."""
    found = re.findall(r"(\w+): (\w+) = (.+?)(?:, (?=\w+: )|$)", parser.options["Parameters"])
    return [(name, kind, default) for name, kind, default in found]


def deployed(reads: Callable[[str], list[str]]) -> dict[str, Any]:
    """What the Bicep module reads; `reads` names the tables that a text reads."""
    return {
        "criticalValues": list(CRITICAL_VALUES),
        "rules": [
            {
                "id": rule.id,
                "name": rule.name,
                "title": rule.title,
                "ofOneInstance": rule.of_one_instance,
                "reads": reads(rule.text),
                "query": rule.text,
                "properties": rule_properties(rule),
            }
            for rule in rules()
        ],
        "hunting": [
            {
                "name": query.name,
                "title": query.title,
                "description": query.description,
                "tactics": ",".join(query.tactics),
                "techniques": ",".join(query.techniques),
                "reads": reads(query.text),
                "query": query.plain_text,
            }
            for query in hunting()
        ],
        "parsers": [
            {
                "name": parser.name,
                "description": parser.description,
                "parameters": ",".join(f"{name}:{kind}={default}" for name, kind, default in parameters(parser)),
                "query": parser.text,
            }
            for parser in parsers()
        ],
    }


def span(duration: str) -> str:
    """An ISO 8601 duration as the community's templates write it: 5h, 14d."""
    match = _SPAN.fullmatch(duration)
    if match is None:
        raise ValueError(duration)
    return match[1] + match[2].lower()


def rule_template(rule: Content) -> dict[str, Any]:
    """An analytics rule as the community's repository takes it."""
    properties = rule_properties(rule)
    return {
        "id": rule.id,
        "name": rule.title,
        "kind": "Scheduled",
        "description": rule.description,
        "severity": properties["severity"],
        "requiredDataConnectors": [],
        "queryFrequency": span(properties["queryFrequency"]),
        "queryPeriod": span(properties["queryPeriod"]),
        "triggerOperator": "gt",
        "triggerThreshold": properties["triggerThreshold"],
        "tactics": rule.tactics,
        "relevantTechniques": rule.techniques,
        "query": rule.plain_text,
        "suppressionEnabled": properties["suppressionEnabled"],
        "suppressionDuration": properties["suppressionDuration"],
        "entityMappings": rule.entities,
        "customDetails": rule.details,
        "alertDetailsOverride": properties["alertDetailsOverride"],
        "eventGroupingSettings": properties["eventGroupingSettings"],
        "incidentConfiguration": properties["incidentConfiguration"],
        "version": rule.options["Version"],
    }


def hunting_template(query: Content) -> dict[str, Any]:
    """A hunting query as the community's repository takes it."""
    return {
        "id": query.id,
        "name": query.title,
        "description": query.description,
        "requiredDataConnectors": [],
        "tactics": query.tactics,
        "relevantTechniques": query.techniques,
        "query": query.plain_text,
        "entityMappings": query.entities,
        "version": query.options["Version"],
    }


def parser_template(parser: Content) -> dict[str, Any]:
    """A parser as the community's repository takes it."""
    return {
        "Parser": {
            "Title": parser.title,
            "Version": parser.options["Version"],
            "LastUpdated": parser.options["LastUpdated"],
        },
        "Product": {"Name": "Defender Export"},
        "Normalization": {"Schema": SCHEMA, "Version": SCHEMA_VERSION},
        "References": [
            {"Title": "ASIM Alert Schema", "Link": "https://aka.ms/ASimAlertEventDoc"},
            {"Title": "ASIM", "Link": "https://aka.ms/AboutASIM"},
        ],
        "Description": parser.description,
        "ParserName": parser.name,
        "ParserParams": [
            {"Name": name, "Type": kind, "Default": default} for name, kind, default in parameters(parser)
        ],
        "ParserQuery": parser.text,
    }


class _Dumper(yaml.SafeDumper):
    """Lists indented below their key, and texts of several lines as they are."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(template: Mapping[str, Any]) -> str:
    """A template as YAML, its keys in the order given."""
    return yaml.dump(dict(template), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def generated(reads: Callable[[str], list[str]]) -> dict[Path, str]:
    """Content by path of every file that is generated from `infra/sentinel/`."""
    document = json.dumps(deployed(reads), indent=2, ensure_ascii=False) + "\n"
    files = {ROOT / "infra" / "generated" / "sentinel.json": document}
    for folder, contents, template in (
        ("analytics-rules", rules(), rule_template),
        ("hunting-queries", hunting(), hunting_template),
        ("parsers", parsers(), parser_template),
    ):
        files |= {COMMUNITY / folder / f"{one.name}.yaml": as_yaml(template(one)) for one in contents}
    return files
