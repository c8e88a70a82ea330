"""The short way through today's additional data gives what the patient way gives, for data of any form."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from shared.enrich.records.derived.software_update import software_update
from shared.enrich.records.derived.vulnerabilities import vulnerability
from shared.enrich.tables import BY_KIND

FULL = {
    "CveId": "CVE-2026-4321",
    "Severity": "High",
    "Cvss": [
        {"Key": "2", "Value": {"Base": 7.0}},
        {"Key": "3", "Value": {"Base": 8.5, "CvssVectorString": "CVSS:3.1/AV:N"}},
    ],
    "PublishedDate": "2026-04-15T00:00:01.8000000Z",
    "Description": "CVE-2020-0001 was similar.",
}
"""The details of a CVE, with all that they are known to hold."""
CVES = [{"CveId": "CVE-2026-1234", "FixStatus": "FixAvailable", "FixedVersion": "3.0.3"}, {"CveId": "cve-2025-0007"}]
USUAL: dict[str, Any] = {
    "SoftwareName": "openssl",
    "SoftwareVendor": "ubuntu",
    "PackageType": "OS",
    "Language": "",
    "DetectedSoftwareVersions": '["3.0.2"]',
    "FixedVersion": "3.0.3",
    "FixStatus": "FixAvailable",
    "MaxCvssScore": "7.1",
    "CvesDetails": json.dumps(CVES),
    "ScannersDetails": '{"mdvm":{"CvesIds":["CVE-2026-1234"]}}',
}
TEXTS = st.sampled_from(
    [
        "",
        "x",
        "7.1",
        " 7.10 ",
        "1e1",
        "11",
        "-0",
        "NaN",
        "[]",
        "[",
        '[""]',
        '["1","2"]',
        '["1",2]',
        "3.0",
        "NoFix",
        "Patched",
        "unknown",
        "CVE-2026-1234",
        "cve-2026-1234 and CVE-2025-99999",
        "null",
        "{}",
        '[{"CveId":"CVE-2026-1"}]',
        '[{"CveId":"CVE-2026-4321"}]',
        '[{"cveid":"CVE-2026-4321"}]',
        '[{"CveId":null}]',
        '[{"CveId":"CVE-2026-4321","Cvss":[{"Key":"3","Value":{"Base":9.8}}]}]',
        ' [{"CveId":"CVE-2026-4321","FixedVersion":["1"]}]',
        json.dumps([FULL]),
        json.dumps(
            [FULL, {"CveId": "CVE-2026-4322", "PublishedDate": "2025-01-01"}, {**FULL, "PublishedDate": "soon"}]
        ),
        json.dumps([{**FULL, "Cvss": [{"Key": "3", "Value": {"Base": 11}}, {"Key": "3", "Value": {"Base": 0}}]}]),
        json.dumps([{**FULL, "Cvss": [{"Key": "3", "Value": {"Base": "8.5"}}]}]),
        json.dumps([{**FULL, "Cvss": {"3": {"Base": 8.5}}, "PublishedDate": None}]),
        '\u00a0[{"CveId":"CVE-2026-4321"}]',
        '{"CveId":"CVE-2026-4321"}',
        '["CVE-2026-4321"]',
        '[{"CveId":"' + "x" * 999 + 'CVE-2026-4321"}]',
        '[{"CveId":"CVE-2026-4321"}] x',
        '[{"CveId":"CVE-2026-","FixStatus":""},{"CveId":"1234"}]',
    ]
)
VALUES = st.one_of(TEXTS, TEXTS, st.none(), st.booleans(), st.integers(-1, 12), st.just([]), st.just({"base": "3"}))
NAMES = st.sampled_from(
    [*USUAL, *(name.lower() for name in USUAL), "Cve", "Patchable", "data", "Vendor", "Cvss", "category"]
)
ABOUT = st.sampled_from(
    [
        None,
        "",
        "{}",
        '{"Digest":"sha256:1","Vendor":"v","PackageName":"p","Version":"1"}',
        {"RepositoryDetails": {"RegistryHost": "acr1"}},
        '{"ClusterDetails":{"ClusterName":"aks"},"FixStatus":"NoFix","Language":"go"}',
    ]
)
COLUMNS = dict.fromkeys(BY_KIND["Assessment"].types)


def columns(additional: Any, about: Any) -> dict[str, Any]:
    values = SimpleNamespace(**COLUMNS)
    vulnerability(values, additional, about)
    return vars(values)


def both(data: dict[str, Any], about: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    text = orjson.dumps(data)
    return columns(Raw(text), about), columns(orjson.loads(text), about)


def test_todays_form_is_read_the_short_way() -> None:
    found = software_update(Raw(orjson.dumps(USUAL)))
    assert found is not None
    assert (found["CveIds"], found["CvssScore"], found["Patchable"]) == (["CVE-2026-1234", "CVE-2025-0007"], 7.1, True)
    short, patient = both(USUAL, None)
    assert short == patient


def test_details_in_full_are_read_the_short_way() -> None:
    found = software_update(Raw(orjson.dumps({**USUAL, "CvesDetails": json.dumps([FULL])})))
    assert found is not None
    assert (found["CvssScore"], str(found["PublishedTime"])) == (8.5, "2026-04-15 00:00:01.800000+00:00")


@pytest.mark.parametrize("name", list(USUAL))
@pytest.mark.parametrize("value", ["", None, 7, [], "[]", "NoFix", "absent"], ids=repr)
def test_one_member_that_differs_changes_no_answer(name: str, value: Any) -> None:
    data = {other: each for other, each in USUAL.items() if other != name or value != "absent"}
    if value != "absent":
        data[name] = value
    short, patient = both(data, None)
    assert short == patient


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=4), st.lists(st.sampled_from(list(USUAL)), max_size=2), ABOUT)
def test_both_ways_give_the_same_columns(changes: dict[str, Any], missing: list[str], about: Any) -> None:
    data = {name: value for name, value in USUAL.items() if name not in missing} | changes
    short, patient = both(data, about)
    assert short == patient


OLDER = st.sampled_from(
    [
        *(
            "Benchmarks",
            "Category",
            "RuleId",
            "ToolName",
            "Findings",
            "cve",
            "CvesDetails",
            "patchable",
            "cvss",
            "data",
        ),
        *("vulnerabilityDetails", "softwareDetails", "version", "publishedTime", "CveIds", "PackageName", "Digest"),
    ]
)
SAID = st.one_of(
    VALUES,
    st.dictionaries(OLDER, TEXTS, max_size=3),
    st.sampled_from(["CVE-2026-1234 x", "CVE\u20132026-1234", "a\\b cve-2025-0007", '"CVE-2026-1"']),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=400)
@given(st.dictionaries(OLDER, SAID, max_size=5), ABOUT, st.sampled_from([(), ("CVE-2026-9999", "n"), ("id", None)]))
def test_older_data_gives_the_same_as_sent_and_parsed(data: dict[str, Any], about: Any, titles: Any) -> None:
    kind = "SubAssessment" if titles else "Assessment"
    found = []
    for additional in (Raw(orjson.dumps(data)), Raw(json.dumps(data).encode()), orjson.loads(orjson.dumps(data))):
        values = SimpleNamespace(**dict.fromkeys(BY_KIND[kind].types))
        vulnerability(values, additional, about, *titles)
        found.append(vars(values))
    assert found[0] == found[1] == found[2]
