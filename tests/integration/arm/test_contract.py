"""The published contract of automations as two tables: bodies that are refused, bodies that are accepted."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import pytest

from local.arm.contract import EVENT_SOURCES, V2019, V2023
from local.tenant import Subscription, Tenant, destinations

from .conftest import Rest, automation, automation_path, connection_string


class _Removed:
    def __str__(self) -> str:
        return "removed"


REMOVED = _Removed()
HUB = "/subscriptions/{sub}/resourceGroups/rg/providers/Microsoft.EventHub/namespaces/ns/eventhubs/hub"
RULE = "properties.sources[0].ruleSets[0].rules[0]"


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one member, such as `properties.scopes[0].scopePath`, replaced or removed."""
    steps = [int(step) if step.isdigit() else step for step in path.replace("]", "").replace("[", ".").split(".")]
    copied = copy.deepcopy(body)
    at: Any = copied
    for step in steps[:-1]:
        at = at[step]
    if value is REMOVED:
        del at[steps[-1]]
    else:
        at[steps[-1]] = value
    return copied


class Malformed(NamedTuple):
    """A member, what stands there, and the code, target and words of the refusal."""

    path: str
    value: Any
    code: str
    target: str
    words: str


def bad(path: str, value: Any, words: str, *, target: str = "") -> Malformed:
    return Malformed(path, value, "BadRequest", target or path, words)


def envelope(path: str, value: Any, code: str, words: str) -> Malformed:
    return Malformed(path, value, code, "", words)


