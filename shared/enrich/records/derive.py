"""The columns that are worked out rather than copied, one function per kind.

Each takes what a reader gave and sets columns on `read.values`; none raises, whatever the record holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import orjson

from shared.enrich.records.anyshape import convert, moment
from shared.enrich.records.resources import NOWHERE, Place, locate, resource_part, segment_after
from shared.enrich.records.reading import Read

_CVE = re.compile(rb"CVE-\d{4}-\d{4,}")
_TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")
_SUBSCRIPTION = re.compile(
    r"(?:/subscriptions/|subscriptionId/)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE
)
_CLOUDS = {"azure": "Azure", "aws": "AWS", "gcp": "GCP"}


def loaded(value: Any) -> Any:
    """A dynamic value parsed, whichever reader it came from."""
    return orjson.loads(memoryview(value)) if isinstance(value, msgspec.Raw) else value


def _mapping(value: Any) -> dict[str, Any]:
    """The object with its names in lower case; empty where it is none."""
    value = loaded(value)
    return {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}


def _link(text: str | None) -> str | None:
    """A portal link made whole: exports leave the scheme out."""
    if not text or "://" in text:
        return text
    return f"https://{text.lstrip('/')}" if text.startswith("portal.") else text


def _place(read: Read, place: Place) -> None:
    """Fill the columns that say where the resource is."""
    values = read.values
    values.ResourceId = place.id or None
    values.SubscriptionId = place.subscription or None
    values.ResourceGroup = place.group or None
    values.ResourceType = place.type or None
    if values.ResourceName is None and place.id:
        values.ResourceName = place.id.rpartition("/")[2]


def _lower(text: str | None) -> str | None:
    return text.lower() if text else None


def _details(read: Read) -> str:
    """The resource of an assessment or finding: its resource details first, then what its id hangs on.

    Returns the record's id in lower case, which is also its RecordId.
    """
    values, inputs = read.values, read.inputs
    record_id: str = inputs.id.lower() if inputs.id else ""
    values.RecordId = record_id or None
    place = locate(inputs.resource) if inputs.resource else NOWHERE
    if not place.subscription:
        place = locate(resource_part(record_id))
    _place(read, place)
    if inputs.resource and not place.id:
        values.ResourceId = inputs.resource
    source = values.Cloud
    values.Cloud = cloud = _CLOUDS.get(source.lower(), source) if source else "Azure"
    if cloud in {"AWS", "GCP"} and inputs.resource_type:
        values.ResourceType = inputs.resource_type.lower()
    if values.SubscriptionId is None and inputs.subscription:
        values.SubscriptionId = inputs.subscription.lower()
    return record_id


def alert(read: Read) -> datetime | None:
    """Resource, MITRE and plan of an alert."""
    values, inputs = read.values, read.inputs
    values.RecordId = _lower(values.SystemAlertId)
    extended = _mapping(values.ExtendedProperties)
    resource = (
        inputs.resource or _first_text(extended, "effectiveazureresourceid") or _identifier(values.ResourceIdentifiers)
    )
    _place(read, locate(resource or ""))
    if values.SubscriptionId is None:
        stated = inputs.subscription or _first_text(extended, "effectivesubscriptionid")
        found = _SUBSCRIPTION.search(values.AlertLink or "") if not stated else None
        values.SubscriptionId = stated.lower() if stated else found[1].lower() if found else None
    values.Cloud = values.Cloud or "Azure"
    values.ProductComponentName = values.ProductComponentName or _first_text(extended, "productcomponentname")
    values.AlertLink = _link(values.AlertLink)
    if inputs.intent:
        values.Tactics = [tactic.strip() for tactic in inputs.intent.split(",") if tactic.strip()]
    _techniques(read, [inputs.techniques, inputs.sub_techniques], extended)
    return values.ProcessingEndTime or values.AlertTimeGenerated or values.EndTime  # type: ignore[no-any-return] # Any


def _first_text(extended: Mapping[str, Any], name: str) -> str | None:
    value = extended.get(name)
    return value if isinstance(value, str) and value else None


def _identifier(identifiers: Any) -> str | None:
    """The first Azure resource among an alert's identifiers."""
    listed = loaded(identifiers)
    for item in listed if isinstance(listed, list) else []:
        found = _first_text(_mapping(item), "azureresourceid")
        if found:
            return found
    return None


