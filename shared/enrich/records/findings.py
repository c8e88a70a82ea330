"""What scanners put into a finding's additional data: CVE ids, CVSS, patches, and where in a registry it was found."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import orjson

from shared.enrich.records.anyshape import convert
from shared.enrich.records.values import mapping

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
            found = _patiently(orjson.loads(text))
    else:
        text = orjson.dumps(data)
        found = _patiently(data)
    values.AssessedResourceType = found.assessed_resource_type
    _fill(values, found)
    if found.data is not None:
        _fill(values, found.data)
    values.CveIds = _cves(text, values)


def _patiently(value: Any) -> Finding:
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
        data=_patiently(nested) if isinstance(nested, dict) else None,
    )


def _fill(values: Any, found: Any) -> None:
    """Put what this level says into the columns that an outer level left empty."""
    if found.patchable is not None and values.Patchable is None:
        values.Patchable = found.patchable
    if found.published_time is not None and values.PublishedTime is None:
        values.PublishedTime = found.published_time
    if found.repository_name is not None and values.RepositoryName is None:
        values.RepositoryName = found.repository_name
    if found.registry_host is not None and values.RegistryHost is None:
        values.RegistryHost = found.registry_host
    if found.image_digest is not None and values.ImageDigest is None:
        values.ImageDigest = found.image_digest
    if found.cvss is not None and values.Cvss is None:
        values.Cvss, values.CvssScore = found.cvss, _highest(found.cvss)


def _cves(text: bytes, values: Any) -> list[str] | None:
    """The CVE ids in the additional data, the vulnerability's id or its title, each once; None where there are none."""
    found = _CVE.findall(text.decode())
    if not found:
        said = f"{values.VulnerabilityId} {values.RecommendationName}"
        if "CVE-" not in said:
            return None
        found = _CVE.findall(said)
    return list(dict.fromkeys(found)) or None


def _highest(cvss: Any) -> float | None:
    """The highest base score: `{"3.0": {"base": 7.5}}`, in any casing."""
    highest: float | None = None
    for version in cvss.values() if isinstance(cvss, dict) else ():
        score = version.get("base") if isinstance(version, dict) else None
        if type(score) is not float:
            score = convert(mapping(version).get("base"), "real")
        if score is not None and (highest is None or score > highest):
            highest = score
    return highest
