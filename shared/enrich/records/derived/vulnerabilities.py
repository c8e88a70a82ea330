"""What scanners put into additional data: CVE ids, CVSS, fixes, software, and where an image or container is.

Every generation is read, in any casing: Qualys beside or under `data`, MDVM in `vulnerabilityDetails`,
`softwareDetails` and `artifactDetails`, findings of 2024 with `cve` as a list or one object, and the individual
recommendations of 2026, whose `CvesDetails`, `ScannersDetails` and `resourceAdditionalData` are JSON in a text.  Such a
text is decoded once, and is a text where it does not parse.

Sources: Microsoft's definition tables of sub-assessments (REST reference), its workbooks for individual
recommendations, and its page on the transition to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from msgspec import Raw

from shared.enrich.records.derived.cves import CVE, FIXABLE, LONGEST_TEXT, MOST_ITEMS, cves_in, score
from shared.enrich.records.derived.software_update import software_update
from shared.enrich.records.json_values import encoded, loaded
from shared.enrich.records.tolerant_reader import convert

_PARTS = ("data", "vulnerabilitydetails", "softwaredetails", "artifactdetails")
Named = Mapping[str, Any]
"""An object with its names in lower case."""


def vulnerability(values: Any, additional: Any, resource: Any, *titles: str | None) -> None:
    """Fill the columns that come from additional data.

    Args:
        values: the row; a column that its table does not have is left out.
        additional: the record's additional data, from either reader.
        resource: its additional data about the resource, likewise.
        titles: texts that may name a CVE where no field does.
    """
    about = {} if resource is None else _named(_decoded(loaded(resource)))
    if not titles and isinstance(additional, Raw) and (software := software_update(additional)):
        _fill(values, software)
        if about:
            _fill(values, _texts([], about))
        return
    data = _decoded(loaded(additional))
    named = _named(data)
    if not about and not titles and named.keys() <= _SAYS_NOTHING:
        return
    levels = _levels(named)
    details = _details(levels)
    columns: dict[str, Any] = _texts(levels, about)
    if details or not _ABOUT_VULNERABILITIES.isdisjoint(chain.from_iterable(levels)):
        status = columns["FixStatus"] = _first_text(levels, "fixstatus") or _common(details, "fixstatus")
        patchable = _first(levels, "patchable", "boolean")
        columns["Patchable"] = patchable if patchable is not None else _is_fixable(status, details)
        columns["SoftwareVersions"] = _versions(levels)
        columns["PublishedTime"] = _published(levels, details)
        columns["CvssScore"] = _highest_score(levels, details)
        columns["Cvss"] = _first(levels, "cvss", "dynamic")
        columns["CveIds"] = _cve_ids(levels, details, data, titles)
    else:
        columns["CveIds"] = _cves_in_text(additional if isinstance(additional, Raw) else data, titles)
    _fill(values, columns)


def cve_entries(additional: Any) -> dict[str, Named]:
    """By CVE id in upper case: what additional data say of that one, with names in lower case."""
    levels = _levels(_named(_decoded(loaded(additional))))
    found: dict[str, Named] = {}
    for entry in (*_details(levels), *levels):
        named = _id_of(entry)
        if named is not None and not isinstance(entry, str) and CVE.fullmatch(named):
            found.setdefault(named.upper(), entry)
    return found


_ABOUT_VULNERABILITIES = frozenset(
    {
        *("fixstatus", "patchable", "detectedsoftwareversions", "softwareversion", "version"),
        *("publishedtime", "publisheddate", "cvss", "cvssscore", "cvssv30score", "cvssv31score", "cvssv40score"),
        *("maxcvssscore", "cveid", "cveids", "cvesids", "scannersdetails"),
    }
)
"""Names in lower case without which additional data say nothing of CVEs, scores, fixes and versions."""
_SAYS_NOTHING = frozenset({"subassessmentslink", "$type"})
"""Members of a classic recommendation's additional data, which most of them have."""


def _fill(values: Any, columns: Mapping[str, Any]) -> None:
    """Set the columns that the row's table has, and that no field has filled."""
    for name, value in columns.items():
        if value is not None and getattr(values, name, value) is None:
            setattr(values, name, value)