def _techniques(read: Read, stated: list[Any], extended: Mapping[str, Any]) -> None:
    text = [orjson.dumps(loaded(value)).decode() for value in stated if value is not None]
    text += [str(value) for name, value in extended.items() if "technique" in name]
    found = dict.fromkeys(_TECHNIQUE.findall(" ".join(text))) if text else {}
    if found:
        read.values.Techniques = list(dict.fromkeys(technique.partition(".")[0] for technique in found))
        below = [technique for technique in found if "." in technique]
        read.values.SubTechniques = below or None


def assessment(read: Read) -> datetime | None:
    """Resource, recommendation and times of an assessment."""
    values, inputs = read.values, read.inputs
    record_id = _details(read)
    values.RecommendationId = segment_after(record_id, "/assessments/") or _lower(inputs.name)
    values.RecommendationLink = _link(values.RecommendationLink)
    if values.RecommendationState in {"Healthy", "healthy"}:
        values.ResolvedTime = values.StatusChangeDate
    return values.StatusChangeDate  # type: ignore[no-any-return] # a row's columns are Any


def sub_assessment(read: Read) -> datetime | None:
    """Resource, parent and vulnerability of a finding."""
    values, inputs = read.values, read.inputs
    record_id = _details(read)
    values.ParentRecommendationId = segment_after(record_id, "/assessments/") or None
    values.NestedRecommendationId = segment_after(record_id, "/subassessments/") or _lower(inputs.name)
    _vulnerability(read)
    return values.SubAssessmentTimeGeneration  # type: ignore[no-any-return] # a row's columns are Any


_FINDING = {
    "assessedresourcetype": "AssessedResourceType",
    "patchable": "Patchable",
    "publishedtime": "PublishedTime",
    "repositoryname": "RepositoryName",
    "registryhost": "RegistryHost",
    "imagedigest": "ImageDigest",
}


class Finding(msgspec.Struct, gc=False):
    """What scanners say in a finding's additional data, that a column carries; the rest stays there."""

    assessed_resource_type: str | None = None
    patchable: bool | None = None
    published_time: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    repository_name: str | None = None
    registry_host: str | None = None
    image_digest: str | None = None
    cvss: Any = None
    data: Any = None


def _finding_decoder(rename: Literal["camel", "pascal"]) -> Callable[[Any], Any]:
    """Reads findings in one casing, what is under `data` included."""
    own = [(field.name, field.type, field.default) for field in msgspec.structs.fields(Finding)]
    inner = msgspec.defstruct("InnerFinding", own, rename=rename, gc=False)
    outer = msgspec.defstruct("OuterFinding", [*own[:-1], ("data", inner | None, None)], rename=rename, gc=False)
    return msgspec.json.Decoder(outer).decode


_FINDINGS = {b"a": _finding_decoder("camel"), b"A": _finding_decoder("pascal")}


def _finding(value: Any) -> Any:
    """Read additional data; in another casing or with other types than usual, a field at a time."""
    if isinstance(value, msgspec.Raw):
        try:
            return _FINDINGS[bytes(memoryview(value)[2:3])](value)
        except (KeyError, msgspec.ValidationError):
            pass
    named = _mapping(value)
    nested = named.get("data")
    return Finding(
        assessed_resource_type=convert(named.get("assessedresourcetype"), "string"),
        patchable=convert(named.get("patchable"), "boolean"),
        published_time=convert(named.get("publishedtime"), "datetime"),
        repository_name=convert(named.get("repositoryname"), "string"),
        registry_host=convert(named.get("registryhost"), "string"),
        image_digest=convert(named.get("imagedigest"), "string"),
        cvss=named.get("cvss"),
        data=_finding(nested) if isinstance(nested, dict) else None,
    )


