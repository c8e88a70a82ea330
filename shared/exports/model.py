"""The export file: what people write, checked on reading and immutable from there on."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel, to_snake

from shared.exports.diagnostics import Diagnostic, InvalidExport
from shared.exports.rule_sets import Rule, Source, canonical
from shared.exports.validation_errors import word_errors
from shared.exports.yaml_reader import Unreadable, read

__all__ = ["ExportConfig", "InvalidExport", "parse_export"]

AlertSeverity = Literal["High", "Medium", "Low", "Informational"]
RecommendationSeverity = Literal["High", "Medium", "Low"]
RiskLevel = Literal["Critical", "High", "Medium", "Low"]
Frequency = Literal["streaming", "snapshot"]

_GUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_RESOURCE = rf"/subscriptions/{_GUID}/resourceGroups/[-\w.()]{{1,90}}/providers"
_HUB = re.compile(
    rf"{_RESOURCE}/Microsoft\.EventHub/namespaces/[A-Za-z][-A-Za-z0-9]{{4,48}}[A-Za-z0-9]/eventhubs/[\w.-]{{1,256}}",
    re.ASCII | re.IGNORECASE,
)
_WORKSPACE = re.compile(
    rf"{_RESOURCE}/Microsoft\.OperationalInsights/workspaces/[A-Za-z0-9][-A-Za-z0-9]{{2,61}}[A-Za-z0-9]",
    re.ASCII | re.IGNORECASE,
)
_RESERVED_TAGS = ("managed-by", "defender-export-")
_MAX_TAGS = 40  # Azure allows 50 on a resource; ownership tags and those of other tools need some


def _text(pattern: str, right: str) -> Any:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {right}")
        return value

    return AfterValidator(check)


def _resource(pattern: re.Pattern[str], right: str) -> Any:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not the resource id of {right}")
        return value

    return AfterValidator(check)


def _whole(value: Any) -> Any:
    if value is None:
        raise ValueError("nothing is given; write {} to export all of it, or take the key out")
    return {} if value is True else value


def _named(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, (int, float)) else value


Guid = Annotated[str, _text(_GUID, "a GUID")]
ExportName = Annotated[
    str,
    _text(
        r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
        "a name: 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end",
    ),
]
ResourceGroup = Annotated[
    str, _text(r"[-\w.()]{0,89}[-\w()]", "a resource group's name: letters, digits, . _ - ( ), no dot at the end")
]
AutomationName = Annotated[str, _text(r"[-\w]{1,260}", "an automation's name: letters, digits, _ and - only")]
ManagementGroup = Annotated[str, _text(r"[-\w.()]{1,90}", "a management group's id (not its display name)")]
Location = Annotated[str, _text(r"[A-Za-z0-9 ]{2,60}", "an Azure location such as westeurope")]
RecordName = Annotated[str, _text(r"[\w.-]{1,128}", "an id; a display name or a whole resource id matches nothing")]
Standard = Annotated[str, _text(r"[\w .()-]{1,128}", "a standard's id such as Azure-CIS-1.4.0")]
Plan = Annotated[str, Field(min_length=1, max_length=128)]
SasRule = Annotated[str, _text(r"[\w.-]{1,256}", "an authorization rule's name")]
TagValue = Annotated[str, Field(max_length=256)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, hide_input_in_errors=True, validate_by_name=True
    )


class Alerts(_Part):
    """Security alerts, as they arise; they have no snapshot."""

    frequency: Annotated[tuple[Literal["streaming"], ...], Field(min_length=1)] | None = None
    minimum_severity: AlertSeverity | None = Field(None, description="This severity and every higher one.")
    severities: Annotated[tuple[AlertSeverity, ...], Field(min_length=1)] | None = None
    plans: Annotated[tuple[Plan, ...], Field(min_length=1)] | None = Field(
        None, description="Only alerts of these Defender plans, by the alert's ProductComponentName."
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))


class Findings(_Part):
    """Findings (sub-assessments) of the recommendations that are exported."""

    minimum_severity: RecommendationSeverity | None = Field(None, description="This severity and every higher one.")
    severities: Annotated[tuple[RecommendationSeverity, ...], Field(min_length=1)] | None = None
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))


class Recommendations(_Part):
    """Recommendations (assessments); findings always come with their recommendation."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = None
    minimum_severity: RecommendationSeverity | None = Field(None, description="This severity and every higher one.")
    severities: Annotated[tuple[RecommendationSeverity, ...], Field(min_length=1)] | None = None
    ids: Annotated[tuple[RecordName, ...], Field(min_length=1)] | None = Field(
        None, description="Only these recommendations, by id (the assessment key)."
    )
    findings: Annotated[Findings | None, BeforeValidator(_whole, json_schema_input_type=Findings | Literal[True])] = (
        None
    )
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumSeverity", "severities"))


