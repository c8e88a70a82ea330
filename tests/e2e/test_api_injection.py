"""What callers send stays data: in names, files, headers, numbers and sizes."""

import csv
import io
import json
import socket
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.e2e.api import Api

HTML = "<img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "name", ["..%2Fother", "%2E%2E%5Cother", "..%2F..%2Frun-reports%2Flatest.json", "a%00b", "%FF"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_name_with_a_path_in_it_reaches_no_other_blob(api: Api, method: str, name: str) -> None:
    answer = api.call(method, f"/api/exports/{name}", api.export("kept") if method == "PUT" else None)
    assert answer.status in {400, 404}
    assert api.call("GET", "/api/exports").json()["value"] == []


def test_html_in_names_and_queries_is_not_said_back(api: Api) -> None:
    dirty = quote(HTML, safe="")
    for path in (f"exports/{dirty}", f"jobs/{dirty}", f"runs/{dirty}", f"coverage?view={dirty}", f"jobs?limit={dirty}"):
        answer = api.call("GET", f"/api/{path}")
        assert answer.status in {400, 404}
        assert "onerror" not in answer.text
    assert "onerror" not in api.call("POST", "/api/jobs", {"kind": HTML, HTML: HTML}).text


def test_html_in_tags_and_descriptions_comes_back_only_as_json_that_no_browser_runs(api: Api) -> None:
    text = api.export("kept").replace("location: westeurope", f"location: westeurope, tags: {{note: '{HTML}'}}")
    assert api.put("kept", text).status == 201
    try:
        answer = api.call("GET", "/api/exports/kept", accept="application/json")
        assert answer.json()["automation"]["tags"] == {"note": HTML}
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    finally:
        api.call("DELETE", "/api/exports/kept")


@pytest.mark.parametrize(
    "hostile",
    ["name: !!python/object/apply:os.system [id]", "name: !!python/name:os.system", "name: &a [*a, *a]", "? [a]\n: b"],
)
def test_yaml_tags_and_aliases_build_nothing(api: Api, hostile: str) -> None:
    answer = api.call("POST", "/api/exports/validate", f"version: 1\n{hostile}\n")
    assert (answer.status, answer.json()["valid"]) == (200, False)


@pytest.mark.parametrize("formula", ["=HYPERLINK('x')", "+1+1", "-1+1", "@SUM(A1)", "\tx", "\n=1"])
def test_a_formula_is_text_in_csv(api: Api, formula: str) -> None:
    """A subscription's name is whatever its owner writes."""
    victim = next(iter(api.azure.tenant.subscriptions.values()))
    api.azure.tenant.subscriptions.put(victim.id, replace(victim, name=formula))
    try:
        query = f"maxAge=0&subscription={victim.id}"
        rows = list(csv.DictReader(io.StringIO(api.call("GET", f"/api/status?{query}", accept="text/csv").text)))
        assert [row["subscription"] for row in rows] == [f"'{formula}"]
    finally:
        api.azure.tenant.subscriptions.put(victim.id, victim)


def test_a_header_is_not_split(api: Api) -> None:
    answer = api.call("PUT", "/api/exports/kept%0d%0aSet-Cookie:%20a=b", api.export("kept"))
    assert answer.status in {400, 404}
    assert "set-cookie" not in answer.headers
    raw = (
        f"POST /api/jobs HTTP/1.1\r\nHost: x\r\nx-functions-key: {api.key}\r\nIdempotency-Key: a\rb\r\n"
        "Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    address = urlsplit(api.url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30) as connection:
        connection.sendall(raw.encode())
        assert connection.recv(1024).split(b" ")[1] == b"400"


@pytest.mark.parametrize("value", [b"caf\xe9", "naïve".encode(), b"a\tb", "\u202e".encode()])
@pytest.mark.parametrize("header", ["if_match", "idempotency_key", "accept", "x_forwarded_for", "content_type"])
def test_headers_beyond_ascii_are_refused_or_inert(api: Api, header: str, value: bytes) -> None:
    if header == "idempotency_key":
        answer = api.call("POST", "/api/jobs", {"kind": "replay"}, idempotency_key=value)
    elif header == "accept":
        answer = api.call("GET", "/api/exports", accept=value)
    else:
        answer = api.call("PUT", "/api/exports/kept?dryRun=true", api.export("kept"), **dict[str, Any]({header: value}))
    assert answer.status in {200, 400, 406, 415}


@pytest.mark.parametrize("number", ["1e999", "9" * 400, "-" + "9" * 5000, "0x" + "f" * 99, "1e-999", "99:99:99"])
def test_huge_numbers_neither_hang_nor_break(api: Api, number: str) -> None:
    text = api.export("kept") + f"tests:\n- {{record: {{id: x, n: {number}}}, exported: false}}\n"
    for answer in (
        api.call("POST", "/api/exports/validate", text),
        api.call("PUT", "/api/exports/kept?dryRun=true", text.replace("version: 1", f"version: {number}")),
    ):
        assert answer.status in {200, 422}
        json.loads(answer.text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert api.call("GET", f"/api/jobs?limit={number}").problem == "bad-request"
    assert api.call("POST", "/api/jobs", f'{{"kind": {number[:4300]}}}', content_type="application/json").status == 400


@pytest.mark.parametrize("path", ["exports/validate", "jobs"])
def test_bodies_of_10_mb_are_413(api: Api, path: str) -> None:
    answer = api.call("POST", f"/api/{path}", b"{" + b" " * 10_000_000 + b"}", content_type="application/json")
    assert answer.problem == "too-large"


@pytest.mark.parametrize("depth", [1_000, 60_000])
def test_deep_nesting_is_refused(api: Api, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    assert (
        api.call("POST", "/api/jobs", f'{{"kind": {deep}}}', content_type="application/json").problem == "bad-request"
    )
    assert api.call("POST", "/api/exports/validate", deep).json()["findings"][0]["code"] == "too-deep"


@pytest.mark.parametrize("text", ['{"version": "\\ud800"}', 'description: "\\uD800 \\u202E \\0"', "\ufeffversion: 1"])
def test_odd_unicode_is_answered_in_json(api: Api, text: str) -> None:
    answer = api.call("POST", "/api/exports/validate", text)
    assert answer.json()["valid"] is False


def test_no_key_and_no_secret_reaches_the_log(api: Api) -> None:
    assert api.key not in api.log
    assert "SharedAccessKey=" not in api.log
    assert api.azure.cross_tenant_secret not in api.log