def _vulnerability(read: Read) -> None:
    """CVE, CVSS and where it was found; the scanners put them beside or under `data`."""
    values = read.values
    if values.AdditionalData is not None:
        found = _finding(values.AdditionalData)
        values.AssessedResourceType = found.assessed_resource_type
        _copy(found, values)
        if found.data is not None:
            _copy(found.data, values)
    values.CveIds = _cves(read)


def _copy(found: Finding, values: Any) -> None:
    """Put what this level says into the columns that an outer level left empty."""
    if values.Patchable is None:
        values.Patchable = found.patchable
    values.PublishedTime = values.PublishedTime or found.published_time
    values.RepositoryName = values.RepositoryName or found.repository_name
    values.RegistryHost = values.RegistryHost or found.registry_host
    values.ImageDigest = values.ImageDigest or found.image_digest
    if values.Cvss is None and found.cvss is not None:
        values.Cvss, values.CvssScore = found.cvss, _highest(found.cvss)


def _cves(read: Read) -> list[str] | None:
    """The CVE ids in the additional data, the vulnerability's id or its title, each once; None where there are none."""
    values = read.values
    data = values.AdditionalData
    text = bytes(data) if isinstance(data, msgspec.Raw) else orjson.dumps(data)
    found = _CVE.findall(text) if b"CVE-" in text else []
    if not found:
        found = _CVE.findall(f"{values.VulnerabilityId} {values.RecommendationName}".encode())
    return [cve.decode() for cve in dict.fromkeys(found)] or None


def _highest(cvss: Any) -> float | None:
    """The highest base score: `{"3.0": {"base": 7.5}}`, in any casing."""
    versions = cvss.values() if isinstance(cvss, dict) else ()
    scores = [convert(_mapping(version).get("base"), "real") for version in versions]
    known = [score for score in scores if score is not None]
    return max(known) if known else None


def _of_subscription(read: Read) -> str:
    """Scores and states hang on a subscription; returns the id in lower case, which is also the RecordId."""
    record_id: str = read.inputs.id.lower() if read.inputs.id else ""
    read.values.RecordId = record_id or None
    read.values.Cloud = "Azure"
    _place(read, locate(resource_part(record_id)))
    if read.values.SubscriptionId is None:
        read.values.SubscriptionId = _lower(read.inputs.subscription)
    return record_id


def secure_score(read: Read) -> datetime | None:
    """The subscription and the score's name."""
    record_id = _of_subscription(read)
    read.values.ScoreName = read.inputs.name or segment_after(record_id, "/securescores/") or None
    return None


def secure_score_control(read: Read) -> datetime | None:
    """The subscription, the control, and the recommendations in it."""
    values, inputs = read.values, read.inputs
    values.ControlId = segment_after(_of_subscription(read), "/securescorecontrols/") or _lower(inputs.name)
    listed = loaded(inputs.definitions)
    if isinstance(listed, list):
        values.RecommendationResourceIds = [item.get("id") if isinstance(item, dict) else item for item in listed]
    return None


def regulatory(read: Read) -> datetime | None:
    """Standard and control, which only the id names; in the casing it has."""
    values, inputs = read.values, read.inputs
    lowered = _of_subscription(read)
    values.ComplianceStandard = segment_after(lowered, "/regulatorycompliancestandards/", inputs.id) or None
    values.ComplianceControl = segment_after(lowered, "/regulatorycompliancecontrols/", inputs.id) or None
    values.RecommendationId = segment_after(lowered, "/regulatorycomplianceassessments/") or _lower(inputs.name)
    values.AssessmentDetailsLink = _link(values.AssessmentDetailsLink)
    return None


