"""The export file: what people write, checked on reading and immutable from there on.

A check that was added after files had been accepted is in `tightened_checks`, not here: an accepted file must stay
readable until it is edited.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel, to_snake

from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.known_values import (
    CATEGORIES,
    CHINA_REGIONS,
    CLOUDS,
    PLANS,
    RECOMMENDATION_SEVERITIES,
    REGIONS,
    RESOURCE_TYPES,
    SQL_SCANNER,
    STANDARDS,
)
from shared.exports.management_groups import FORM
from shared.exports.rule_sets import Rule, Source, canonical, in_digits
from shared.exports.validation_errors import word_errors
from shared.exports.yaml_reader import Document, Unreadable, read

__all__ = ["ExportConfig", "InvalidExport", "parse_document", "parse_export", "read_document"]

AlertSeverity = Literal["High", "Medium", "Low", "Informational"]
RecommendationSeverity = Literal["Critical", "High", "Medium", "Low"]
RiskLevel = Literal["Critical", "High", "Medium", "Low"]
Frequency = Literal["streaming", "snapshot"]


def _any_case(text: str) -> str:
    """A pattern for `text` in any casing, for a dialect without flags."""
    return "".join(
        f"[{char.lower()}{char.upper()}]" if char.isalpha() else f"\\{char}" if char == "." else char for char in text
    )


_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_GROUP = r"[-\w.()]{1,90}"
_ANY_GROUP = r"[^/\s]{1,90}"  # for the JSON Schema, whose \w knows no letters beyond ASCII
_HUB_PATTERN = (
    f"/{_any_case('subscriptions')}/{_GUID}/{_any_case('resourceGroups')}/{_GROUP}/{_any_case('providers')}"
    f"/{_any_case('Microsoft.EventHub')}/{_any_case('namespaces')}/[A-Za-z][-A-Za-z0-9]{{4,48}}[A-Za-z0-9]"
    f"/{_any_case('eventhubs')}/[A-Za-z0-9_.-]{{1,256}}"
)
_WORKSPACE_PATTERN = (
    f"/{_any_case('subscriptions')}/{_GUID}/{_any_case('resourceGroups')}/{_GROUP}/{_any_case('providers')}"
    f"/{_any_case('Microsoft.OperationalInsights')}/{_any_case('workspaces')}"
    "/[A-Za-z0-9][-A-Za-z0-9]{2,61}[A-Za-z0-9]"
)
_RESERVED_TAGS = ("managed-by", "defender-export-")
_MAX_DESCRIPTION = 65_536  # the API names no limit
_MAX_RULES = 12_000  # more than any automation of 1 MB holds, at some 115 bytes a rule
_MAX_TAGS = 40  # Azure allows 50 on a resource; ownership tags and those of other tools need some
_HUB_EXAMPLE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc/providers/Microsoft.EventHub"
    "/namespaces/contoso-soc/eventhubs/defender-export"
)
_WORKSPACE_EXAMPLE = (
    "/subscriptions/11111111-1111-4111-8111-111111111111/resourceGroups/rg-soc/providers"
    "/Microsoft.OperationalInsights/workspaces/contoso-soc"
)


def _text(pattern: str, right: str, shown: str = "") -> tuple[Any, Any]:
    """Text of a pattern; `shown` is the same in the JSON Schema's dialect where that differs."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {right}")
        return value

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^(?:{shown or pattern})$"})


def _open(*known: str) -> Any:
    """Text with known values, which editors offer; any other is taken as well."""
    return Field(json_schema_extra={"anyOf": [{"enum": list(known)}, {"type": "string"}]})


def _whole(value: Any) -> Any:
    if value is None:
        raise ValueError("nothing is given; write {} to export all of it, or take the key out")
    return {} if value is True else value


