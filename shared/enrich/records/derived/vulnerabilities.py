"""What scanners put into a finding's additional data: CVE ids, CVSS, patches, and where in a registry it was found."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import orjson

from shared.enrich.records.json_values import mapping
from shared.enrich.records.tolerant_reader import convert

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")


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


def _finding_decoder(rename: Literal["camel", "pascal"]) -> Callable[[bytes], Any]:
    """Reads findings in one casing, what is under `data` included."""
    own = [(field.name, field.type, field.default) for field in msgspec.structs.fields(Finding)]
    inner = msgspec.defstruct("InnerFinding", own, rename=rename, gc=False)
    outer = msgspec.defstruct("OuterFinding", [*own[:-1], ("data", inner | None, None)], rename=rename, gc=False)
    return msgspec.json.Decoder(outer).decode


_BY_FIRST_LETTER = {b"a": _finding_decoder("camel"), b"A": _finding_decoder("pascal")}


def vulnerability(values: Any) -> None:
    """Fill the columns of a finding's row from its additional data; scanners put them beside or under `data`."""
    data = values.AdditionalData
    found: Any = None
    if isinstance(data, msgspec.Raw):
        text = bytes(data)
        decode = _BY_FIRST_LETTER.get(text[2:3])
        if decode is not None:
            try:
                found = decode(text)
            except msgspec.ValidationError:
                found = None  # another casing further in, or other types than usual
        if found is None:
            found = _read_tolerantly(orjson.loads(text))
    else:
        text = orjson.dumps(data)
        found = _read_tolerantly(data)
    within = found if found.data is None else found.data
    values.AssessedResourceType = found.assessed_resource_type
    values.Patchable = within.patchable if found.patchable is None else found.patchable
    values.PublishedTime = found.published_time or within.published_time
    values.RepositoryName = found.repository_name or within.repository_name
    values.RegistryHost = found.registry_host or within.registry_host
    values.ImageDigest = found.image_digest or within.image_digest
    cvss = within.cvss if found.cvss is None else found.cvss
    if cvss is not None:
        values.Cvss, values.CvssScore = cvss, _highest(cvss)
    values.CveIds = _cves(text, values)


def _read_tolerantly(value: Any) -> Finding:
    """Read additional data of any casing and any types, a field at a time."""
    named = mapping(value)
    nested = named.get("data")
    return Finding(
        assessed_resource_type=convert(named.get("assessedresourcetype"), "string"),
        patchable=convert(named.get("patchable"), "boolean"),
        published_time=convert(named.get("publishedtime"), "datetime"),
        repository_name=convert(named.get("repositoryname"), "string"),
        registry_host=convert(named.get("registryhost"), "string"),
        image_digest=convert(named.get("imagedigest"), "string"),
        cvss=named.get("cvss"),
        data=_read_tolerantly(nested) if isinstance(nested, dict) else None,
    )


def _cves(text: bytes, values: Any) -> list[str] | None:
    """The CVE ids in the additional data, the vulnerability's id or its title, each once; None where there are none."""
    found = _CVE.findall(text.decode()) or _CVE.findall(f"{values.VulnerabilityId} {values.RecommendationName}")
    return list(dict.fromkeys(found)) if found else None


def _highest(cvss: Any) -> float | None:
    """The highest base score: `{"3.0": {"base": 7.5}}`, in any casing."""
    highest: float | None = None
    for version in cvss.values() if type(cvss) is dict else ():
        if type(version) is dict:
            score = version.get("base") or version.get("Base")
            if type(score) is not float:
                score = convert(mapping(version).get("base"), "real")
            if score is not None and (highest is None or score > highest):
                highest = score
    return highest
