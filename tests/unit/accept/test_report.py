"""Nothing of a tenant comes out of a report, wherever a service puts it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.accept.acceptance_report import as_markdown, document
from shared.accept.acceptance_run import CHECKS
from shared.accept.checklist import ITEMS
from shared.accept.checks.automations import body, differing
from shared.accept.findings import Acceptance, Difference, Form, compared
from shared.accept.world import Target, World

SECRETS = (
    "contoso-prod-vault", "Endpoint=sb://contoso.example/;SharedAccessKey=Zm9vYmFyYmF6cXV4", "zoe.doe@contoso.example",
    "8b1c2d3e-4f50-4617-8899-aabbccddeeff", "/subscriptions/8b1c2d3e-4f50-4617-8899-aabbccddeeff/resourceGroups/rg-zoe",
    "https://contoso-kv.example/secrets/x?sig=Zm9vYmFyYmF6", "203.0.113.77", "2001:db8:77::1", "9".join("8765432"),
    "Zoë Müller-Lüdenscheidt", "eyJhbGciOiJub25lIn0.eyJ0aWQiOiJ6b2UifQ.", '{"key": "contoso-inner-secret"}',
    "`contoso-tick`", "AccountKey=Y29udG9zbw==", "contoso_CL", "CONTOSO-PROD-DC01",
)  # fmt: skip
PARTS = ("contoso", "zoe", "zoë", "zm9v", "8b1c2d3e", "203.0.113", "2001:db8:77", "y29udg9z", "lüdenscheidt", "eyj")
FORM = Form(
    "an answer", (200,), {"id": str, "properties": {"name": str, "count": int}, "tables": list}, "ResourceNotFound",
    ("ETag",),
)  # fmt: skip
secrets = st.sampled_from(SECRETS)
names = st.one_of(secrets, st.sampled_from(["id", "properties", "name", "error", "code", "message", "tables", "etag"]))
answers = st.recursive(
    st.one_of(secrets, st.none(), st.booleans(), st.just(987654321012)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)


def shown(found: Acceptance) -> str:
    report = document(found)
    return (json.dumps(report, ensure_ascii=False) + as_markdown(report)).lower()


def check(text: str) -> None:
    leaked = [part for part in (*PARTS, *(secret.lower() for secret in SECRETS), "987654321012") if part in text]
    assert leaked == []


@pytest.mark.slow
@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(answers, answers, st.sampled_from([200, 201, 404]), st.dictionaries(secrets, secrets, max_size=2))
def test_no_secret_of_an_answer_comes_out(answer: Any, seen: Any, status: int, headers: dict[str, str]) -> None:
    found = Acceptance()
    found.unlisted += compared(FORM, status, headers, answer)
    found.note(ITEMS[0], [Difference("an answer", "another", seen, status)])
    check(shown(found))


@pytest.mark.slow
@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(answers, st.sampled_from(["id", "location", "tags", "properties"]), answers, names)
def test_no_secret_of_an_automation_that_is_read_back_comes_out(
    answer: Any, member: str, inner: Any, name: str
) -> None:
    target = Target("/subscriptions/8b1c2d3e-4f50-4617-8899-aabbccddeeff/resourceGroups/rg-zoe", "/hub/contoso")
    world = World(None, None, None, None, "1", target)  # type: ignore[arg-type] # only the body is asked for
    wanted = body(world)
    read = {**wanted, "id": world.automation(), member: answer}
    if isinstance(read["properties"], dict):
        read["properties"] = {**read["properties"], "sources": [{"eventSource": name, "ruleSets": inner}]}
    found = Acceptance()
    try:
        found.note(ITEMS[0], differing(wanted, world.automation(), read))
    except (KeyError, TypeError, ValueError, AttributeError):
        return  # the run says that it can't be read
    check(shown(found))


def test_public_words_and_statuses_stay() -> None:
    found = Acceptance()
    found.note(ITEMS[0], [Difference("a PUT", "refused with 412", "PreconditionFailed", 409)])
    assert "expected refused with 412; seen status 409, `preconditionfailed`" in shown(found)


def test_every_check_is_of_an_item() -> None:
    assert {*CHECKS} <= {item.id for item in ITEMS}
    assert len({item.id for item in ITEMS}) == len(ITEMS)
