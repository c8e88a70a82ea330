import base64
import gzip
import json
import logging

import azure.functions as func
import pytest
from azure.core.exceptions import ServiceRequestError

from shared.azure.blob_container import StoreError
from shared.exports.scope_findings import NotAllSeen
from shared.settings import SettingsError
from shared.watch.hub_lag import behind, misplaced
from shared.web import request_parameters, serialization
from shared.web.authorization import Actor, authorise
from shared.web.compression import compressed
from shared.web.problems import ApiError
from shared.web.routing import _failure


def request(headers: dict[str, str] | None = None, **params: str) -> func.HttpRequest:
    return func.HttpRequest("GET", "http://app/api/x", headers=headers or {}, params=params, body=b"")


def token_of(token: str) -> dict[str, str]:
    return {"continuation": token} if token else {}


class TestConditions:
    @pytest.mark.parametrize(
        ("match", "none_match", "stored", "holds"),
        [
            (None, None, None, True),
            (None, None, '"a"', True),
            ('"a"', None, '"a"', True),
            ("a", None, '"a"', True),
            ('"b", "a"', None, '"a"', True),
            ('W/"a"', None, '"a"', False),
            ('"a"', None, '"b"', False),
            ('"a"', None, None, False),
            ("*", None, '"a"', True),
            ("*", None, None, False),
            (None, "*", None, True),
            (None, "*", '"a"', False),
            (None, 'W/"a"', '"a"', False),
            (None, '"b"', '"a"', True),
            ('"a"', '"b"', '"a"', True),
        ],
    )
    def test_hold_for_the_version_that_the_caller_means(
        self, match: str | None, none_match: str | None, stored: str | None, holds: bool
    ) -> None:
        headers = {"if-match": match, "if-none-match": none_match}
        sent = request({name: value for name, value in headers.items() if value is not None})
        assert request_parameters.condition(sent).holds(stored) is holds