MALFORMED = [
    envelope("location", REMOVED, "LocationRequired", "location property is required"),
    envelope("location", "", "LocationRequired", "location property is required"),
    envelope("location", 5, "InvalidRequestContent", "must be a string"),
    envelope("location", "atlantis", "LocationNotAvailableForResourceType", "'atlantis' is not available"),
    envelope("tags", ["a"], "InvalidRequestContent", "JSON object of strings"),
    envelope("tags", {"a": 1}, "InvalidRequestContent", "must be a string"),
    envelope("tags", {"a/b": "c"}, "InvalidTagNameCharacters", "'a/b'"),
    envelope("tags", {"a": "x" * 257}, "InvalidTagValueLength", "256"),
    envelope("tags", {f"t{number}": "" for number in range(51)}, "InvalidTags", "at most 50"),
    envelope("tags", {"Env": "a", "env": "b"}, "DuplicateTagNames", "without regard to case"),
    envelope("isEnabled", True, "InvalidRequestContent", "'isEnabled'"),
    bad("properties", REMOVED, "object is required"),
    bad("properties", [], "object is required"),
    bad("properties.description", 7, "must be a string"),
    bad("properties.isEnabled", "true", "must be a boolean"),
    bad("properties.scopes", REMOVED, "at least one item"),
    bad("properties.scopes", [], "at least one item"),
    bad("properties.scopes", ["/subscriptions/x"], "object is required", target="properties.scopes[0]"),
    bad("properties.scopes", [{"scopePath": "x"}, {"scopePath": "y"}], "exactly one scope", target="properties.scopes"),
    bad("properties.scopes[0].scopePath", REMOVED, "string is required"),
    bad("properties.scopes[0].scopePath", "everything", "neither a subscription nor a resource group"),
    bad("properties.scopes[0].scopePath", "/subscriptions/00000000-0000-4000-8000-000000000000", "lies outside"),
    bad(
        "properties.scopes[0].scopePath",
        "/providers/Microsoft.Management/managementGroups/contoso",
        "neither a subscription nor a resource group",
    ),
    bad("properties.sources", REMOVED, "at least one item"),
    bad("properties.sources", {}, "at least one item"),
    bad("properties.sources[0].eventSource", REMOVED, "is not one of"),
    bad("properties.sources[0].eventSource", "AlertsSnapshot", "is not one of"),
    bad("properties.sources[0].eventSource", "alerts", "is not one of"),
    bad("properties.sources[0].ruleSets", {}, "must be a list"),
    bad("properties.sources[0].ruleSets[0]", "all", "object is required"),
    bad("properties.sources[0].ruleSets[0].rules", "all", "must be a list"),
    bad(RULE, "all", "object is required"),
    bad(f"{RULE}.propertyJPath", REMOVED, "string is required"),
    bad(f"{RULE}.propertyJPath", " ", "string is required"),
    bad(f"{RULE}.propertyType", REMOVED, "is not one of"),
    bad(f"{RULE}.propertyType", "Date", "is not one of"),
    bad(f"{RULE}.operator", REMOVED, "is not one of"),
    bad(f"{RULE}.operator", "Matches", "is not one of"),
    bad(f"{RULE}.operator", "GreaterThan", "decimal operands only"),
    bad(f"{RULE}.expectedValue", REMOVED, "string is required"),
    bad(f"{RULE}.expectedValue", 3, "string is required"),
    bad(
        RULE,
        {"propertyJPath": "a", "propertyType": "Integer", "expectedValue": "1.5", "operator": "Equals"},
        "is not of type Integer",
        target=f"{RULE}.expectedValue",
    ),
    bad(
        RULE,
        {"propertyJPath": "a", "propertyType": "Boolean", "expectedValue": "yes", "operator": "Equals"},
        "is not of type Boolean",
        target=f"{RULE}.expectedValue",
    ),
    bad(
        RULE,
        {"propertyJPath": "a", "propertyType": "Number", "expectedValue": "1", "operator": "Contains"},
        "non-decimal operands only",
        target=f"{RULE}.operator",
    ),
    bad("properties.actions", REMOVED, "at least one item"),
    bad("properties.actions", [], "at least one item"),
    bad("properties.actions[0]", "hub", "object is required"),
    bad("properties.actions[0].actionType", REMOVED, "is not one of"),
    bad("properties.actions[0].actionType", "Storage", "is not one of"),
    bad("properties.actions[0].actionType", "eventhub", "is not one of"),
    bad("properties.actions[0].eventHubResourceId", REMOVED, "resource id of type"),
    bad("properties.actions[0].eventHubResourceId", "hub", "resource id of type"),
    bad("properties.actions[0].eventHubResourceId", HUB.replace("EventHub/", "Relay/"), "resource id of type"),
    bad("properties.actions[0].connectionString", REMOVED, "unless isTrustedServiceEnabled"),
    bad("properties.actions[0].connectionString", "Endpoint=sb://x/", "not an event hub connection string"),
    bad("properties.actions[0].isTrustedServiceEnabled", "yes", "must be a boolean"),
    bad(
        "properties.actions[0]",
        {"actionType": "Workspace"},
        "resource id of type",
        target="properties.actions[0].workspaceResourceId",
    ),
    bad(
        "properties.actions[0]",
        {"actionType": "Workspace", "workspaceResourceId": HUB},
        "resource id of type",
        target="properties.actions[0].workspaceResourceId",
    ),
    bad(
        "properties.actions[0]",
        {
            "actionType": "LogicApp",
            "logicAppResourceId": "/subscriptions/82e2e662-f728-44fa-8248-5e3a0a5d2f34/resourceGroups/rg"
            "/providers/Microsoft.Logic/workflows/app",
        },
        "https address is required",
        target="properties.actions[0].uri",
    ),
]


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: f"{case.path}={str(case.value)[:40]}")
async def test_a_malformed_body_is_refused_at_the_member_that_is_wrong(
    case: Malformed, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    body = changed(automation(tenant, home), case.path, case.value)
    refused = await rest("PUT", automation_path(home), body)
    assert (refused.status, refused.code) == (400, case.code)
    assert refused.body["error"].get("target", "") == case.target
    assert case.words in refused.message
    assert tenant.automations(home.id) == []


def test_the_table_of_malformed_bodies_is_long_enough() -> None:
    assert len(MALFORMED) >= 40


@pytest.mark.parametrize(
    ("raw", "words"),
    [(b"{", "Expecting property name"), (b"[]", "a JSON object was expected"), (b"", "a JSON object was expected")],
)
async def test_what_is_not_a_json_object_is_refused(raw: bytes, words: str, rest: Rest, home: Subscription) -> None:
    refused = await rest("PUT", automation_path(home), raw=raw, headers={"Content-Type": "application/json"})
    assert (refused.status, refused.code) == (400, "InvalidRequestContent")
    assert words in refused.message


@pytest.mark.parametrize("name", ["with.dot", "with space", "x" * 261, "naïve"])
async def test_a_name_outside_the_contract_is_refused(
    name: str, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    refused = await rest("PUT", automation_path(home, name), automation(tenant, home))
    assert (refused.status, refused.code) == (400, "InvalidResourceName")


@pytest.mark.parametrize(
    ("version", "code"),
    [(None, "MissingApiVersionParameter"), ("2020-01-01", "InvalidApiVersionParameter")],
)
async def test_the_api_version_is_required_and_must_be_known(
    version: str | None, code: str, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    refused = await rest("PUT", automation_path(home), automation(tenant, home), version=version)
    assert (refused.status, refused.code) == (400, code)


async def test_every_problem_is_named_not_only_the_first(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    body = changed(automation(tenant, home, scopes=[]), f"{RULE}.operator", "Like")
    refused = await rest("PUT", automation_path(home), body)
    assert [one["target"] for one in refused.body["error"]["details"]] == ["properties.scopes", f"{RULE}.operator"]


async def test_validate_says_what_is_wrong_without_writing(rest: Rest, tenant: Tenant, home: Subscription) -> None:
    body = automation(tenant, home)
    good = await rest("POST", automation_path(home) + "/validate", body)
    wrong = await rest("POST", automation_path(home) + "/validate", changed(body, "properties.scopes", []))
    unlocated = await rest("POST", automation_path(home) + "/validate", changed(body, "location", REMOVED))
    assert good.body == {"isValid": True, "message": "Validation Successful"}
    assert (wrong.status, wrong.body["isValid"]) == (200, False)
    assert "properties.scopes" in wrong.body["message"]
    assert (unlocated.status, unlocated.code) == (400, "LocationRequired")
    assert tenant.automations(home.id) == []


# What is accepted: a member, what stands there, and what reads show at a member afterwards.

SEVERITY = {"propertyJPath": "Severity", "propertyType": "String", "expectedValue": "High", "operator": "Equals"}


def ruled(**changes: str) -> list[dict[str, Any]]:
    return [{"rules": [{**SEVERITY, **changes}]}]


class Accepted(NamedTuple):
    """A member, what stands there, and what a GET shows at another member; `version` is the api-version used."""

    path: str
    value: Any
    shown: Any
    at: str = ""
    version: str = V2023


SETS = "properties.sources[0].ruleSets"
ACTION = "properties.actions[0]"
ACCEPTED = [
    *[
        Accepted("properties.sources", [{"eventSource": source}], [{"eventSource": source, "ruleSets": []}])
        for source in EVENT_SOURCES[V2023]
    ],
    *[
        Accepted("properties.sources", [{"eventSource": one}], [{"eventSource": one, "ruleSets": []}], version=V2019)
        for one in ("Alerts", "SubAssessmentsSnapshot")
    ],
    Accepted("properties.isEnabled", REMOVED, True),
    Accepted("properties.isEnabled", None, True),
    Accepted("properties.isEnabled", False, False),
    Accepted("properties.description", REMOVED, ""),
    Accepted("tags", REMOVED, {}),
    Accepted("kind", "export", "export"),
    Accepted("etag", '"anything"', "westeurope", at="location"),
    Accepted(SETS, REMOVED, []),
    Accepted(SETS, None, []),
    Accepted(SETS, [], []),
    Accepted(SETS, ruled(propertyType="string"), ruled(propertyType="String")),
    Accepted(SETS, ruled(operator="Contains"), ruled(operator="Contains")),
    Accepted(
        SETS, ruled(propertyType="Boolean", expectedValue="True"), ruled(propertyType="Boolean", expectedValue="True")
    ),
    Accepted(
        SETS,
        ruled(propertyType="Number", expectedValue="0.01", operator="GreaterThanOrEqualTo"),
        ruled(propertyType="Number", expectedValue="0.01", operator="GreaterThanOrEqualTo"),
    ),
    Accepted(
        SETS,
        ruled(propertyType="Integer", expectedValue="-3", operator="LesserThan"),
        ruled(propertyType="Integer", expectedValue="-3", operator="LesserThan"),
    ),
    Accepted(SETS, ruled() + ruled(expectedValue="Medium"), ruled() + ruled(expectedValue="Medium")),
    Accepted(f"{ACTION}.sasPolicyName", "ignored", "defender-send"),
    Accepted(f"{ACTION}.isTrustedServiceEnabled", None, False),
    Accepted(f"{ACTION}.unknownMember", 1, None),
]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: f"{case.path}={str(case.value)[:50]}")
async def test_a_sound_body_is_accepted_and_comes_back_in_its_read_form(
    case: Accepted, arm: Any, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    arm.recase = False
    body = changed({**automation(tenant, home), "kind": "", "etag": ""}, *_with_member(case))
    written = await rest("PUT", automation_path(home), body, version=case.version)
    read = await rest("GET", automation_path(home), version=case.version)
    assert written.status == 201, written.body
    assert _member(read.body, case.at or case.path) == case.shown


def test_the_table_of_accepted_bodies_is_long_enough() -> None:
    assert len(ACCEPTED) >= 20


def _with_member(case: Accepted) -> tuple[str, Any]:
    return case.path, case.value


def _member(body: Any, path: str) -> Any:
    for step in path.replace("]", "").replace("[", ".").split("."):
        body = body[int(step)] if step.isdigit() else body.get(step)
    return body


async def test_each_kind_of_action_comes_back_without_its_secret(
    arm: Any, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    arm.recase = False
    logic_app = f"{home.scope}/resourceGroups/rg-app/providers/Microsoft.Logic/workflows/app"
    into = destinations(tenant)
    actions = [
        {
            "actionType": "LogicApp",
            "logicAppResourceId": logic_app,
            "uri": "https://prod.logic.azure.com/trigger?sig=x",
        },
        {"actionType": "EventHub", "eventHubResourceId": into.event_hub, "connectionString": connection_string()},
        {"actionType": "EventHub", "eventHubResourceId": into.event_hub, "isTrustedServiceEnabled": True},
        {"actionType": "Workspace", "workspaceResourceId": into.workspace},
    ]
    await rest("PUT", automation_path(home), automation(tenant, home, actions=actions))
    read = await rest("GET", automation_path(home))
    assert read.body["properties"]["actions"] == [
        {"actionType": "LogicApp", "logicAppResourceId": logic_app},
        {
            "actionType": "EventHub",
            "eventHubResourceId": into.event_hub,
            "sasPolicyName": "defender-send",
            "isTrustedServiceEnabled": False,
        },
        {
            "actionType": "EventHub",
            "eventHubResourceId": into.event_hub,
            "sasPolicyName": None,
            "isTrustedServiceEnabled": True,
        },
        {"actionType": "Workspace", "workspaceResourceId": into.workspace},
    ]
    assert "sig=x" not in str(read.body)


@pytest.mark.parametrize(
    "path", ["{sub}", "{sub}/", "{SUB}", "{sub}/resourceGroups/rg-app", "{sub}/resourcegroups/RG-APP"]
)
async def test_a_scope_is_the_subscription_or_a_group_in_it(
    path: str, rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    scope = path.format(sub=home.scope, SUB=home.scope.upper())
    body = automation(tenant, home, scopes=[{"scopePath": scope}])
    assert (await rest("PUT", automation_path(home), body)).status == 201


async def test_every_sample_of_the_synthetic_tenant_is_accepted_as_its_writer_would_send_it(
    rest: Rest, tenant: Tenant, home: Subscription
) -> None:
    samples = {one["name"] + str(one["properties"]["sources"]): one for one in tenant.all_automations()}
    assert len(samples) >= 5
    for number, sample in enumerate(samples.values()):
        properties = copy.deepcopy(sample["properties"])
        properties["scopes"] = [{"scopePath": home.scope}]
        for action in properties["actions"]:
            if action.pop("sasPolicyName", None):
                action["connectionString"] = connection_string()
        body = {"location": sample["location"], "tags": sample["tags"], "properties": properties}
        written = await rest("PUT", automation_path(home, f"sample-{number}"), body)
        assert written.status == 201, written.body
