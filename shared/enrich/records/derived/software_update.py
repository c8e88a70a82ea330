"""Columns of an individual recommendation on software, from additional data in the form in which it is sent today.

`vulnerabilities` reads every form and gives the same columns, in several times the time.  This form has its names in
their casing, and at least one CVE id among the details of CVEs.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from shared.enrich.records.derived.cves import FIXABLE, LONGEST_ID, LONGEST_TEXT, MOST_ITEMS, cves_in, score
from shared.enrich.records.tolerant_reader import moment


class _Software(Struct, forbid_unknown_fields=True, gc=False):
    SoftwareName: str
    FixStatus: str
    CvesDetails: str
    SoftwareVendor: str = ""
    PackageType: str = ""
    Language: str = ""
    DetectedSoftwareVersions: str = ""
    FixedVersion: str = ""
    MaxCvssScore: str = ""
    ScannersDetails: Raw = Raw()


class _Base(Struct, forbid_unknown_fields=True, gc=False):
    Base: float
    CvssVectorString: Raw = Raw()


class _Version(Struct, forbid_unknown_fields=True, gc=False):
    Value: _Base
    Key: Raw = Raw()


class _Details(Struct, forbid_unknown_fields=True, gc=False):
    CveId: str
    FixStatus: Raw = Raw()
    FixedVersion: Raw = Raw()
    Severity: Raw = Raw()
    Cvss: list[_Version] = []  # msgspec copies an empty list
    PublishedDate: str = ""
    Description: Raw = Raw()


_read = msgspec.json.Decoder(_Software).decode
_read_details = msgspec.json.Decoder(list[_Details]).decode
_read_versions = msgspec.json.Decoder(list[str]).decode


def software_update(additional: Raw) -> dict[str, Any] | None:
    """The columns; None where the data has another form."""
    try:
        software = _read(additional)
        text, listed = software.CvesDetails, software.DetectedSoftwareVersions
        versions = _read_versions(listed) if listed else []
        details = _read_details(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if not software.FixStatus or len(text) > LONGEST_TEXT or len(details) > MOST_ITEMS or len(listed) > LONGEST_TEXT:
        return None
    ids = [one.CveId for one in details]
    if len(text) > LONGEST_ID and max(map(len, ids), default=0) > LONGEST_ID:
        return None
    found = [cve for each in ids for cve in cves_in(each)]
    if not found:
        return None
    scores = [score(version.Value.Base) for one in details if one.Cvss for version in one.Cvss[:MOST_ITEMS]]
    if software.MaxCvssScore:
        scores.append(score(software.MaxCvssScore))
    dates = [moment(one.PublishedDate) for one in details if one.PublishedDate]
    return {
        "SoftwareName": software.SoftwareName or None,
        "SoftwareVendor": software.SoftwareVendor or None,
        "PackageType": software.PackageType or None,
        "SoftwareLanguage": software.Language or None,
        "FixedVersion": software.FixedVersion or None,
        "FixStatus": software.FixStatus,
        "Patchable": FIXABLE.get(software.FixStatus.lower()),
        "SoftwareVersions": [version for version in versions if version] or None,
        "CvssScore": max((each for each in scores if each is not None), default=None),
        "PublishedTime": min((each for each in dates if each is not None), default=None),
        "CveIds": list(dict.fromkeys(found)),
    }