class SecureScore(_Part):
    """The subscription's secure score, and its controls."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = None
    controls: Annotated[
        Annotated[StrictBool, Tag("all")] | Annotated[tuple[RecordName, ...], Field(min_length=1), Tag("some")],
        Discriminator(lambda given: "all" if isinstance(given, bool) else "some"),
    ] = Field(default=False, description="true for every control, or a list of control ids.")


class RegulatoryCompliance(_Part):
    """States of regulatory compliance assessments."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = None
    standards: Annotated[tuple[Standard, ...], Field(min_length=1)] | None = Field(
        None, description="Only these standards, by id."
    )


class AttackPaths(_Part):
    """Attack paths (needs Defender CSPM)."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] | None = None
    minimum_risk_level: RiskLevel | None = Field(None, description="This risk level and every higher one.")
    risk_levels: Annotated[tuple[RiskLevel, ...], Field(min_length=1)] | None = None
    _exclusive = model_validator(mode="after")(lambda self: _one_of(self, "minimumRiskLevel", "riskLevels"))


class CustomRule(_Part):
    """One rule, in the words of the API."""

    property_j_path: Annotated[str, Field(min_length=1, max_length=512)]
    property_type: Annotated[Literal["String", "Integer", "Number", "Boolean"], BeforeValidator(canonical)]
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
    ]
    expected_value: Annotated[str, BeforeValidator(_named, json_schema_input_type=str | float | bool)]


class CustomRuleSet(_Part):
    """Rules that must all hold."""

    rules: tuple[CustomRule, ...] | None = None


class CustomSource(_Part):
    """An event source with its rule sets, in the words of the API, for what the other sections can't say."""

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
    ]
    rule_sets: tuple[CustomRuleSet, ...] | None = None

    def source(self) -> Source:
        """The same as a value of the pure core."""
        return Source(
            self.event_source,
            tuple(
                tuple(
                    Rule(rule.property_j_path, rule.property_type, rule.operator, rule.expected_value)
                    for rule in rule_set.rules or ()
                )
                for rule_set in self.rule_sets or ()
            ),
        )


class Export(_Part):
    """What is exported; at least one section."""

    frequency: Annotated[tuple[Frequency, ...], Field(min_length=1)] = Field(
        ("streaming",),
        description="streaming sends changes, snapshot the present state once a week; a section's own frequency wins.",
    )
    alerts: Annotated[Alerts | None, BeforeValidator(_whole, json_schema_input_type=Alerts | Literal[True])] = None
    recommendations: Annotated[
        Recommendations | None, BeforeValidator(_whole, json_schema_input_type=Recommendations | Literal[True])
    ] = None
    secure_score: Annotated[
        SecureScore | None, BeforeValidator(_whole, json_schema_input_type=SecureScore | Literal[True])
    ] = None
    regulatory_compliance: Annotated[
        RegulatoryCompliance | None,
        BeforeValidator(_whole, json_schema_input_type=RegulatoryCompliance | Literal[True]),
    ] = None
    attack_paths: Annotated[
        AttackPaths | None, BeforeValidator(_whole, json_schema_input_type=AttackPaths | Literal[True])
    ] = None
    custom: tuple[CustomSource, ...] = ()

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

    subscriptions: tuple[Guid, ...] = ()
    management_groups: tuple[ManagementGroup, ...] = ()
    tags: dict[str, str] = Field({}, description="A subscription with any of these tags is left out.")


