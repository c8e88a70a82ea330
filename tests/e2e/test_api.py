"""Every route over HTTP: what it answers, and each refusal that the OpenAPI document names."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from shared import __version__
from tests.e2e.api import Answer, Api

GUID = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def stored(api: Api) -> Iterator[str]:
    """An export that is in the store during the test, with its ETag."""
    answer = api.put("kept")
    assert answer.status in {200, 201}, answer.text
    yield answer.headers["etag"]
    api.call("DELETE", "/api/exports/kept")


class TestEveryAnswer:
    PATHS = (
        "health",
        "ready",
        "openapi.json",
        "exports",
        "exports/none",
        "jobs",
        "runs",
        "coverage?limit=1",
        "no-such",
    )

    @pytest.mark.parametrize("path", PATHS)
    def test_forbids_sniffing_and_tells_no_referrer_even_the_hosts_own_404(self, api: Api, path: str) -> None:
        headers = api.call("GET", f"/api/{path}").headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"

    @pytest.mark.parametrize("path", PATHS[:-1])
    def test_of_the_app_runs_nothing_is_framed_nowhere_and_kept_by_no_cache(self, api: Api, path: str) -> None:
        headers = api.call("GET", f"/api/{path}").headers
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["cache-control"] == "no-store"

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "POST"])
    def test_to_a_method_that_no_function_declares_is_the_hosts_404(self, api: Api, method: str) -> None:
        assert api.call(method, "/api/exports").status == 404

    @pytest.mark.parametrize("path", ["exports", "ready", "openapi.json", "jobs", "runs"])
    def test_without_a_key_is_401(self, api: Api, path: str) -> None:
        assert api.call("GET", f"/api/{path}", key=False).status == 401

    def test_of_health_needs_no_key(self, api: Api) -> None:
        answer = api.call("GET", "/api/health", key=False)
        assert (answer.status, answer.json()) == (200, {"status": "alive", "version": __version__, "commit": ""})


class TestExports:
    def test_a_new_one_is_201_with_its_etag_and_place(self, api: Api) -> None:
        answer = api.put("fresh")
        assert answer.status == 201
        assert answer.headers["location"] == "/api/exports/fresh"
        assert answer.headers["etag"] == answer.json()["etag"]
        assert api.call("DELETE", "/api/exports/fresh").status == 204

    def test_one_is_given_as_the_yaml_that_was_put_by_accept(self, api: Api, stored: str) -> None:
        answer = api.call("GET", "/api/exports/kept", accept="application/yaml")
        assert answer.headers["content-type"].startswith("application/yaml")
        assert (answer.text, answer.headers["etag"]) == (api.export("kept"), stored)

    @pytest.mark.parametrize("accept", ["application/json;q=0.9, text/html", "*/*", "application/yaml;q=0.1, */*", ""])
    def test_one_is_given_as_json_otherwise(self, api: Api, stored: str, accept: str) -> None:
        answer = api.call("GET", "/api/exports/kept", accept=accept)
        assert answer.json() == yaml.safe_load(api.export("kept"))

    @pytest.mark.parametrize("kind", ["text/yaml", "application/x-yaml", "text/*;q=0, application/yaml"])
    def test_every_name_of_yaml_is_understood(self, api: Api, stored: str, kind: str) -> None:
        assert api.call("GET", "/api/exports/kept", accept=kind).text == api.export("kept")

    @pytest.mark.parametrize(
        "text",
        [
            "\U0001f600",
            "\x7f",
            "\uffff",
            "\u2028",
            "k" * 300,
            "off",
            "1e3",
            "# no comment",
            "'\"",
            "12345678901234567890",
        ],
    )
    @pytest.mark.parametrize("ascii_only", [True, False])
    def test_json_is_taken_back_as_it_was_given(self, api: Api, text: str, ascii_only: bool) -> None:
        document = yaml.safe_load(api.export("kept"))
        document["automation"]["tags"] = {"note": text[:256]}
        sent = json.dumps(document, ensure_ascii=ascii_only)
        try:
            assert api.call("PUT", "/api/exports/kept", sent, content_type="application/json").status in {200, 201}
            given = api.call("GET", "/api/exports/kept")
            assert given.json() == document
            assert api.call("PUT", "/api/exports/kept", given.text, content_type="application/json").status == 200
            assert api.call("GET", "/api/exports").json()["problems"] == []
        finally:
            api.call("DELETE", "/api/exports/kept")

    @pytest.mark.parametrize(
        "text",
        [
            "version: 1", '{"version": 1,}', '{"version": 1, "version": 1}', '{"a": {"b": 1, "b": 2}}', '{"n": NaN}',
            '{"n": -Infinity}', '{"n": 1e999}', '{"n": 1234567890123456789}',
            "{} {}", "// no\n{}", '{"a": "\\ud800"}', "",
        ],
    )  # fmt: skip
    def test_what_is_no_json_is_refused_as_json(self, api: Api, text: str) -> None:
        (finding,) = api.call("POST", "/api/exports/validate", text, content_type="application/json").json()["findings"]
        assert finding["code"] == "not-json"
        answer = api.call("PUT", "/api/exports/kept", text, content_type="application/json")
        assert (answer.problem, answer.json()["findings"][0]["code"]) == ("invalid-export", "not-json")

    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "x-secret", "gzip, identity"])
    def test_a_coded_body_is_415_with_what_is_taken(self, api: Api, coding: str) -> None:
        for method, path in (("PUT", "exports/kept"), ("POST", "exports/validate"), ("POST", "jobs")):
            answer = api.call(
                method, f"/api/{path}", b"\x1f\x8b", content_type="application/json", content_encoding=coding
            )
            assert (answer.problem, answer.headers["accept-encoding"]) == ("unsupported-media-type", "identity")

    def test_json_may_be_put_too(self, api: Api) -> None:
        answer = api.call("PUT", "/api/exports/kept", yaml.safe_load(api.export("kept")))
        assert answer.status in {200, 201}
        api.call("DELETE", "/api/exports/kept")

    def test_none_acceptable_is_406(self, api: Api, stored: str) -> None:
        assert api.call("GET", "/api/exports/kept", accept="image/png").problem == "not-acceptable"

    def test_the_list_names_each_and_what_is_wrong(self, api: Api, stored: str) -> None:
        listed = api.call("GET", "/api/exports").json()
        assert [entry["name"] for entry in listed["value"]] == ["kept"]
        assert listed["value"][0]["etag"] == stored
        assert listed["problems"] == []

    def test_an_invalid_one_behind_our_back_is_listed_and_422_as_json_but_readable_as_yaml(
        self, api: Api, stored: str
    ) -> None:
        put_behind_our_back(api, "kept", b"version: 1\n")
        problem = api.call("GET", "/api/exports").json()["problems"][0]
        assert (problem["name"], problem["inForce"]) == ("kept", True)
        assert api.call("GET", "/api/exports/kept", accept="application/json").problem == "invalid-export"
        assert api.call("GET", "/api/exports/kept", accept="application/yaml").text == "version: 1\n"

    def test_unknown_ones_are_404(self, api: Api) -> None:
        assert api.call("GET", "/api/exports/none").problem == "not-found"

    def test_an_unknown_one_is_404_with_the_nearest(self, api: Api, stored: str) -> None:
        assert "Did you mean kept?" in api.call("GET", "/api/exports/kpet").json()["detail"]

    @pytest.mark.parametrize("headers", [{}, {"if_match": "*"}, {"if_match": '"0x1"'}, {"if_none_match": "*"}])
    def test_one_that_is_not_there_is_deleted_already(self, api: Api, headers: dict[str, Any]) -> None:
        assert api.call("DELETE", "/api/exports/none", **headers).status == 204

    def test_a_dry_run_of_a_deletion_deletes_nothing(self, api: Api, stored: str) -> None:
        assert api.call("DELETE", "/api/exports/kept?dryRun=true").status == 204
        assert api.call("DELETE", "/api/exports/kept?dryRun=true", if_match='"0x1"').problem == "changed-meanwhile"
        for misspelt in (
            "dryrun=true",
            "dryRun=yes",
            "dryRun=",
            "DryRun=true",
            "dry_run=true",
            "dryRun=true&dryRun=false",
        ):
            assert api.call("DELETE", f"/api/exports/kept?{misspelt}").problem == "bad-request"
        assert api.call("GET", "/api/exports/kept").status == 200

    def test_invalid_ones_are_422_with_findings_and_not_stored(self, api: Api) -> None:
        answer = api.put("broken", "version: 1\nname: broken\n")
        assert answer.problem == "invalid-export"
        assert all(finding["fix"] or finding["sentence"] for finding in answer.json()["findings"])
        assert api.call("GET", "/api/exports/broken").status == 404

    def test_a_name_other_than_the_files_is_422(self, api: Api) -> None:
        answer = api.put("other", api.export("kept"))
        assert [finding["code"] for finding in answer.json()["findings"]] == ["name-mismatch"]

    def test_a_dry_run_answers_as_the_write_would_and_stores_nothing(self, api: Api, stored: str) -> None:
        answer = api.call("PUT", "/api/exports/new?dryRun=true", api.export("new"))
        assert answer.status == 200
        assert answer.json()["compiled"]["properties"]["sources"][0]["eventSource"] == "Alerts"
        assert api.call("GET", "/api/exports/new").status == 404
        assert api.call("PUT", "/api/exports/new?dryRun=true", "version: 2").problem == "invalid-export"
        changed = api.call("PUT", "/api/exports/kept?dryRun=true", api.export("kept"), if_match='"old"')
        assert changed.problem == "changed-meanwhile"
        assert api.call("PUT", "/api/exports/kept?dryRun=perhaps", api.export("kept")).problem == "bad-request"

    def test_bodies_of_other_types_are_415(self, api: Api) -> None:
        for method, path in (("PUT", "exports/kept"), ("POST", "exports/validate"), ("POST", "jobs")):
            answer = api.call(method, f"/api/{path}", "<a/>", content_type="text/xml")
            assert answer.problem == "unsupported-media-type"

    def test_validate_judges_anything_and_runs_the_files_tests(self, api: Api) -> None:
        tested = api.export("kept") + "tests:\n- {record: {type: Microsoft.Security/assessments}, exported: true}\n"
        answer = api.call("POST", "/api/exports/validate", tested).json()
        assert answer["valid"]
        assert answer["sentences"] == ["alerts whose severity is High or Medium"]
        assert [test["passed"] for test in answer["tests"]] == [False]
        assert api.call("POST", "/api/exports/validate", "[1, 2").json()["findings"][0]["code"] == "not-yaml"


class TestPreconditions:
    def test_of_two_writers_with_one_etag_one_gets_412(self, api: Api, stored: str) -> None:
        first = api.put("kept", api.export("kept", "severities: [High]"), if_match=stored)
        second = api.put("kept", api.export("kept", "severities: [Low]"), if_match=stored)
        assert (first.status, second.problem) == (200, "changed-meanwhile")
        assert "High" in api.call("GET", "/api/exports/kept").text

    def test_create_only_meets_what_exists_with_412(self, api: Api, stored: str) -> None:
        assert api.put("kept", if_none_match="*").problem == "changed-meanwhile"

    def test_replace_only_meets_nothing_with_412(self, api: Api) -> None:
        assert api.put("fresh", if_match="*").problem == "changed-meanwhile"
        assert api.put("fresh", if_match='"0x1"').problem == "changed-meanwhile"

    def test_an_etag_may_come_without_its_quotes(self, api: Api, stored: str) -> None:
        assert api.put("kept", if_match=stored.strip('"')).status == 200

    @pytest.mark.parametrize("value", ['W/"0x1"', '"0x1", "0x2"', "x,y", "other"])
    def test_a_write_whose_etags_are_all_others_is_412(self, api: Api, stored: str, value: str) -> None:
        if value != "x,y":
            assert api.put("kept", if_match=value).problem == "changed-meanwhile"

    @pytest.mark.parametrize("value", ["", "a b", '*, "a"', '"a" "b"', '"a",', "x,y"])
    def test_what_a_write_cannot_use_is_400(self, api: Api, stored: str, value: str) -> None:
        assert api.put("kept", if_match=value).problem == "bad-request"

    def test_both_at_once_are_both_looked_at(self, api: Api, stored: str) -> None:
        assert api.put("kept", if_match=stored, if_none_match="*").problem == "changed-meanwhile"
        assert api.put("kept", if_match=stored, if_none_match=stored).problem == "changed-meanwhile"
        assert api.put("kept", if_match=stored, if_none_match='"other"').status == 200

    def test_one_of_several_etags_is_enough(self, api: Api, stored: str) -> None:
        assert api.put("kept", if_match=f'"0x1", {stored}').status == 200

    @pytest.mark.parametrize("kind", ["application/json", "application/yaml"])
    def test_a_read_is_304_while_the_caller_has_the_version(self, api: Api, stored: str, kind: str) -> None:
        etag = api.call("GET", "/api/exports/kept", accept=kind).headers["etag"]
        for held in (etag, f"W/{etag}", f'"0x1", {etag}', "*"):
            answer = api.call("GET", "/api/exports/kept", accept=kind, if_none_match=held)
            assert (answer.status, answer.text, answer.headers["etag"]) == (304, "", etag)
            assert answer.headers["vary"] == "Accept"
        assert api.call("GET", "/api/exports/kept", accept=kind, if_none_match='"0x1"').status == 200
        assert api.call("GET", "/api/exports/kept", accept=kind, if_match='"0x1"').problem == "changed-meanwhile"
        assert api.call("GET", "/api/exports/kept", accept=kind, if_match=etag).status == 200
        assert api.put("kept", if_match=etag).status == 200

    def test_the_two_representations_have_etags_of_their_own(self, api: Api, stored: str) -> None:
        kinds = ("application/json", "application/yaml")
        assert len({api.call("GET", "/api/exports/kept", accept=kind).headers["etag"] for kind in kinds}) == 2

    def test_of_creations_at_once_one_is_201(self, api: Api) -> None:
        with ThreadPoolExecutor(8) as pool:
            answers = [each.result().status for each in [pool.submit(api.put, "raced") for _ in range(8)]]
        api.call("DELETE", "/api/exports/raced")
        assert answers.count(201) == 1
        assert set(answers) <= {200, 201, 412}

    def test_hold_for_delete_too(self, api: Api, stored: str) -> None:
        assert api.call("DELETE", "/api/exports/kept", if_match='"0x1"').problem == "changed-meanwhile"
        assert api.call("DELETE", "/api/exports/kept", if_match=stored).status == 204


class TestJobs:
    def test_one_is_202_with_its_place_and_when_to_ask_again(self, api: Api) -> None:
        answer = api.call("POST", "/api/jobs", {"kind": "replay"})
        assert answer.status == 202
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["location"] == f"/api/jobs/{answer.json()['id']}"
        ended = api.call("GET", answer.headers["location"] + "?wait=60").json()
        assert (ended["state"], ended["result"]["blobs"]) == ("succeeded", 0)

    def test_one_that_ends_within_wait_is_200(self, api: Api) -> None:
        assert api.job(kind="plan", subscriptions=[api.subscription])["state"] == "succeeded"

    def test_an_idempotency_key_twice_gives_one_job(self, api: Api) -> None:
        first = api.call("POST", "/api/jobs", {"kind": "replay"}, idempotency_key="once")
        second = api.call("POST", "/api/jobs", {"kind": "replay"}, idempotency_key="once")
        assert first.json()["id"] == second.json()["id"]
        jobs = api.call("GET", "/api/jobs").json()["value"]
        assert [job["id"] for job in jobs].count(first.json()["id"]) == 1

    def test_an_idempotency_key_for_something_else_is_409(self, api: Api) -> None:
        api.call("POST", "/api/jobs", {"kind": "replay"}, idempotency_key="mine")
        assert api.call("POST", "/api/jobs", {"kind": "plan"}, idempotency_key="mine").problem == "conflict"

    @pytest.mark.parametrize(
        "request_",
        [
            {},
            {"kind": "launch"},
            {"kind": ["plan"]},
            {"kind": "plan", "surprise": 1},
            {"kind": "plan", "subscriptions": "all"},
            {"kind": "plan", "subscriptions": ["../x"]},
            {"kind": "plan", "subscriptions": [GUID] * 1001},
            {"kind": "plan", "subscriptions": [f"{n:08x}-0000-4000-8000-000000000000" for n in range(1000)]},
            {"kind": "preview"},
            {"kind": "replay", "parked": "yes"},
            {"kind": "replay", "day": "yesterday"},
            {"kind": "replay", "day": "2026-02-30"},
            {"kind": "replay", "day": "\u0662\u0660\u0662\u0666-11-26"},
            {"kind": "plan", "subscriptions": []},
            {"kind": "plan", "managementGroups": []},
            {"kind": "reconcile", "exports": []},
            {"kind": "reconcile", "subscriptions": None},
            {"kind": "backfill", "kinds": []},
            {"kind": "backfill", "export": ""},
            {"kind": "replay", "reason": ""},
            {"Kind": "replay"},
            {"kind": "Replay"},
            {"kind": "plan", "Subscriptions": [GUID]},
            {"kind": "backfill", "kinds": ["Everything"]},
        ],
        ids=str,
    )
    def test_a_request_that_says_too_little_or_too_much_is_400(self, api: Api, request_: dict[str, Any]) -> None:
        assert api.call("POST", "/api/jobs", request_).problem == "bad-request"

    @pytest.mark.parametrize("wait", ["-1", "201", "1.5", "", "soon"])
    def test_wait_is_at_most_200_seconds(self, api: Api, wait: str) -> None:
        assert api.call("POST", f"/api/jobs?wait={wait}", {"kind": "plan"}).problem == "bad-request"
        assert api.call("GET", f"/api/jobs/x?wait={wait}").problem in {"bad-request", "not-found"}

    @pytest.mark.parametrize("job", ["none", "8236165990123-00000000", "..%5C..", "'%20or%20'1'%20eq%20'1"])
    def test_unknown_ones_are_404(self, api: Api, job: str) -> None:
        assert api.call("GET", f"/api/jobs/{job}").problem == "not-found"

    @pytest.mark.parametrize(
        ("asked", "near"),
        [
            ({"kind": "preview", "export": "kpet"}, "kept"),
            ({"kind": "backfill", "export": "kpet"}, "kept"),
            ({"kind": "plan", "exports": ["kept", "kpet"]}, "kept"),
            ({"kind": "reconcile", "managementGroups": ["contoso-prd"]}, "contoso-prod"),
            ({"kind": "reconcile", "subscriptions": [GUID]}, ""),
        ],
        ids=str,
    )
    def test_one_over_what_is_not_there_is_404_with_the_nearest(
        self, api: Api, stored: str, asked: dict[str, Any], near: str
    ) -> None:
        answer = api.call("POST", "/api/jobs", asked)
        assert answer.problem == "not-found"
        assert near in answer.json()["detail"]

    def test_come_page_by_page_newest_first(self, api: Api) -> None:
        for _ in range(3):
            api.call("POST", "/api/jobs", {"kind": "replay"})
        everything = [job["id"] for job in api.call("GET", "/api/jobs?limit=1000").json()["value"]]
        assert everything == sorted(everything)
        assert pages(api, "jobs?limit=2", "id")[:200] == everything


class TestReads:
    def test_coverage_comes_by_subscription_as_a_matrix_and_as_csv(self, api: Api) -> None:
        rows = api.call("GET", "/api/coverage").json()
        assert rows["complete"] is True
        assert rows["value"]
        matrix = api.call("GET", "/api/status?limit=2").json()["value"]
        assert set(matrix[0]) == {
            "subscriptionId", "subscription", "tenantId", "managementGroups", "subscriptionState", "owner",
            "exports", "destinations", "takesWrites", "states", "notes", "verdicts", "muted",
        }  # fmt: skip
        lines = api.call("GET", "/api/coverage", accept="text/csv").text.splitlines()
        assert lines[0].startswith("subscriptionId,subscription,tenantId,eventSource,automation")

    def test_coverage_is_narrowed_by_each_filter(self, api: Api) -> None:
        def ids(query: str) -> set[str]:
            return {row["subscriptionId"] for row in api.call("GET", f"/api/coverage?{query}").json()["value"]}

        everything = ids("")
        one = min(everything)
        assert ids(f"subscription={one.upper()}") == {one}
        assert set() < ids("managementGroup=contoso-prod") < everything
        for query in (f"tenant={GUID}", "managementGroup=contoso-prd", f"subscription={GUID}"):
            answer = api.call("GET", f"/api/coverage?{query}")
            assert answer.problem == "not-found"
            assert ("Did you mean contoso-prod?" in answer.json()["detail"]) == ("contoso" in query)
        assert ids("unmet=cis-8.1.5.2") <= everything
        sources = api.call("GET", "/api/coverage?source=Alerts").json()["value"]
        assert {name for row in sources for name in row["sources"]} <= {"Alerts"}

    def test_lists_come_page_by_page(self, api: Api) -> None:
        everything = [row["subscriptionId"] for row in api.call("GET", "/api/coverage").json()["value"]]
        assert pages(api, "coverage?limit=7", "subscriptionId") == everything

    def test_runs_come_page_by_page_and_each_has_its_report(self, api: Api) -> None:
        for _ in range(3):
            api.job(kind="plan", subscriptions=[api.subscription])
        found = pages(api, "runs?limit=2", "runId")
        assert len(found) == len(set(found)) >= 3
        report = api.call("GET", f"/api/runs/{found[0]}").json()
        assert (report["runId"], report["mode"], report["trigger"]) == (found[0], "plan", "job")
        assert "items" in report

    def test_dead_letters_are_counted_by_day_reason_and_parked(self, api: Api) -> None:
        for query in ("", "?day=2026-01-01", "?reason=not-found", "?parked=true", "?parked=false"):
            assert api.call("GET", f"/api/dead-letters{query}").json() == {"value": [], "continuation": ""}

    def test_freshness_is_what_the_last_check_said(self, api: Api) -> None:
        answer = api.call("GET", "/api/freshness").json()
        about = {"checked", "complete", "reasons", "muteTrouble"}
        assert set(answer) == {*about, "value", "continuation"}
        assert answer["complete"] is (answer["checked"] is not None and not answer["reasons"])

    @pytest.mark.parametrize("path", ["exports", "coverage", "status", "freshness", "runs", "dead-letters"])
    def test_every_table_is_csv_by_accept_and_406_as_anything_else(self, api: Api, path: str) -> None:
        answer = api.call("GET", f"/api/{path}", accept="text/csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert "," in answer.text.splitlines()[0]
        assert api.call("GET", f"/api/{path}", accept="image/png").problem == "not-acceptable"

    @pytest.mark.parametrize(
        "path",
        [
            "coverage?view=all", "coverage?limit=0", "runs?limit=1001", "jobs?limit=x", "exports?continuation=%21",
            "runs?continuation=MTA%3D", "runs?continuation=MjA5OTk5OTlUOTk5OTk5OTk5OTk5Wi0wMDAwMDAwMA%3D%3D",
            "jobs?continuation=Li4vLi4%3D", "dead-letters?day=..%2F..", "dead-letters?parked=maybe",
            "dead-letters?day=2026-02-30", "dead-letters?parked=", "dead-letters?reason=", "coverage?subscription=",
            "dead-letters?reason=outage",
            "coverage?subscription=none", "coverage?managementGroup=", "coverage?tenant=", "coverage?unmet=",
            "coverage?unmet=cis", "coverage?source=alerts", "coverage?maxage=0", "coverage?Limit=1",
            "coverage?limits=1",
            "coverage?limit=1&limit=2", "freshness?verdict=", "freshness?verdict=Silent", "freshness?kind=alerts",
            "freshness?subscription=x", "exports?api-version=2020-01-01", "exports?api-version=", "ready?deep=true",
            "openapi.json?x", "operations?x=1", "metrics?hour=1", "jobs?continuation=", "runs/x?x=1", "exports/x?x=1",
        ],
    )  # fmt: skip
    def test_what_a_parameter_cannot_be_is_400(self, api: Api, path: str) -> None:
        assert api.call("GET", f"/api/{path}").problem == "bad-request"

    @pytest.mark.parametrize(
        ("path", "near"),
        [("coverage?maxage=0", "maxAge"), ("coverage?managementgroup=x", "managementGroup"), ("jobs?limt=1", "limit"),
         ("freshness?kind=Alert", "Alerts"), ("exports?api-version=2020-01-01", "2026-11-26")],
    )  # fmt: skip
    def test_a_refusal_names_the_nearest(self, api: Api, path: str, near: str) -> None:
        assert near in api.call("GET", f"/api/{path}").json()["detail"]

    def test_what_the_platform_reads_and_the_version_are_known_on_every_route(self, api: Api) -> None:
        for path in ("exports", "jobs", "runs", "freshness", "ready", "openapi.json", "operations", "metrics"):
            query = f"code={api.key}&clientId=default&api-version=2026-11-26"
            assert api.call("GET", f"/api/{path}?{query}", key=False).status == 200, path

    def test_a_token_is_good_for_its_own_list_and_filters_only(self, api: Api) -> None:
        token = api.call("GET", "/api/coverage?limit=2").json()["continuation"]
        assert api.call("GET", f"/api/coverage?limit=3&maxAge=30&continuation={token}").status == 200
        for other in ("status?limit=1", "coverage?source=Alerts", "freshness?limit=1", "exports?limit=1",
                      "dead-letters?limit=1", "jobs?limit=1", "runs?limit=1"):  # fmt: skip
            assert api.call("GET", f"/api/{other}&continuation={token}").problem == "bad-request"

    def test_what_goes_between_two_pages_hides_no_other(self, api: Api) -> None:
        names = [f"paged-{n}" for n in range(4)]
        for name in names:
            api.put(name)
        first = api.call("GET", "/api/exports?limit=2").json()
        api.call("DELETE", "/api/exports/paged-0")
        second = api.call("GET", f"/api/exports?limit=2&continuation={first['continuation']}").json()
        for name in names:
            api.call("DELETE", f"/api/exports/{name}")
        assert [row["name"] for row in first["value"] + second["value"]] == names

    @pytest.mark.parametrize(
        "run", ["none", "20261122T180000000000Z-00000000", "20269922T180000000000Z-00000000", "latest"]
    )
    def test_unknown_runs_are_404(self, api: Api, run: str) -> None:
        assert api.call("GET", f"/api/runs/{run}").problem == "not-found"


class TestReady:
    def test_tells_of_everything_that_the_app_depends_on(self, api: Api) -> None:
        answer = api.call("GET", "/api/ready")
        checks = {check["name"]: check for check in answer.json()["checks"]}
        assert list(checks) == [
            "python", "settings", "signIn", "identity", "storage", "stored", "eventHub", "ingestion", "routes",
            "tables", "lastRun", "timers",
        ]  # fmt: skip
        assert (answer.status, answer.json()["ready"]) == (200, True), answer.text
        assert "by partition 0: 0" in checks["eventHub"]["detail"]

    def test_is_503_with_the_reason_while_something_does_not_answer(self, api: Api) -> None:
        api.azure.ingestion.faults.add("drop_before")
        try:
            answer = api.call("GET", "/api/ready")
        finally:
            api.azure.ingestion.faults.clear()
        failed = {check["name"]: check["detail"] for check in answer.json()["checks"] if not check["ok"]}
        assert (answer.status, answer.json()["ready"]) == (503, False)
        assert failed == {"ingestion": "ServerDisconnectedError"}


def put_behind_our_back(api: Api, name: str, text: bytes) -> None:
    """Store a version without the app's checks, as somebody with rights to the storage could."""
    from azure.storage.blob import BlobServiceClient

    connection = api.azure.azurite.main.connection_string
    trust: dict[str, Any] = {"connection_verify": str(api.azure.certificates.ca_file)}
    with BlobServiceClient.from_connection_string(connection, **trust) as blobs:
        blobs.get_blob_client("export-configs", f"current/{name}.yaml").upload_blob(text, overwrite=True)