def attack_path(read: Read) -> datetime | None:
    """Entry point, target, tactics and the resources along the path."""
    values, inputs = read.values, read.inputs
    lowered = (inputs.id or "").lower()
    values.AttackPathId = values.AttackPathId or segment_after(lowered, "/attackpaths/") or inputs.name
    values.RecordId = lowered or _lower(values.AttackPathId)
    graph = _mapping(values.Path)
    entities = [_mapping(entity) for entity in _listed(graph.get("entities"))]
    values.EntryPointId = _node(inputs.entry_point) or _entity(entities, values.EntryPointId)
    values.TargetId = _node(inputs.target) or _entity(entities, values.TargetId)
    affected = [resource for entity in entities if (resource := _arm_id(entity))]
    affected += [node for node in (values.EntryPointId, values.TargetId) if node and node.startswith("/subscriptions/")]
    affected += _steps(values.Path)
    values.AffectedResourceIds = list(dict.fromkeys(affected)) or None
    places = [locate(resource) for resource in [resource_part(lowered), *affected]]
    named = [place for place in places if place.subscription]
    _place(read, locate(affected[0]) if affected else named[0] if named else NOWHERE)
    values.Cloud = "Azure"
    text = orjson.dumps(loaded(inputs.mitre)).decode() if inputs.mitre is not None else ""
    values.Techniques = list(dict.fromkeys(_TECHNIQUE.findall(text))) or None
    values.Tactics = [
        tactic for entry in _listed(loaded(inputs.mitre)) if (tactic := _first_text(_mapping(entry), "tactic"))
    ] or None
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _node(value: Any) -> str | None:
    """The id of an entry point or target, which is an id or an object that has one."""
    value = loaded(value)
    if isinstance(value, str):
        return value
    node = _mapping(value)
    return _arm_id(node) or _first_text(node, "resourceid") or _first_text(node, "id")


def _arm_id(entity: Mapping[str, Any]) -> str | None:
    found = _first_text(_mapping(entity.get("entityidentifiers")), "azureresourceid")
    return found.lower() if found else None


def _entity(entities: list[dict[str, Any]], internal: str | None) -> str | None:
    """An entity's Azure id where the path names it by an id of its own."""
    for entity in entities:
        if internal and entity.get("entityinternalid") == internal:
            return _arm_id(entity) or internal
    return internal


def _steps(path: Any) -> list[str]:
    found = (_first_text(_mapping(step), "resourceid") for step in _listed(loaded(path)))
    return [resource.lower() for resource in found if resource and resource.lower().startswith("/subscriptions/")]


def other(read: Read) -> datetime | None:
    """Whatever an unknown record names by the usual names."""
    record = _mapping(read.rest)
    record_id = (_first_text(record, "id") or "").lower()
    values = read.values
    values.RecordId = record_id or None
    _place(read, locate(resource_part(record_id)))
    if values.SubscriptionId is None and (stated := _first_text(record, "subscriptionid")):
        values.SubscriptionId = stated.lower()
    values.RecordType = _first_text(record, "type")
    values.SourceTenantId = _first_text(record, "tenantid")
    enrichment = _mapping(record.get("securityeventdataenrichment"))
    values.Action = _first_text(enrichment, "action")
    values.IsSnapshot = convert(enrichment.get("issnapshot"), "boolean")
    properties = _mapping(record.get("properties"))
    return moment(properties.get("timegenerated")) or moment(record.get("timegenerated"))


DERIVE: Mapping[str, Callable[[Read], datetime | None]] = {
    "Alert": alert,
    "Assessment": assessment,
    "SubAssessment": sub_assessment,
    "SecureScore": secure_score,
    "SecureScoreControl": secure_score_control,
    "RegulatoryCompliance": regulatory,
    "AttackPath": attack_path,
    "Other": other,
}
"""By kind: fills the row and returns the record's own time, where it has one."""