class Scope(_Part):
    """Which subscriptions export: those below the management groups and those listed, less what is excluded."""

    management_groups: tuple[ManagementGroup, ...] = Field((), description="By id, at any depth.")
    subscriptions: tuple[Guid, ...] = ()
    exclude: Exclusion = Exclusion()
    tags: dict[str, str] = Field({}, description="Only subscriptions with all of these tags.")
    resource_groups: tuple[ResourceGroup, ...] = Field(
        (), description="Only records of these resource groups; none: the whole subscription."
    )

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not self.management_groups and not self.subscriptions:
            raise ValueError("the scope selects nothing; give managementGroups or subscriptions")
        return self


class Automation(_Part):
    """The automation resource that carries the export in each subscription."""

    name: AutomationName | None = Field(None, description="defender-export-<name> when left out.")
    resource_group: ResourceGroup = "rg-defender-export"
    location: Location
    create_resource_group: StrictBool = True
    tags: dict[Annotated[str, Field(min_length=1, max_length=512)], TagValue] = {}
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

    resource_id: Annotated[
        str,
        _resource(
            _HUB,
            "an event hub (/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.EventHub"
            "/namespaces/<6 to 50 letters, digits and hyphens>/eventhubs/<hub>)",
        ),
    ]
    trusted_service: StrictBool = False
    authorization_rule: SasRule | None = Field(None, description="A rule of this hub with the Send right.")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.trusted_service == (self.authorization_rule is not None):
            raise ValueError("give either trustedService: true or authorizationRule: <name>")
        return self


class Workspace(_Part):
    """A Log Analytics workspace."""

    resource_id: Annotated[
        str,
        _resource(
            _WORKSPACE,
            "a workspace (/subscriptions/<guid>/resourceGroups/<group>/providers/Microsoft.OperationalInsights"
            "/workspaces/<4 to 63 letters, digits and hyphens>)",
        ),
    ]


class Destination(_Part):
    """Where records go: exactly one place."""

    event_hub: EventHub | None = None
    log_analytics_workspace: Workspace | None = None
    tenant_id: Guid | None = Field(None, description="The destination's tenant, when it is another one.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.event_hub is None) == (self.log_analytics_workspace is None):
            raise ValueError("give exactly one of eventHub and logAnalyticsWorkspace; two destinations are two files")
        return self


class ExportTest(_Part):
    """One of a file's own tests: a record, and whether this export sends it."""

    name: str | None = None
    record: dict[str, Any]
    exported: StrictBool


class Waiver(_Part):
    """A finding of the linter that is accepted, with the reason."""

    code: str
    reason: Annotated[str, Field(min_length=3)]


class ExportConfig(_Part):
    """One export file."""

    version: Literal[1]
    name: ExportName = Field(description="The export's identity; also its file name in the store.")
    description: Annotated[str, Field(max_length=1024)] | None = None
    enabled: StrictBool = True
    scope: Scope
    automation: Automation
    export: Export
    destination: Destination
    waive: tuple[Waiver, ...] = Field((), description="Findings of the linter that are accepted.")
    tests: tuple[ExportTest, ...] = ()


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
    try:
        document = read(text)
    except Unreadable as error:
        where = f"{source}:{error.line}" if error.line else source
        raise InvalidExport([Diagnostic(error.code, "error", where, error.sentence, error.fix)]) from error
    if not isinstance(document.content, dict):
        sentence = "the file is empty." if document.content is None else "the file is not a mapping of keys to values."
        raise InvalidExport([Diagnostic("not-an-export", "error", f"{source}:1", sentence, "Begin with `version: 1`.")])
    try:
        return ExportConfig.model_validate(document.content)
    except ValidationError as error:
        raise InvalidExport(word_errors(error, ExportConfig, document, source)) from error