_TEXTS: Mapping[str, tuple[str, ...]] = {
    "AssessedResourceType": ("assessedresourcetype",),
    "SoftwareName": ("softwarename", "packagename"),
    "SoftwareVendor": ("softwarevendor", "vendor"),
    "PackageType": ("packagetype", "category"),
    "SoftwareLanguage": ("language",),
    "FixedVersion": ("fixedversion", "recommendedversion"),
    "RuleId": ("ruleid",),
    "ToolName": ("toolname", "scanner", "source"),
    "SecretType": ("secrettypedisplayname", "secrettype"),
    "ParentResource": ("parentresource",),
    "RepositoryName": ("repositoryname",),
    "RegistryHost": ("registryhost",),
    "ImageDigest": ("imagedigest", "digest"),
    "ImageUri": ("imageuri",),
    "ClusterName": ("clustername",),
    "Namespace": ("namespace",),
    "ContainerName": ("containername",),
    "BranchName": ("branchname",),
    "RepositoryUrl": ("htmlurl",),
}
"""By column: the names that its value has, in lower case, in the order in which they count."""
_OF_SOFTWARE_ALONE = frozenset({"category", "vendor", "language"})
"""Names that mean something else outside of `softwareDetails` or an individual recommendation."""
_NESTED_ABOUT = ("repositorydetails", "clusterdetails", "imagedetails", "kubernetesdetails", "findings")
"""Objects, or lists of which the first entry counts, with fields of their own."""


_RANKED = {name: (column, rank) for column, names in _TEXTS.items() for rank, name in enumerate(names)}
_LAST = len(_RANKED)


def _texts(levels: list[Named], about: Named) -> dict[str, str]:
    """By column: the text of the name that counts most, of the additional data before what is about the resource."""
    columns: dict[str, str] = {}
    ranks: dict[str, int] = {}
    nested = [_one(holder[name]) for holder in (about, *levels) for name in _NESTED_ABOUT if name in holder]
    for level in (*levels, about, *nested):
        for name, value in level.items():
            if name not in _RANKED:
                continue
            column, rank = _RANKED[name]
            if rank >= ranks.get(column, _LAST):
                continue
            if name == "ruleid" and type(value) is int:
                value = str(value)  # noqa: PLW2901 # a number stands for a text
            if isinstance(value, str) and value and (name not in _OF_SOFTWARE_ALONE or _tells_software(level)):
                columns[column], ranks[column] = value, rank
    return columns


def _one(value: Any) -> Named:
    value = _decoded(value)
    return _named(value[0] if isinstance(value, list) and value else value)


def _tells_software(level: Named) -> bool:
    return not level.keys().isdisjoint({"softwarename", "packagename", "packagetype", "fixedversion", "version"})


def _levels(named: Named) -> list[Named]:
    """The additional data and the parts of it that hold fields of their own, outermost first."""
    levels = [named]
    for level in levels:
        levels += [part for name in _PARTS if (part := _named(_decoded(level.get(name)))) and len(levels) < MOST_ITEMS]
    return levels


def _details(levels: list[Named]) -> list[Any]:
    """The entries on single CVEs: of `cve`, a list or one object, and of `CvesDetails`."""
    details: list[Any] = []
    for level in levels:
        for name in ("cve", "cves", "cvesdetails"):
            found = _decoded(level.get(name))
            if isinstance(found, list):
                details += [_named(item) or item for item in found[:MOST_ITEMS]]
            elif found is not None:
                details.append(_named(found) or found)
    return details


def _decoded(value: Any) -> Any:
    """A text that holds an object or a list, decoded once; anything else as it is."""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT or value.lstrip()[:1] not in {"{", "["}:
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _named(value: Any) -> dict[str, Any]:
    """An object with its names in lower case; empty where it is none."""
    return {name.lower(): inner for name, inner in value.items()} if isinstance(value, dict) else {}


def _first(levels: list[Named], name: str, kind: Any) -> Any:
    for level in levels:
        value = convert(level.get(name), kind)
        if value is not None:
            return value
    return None


def _first_text(levels: list[Named], name: str) -> str | None:
    return next((value for level in levels if isinstance(value := level.get(name), str) and value), None)


def _common(details: list[Any], name: str) -> str | None:
    """What every entry says, where they agree."""
    said = {item.get(name) for item in details if isinstance(item, dict) and isinstance(item.get(name), str)}
    return said.pop() if len(said) == 1 else None


def _is_fixable(status: str | None, details: list[Any]) -> bool | None:
    """Whether there is a fix, for any of the vulnerabilities; None where nothing says so."""
    said = [status] if status else [item.get("fixstatus") for item in details if isinstance(item, dict)]
    known = {FIXABLE[text.lower()] for text in said if isinstance(text, str) and text.lower() in FIXABLE}
    return any(known) if known else None


