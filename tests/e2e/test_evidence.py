"""The report for auditors by API, by command and directly, and as it is printed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright
from pypdf import PdfReader

from shared.bootstrap import Services
from shared.watch.evidence.html_form import html_page
from shared.web.evidence import POLICY
from tests.e2e.api import Answer, Api
from tests.e2e.browser import CHROMIUM, launch
from tests.e2e.shell import Shell
from tests.unit.watch.test_evidence import Cells, report

REQUIREMENTS = """version: 1
requirements:
  - {{name: attack-paths, kind: AttackPaths}}
exceptions:
  - requirement: cis-8.1.5.2
    subscriptions: [{one}]
    owner: Payments
    reason: The subscription is moved in spring
    until: 2099-12-31
"""


@pytest.fixture
def shell(api: Api, tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, api.azure.app_settings())
    shell(f"use {api.url}", DEFENDER_EXPORT_KEY=api.key)
    (tmp_path / "requirements.yaml").write_text(REQUIREMENTS.format(one=not_met(api)))
    yield shell
    api.without_requirements()


def not_met(api: Api) -> str:
    """A subscription that an exception makes a difference for."""
    rows = api.call("GET", "/api/evidence?limit=1000").json()["value"]
    return next(str(row["subscriptionId"]) for row in rows if row["verdict"] == "not met")


def judged(document: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return sorted(
        (row["requirement"], row["subscriptionId"], row["verdict"], row["reason"]) for row in document["value"]
    )


def test_an_auditor_gets_the_same_report_by_each_way_in(api: Api, shell: Shell) -> None:
    api.without_requirements()
    shell("requirements show", 1)
    assert "there is no file of requirements" in shell.err
    assert shell("requirements put requirements.yaml") == "stored: 1 requirements, 1 exceptions\n"
    assert shell("requirements show") == (shell.folder / "requirements.yaml").read_text()

    document = json.loads(shell("evidence --output json"))
    pages = [api.call("GET", "/api/evidence?limit=7").json()]
    while token := pages[-1]["continuation"]:
        pages.append(api.call("GET", f"/api/evidence?limit=7&continuation={token}").json())
    assert len(pages) > 2
    assert sorted(row for page in pages for row in judged(page)) == judged(document)
    assert {json.dumps(page["sources"]) for page in pages} == {json.dumps(document["sources"])}
    direct = json.loads(shell("evidence --output json --direct"))
    assert (judged(direct), direct["sources"]) == (judged(document), document["sources"])
    assert direct["by"].startswith("cli:")
    assert document["by"].startswith("key:")

    (excepted,) = (row for row in document["value"] if row.get("exception"))
    assert excepted["verdict"] == "excepted"
    assert excepted["subscriptionId"] in (shell.folder / "requirements.yaml").read_text()
    assert excepted["exception"]["owner"] == "Payments"
    rows = list(csv.DictReader(io.StringIO(shell("evidence --output csv"), newline="")))
    assert sorted((row["requirement"], row["subscriptionId"], row["verdict"], row["reason"]) for row in rows) == judged(
        document
    )
    one = json.loads(shell(f"evidence --output json --subscription {api.subscription}"))
    assert judged(one) == [row for row in judged(document) if row[1] == api.subscription]
    assert "met by 0 of 0" not in shell("coverage")
    shell("evidence --check --out report.html", 1)
    assert (shell.folder / "report.html").read_text().startswith("<!doctype html>")


def test_from_an_empty_shell_an_auditor_reads_an_exception_and_a_manager_three_months(api: Api, shell: Shell) -> None:
    subscription = api.subscription
    day = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%d}"
    row = (
        f"INSERT INTO DefenderSecureScores_CL BY NAME SELECT '{subscription}' AS SubscriptionId,"
        f" 'ascScore' AS ScoreName, TIMESTAMP '{day} 06:00:00' AS TimeGenerated,"
        f" TIMESTAMP '{day} 06:00:00' AS EventTime, 33.3 AS CurrentScore, 58 AS MaxScore, 4 AS Weight"
    )
    api.on_loop(lambda: api.azure.workspace.sql("DELETE FROM DefenderSecureScores_CL"))  # of tests before this one
    api.on_loop(lambda: api.azure.workspace.sql(row))
    shell("requirements put requirements.yaml")
    api._with_services(Services.check_freshness)
    auditor = Shell(shell.folder / "auditor")
    auditor.folder.mkdir()
    auditor(f"use {api.url}", DEFENDER_EXPORT_KEY=api.key)
    auditor("evidence --out report.html")
    report = json.loads(auditor("evidence --output json"))
    (excepted,) = (row for row in report["value"] if row.get("exception"))
    assert excepted["exception"]["owner"] == "Payments"
    assert "The subscription is moved in spring" in (auditor.folder / "report.html").read_text()

    asked = auditor.json("trend")
    assert len({each["period"] for each in asked["months"]}) == 3
    newest = {(each["measure"], each["name"]): each for each in asked["months"] if each["period"] == f"{day[:7]}"}
    assert (newest["secure score", ""]["value"], newest["secure score", ""]["over"]) == (57.41, 1)
    counts = next(each["counts"] for each in report["requirements"] if each["name"] == "cis-8.1.5.2")
    judged = counts["met"] + counts["not met"] + counts["excepted"]
    assert newest["coverage", "cis-8.1.5.2"]["value"] == pytest.approx(100 * counts["met"] / judged, abs=0.0051)
    assert newest["coverage", "cis-8.1.5.2"]["over"] == judged
    assert (report["trend"]["problem"], report["trend"]["months"]) == ("", asked["months"])
    assert "57.41 %" in auditor("trend")
    assert "not known" in auditor("trend --months 3")
    direct = json.loads(shell("trend --json --direct"))
    assert direct["months"] == asked["months"]
    for wrong in ("0", "25", "-1", "three", "1e1", "\u0663", "3.0", "''"):
        auditor(f"trend --months {wrong}", 2)


def test_a_browser_gets_the_page_under_a_policy_that_lets_nothing_run(api: Api) -> None:
    answer = api.call("GET", "/api/evidence", accept="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert "script-src" not in POLICY
    assert "CIS Microsoft Azure Foundations Benchmark 5.0.0 and 6.0.0" in answer.text


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on PATH (apt-get install chromium)")
async def test_every_cell_is_in_the_text_of_the_printed_page() -> None:
    text = html_page(report())
    async with async_playwright() as playwright:
        browser = await launch(playwright)
        page = await browser.new_page()
        await page.set_content(text)
        printed = await page.pdf(format="A4", landscape=True)
        await browser.close()
    shown = "".join(leaf.extract_text() for leaf in PdfReader(io.BytesIO(printed)).pages)
    said = re.sub(r"\s+", "", shown)
    cells = {cell for line in Cells(text).lines for cell in line}
    assert len(cells) > 60
    assert [cell for cell in cells if re.sub(r"\s+", "", cell) not in said] == []


def test_a_file_of_requirements_is_replaced_only_where_it_is_the_one_that_was_read(api: Api, shell: Shell) -> None:
    text = (shell.folder / "requirements.yaml").read_text()

    def put(**headers: Any) -> Answer:
        return api.call("PUT", "/api/requirements", text, **headers)

    assert (put(If_Match="*").status, put(If_Match='"0x1"').status) == (412, 412)
    first = put(If_None_Match="*")
    assert first.status == 204
    read = api.call("GET", "/api/requirements")
    assert (read.text, read.headers["etag"]) == (text, first.headers["etag"])
    assert api.call("GET", "/api/requirements", If_None_Match=read.headers["etag"]).status == 304
    assert put(If_None_Match="*").problem == "changed-meanwhile"
    second = put(If_Match=read.headers["etag"])
    assert (second.status, put(If_Match=read.headers["etag"]).status) == (204, 412)
    assert (put().status, put(If_Match='"').status) == (204, 400)
    with ThreadPoolExecutor(8) as pool:
        etag = api.call("GET", "/api/requirements").headers["etag"]
        at_once = [pool.submit(put, If_Match=etag) for _ in range(8)]
    assert sorted(each.result().status for each in at_once) == [204, *[412] * 7]
    with ThreadPoolExecutor(12) as pool:  # who names no version is not told that it is another
        at_once = [pool.submit(put) for _ in range(12)]
    assert {each.result().status for each in at_once} == {204}