class TestPages:
    def test_lead_through_all_rows_once(self) -> None:
        rows, token = [n // 2 for n in range(10)], ""  # two of each key, and pages that part them
        seen: list[int] = []
        while True:
            shown, token = request_parameters.page(
                request(None, limit="3", **token_of(token)), rows, lambda n: (str(n),)
            )
            seen += shown
            if not token:
                break
        assert seen == rows

    @pytest.mark.parametrize("token", ["!", "MQ", "/w==", "-1", base64.b64encode(b"-1").decode(), "é", "\ud800"])
    def test_refuse_tokens_that_were_not_given(self, token: str) -> None:
        with pytest.raises(ApiError):
            request_parameters.page(request(continuation=token), [1], lambda n: (str(n),))


class TestAccept:
    @pytest.mark.parametrize(
        ("header", "kind"),
        [
            ("", serialization.JSON),
            ("*/*", serialization.JSON),
            ("text/*", serialization.CSV),
            ("text/csv;q=0.1, application/json;q=0.9", serialization.JSON),
            ("text/html, text/csv", serialization.CSV),
            ("application/json;q=0, text/csv;q=0.1", serialization.CSV),
            ("application/json;q=0, */*", serialization.CSV),
            ("text/csv;q=0.9, */*;q=0.1", serialization.CSV),
            ("text/*, application/*;q=0.1", serialization.CSV),
        ],
    )
    def test_takes_the_callers_first_choice(self, header: str, kind: str) -> None:
        assert serialization.accepted(request({"accept": header}), serialization.JSON, serialization.CSV) == kind

    @pytest.mark.parametrize(
        "header", ["text/html", "text/csv;q=0", "text/csv;q=much", "text/csv;q=0, text/*", "text/csv;q=1.5"]
    )
    def test_is_refused_when_nothing_fits(self, header: str) -> None:
        with pytest.raises(ApiError):
            serialization.accepted(request({"accept": header}), serialization.JSON, serialization.CSV)


class TestCompression:
    @pytest.mark.parametrize(
        ("header", "coded"),
        [
            ("", False), ("gzip", True), ("GZIP;q=0.1, br", True), ("gzip;q=0", False), ("gzip;q=0, *", False),
            ("*", True), ("*;q=0", False), ("br, deflate", False), ("identity", False), ("x-gzip", False),
            ("gzip;q=much", False), (",", False),
        ],
    )  # fmt: skip
    async def test_is_for_callers_that_take_it(self, header: str, coded: bool) -> None:
        text = "row," * 2_000
        answer = func.HttpResponse(text, headers={"Cache-Control": "no-store"}, mimetype="text/csv", charset="utf-8")
        sent = await compressed(request({"accept-encoding": header}), answer)
        assert (sent.headers.get("Content-Encoding") == "gzip") is coded
        assert (sent.mimetype, sent.status_code, sent.headers["Cache-Control"]) == ("text/csv", 200, "no-store")
        assert (gzip.decompress(sent.get_body()) if coded else sent.get_body()).decode() == text

    @pytest.mark.parametrize(("size", "headers"), [(100, {}), (100_000, {"ETag": '"a"'}), (0, {})])
    async def test_leaves_small_answers_and_those_whose_bytes_have_an_etag(
        self, size: int, headers: dict[str, str]
    ) -> None:
        answer = func.HttpResponse("x" * size, headers=headers)
        assert await compressed(request({"accept-encoding": "gzip"}), answer) is answer


class TestActor:
    @pytest.mark.parametrize(
        ("forwarded", "actor"),
        [
            ("203.0.113.9:4711", "key:203.0.113.9"),
            ("1.1.1.1, 203.0.113.9", "key:203.0.113.9"),
            ("", "key:unknown"),
            ("[2001:db8::1]:4711", "key:2001:db8::1"),
            ("2001:db8::1", "key:2001:db8::1"),
            ("evil\r\nx", "key:evilx"),
        ],
    )
    def test_under_keys_is_the_address_that_the_platform_saw(self, forwarded: str, actor: str) -> None:
        assert str(authorise({"x-forwarded-for": forwarded}, "key", "Exports.Write")) == actor

    @pytest.mark.parametrize("role", ["Exports.Approve", "Records.Read"])
    def test_no_function_key_bears_the_roles_of_persons(self, role: str) -> None:
        with pytest.raises(ApiError, match=f"No function key bears the role {role}"):
            authorise({"x-forwarded-for": "203.0.113.9"}, "key", role)

    def test_has_idempotency_keys_of_its_own_only_under_entra(self) -> None:
        assert Actor("key", "1.1.1.1").scope == Actor("key", "2.2.2.2").scope
        assert Actor("entra", "a").scope != Actor("entra", "b").scope


class TestFailures:
    @pytest.mark.parametrize("error", [ServiceRequestError("secret"), StoreError("secret")])
    def test_of_azure_are_503_and_tell_no_details(self, error: Exception) -> None:
        refusal = _failure("list_runs", error)
        assert (refusal.problem.status, "secret" in refusal.detail) == (503, False)

    def test_of_names_that_may_be_among_what_was_not_read_are_503(self) -> None:
        refusal = _failure("plan_changes", NotAllSeen("not all could be read"))
        assert (refusal.problem.status, refusal.detail) == (503, "Not all could be read")
        assert "Retry-After" in refusal.headers

    def test_of_the_settings_are_503_and_name_them(self) -> None:
        refusal = _failure("list_runs", SettingsError("MAX_DELETES: 'x' must be a number"))
        assert (refusal.problem.status, "MAX_DELETES" in refusal.detail) == (503, True)

    def test_of_the_app_are_500_told_in_the_log_only(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            refusal = _failure("list_runs", KeyError("inner"))
        assert (refusal.problem.status, "inner" in json.dumps(refusal.detail)) == (500, False)
        assert "inner" in caplog.text


class TestLag:
    @pytest.mark.parametrize(
        ("empty", "first", "last", "read", "lag"),
        [
            (True, 0, -1, None, 0),
            (False, 0, 9, None, 10),
            (False, 0, 9, 9, 0),
            (False, 5, 9, 2, 5),
            (False, 5, 9, 7, 2),
            (False, 0, 9, 99, 10),
        ],
    )
    def test_counts_what_is_kept_and_not_read(
        self, empty: bool, first: int, last: int, read: int | None, lag: int
    ) -> None:
        about = {"is_empty": empty, "beginning_sequence_number": first, "last_enqueued_sequence_number": last}
        assert behind(about, read) == lag

    @pytest.mark.parametrize(
        ("empty", "last", "read", "found"), [(False, 9, 10, True), (True, -1, 0, True), (False, 9, 9, False)]
    )
    def test_a_checkpoint_beyond_the_end_is_that_of_a_hub_that_is_no_more(
        self, empty: bool, last: int, read: int, found: bool
    ) -> None:
        assert bool(misplaced({"is_empty": empty, "last_enqueued_sequence_number": last}, read)) is found
