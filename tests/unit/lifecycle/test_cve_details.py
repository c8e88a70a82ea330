from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.enrich.tables import BY_NAME
from shared.lifecycle.cve_details import CVES_TABLE, cve_row, cve_rows, query
from shared.lifecycle.cve_refresh import Refresh, dumped, loaded
from shared.stored_format import KeptAsIs

NOW = datetime(2026, 11, 20, tzinfo=UTC)
CAPTURED = {
    "cveId": "CVE-2024-6179", "severity": "Medium", "status": "", "cvssSource": "nvd",
    "publishedDate": "2024-06-20T00:00:00Z", "lastModifiedDate": "2024-07-01T00:00:00Z",
    "cvss": {"4.0": None, "3.0": {"base": 6.1, "cvssVectorString": "CVSS:3.1/AV:N"}, "2.0": None},
    "exploitabilityDetails": {"IsPubliclyDisclosed": False, "IsInExploitKit": False, "IsVerified": False,
                              "ExploitUris": [], "Types": [], "Epss": {"Percentile": 0.1, "Score": 0.001}},
    "weaknesses": [{"Id": "CWE-79"}], "references": [], "description": "", "extendedDescription": {},
}  # fmt: skip


def row(name: str = "cve-2024-6179", **properties: Any) -> dict[str, Any]:
    return dict(cve_row({"id": f"/x/{name}", "name": name, "properties": CAPTURED | properties}, "one", NOW))


def test_a_captured_one() -> None:
    found = row()
    assert set(found) == set(BY_NAME[CVES_TABLE].types)
    assert (found["CveId"], found["RenamedTo"], found["Severity"]) == ("CVE-2024-6179", None, "Medium")
    assert (found["Cvss2"], found["Cvss3"], found["Cvss4"], found["CvssScore"]) == (None, 6.1, None, 6.1)
    assert (found["EpssScore"], found["EpssPercentile"], found["Weaknesses"]) == (0.001, 0.1, ["CWE-79"])
    assert (found["IsInExploitKit"], found["IsExploitVerified"], found["IsPubliclyDisclosed"]) == (False, False, False)
    assert (found["Status"], found["IsWithdrawn"], found["PublishedTime"].year) == (None, False, 2024)


@pytest.mark.parametrize(
    ("cvss", "scores"),
    [
        ({"2.0": {"base": 5}, "3.0": None, "4.0": None}, (5.0, None, None, 5.0)),
        ({"2.0": {"base": 5}, "3.0": {"base": "7.5"}, "4.0": {"Base": 9.3}}, (5.0, 7.5, 9.3, 9.3)),
        ({"3.0": {"base": 99}}, (None, None, None, None)),
        ({"3.0": {"base": 0}}, (None, 0.0, None, 0.0)),
        ({"3.0": {"base": -0.1}, "4.0": {"base": "NaN"}, "2.0": {"base": True}}, (None, None, None, None)),
        ({"2.0": {"base": 10}, "4.0": {"base": 6.9}}, (10.0, None, 6.9, 10.0)),
        ({"3.0": [{"base": 9.8}], "4.0": "9.8"}, (None, None, None, None)),
        ({"3.0": {"base": "1e1"}}, (None, 10.0, None, 10.0)),
        (None, (None, None, None, None)),
        ("none", (None, None, None, None)),
    ],
)
def test_scores_of_every_version(cvss: Any, scores: tuple[float | None, ...]) -> None:
    found = row(cvss=cvss)
    assert tuple(found[name] for name in ("Cvss2", "Cvss3", "Cvss4", "CvssScore")) == scores


def test_missing_severity_withdrawn_and_renamed() -> None:
    found = row(severity=None, status="Reject", cveId="cve-2025-1", exploitabilityDetails=None)
    assert (found["Severity"], found["IsWithdrawn"], found["CveId"], found["RenamedTo"]) == (
        None, True, "CVE-2024-6179", "CVE-2025-1",
    )  # fmt: skip
    assert {found[name] for name in ("IsInExploitKit", "IsExploitVerified", "IsPubliclyDisclosed", "EpssScore")} == {
        None
    }


@pytest.mark.parametrize(
    ("status", "withdrawn"),
    [("Reject", True), ("REJECTED", True), ("", False), (None, False), ("Modified", False), (["Reject"], False)],
)
def test_withdrawn_is_what_its_status_says(status: Any, withdrawn: bool) -> None:
    assert row(status=status)["IsWithdrawn"] is withdrawn


@pytest.mark.parametrize("said", [None, "", "false", 0, 1, "no", [], {}])
def test_a_flag_that_is_no_boolean_is_not_known(said: Any) -> None:
    found = row(exploitabilityDetails={"IsInExploitKit": said, "IsVerified": said, "IsPubliclyDisclosed": said})
    assert {found[name] for name in ("IsInExploitKit", "IsExploitVerified", "IsPubliclyDisclosed")} == {None}


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (["CVE-2024-6179"], [("CVE-2024-6179", "CVE-2025-1111")]),
        (["CVE-2025-1111"], [("CVE-2025-1111", None)]),
        (["CVE-2024-6179", "CVE-2025-1111"], [("CVE-2024-6179", "CVE-2025-1111"), ("CVE-2025-1111", None)]),
        (["CVE-2020-1234"], []),
    ],
)
def test_one_that_was_renamed_is_found_under_either_id(asked: list[str], names: list[tuple[str, str | None]]) -> None:
    details = {"name": "cve-2024-6179", "properties": CAPTURED | {"cveId": "cve-2025-1111"}}
    rows = cve_rows(details, asked, "one", NOW)
    assert [(each["CveId"], each["RenamedTo"]) for each in rows] == names
    assert {each["Cvss3"] for each in rows} <= {6.1}


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(list(CAPTURED)), ANYTHING))
def test_whatever_it_holds_it_is_a_row(properties: dict[str, Any]) -> None:
    assert row(**properties)["CveId"] == "CVE-2024-6179"
    assert cve_row({"name": "cve-1-2", "properties": None}, "one", NOW)["IsInExploitKit"] is None


def test_only_cve_ids_are_asked_for() -> None:
    assert "('cve-2024-1234', 'cve-2026-12345')" in query(["CVE-2026-12345", "cve-2024-1234", "CVE-2024-1234"])
    with pytest.raises(ValueError, match="no CVE ids"):
        query(["CVE-2024-1234') or true //"])


def test_a_refresh_is_stored_and_warns_once_where_nothing_was_seen() -> None:
    done = Refresh(NOW, "CVE-2026-1", 130, 0, "", NOW)
    assert loaded(dumped(done).encode()) == done
    assert "130 CVEs" in done.warning
    assert "Security Reader" in done.warning
    assert Refresh(NOW, "", 130, 1, "", NOW).warning == ""
    throttled = Refresh(NOW, "", 130, 0, "Resource Graph throttled this app", NOW).warning
    assert "throttled" in throttled
    assert "Security Reader" not in throttled, "a right that is there is not asked for"
    assert Refresh(NOW, "", 130, 0).warning == ""
    for broken in (b"{}", b"[]", b'{"format": 9}', b"\xff"):
        with pytest.raises(KeptAsIs):
            loaded(broken)
