import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from openapi_spec_validator import validate
from pydantic.alias_generators import to_camel

from local.host.functions import load
from shared.cli import main
from shared.exports.event_sources import KINDS
from shared.jobs.arguments import ARGUMENTS, read_arguments
from shared.web import problems, response_models
from shared.web.openapi import document
from shared.web.openapi_descriptions import DESCRIPTIONS
from shared.web.openapi_examples import EXAMPLES, EXPORT_YAML, JOBS
from shared.web.routing import OPERATIONS
from tools.api_docs import DOCS, openapi, page

ROOT = Path(__file__).resolve().parents[3]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert document()["openapi"] == "3.1.0"
    validate(document())


def test_every_member_parameter_and_operation_says_what_it_is() -> None:
    described = document()
    bare = [
        f"{name}.{member}"
        for name, schema in described["components"]["schemas"].items()
        for member, said in schema.get("properties", {}).items()
        if not said.get("description")
    ]
    assert bare == []
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert operation["tags"]
            assert all(each["description"] for each in operation["parameters"])


def test_what_a_member_means_is_said_of_members_that_there_are() -> None:
    members = {
        (name, member)
        for name, schema in document()["components"]["schemas"].items()
        for member in schema.get("properties", {})
    }
    known = {f"{name}.{member}" for name, member in members} | {member for _, member in members}
    assert set(DESCRIPTIONS) <= known


def test_each_answer_has_one_type_whatever_its_status_below_400() -> None:
    for operations in document()["paths"].values():
        for operation in operations.values():
            types = {
                content["schema"].get("$ref", content["schema"].get("type"))
                for status, answer in operation["responses"].items()
                if status < "4"
                for kind, content in answer.get("content", {}).items()
                if not kind.startswith("text/")
            }
            assert len(types) <= 1, operation["operationId"]


def test_the_committed_documents_are_current() -> None:
    assert (DOCS / "openapi.json").read_text() == openapi(), "run python -m tools.api_docs"
    assert (DOCS / "api.md").read_text() == page(), "run python -m tools.api_docs"


def test_triggers_operations_and_paths_are_the_same() -> None:
    settings = {"RECONCILE_SCHEDULE": "0 0 * * * *", "DEAD_LETTER_SCHEDULE": "0 0 * * * *",
                "FRESHNESS_SCHEDULE": "0 0 * * * *", "NEWS_SCHEDULE": "0 0 * * * *", "EVENT_HUB_NAME": "hub",
                "EVENT_HUB_CONSUMER_GROUP": "$Default",
                "EventHubConnection": "x", "JOBS_QUEUE": "jobs", "AzureWebJobsStorage": "x"}  # fmt: skip
    triggers = {
        (one.name, str(method), f"/api/{one.trigger['route']}")
        for one in load(ROOT / "function_app.py", settings)
        if one.kind == "httpTrigger"
        for method in one.trigger["methods"]
    }
    described = {
        (operation["operationId"], method.upper(), path)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    }
    table = {(each.name, each.method, f"/api/{each.path}") for each in OPERATIONS.values()}
    assert triggers == table | {("health", "GET", "/api/health")}
    assert described == {(to_camel(name), method, path) for name, method, path in triggers}


def examples() -> list[tuple[str, dict[str, Any], Any]]:
    found = []
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
            for name, body in bodies.items():
                for kind, content in body.get("content", {}).items():
                    given = [each["value"] for each in content.get("examples", {}).values()]
                    given += [content["example"]] if "example" in content else []
                    found += [
                        (f"{method} {path} {name} {kind}", content["schema"], each)
                        for each in given
                        if content.get("schema")
                    ]
    return found


@pytest.mark.parametrize(
    ("where", "schema", "example"), examples(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_example_is_what_its_schema_says(where: str, schema: dict[str, Any], example: Any) -> None:
    jsonschema.validate(example, {**schema, "components": document()["components"]})


def test_the_yaml_example_says_what_the_json_one_says() -> None:
    assert yaml.safe_load(EXPORT_YAML) == EXAMPLES["ExportConfig"]


def test_every_problem_type_is_documented_with_its_status() -> None:
    text = page()
    assert len({problem.uri for problem in problems.ALL}) == len(problems.ALL)
    for problem in problems.ALL:
        assert f"| `{problem.uri}` | {problem.status} |" in text


def test_job_requests_are_described_as_they_are_read() -> None:
    described = {
        model.model_fields["kind"].annotation.__args__[0]: {  # type: ignore[union-attr]
            field.alias or name for name, field in model.model_fields.items() if name != "kind"
        }
        for model in (
            response_models.PlanRequest,
            response_models.ReconcileRequest,
            response_models.PreviewRequest,
            response_models.BackfillRequest,
            response_models.ReplayRequest,
            response_models.DiscardRequest,
            response_models.AcceptRequest,
            response_models.ClaimRequest,
            response_models.GoneRequest,
            response_models.CanaryRequest,
        )
    }
    assert described == {kind: set(arguments) for kind, arguments in ARGUMENTS.items()}
    assert set(response_models._Kind.__args__) == set(KINDS)  # type: ignore[attr-defined]
    for job in JOBS:
        read_arguments(job)


def test_the_pipelines_run_commands_that_exist_with_their_options() -> None:
    for file in (ROOT / "docs" / "pipelines").glob("*.yml"):
        text = file.read_text()
        yaml.safe_load(text)
        commands = re.findall(r"defender-export ((?:validate|test|push|plan)\b[^\n>]*)", text)
        assert {command.split()[0] for command in commands} == {"validate", "test", "push", "plan"}
        for command in commands:
            options = [word for word in command.split() if word.startswith("--")]
            assert set(options) <= options_of(command.split()[0]), command


def options_of(command: str) -> set[str]:
    import contextlib
    import io

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        main([command, "--help"])
    return set(re.findall(r"--[a-z-]+", said.getvalue()))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_its_handler(name: str) -> None:
    assert callable(OPERATIONS[name].handler())
