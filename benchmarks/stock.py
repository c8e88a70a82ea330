"""The stock way from events to uploads: `json`, plain dictionaries, `LogsIngestionClient.upload(list)`.

`make_row` makes the same rows as ours, column for column (`bench_enrich` checks that before it measures), written
down in the plain way: one walk over the parsed record with the mapping at hand, then the columns that no field holds.
It knows the shapes that the generator sends and nothing more, and it has no second way in, no cost filters, no limits
and no dead letters, each of which costs ours time.  What scanners say (`vulnerability`) and how entities are compared
(`canonical_entities`) are the same functions on both sides: rules of the domain, which no way spares.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import HttpRequest, HttpResponse, HttpTransport
from azure.monitor.ingestion import LogsIngestionClient

from shared.enrich.records.derived.vulnerabilities import vulnerability
from shared.enrich.records.field_mapping import BY_NAME, BY_TYPE, OTHER, Kind
from shared.enrich.records.model import Event
from shared.enrich.records.record_key import canonical_entities

Row = dict[str, Any]


class Swallowed(HttpResponse):
    """The answer 204 to whatever was sent."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request, None)
        self.status_code = 204
        self.headers = {}
        self.reason = "No Content"
        self.content_type = None

    def body(self) -> bytes:
        """Nothing."""
        return b""