def _versions(levels: list[Named]) -> list[str] | None:
    """The versions found: a list, a list in a text, or one text."""
    for name in ("detectedsoftwareversions", "softwareversion", "version"):
        for level in levels:
            found = _decoded(level.get(name))
            several = found if isinstance(found, list) else [found]
            versions = [item for item in several if isinstance(item, str) and item]
            if versions and (name != "version" or _tells_software(level)):
                return versions
    return None


def _published(levels: list[Named], details: list[Any]) -> datetime | None:
    """When the vulnerability was published; of several, the oldest."""
    for name in ("publishedtime", "publisheddate"):
        found = _first(levels, name, "datetime")
        if found is not None:
            return found  # type: ignore[no-any-return] # converted to a datetime
    dates = [convert(item.get("publisheddate"), "datetime") for item in details if isinstance(item, dict)]
    return min((date for date in dates if date is not None), default=None)


def _highest_score(levels: list[Named], details: list[Any]) -> float | None:
    """The highest base score given anywhere, of any version."""
    return max(
        (found for item in (*levels, *details) if isinstance(item, dict) for found in _scores(item)), default=None
    )


_SCORES = ("cvssscore", "cvssv30score", "cvssv31score", "cvssv40score", "maxcvssscore")


def _scores(named: Named) -> Iterator[float]:
    for name in _SCORES:
        if name in named:
            yield from _score(named[name])
    if "cvss" not in named:
        return
    cvss = _decoded(named["cvss"])
    if isinstance(cvss, list):
        versions = cvss
    elif "base" in _named(cvss):
        versions = [cvss]
    else:
        versions = list(cvss.values()) if isinstance(cvss, dict) else []
    for version in versions[:MOST_ITEMS]:
        inner = _named(version)
        inner = _named(inner.get("value")) or inner
        yield from _score(inner.get("base"))


def _score(value: Any) -> Iterator[float]:
    found = score(value)
    if found is not None:
        yield found


def _cve_ids(levels: list[Named], details: list[Any], data: Any, titles: tuple[str | None, ...]) -> list[str] | None:
    """The CVE ids that fields name, each once; only where none does, those in free text."""
    named = [_id_of(item) for item in details]
    for level in levels:
        named += [level.get("cveid"), *_listed(_decoded(level.get("cveids"))), *_listed(_decoded(level.get("cvesids")))]
    if not any(named):
        named += [cve for level in levels for cve in _of_scanners(level)]
    found = [cve for text in named if isinstance(text, str) for cve in cves_in(text)]
    return list(dict.fromkeys(cve.upper() for cve in found)) or None if found else _cves_in_text(data, titles)


def _cves_in_text(data: Any, titles: tuple[str | None, ...]) -> list[str] | None:
    """The CVE ids in free text: the first title where it is one, else those in the data, else those in the titles.

    Args:
        data: the additional data, parsed or as sent.
        titles: texts that may name a CVE.
    """
    if titles and titles[0] and CVE.fullmatch(titles[0]):
        return [titles[0].upper()]
    text = _as_text(data) if data else ""
    found = CVE.findall(text) if text else []
    if not found and titles:
        found = CVE.findall(" ".join(title for title in titles if title))
    return list(dict.fromkeys(cve.upper() for cve in found)) if found else None


def _as_text(data: Any) -> str:
    """Additional data as JSON; empty where no CVE id can be in it."""
    if isinstance(data, Raw):
        text = bytes(data)
        if b"\\u" not in text and b"cve-" not in text.lower():  # other escapes stand for no letter
            return ""
        data = _decoded(loaded(data))
    return encoded(data).decode()


def _of_scanners(level: Named) -> list[Any]:
    """The CVE ids that each scanner names, in `ScannersDetails`."""
    scanners = _named(_decoded(level.get("scannersdetails"))).values()
    return [cve for scanner in scanners for cve in _listed(_decoded(_named(scanner).get("cvesids")))]


def _id_of(item: Any) -> str | None:
    """The id in an entry on one CVE: the entry itself, or its id or title."""
    if isinstance(item, str):
        return item
    if not isinstance(item, dict):
        return None
    return next((item[name] for name in ("cveid", "title", "id", "name") if isinstance(item.get(name), str)), None)


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value[:MOST_ITEMS]
    return [value] if isinstance(value, str) else []