def pages(api: Api, path: str, key: str) -> list[str]:
    """One column of all pages of a list, one after the other."""
    found: list[str] = []
    token = ""
    while True:
        answer: Answer = api.call("GET", f"/api/{path}{'&continuation=' + token if token else ''}")
        found += [row[key] for row in answer.json()["value"]]
        token = answer.json()["continuation"].replace("=", "%3D")
        if not token:
            return found


def test_the_actor_of_a_write_is_in_the_log_and_in_the_runs_report(api: Api) -> None:
    job = api.call("POST", "/api/jobs?wait=60", {"kind": "plan"}, x_forwarded_for="10.0.0.1, 203.0.113.9:4711").json()
    assert (job["actor"], job["result"]["actor"]) == ("key:203.0.113.9", "key:203.0.113.9")
    api.put("kept", x_forwarded_for="203.0.113.9")
    api.call("DELETE", "/api/exports/kept", x_forwarded_for="203.0.113.9")
    lines = [json.loads(line[line.index("{") :]) for line in api.log.splitlines() if '"event": "delete_export"' in line]
    assert lines[-1] == {
        "event": "delete_export", "actor": "key:203.0.113.9", "target": {"name": "kept"}, "dryRun": False,
        "status": 204,
    }  # fmt: skip
    api.call("PUT", "/api/exports/kept?dryRun=true", api.export("kept"))
    lines = [json.loads(line[line.index("{") :]) for line in api.log.splitlines() if '"event": "' in line]
    assert (lines[-1]["event"], lines[-1]["dryRun"]) == ("put_export", True)
    (started,) = [line for line in lines if line.get("target") == {"job": job["id"]}]
    assert (started["event"], started["kind"]) == ("start_job", "plan")