class Swallow(HttpTransport[HttpRequest, HttpResponse]):
    """A transport that takes every request and sends none."""

    def send(self, request: HttpRequest, **_: Any) -> HttpResponse:
        """Answer."""
        return Swallowed(request)

    def open(self) -> None:
        """Nothing to open."""

    def close(self) -> None:
        """Nothing to close."""

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Anonymous:
    """A credential whose token no one looks at."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        """A token."""
        return AccessToken("none", 2**40)


def client() -> LogsIngestionClient:
    """The stock client over a transport that only swallows."""
    return LogsIngestionClient("https://swallow.invalid", Anonymous(), transport=Swallow())


_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_CLOUDS = {"azure": "Azure", "aws": "AWS", "gcp": "GCP"}
_OWN_TIME = {
    "Alert": ("Status", "ProcessingEndTime"),
    "Assessment": ("RecommendationState", "StatusChangeDate"),
    "SubAssessment": ("RecommendationState", "SubAssessmentTimeGeneration"),
}
_STANDING = (
    "AlertSeverity",
    "RecommendationSeverity",
    "StateCause",
    "Cause",
    "RiskLevel",
    "RiskFactors",
    "AttackPathsReferences",
    "CveIds",
    "CvssScore",
    "Patchable",
    "FixStatus",
    "FixedVersion",
    "SoftwareVersions",
)


def make_row(event: Event, now: datetime, *, whole: bool) -> Row:
    """The row of an event, as a dictionary that `json` can write."""
    record = json.loads(event.body)
    kind = _kind(record)
    row: Row = {}
    rest = _walk(record, _tree(kind), row, kind.table.types) if kind.fields else record
    inputs = {name: row.pop(name) for name in list(row) if name[0] == "@"}
    row["RecordKind"] = kind.name
    row["IsSnapshot"] = bool(row.get("IsSnapshot"))
    DERIVE[kind.name](row, inputs, record)
    _left(row, rest, inputs)
    stated = row.get(_OWN_TIME[kind.name][1]) if kind.name in _OWN_TIME else None
    moment = datetime.fromisoformat(stated) if stated else event.enqueued
    oldest, newest = now - timedelta(hours=47), now + timedelta(hours=23)
    accepted = next((time for time in (moment, event.enqueued) if oldest <= time <= newest), now)
    row["EventTime"] = moment.isoformat()
    row["TimeGenerated"] = accepted.isoformat()
    row["EnqueuedTime"] = event.enqueued.isoformat()
    row["PartitionId"], row["SequenceNumber"] = event.partition, event.sequence
    row["RecordKey"] = _key(row, rest, event.enqueued, stated)
    if whole:
        row["Raw"] = record
    elif rest:
        row["Raw"] = rest
    return row


def _kind(record: Mapping[str, Any]) -> Kind:
    if "SystemAlertId" in record:
        return BY_NAME["Alert"]
    if "attackPath" in record:
        return BY_NAME["AttackPath"]
    return BY_TYPE.get(str(record.get("type") or record.get("Type")).lower(), OTHER)


@lru_cache
def _tree(kind: Kind) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, column in kind.fields.items():
        *parents, leaf = path.lower().split(".")
        level = tree
        for parent in parents:
            level = level.setdefault(parent, {})
        level.setdefault(leaf, column)
    return tree


def _walk(record: Mapping[str, Any], tree: Mapping[str, Any], row: Row, types: Mapping[str, str]) -> Row:
    """Put fields into their columns; returns what no column takes."""
    rest: Row = {}
    for name, value in record.items():
        column = tree.get(name.lower(), "")
        if value is None or name == "$type":
            continue
        if isinstance(column, dict):
            kept = _walk(value, column, row, types)
            if kept:
                rest[name] = kept
        elif not column:
            rest[name] = value
        elif types.get(column) == "datetime":
            row.setdefault(column, datetime.fromisoformat(value).isoformat())
        elif row.setdefault(column, value) != value:
            rest[name] = value
    return rest


def _lowered(value: Any) -> Row:
    return {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}


def _place(row: Row, resource: str) -> None:
    owner, inside, entity = resource.partition("/securityentitydata/")
    if inside and "/securityconnectors/" not in owner:
        row["EntityId"] = resource
        row.setdefault("ResourceName", entity)
        resource = owner
    elif inside:
        row.setdefault("ConnectorId", owner)
    parts = resource.split("/")
    row["ResourceId"] = resource
    row.setdefault("ResourceName", parts[-1])
    row["SubscriptionId"] = parts[2]
    if len(parts) > 8:  # noqa: PLR2004 - /subscriptions/S/resourcegroups/G/providers/P/T/N
        row["ResourceGroup"], row["ResourceType"] = parts[4], "/".join([parts[6], *parts[7::2]])
    else:
        row["ResourceType"] = "microsoft.resources/subscriptions"


def _hangs_on(record_id: str) -> str:
    return record_id.rpartition("/providers/microsoft.security/")[0]


def _after(record_id: str, name: str) -> str:
    return record_id.partition(f"/{name}/")[2].partition("/")[0]


def _link(row: Row, column: str) -> None:
    if row.get(column, "").startswith("portal."):
        row[column] = f"https://{row[column]}"


def _alert(row: Row, inputs: Row, _: Row) -> None:
    extended = _lowered(row.get("ExtendedProperties"))
    row["RecordId"] = row["SystemAlertId"].lower()
    row["Cloud"] = "Azure"
    row["ProductComponentName"] = extended["productcomponentname"]
    row["SourceTenantId"] = row["ResourceIdentifiers"][-1]["AadTenantId"]
    row["Tactics"] = [tactic.strip() for tactic in inputs["@intent"].split(",")]
    _place(row, inputs["@resource"].lower())
    _link(row, "AlertLink")
    found = [
        technique for name, text in extended.items() if "technique" in name for technique in _TECHNIQUE.findall(text)
    ]
    if found:
        row["Techniques"] = list(dict.fromkeys(technique[:5] for technique in found))
        subs = [technique for technique in dict.fromkeys(found) if "." in technique]
        if subs:
            row["SubTechniques"] = subs


def _details(row: Row, inputs: Row) -> str:
    record_id = row["RecordId"] = inputs["@id"].lower()
    if inputs.get("@resource_name"):
        row["ResourceName"] = inputs["@resource_name"]
    _place(row, (inputs.get("@resource") or _hangs_on(record_id)).lower())
    source, kind = inputs.get("@cloud", "Azure"), inputs.get("@resource_type", "")
    row["Cloud"] = _CLOUDS.get(source.lower(), source)
    if row["Cloud"] in {"AWS", "GCP"}:
        row["ResourceType"] = kind.lower()
    elif kind and not f"/{row['ResourceType']}".endswith(f"/{kind.lower()}"):
        row["EntityType"] = kind
    return str(record_id)


def _scanned(row: Row, additional: str, *titles: str | None) -> None:
    """The columns of scanners, by the same function as ours."""
    names = [name for name in BY_NAME[row["RecordKind"]].table.types if name not in row]
    values = SimpleNamespace(**dict.fromkeys(names))
    vulnerability(values, row.get(additional), row.get("ResourceAdditionalData"), *titles)
    row |= {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in vars(values).items()
        if value is not None
    }


def _assessment(row: Row, inputs: Row, _: Row) -> None:
    row["RecommendationId"] = _after(_details(row, inputs), "assessments")
    _link(row, "RecommendationLink")
    if row["RecommendationState"] == "Healthy":
        row["ResolvedTime"] = row["StatusChangeDate"]
    _scanned(row, "RecommendationAdditionalData")


def _sub_assessment(row: Row, inputs: Row, _: Row) -> None:
    record_id = _details(row, inputs)
    row["ParentRecommendationId"] = _after(record_id, "assessments")
    row["NestedRecommendationId"] = _after(record_id, "subassessments")
    _scanned(row, "AdditionalData", row["VulnerabilityId"], row["RecommendationName"])


def _of_subscription(row: Row, inputs: Row) -> str:
    record_id = row["RecordId"] = inputs["@id"].lower()
    row["Cloud"] = "Azure"
    _place(row, _hangs_on(record_id))
    return str(record_id)


def _score(row: Row, inputs: Row, _: Row) -> None:
    _of_subscription(row, inputs)
    row["ScoreName"] = inputs["@name"]


def _control(row: Row, inputs: Row, _: Row) -> None:
    row["ControlId"] = _after(_of_subscription(row, inputs), "securescorecontrols")
    row["RecommendationResourceIds"] = [definition["id"] for definition in inputs["@definitions"]]


def _regulatory(row: Row, inputs: Row, _: Row) -> None:
    parts = inputs["@id"].split("/")
    row["ComplianceStandard"], row["ComplianceControl"] = parts[6], parts[8]
    row["RecommendationId"] = _after(_of_subscription(row, inputs), "regulatorycomplianceassessments")
    _link(row, "AssessmentDetailsLink")
    if row["AssessmentType"] == "assessmentCategory":
        row["RecommendationCategory"] = row["RecommendationName"]
        del row["RecommendationId"]


def _attack_path(row: Row, inputs: Row, _: Row) -> None:
    row["AttackPathId"] = inputs["@attack_path_id"]
    row["RecordId"] = row["AttackPathId"].lower()
    if "@graph" in inputs:
        row["Path"] = inputs["@graph"]
        ids = {
            each["entityInternalID"]: each["entityIdentifiers"]["azureResourceId"].lower()
            for each in row["Path"]["entities"]
        }
        row["EntryPointId"], row["TargetId"] = ids[inputs["@entry_point_id"]], ids[inputs["@target_id"]]
        row["AdditionalRemediationSteps"] = inputs["@steps"]
        affected = [*ids.values()]
    else:
        row["EntryPointId"], row["TargetId"] = (inputs[name]["id"].lower() for name in ("@entry_point", "@target"))
        affected = [row["EntryPointId"], row["TargetId"], *(step["resourceId"].lower() for step in row["Path"])]
        mitre = inputs["@mitre"]
        row["Tactics"] = [entry["tactic"] for entry in mitre]
        row["Techniques"] = list(dict.fromkeys(_TECHNIQUE.findall(json.dumps(mitre))))
    row["AffectedResourceIds"] = list(dict.fromkeys(affected))
    row["Cloud"] = "Azure"
    _place(row, affected[0])


def _left(row: Row, rest: Row, inputs: Row) -> None:
    """Inputs that no column carries, at their place in Raw."""
    if row["RecordKind"] == "AttackPath" and "@id" in inputs:
        rest["id"] = inputs["@id"]
        properties = rest.setdefault("properties", {})
        properties["entryPointEntityInternalID"] = inputs["@entry_point_id"]
        properties["targetEntityInternalID"] = inputs["@target_id"]
    if row["RecordKind"] == "AttackPath" and "@entry_point" in inputs and "name" in inputs["@entry_point"]:
        rest.setdefault("attackPath", {})["entryPoint"] = inputs["@entry_point"]


def _other(row: Row, _: Row, record: Row) -> None:
    row["RecordId"] = record["id"].lower()
    row["RecordType"] = record["type"]
    row["Action"] = record["securityEventDataEnrichment"]["action"]
    row["IsSnapshot"] = bool(record["securityEventDataEnrichment"].get("isSnapshot"))
    row["ApiVersion"] = record["securityEventDataEnrichment"]["apiVersion"]
    _place(row, _hangs_on(row["RecordId"]))


DERIVE: Mapping[str, Callable[[Row, Row, Row], None]] = {
    "Alert": _alert,
    "Assessment": _assessment,
    "SubAssessment": _sub_assessment,
    "SecureScore": _score,
    "SecureScoreControl": _control,
    "RegulatoryCompliance": _regulatory,
    "AttackPath": _attack_path,
    "Other": _other,
}


def _key(row: Row, rest: Row, enqueued: datetime, stated: str | None) -> str:
    """A RecordKey that tells apart what ours does; its text differs."""
    parts = [row["RecordKind"], row["RecordId"], row.get("Action"), row["IsSnapshot"]]
    utc = enqueued.astimezone(UTC)
    if row["IsSnapshot"]:
        parts.append(str(utc.date()))
    if stated:
        parts += [row[_OWN_TIME[row["RecordKind"]][0]], stated, *(row.get(name) for name in _STANDING)]
        parts.append(canonical_entities(row.get("Entities")))
    else:
        volatile = {"EventTime", "TimeGenerated", "EnqueuedTime", "PartitionId", "SequenceNumber"}
        parts += [f"{utc:%Y-%m-%dT%H}", {name: value for name, value in row.items() if name not in volatile}, rest]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
