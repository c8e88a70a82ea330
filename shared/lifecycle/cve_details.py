"""What Microsoft knows of a CVE, as Resource Graph has it, as a row of DefenderCves_CL.

The type microsoft.security/cvedetails is there at the scope of the tenant or a management group alone: a query that
names subscriptions has no rows, and neither has one of who may not read it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from shared import __version__
from shared.enrich.records.derived.cves import CVE, score
from shared.enrich.records.json_values import first_text, listed, mapping
from shared.enrich.records.tolerant_reader import convert

Row = Mapping[str, Any]
CVES_TABLE = "DefenderCves_CL"
ROLE = "Security Reader on the tenant's root management group (or one above every subscription)"
_VERSIONS = {"2.0": "Cvss2", "3.0": "Cvss3", "4.0": "Cvss4"}
_WITHDRAWN = frozenset({"reject", "rejected"})


def query(ids: Iterable[str]) -> str:
    """The query for the details of some CVEs; joins of many fail there, so that they are named a few at a time.

    Raises:
        ValueError: one of them is no CVE id.
    """
    named = sorted({each.lower() for each in ids})
    if not all(CVE.fullmatch(each) for each in named):
        raise ValueError("these are no CVE ids")
    listed_ids = ", ".join(f"'{each}'" for each in named)
    return f"""securityresources
| where type =~ 'microsoft.security/cvedetails'
| where name in~ ({listed_ids}) or tostring(properties.cveId) in~ ({listed_ids})
| project id, name, properties
| order by id asc"""


def cve_rows(found: Mapping[str, Any], asked: Collection[str], instance_id: str, now: datetime) -> list[Row]:
    """A row for each id under which one CVE was asked for: its name, and the other one where it was renamed."""
    row = cve_row(found, instance_id, now)
    names = dict.fromkeys(each for each in (row["CveId"], row["RenamedTo"]) if each in asked)
    return [{**row, "CveId": each, "RenamedTo": row["RenamedTo"] if each == row["CveId"] else None} for each in names]


def cve_row(found: Mapping[str, Any], instance_id: str, now: datetime) -> Row:
    """A row of what Resource Graph has of one CVE; what it does not say is null, which is no `false`."""
    said = mapping(found.get("properties"))
    exploits = mapping(said.get("exploitabilitydetails"))
    epss = mapping(exploits.get("epss"))
    cvss = mapping(said.get("cvss"))
    scores = {column: score(mapping(cvss.get(version)).get("base")) for version, column in _VERSIONS.items()}
    status = first_text(said, "status")
    name = str(found["name"]).upper()
    own = (first_text(said, "cveid") or name).upper()
    return {
        "TimeGenerated": now,
        "CveId": name,
        "RenamedTo": own if own != name else None,
        "Severity": first_text(said, "severity"),
        "Status": status,
        "IsWithdrawn": (status or "").lower() in _WITHDRAWN,
        **scores,
        "CvssScore": max((each for each in scores.values() if each is not None), default=None),
        "Cvss": cvss or None,
        "EpssScore": convert(epss.get("score"), "real"),
        "EpssPercentile": convert(epss.get("percentile"), "real"),
        "IsInExploitKit": _flag(exploits.get("isinexploitkit")),
        "IsExploitVerified": _flag(exploits.get("isverified")),
        "IsPubliclyDisclosed": _flag(exploits.get("ispubliclydisclosed")),
        "ExploitUris": listed(exploits.get("exploituris")) or None,
        "PublishedTime": convert(said.get("publisheddate"), "datetime"),
        "ModifiedTime": convert(said.get("lastmodifieddate"), "datetime"),
        "Weaknesses": [weakness for each in listed(said.get("weaknesses")) if (weakness := _weakness(each))] or None,
        "InstanceId": instance_id,
        "Release": __version__,
    }


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _weakness(value: Any) -> str | None:
    return value if isinstance(value, str) and value else first_text(mapping(value), "id")