def _named(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else value


def _exclusive(*names: str) -> dict[str, Any]:
    """The JSON Schema's words for "one of these keys at most"."""
    return {"not": {"required": list(names)}}


def _rules_with(properties: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema's words for what the rules of an event source are in addition."""
    rules = {"rules": {"items": {"properties": properties}}}
    return {"properties": {"ruleSets": {"items": {"properties": rules}}}}


Guid = Annotated[str, *_text(_GUID, "a GUID")]
ExportName = Annotated[
    str,
    *_text(
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "a name: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end",
    ),
]
ResourceGroup = Annotated[
    str,
    *_text(
        r"[-\w.()]{0,89}[-\w()]",
        "a resource group's name: letters, digits, . _ - ( ), no dot at the end",
        r"[^/\s]{0,89}[^/\s.]",
    ),
]
AutomationName = Annotated[
    str, *_text(r"[-A-Za-z0-9_@.()]{1,260}", "an automation's name: letters, digits, _ - @ . ( ) only")
]
ManagementGroup = Annotated[str, *_text(FORM, "a management group's id (not its display name), or <tenant>/<id>")]
Location = Annotated[
    str, _text(r"[A-Za-z0-9 ]{2,60}", "an Azure location such as westeurope")[0], _open(*REGIONS, *CHINA_REGIONS)
]
RecordName = Annotated[
    str, *_text(r"[A-Za-z0-9_.-]{1,128}", "an id; a display name or a whole resource id matches nothing")
]
Standard = Annotated[
    str, _text(r"[A-Za-z0-9_ .()-]{1,128}", "a standard's id such as Azure-CIS-1.4.0")[0], _open(*STANDARDS)
]
Plan = Annotated[str, Field(min_length=1, max_length=128), _open(*PLANS)]
CategoryName = Annotated[
    str,
    _text(r"[A-Za-z][A-Za-z0-9]{0,127}", "a category's name such as SoftwareUpdate")[0],
    _open(*CATEGORIES),
]
Cloud = Annotated[str, _text(r"[A-Za-z][A-Za-z0-9]{0,63}", "a cloud's name such as Azure or AWS")[0], _open(*CLOUDS)]
ResourceType = Annotated[
    str,
    _text(r"[A-Za-z0-9.][A-Za-z0-9./_-]{0,255}", "a resource type such as Microsoft.Compute/virtualMachines")[0],
    _open(*RESOURCE_TYPES),
]
Scanner = Annotated[str, Field(min_length=1, max_length=128), _open(SQL_SCANNER)]
SasRule = Annotated[str, *_text(r"[A-Za-z0-9_.-]{1,256}", "an authorization rule's name")]
TagValue = Annotated[str, Field(max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, hide_input_in_errors=True, validate_by_name=True
    )


_FREQUENCY_WORDS = "streaming sends changes, snapshot the present state once a week; wins over export.frequency."
_MINIMUM = "This severity and every higher one; the lowest lets every severity through, one invented later too."
_EXACT = "Exactly these severities; not beside minimumSeverity."


class Alerts(_Part):
    """Security alerts, as they arise; they have no snapshot."""

    model_config = ConfigDict(json_schema_extra=_exclusive("minimumSeverity", "severities"))

    frequency: Annotated[tuple[Literal["streaming"], ...], Field(min_length=1)] | None = Field(
        None, description="Only [streaming]: alerts have no snapshot."
    )
    minimum_severity: AlertSeverity | None = Field(None, description=_MINIMUM)
    severities: Annotated[tuple[AlertSeverity, ...], Field(min_length=1)] | None = Field(None, description=_EXACT)
    plans: Annotated[tuple[Plan, ...], Field(min_length=1)] | None = Field(
        None, description="Only alerts of these Defender plans, by the alert's ProductComponentName."
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))


class Findings(_Part):
    """Findings (sub-assessments) of the recommendations that are exported; retired in public Azure."""

    model_config = ConfigDict(json_schema_extra=_exclusive("minimumSeverity", "severities"))

    minimum_severity: RecommendationSeverity | None = Field(None, description=_MINIMUM)
    severities: Annotated[tuple[RecommendationSeverity, ...], Field(min_length=1)] | None = Field(
        None, description=_EXACT
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))


class CategoryFilter(_Part):
    """Recommendations of a category or a scanner, of some resources only; every key that is given narrows."""

    model_config = ConfigDict(
        json_schema_extra=_exclusive("minimumSeverity", "severities")
        | {"anyOf": [{"required": ["category"]}, {"required": ["scanner"]}]}
    )

    category: CategoryName | None = Field(
        None, description="The recommendation's category (metadata.recommendationCategory)."
    )
    scanner: Scanner | None = Field(
        None, description="The scanner (additionalData.Scanner), for recommendations that have no category."
    )
    resource_types: Annotated[tuple[ResourceType, ...], Field(min_length=1)] | None = Field(
        None, description="Only resources of these types (resourceDetails.ResourceType)."
    )
    except_resource_types: Annotated[tuple[ResourceType, ...], Field(min_length=1)] | None = Field(
        None, description="No resources of these types."
    )
    clouds: Annotated[tuple[Cloud, ...], Field(min_length=1)] | None = Field(
        None, description="Only resources of these clouds (resourceDetails.Source)."
    )
    resource_id_contains: (
        Annotated[tuple[Annotated[str, Field(min_length=1, max_length=512)], ...], Field(min_length=1)] | None
    ) = Field(
        None,
        description="Only resources with any of these texts in their id (resourceDetails.Id).",
        examples=[["/Microsoft.Sql/"]],
    )
    minimum_severity: RecommendationSeverity | None = Field(
        None, description="This severity and every higher one, in place of the section's."
    )
    severities: Annotated[tuple[RecommendationSeverity, ...], Field(min_length=1)] | None = Field(
        None, description="Exactly these severities, in place of the section's."
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.category is None and self.scanner is None:
            raise ValueError("give a category or a scanner")
        return self


class Recommendations(_Part):
    """Recommendations (assessments), by id, by category, by severity, or all of them."""

    model_config = ConfigDict(json_schema_extra=_exclusive("minimumSeverity", "severities"))

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = Field(None, description=_FREQUENCY_WORDS)
    minimum_severity: RecommendationSeverity | None = Field(None, description=_MINIMUM)
    severities: Annotated[tuple[RecommendationSeverity, ...], Field(min_length=1)] | None = Field(
        None, description=_EXACT
    )
    ids: Annotated[tuple[RecordName, ...], Field(min_length=1)] | None = Field(
        None, description="These recommendations, by id (the assessment key); beside categories: these as well."
    )
    categories: (
        Annotated[
            tuple[
                Annotated[
                    Annotated[CategoryName, Tag("name")] | Annotated[CategoryFilter, Tag("filter")],
                    Discriminator(lambda given: "name" if isinstance(given, str) else "filter"),
                ],
                ...,
            ],
            Field(min_length=1),
        ]
        | None
    ) = Field(
        None,
        description="Recommendations of these categories, present and future ones; an entry is a name, or a mapping "
        "that narrows it.",
        examples=[["SoftwareUpdate", {"category": "ExposedSecrets", "clouds": ["GitHub"]}]],
    )
    resource_types: Annotated[tuple[ResourceType, ...], Field(min_length=1)] | None = Field(
        None, description="Only recommendations on resources of these types (resourceDetails.ResourceType)."
    )
    clouds: Annotated[tuple[Cloud, ...], Field(min_length=1)] | None = Field(
        None, description="Only recommendations on resources of these clouds (resourceDetails.Source)."
    )
    findings: Annotated[Findings | None, BeforeValidator(_whole, json_schema_input_type=Findings | Literal[True])] = (
        Field(None, description="Sub-assessments of the recommendations with these ids; retired in public Azure.")
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))

    @model_validator(mode="after")
    def _findings_have_ids(self) -> Self:
        if self.findings is not None and self.categories and not self.ids:
            raise ValueError(
                "findings (sub-assessments) belong to ids; recommendations of a category have none: take findings out"
            )
        return self

    @model_validator(mode="after")
    def _few_enough_rules(self) -> Self:
        # Before they are made: what a short file asks for by combination would take minutes and gigabytes.
        if (rules := _rules_of(self)) > _MAX_RULES:
            raise ValueError(
                f"ids, categories, resourceTypes, clouds and severities combine to {rules:,} rules; Azure takes some "
                "9,000 in an automation: split the export into several files"
            )
        return self


def _rules_of(part: Recommendations) -> int:
    """How many rules the combinations of a section are."""
    narrowed = [_distinct(part.resource_types), _distinct(part.clouds)]
    severities = _levels(part)
    plain = _distinct(part.ids) + sum(isinstance(item, str) for item in part.categories or ())
    rules = _combined(plain, *narrowed, severities) if plain or not part.categories else 0
    for item in part.categories or ():
        if not isinstance(item, str):
            own = (item.resource_types, item.clouds, item.resource_id_contains)
            named = [1] * ((item.category is not None) + (item.scanner is not None))
            sizes = (*named, *map(_distinct, own), *narrowed, _levels(item) or severities)
            rules += _combined(*sizes, excluded=_distinct(item.except_resource_types))
    return rules


def _combined(*sizes: int, excluded: int = 0) -> int:
    """Rules in the product of lists of these sizes, each combination with `excluded` more; empty lists count not."""
    filled = [size for size in sizes if size]
    return math.prod(filled) * (len(filled) + excluded)


def _distinct(names: Iterable[str] | None) -> int:
    return len({name.lower() for name in names or ()})


def _levels(part: Recommendations | CategoryFilter) -> int:
    """How many severities are named; none for all of them."""
    ranks = RECOMMENDATION_SEVERITIES
    if part.minimum_severity is not None:
        return (ranks.index(part.minimum_severity) + 1) % len(ranks)
    return len({*(part.severities or ())})


class SecureScore(_Part):
    """The subscription's secure score, and its controls."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = Field(None, description=_FREQUENCY_WORDS)
    controls: Annotated[
        Annotated[StrictBool, Tag("all")] | Annotated[tuple[RecordName, ...], Field(min_length=1), Tag("some")],
        Discriminator(lambda given: "all" if isinstance(given, bool) else "some"),
    ] = Field(default=False, description="true for every control, or a list of control ids.")


class RegulatoryCompliance(_Part):
    """States of regulatory compliance assessments."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = Field(None, description=_FREQUENCY_WORDS)
    standards: Annotated[tuple[Standard, ...], Field(min_length=1)] | None = Field(
        None, description="Only these standards, by id."
    )


class AttackPaths(_Part):
    """Attack paths (needs Defender CSPM)."""

    model_config = ConfigDict(json_schema_extra=_exclusive("minimumRiskLevel", "riskLevels"))

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = Field(None, description=_FREQUENCY_WORDS)
    minimum_risk_level: RiskLevel | None = Field(
        None, description="This risk level and every higher one; the lowest lets every level through."
    )
    risk_levels: Annotated[tuple[RiskLevel, ...], Field(min_length=1)] | None = Field(
        None, description="Exactly these risk levels; not beside minimumRiskLevel."
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumRiskLevel", "riskLevels"))


class CustomRule(_Part):
    """One rule, in the words of the API."""

    property_j_path: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="A path in the record, `a.b` or `$.a.b`.", examples=["Severity", "properties.metadata.severity"]
    )
    property_type: Annotated[Literal["String", "Integer", "Number", "Boolean"], BeforeValidator(canonical)] = Field(
        description="What the values are compared as."
    )
    operator: Annotated[
        Literal[
            "Equals",
            "NotEquals",
            "GreaterThan",
            "GreaterThanOrEqualTo",
            "LesserThan",
            "LesserThanOrEqualTo",
            "Contains",
            "StartsWith",
            "EndsWith",
        ],
        BeforeValidator(canonical),
    ] = Field(description="How the record's value is compared with the expected one.")
    expected_value: Annotated[str, BeforeValidator(_named, json_schema_input_type=str | float | bool)] = Field(
        description="The value to compare with, as it is written.", examples=["High"]
    )


class CustomRuleSet(_Part):
    """Rules that must all hold."""

    rules: tuple[CustomRule, ...] | None = Field(None, description="All must hold; none: every record.")


class CustomSource(_Part):
    """An event source with its rule sets, in the words of the API, for what the other sections can't say."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"eventSource": {"const": "Alerts"}}},
            "then": _rules_with({"propertyJPath": {"not": {"pattern": r"^(\$\.)?[pP]roperties\."}}}),
        }
    )

    event_source: Annotated[
        Literal[
            "Assessments",
            "AssessmentsSnapshot",
            "SubAssessments",
            "SubAssessmentsSnapshot",
            "Alerts",
            "SecureScores",
            "SecureScoresSnapshot",
            "SecureScoreControls",
            "SecureScoreControlsSnapshot",
            "RegulatoryComplianceAssessment",
            "RegulatoryComplianceAssessmentSnapshot",
            "AttackPaths",
            "AttackPathsSnapshot",
        ],
        BeforeValidator(canonical),
    ] = Field(description="One of the 13 event sources.")
    rule_sets: tuple[CustomRuleSet, ...] | None = Field(None, description="One of them must hold; none: every record.")

    def source(self) -> Source:
        """The same as a value of the pure core."""
        return Source(
            self.event_source,
            tuple(
                tuple(
                    Rule(
                        rule.property_j_path,
                        rule.property_type,
                        rule.operator,
                        in_digits(rule.property_type, rule.expected_value),
                    )
                    for rule in rule_set.rules or ()
                )
                for rule_set in self.rule_sets or ()
            ),
        )


class Export(_Part):
    """What is exported; at least one section."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [key]}
                for key in ("alerts", "recommendations", "secureScore", "regulatoryCompliance", "attackPaths", "custom")
            ]
        }
    )

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] = Field(
        ("streaming",),
        description="streaming sends changes, snapshot the present state once a week; a section's own frequency wins.",
    )
    alerts: Annotated[Alerts | None, BeforeValidator(_whole, json_schema_input_type=Alerts | Literal[True])] = Field(
        None, description="Security alerts; true or {} for all of them."
    )
    recommendations: Annotated[
        Recommendations | None, BeforeValidator(_whole, json_schema_input_type=Recommendations | Literal[True])
    ] = Field(None, description="Recommendations; true or {} for all of them.")
    secure_score: Annotated[
        SecureScore | None, BeforeValidator(_whole, json_schema_input_type=SecureScore | Literal[True])
    ] = Field(None, description="The secure score; true or {} without its controls.")
    regulatory_compliance: Annotated[
        RegulatoryCompliance | None,
        BeforeValidator(_whole, json_schema_input_type=RegulatoryCompliance | Literal[True]),
    ] = Field(None, description="Regulatory compliance states; true or {} for all standards.")
    attack_paths: Annotated[
        AttackPaths | None, BeforeValidator(_whole, json_schema_input_type=AttackPaths | Literal[True])
    ] = Field(None, description="Attack paths; true or {} for all of them.")
    custom: tuple[CustomSource, ...] = Field(
        (), description="Event sources in the words of the API, for what the other sections can't say."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        sections = (
            self.alerts, self.recommendations, self.secure_score, self.regulatory_compliance, self.attack_paths
        )  # fmt: skip
        if not self.custom and all(section is None for section in sections):
            raise ValueError(
                "nothing is exported; give alerts, recommendations, secureScore, regulatoryCompliance, "
                "attackPaths or custom"
            )
        if self.alerts is not None and self.alerts.frequency is None and "streaming" not in self.frequency:
            raise ValueError(
                "alerts have no snapshot, so with frequency [snapshot] none is ever sent; "
                "add streaming, or give alerts a frequency of their own: [streaming]"
            )
        return self


class Exclusion(_Part):
    """What is left out of a scope."""

    subscriptions: tuple[Guid, ...] = Field((), description="Subscription ids.")
    management_groups: tuple[ManagementGroup, ...] = Field((), description="Management groups by id, at any depth.")
    tags: dict[str, str] = Field({}, description="A subscription with any of these tags is left out.")


class Scope(_Part):
    """Which subscriptions export: those below the management groups and those listed, less what is excluded."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": [key], "properties": {key: {"minItems": 1}}}
                for key in ("managementGroups", "subscriptions")
            ]
        }
    )

    management_groups: tuple[ManagementGroup, ...] = Field(
        (), description="Management groups by id (not display name): every subscription below them, at any depth."
    )
    subscriptions: tuple[Guid, ...] = Field((), description="Subscription ids.")
    exclude: Exclusion = Field(Exclusion(), description="What stays out, however it was included.")
    tags: dict[str, str] = Field({}, description="Only subscriptions with all of these tags.")
    resource_groups: tuple[ResourceGroup, ...] = Field(
        (), description="Only records of these resource groups; none: the whole subscription."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.management_groups and not self.subscriptions:
            raise ValueError("the scope selects nothing; give managementGroups or subscriptions")
        return self


class Rollout(_Part):
    """The order in which an edit reaches the management groups; subscriptions below none of them come last."""

    management_groups: Annotated[tuple[ManagementGroup, ...], Field(min_length=1)] = Field(
        description="Management groups by id, first to last; a subscription belongs to the first that it lies below."
    )
    wait_hours: Annotated[StrictInt, Field(ge=0, le=720)] = Field(
        24, description="How long all groups before must have been in force until the next one's turn comes."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen = [group.lower() for group in self.management_groups]
        if twice := sorted({group for group in seen if seen.count(group) > 1}):
            raise ValueError(f"managementGroups names {twice[0]} twice; a group has one turn")
        return self


class Automation(_Part):
    """The automation resource that carries the export in each subscription."""

    name: AutomationName | None = Field(None, description="defender-export-<name> when left out.")
    resource_group: ResourceGroup = Field(
        "rg-defender-export", description="The resource group that holds the automation in each subscription."
    )
    location: Location = Field(description="The Azure region of the automation and its resource group.")
    create_resource_group: StrictBool = Field(
        default=True, description="Make the resource group where it is missing; an existing one is never written."
    )
    tags: dict[Annotated[str, Field(min_length=1, max_length=512)], TagValue] = Field(
        {}, description="Tags of the automation, beside those that mark ownership."
    )
    adopt: StrictBool = Field(
        default=False, description="Take over an automation of this name that nobody or someone else manages."
    )

    @model_validator(mode="after")
    def _tags_are_free(self) -> Self:
        for tag in self.tags:
            if tag.lower().startswith(_RESERVED_TAGS):
                raise ValueError(f"tags: {tag!r} is one of the tags that mark ownership; choose another")
            if set(tag) & set("<>%&\\?/"):
                raise ValueError(
                    f"tags: {tag!r} holds one of < > % & \\ ? /, which Azure does not allow in a tag's name"
                )
        if len(self.tags) > _MAX_TAGS:
            raise ValueError(f"tags: {len(self.tags)} are given; at most {_MAX_TAGS} fit")
        return self


class EventHub(_Part):
    """An event hub, reached as a trusted service (no secret) or with an authorization rule's key."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": ["trustedService"], "properties": {"trustedService": {"const": True}}},
                {"required": ["authorizationRule"]},
            ]
        }
    )

    resource_id: Annotated[
        str,
        *_text(
            _HUB_PATTERN,
            "the resource id of an event hub (/subscriptions/<guid>/resourceGroups/<group>/providers"
            "/Microsoft.EventHub/namespaces/<6 to 50 letters, digits and hyphens>/eventhubs/<hub>)",
            _HUB_PATTERN.replace(_GROUP, _ANY_GROUP),
        ),
    ] = Field(description="The event hub's resource id (not its namespace's).", examples=[_HUB_EXAMPLE])
    trusted_service: StrictBool = Field(
        default=False, description="Send as a trusted service, without a secret; the hub's namespace must allow it."
    )
    authorization_rule: SasRule | None = Field(
        None, description="Send with the key of this rule of the hub, or of its namespace, that has the Send right."
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.trusted_service == (self.authorization_rule is not None):
            raise ValueError("give either trustedService: true or authorizationRule: <name>")
        return self


class Workspace(_Part):
    """A Log Analytics workspace."""

    resource_id: Annotated[
        str,
        *_text(
            _WORKSPACE_PATTERN,
            "the resource id of a workspace (/subscriptions/<guid>/resourceGroups/<group>/providers"
            "/Microsoft.OperationalInsights/workspaces/<4 to 63 letters, digits and hyphens>)",
            _WORKSPACE_PATTERN.replace(_GROUP, _ANY_GROUP),
        ),
    ] = Field(description="The workspace's resource id.", examples=[_WORKSPACE_EXAMPLE])


class Destination(_Part):
    """Where records go: exactly one place."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["eventHub"]}, {"required": ["logAnalyticsWorkspace"]}]}
    )

    event_hub: EventHub | None = Field(None, description="An event hub.")
    log_analytics_workspace: Workspace | None = Field(None, description="A Log Analytics workspace.")
    tenant_id: Guid | None = Field(None, description="The destination's tenant, when it is another one.")
    verify: StrictBool = Field(
        default=True, description="Whether what this app may not read of the destination makes its runs partial."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.event_hub is None) == (self.log_analytics_workspace is None):
            raise ValueError("give exactly one of eventHub and logAnalyticsWorkspace; two destinations are two files")
        return self

    @property
    def place_id(self) -> str:
        """The resource id of the place, whatever it is."""
        place = self.event_hub or self.log_analytics_workspace
        return place.resource_id if place else ""


class ExportTest(_Part):
    """One of a file's own tests: a record, and whether this export sends it."""

    name: str | None = Field(None, description="What the test shows.")
    record: dict[str, Any] = Field(
        description="A record as Defender for Cloud exports it.",
        examples=[{"SystemAlertId": "2517538845485478666_a1", "Severity": "High"}],
    )
    exported: StrictBool = Field(description="Whether this export sends it.")


class Waiver(_Part):
    """A finding of the linter that is accepted, with the reason."""

    code: str = Field(description="The finding's code.", examples=["unknown-path"])
    reason: Annotated[str, Field(min_length=3)] = Field(description="Why it is accepted.")


class ExportConfig(_Part):
    """One export file."""

    version: Literal[1] = Field(description="The version of this format.")
    name: ExportName = Field(description="The export's identity; also its file name in the store.")
    renamed_from: ExportName | None = Field(
        None, description="The export's former name: its automations move to this one, and go once it is in force."
    )
    description: Annotated[str, Field(max_length=_MAX_DESCRIPTION)] | None = Field(
        None, description="Shown on the automation."
    )
    enabled: StrictBool = Field(
        default=True, description="Whether the automations export; false keeps them, switched off."
    )
    scope: Scope = Field(description="Which subscriptions export.")
    rollout: Rollout | None = Field(None, description="The order in which edits reach the management groups.")
    automation: Automation = Field(description="The resource that carries the export in each subscription.")
    export: Export = Field(description="What is exported.")
    destination: Destination = Field(description="The one place where records go.")
    waive: tuple[Waiver, ...] = Field((), description="Findings of the linter that are accepted.")
    tests: tuple[ExportTest, ...] = Field((), description="Records, and whether this export sends each.")


def _one_of(part: Any, *names: str) -> Any:
    given = [name for name in names if getattr(part, to_snake(name)) is not None]
    if len(given) > 1:
        raise ValueError(f"give either {' or '.join(given)}, not both")
    return part


def parse_export(text: str | bytes, source: str = "<text>") -> ExportConfig:
    """Read one export file; `source` names it in findings.

    Raises:
        InvalidExport: it can't be read or does not follow the model; every finding names its line and path.
    """
    return parse_document(read_document(text, source), source)


def read_document(text: str | bytes, source: str) -> Document:
    """The YAML of an export file.

    Raises:
        InvalidExport: it is no YAML that can be read, or no mapping.
    """
    try:
        document = read(text)
    except Unreadable as error:
        where = f"{source}:{error.line}" if error.line else source
        raise InvalidExport([Diagnostic(error.code, "error", where, error.sentence, error.fix)]) from error
    if not isinstance(document.content, dict):
        sentence = "the file is empty." if document.content is None else "the file is not a mapping of keys to values."
        raise InvalidExport([Diagnostic("not-an-export", "error", f"{source}:1", sentence, "Begin with `version: 1`.")])
    return document


def parse_document(document: Document, source: str) -> ExportConfig:
    """The export that a file's YAML says.

    Raises:
        InvalidExport: it does not follow the model; every finding names its line and path.
    """
    _keep_as_written(document)
    try:
        return ExportConfig.model_validate(document.content)
    except ValidationError as error:
        raise InvalidExport(word_errors(error, ExportConfig, document, source)) from error


def _keep_as_written(document: Document) -> None:
    """Put back the text of expected values that YAML takes for numbers or booleans: 1.10 is not 1.1."""
    for path, written in document.written.items():
        if path[:2] == ("export", "custom") and path[-1] == "expectedValue":
            holder: Any = document.content
            for step in path[:-1]:
                holder = holder[step]
            holder["expectedValue"] = written
