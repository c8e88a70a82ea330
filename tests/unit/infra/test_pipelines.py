"""Which stages of the sample pipelines run when: on a pull request the plan alone, after a merge the push alone.

Azure Pipelines: a stage without `dependsOn` depends on the one before it; `succeeded()` is false where that was skipped
(Azure Pipelines, conditions and expressions).
"""

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml

from shared import __version__
from tools.infra import ROOT

FOLDER = ROOT / "docs" / "pipelines"
AZURE: dict[str, Any] = yaml.safe_load((FOLDER / "azure-pipelines.yml").read_text())
GITHUB: dict[Any, Any] = yaml.safe_load((FOLDER / "github-actions.yml").read_text())
PULL_REQUEST = {"Build.Reason": "PullRequest", "Build.SourceBranch": "refs/pull/1/merge"}
MERGE = {"Build.Reason": "IndividualCI", "Build.SourceBranch": "refs/heads/main"}
BY_HAND = {"Build.Reason": "Manual", "Build.SourceBranch": "refs/heads/topic"}


def holds(condition: str, variables: dict[str, str], needed: list[str]) -> bool:
    """A condition of the functions and, eq, ne and succeeded over variables and texts."""
    if found := re.fullmatch(r"and\((.*)\)", condition):
        arguments = re.findall(r"[a-z]+\((?:[^()]|\([^()]*\))*\)", found[1])
        return all(holds(each, variables, needed) for each in arguments)
    if condition == "succeeded()":
        return all(result == "Succeeded" for result in needed)
    function, name, text = re.fullmatch(r"(eq|ne)\(variables\['([\w.]+)'\], '([^']*)'\)", condition).groups()  # type: ignore[union-attr] # a form that is not known fails here
    return (variables[name] == text) == (function == "eq")


def run(pipeline: dict[str, Any], variables: dict[str, str]) -> list[str]:
    """The stages that run, when all that runs succeeds."""
    results: dict[str, str] = {}
    before: list[str] = []
    for stage in pipeline["stages"]:
        needed = [results[name] for name in stage.get("dependsOn", before)]
        condition = stage.get("condition", "succeeded()")
        results[stage["stage"]] = "Succeeded" if holds(condition, variables, needed) else "Skipped"
        before = [stage["stage"]]
    return [name for name, result in results.items() if result == "Succeeded"]


@pytest.mark.parametrize(
    ("variables", "stages"), [(PULL_REQUEST, ["plan"]), (MERGE, ["push"]), (BY_HAND, [])], ids=["pull", "merge", "hand"]
)
def test_azure_plans_a_pull_request_and_pushes_a_merge(variables: dict[str, str], stages: list[str]) -> None:
    assert run(AZURE, variables) == stages


def test_a_push_that_depends_on_a_skipped_stage_is_found() -> None:
    copy = deepcopy(AZURE)
    del copy["stages"][1]["dependsOn"]
    assert run(copy, MERGE) == []


def test_github_plans_a_pull_request_and_pushes_a_merge() -> None:
    events = {"pull_request": "plan", "push": "push"}
    for job, steps in GITHUB["jobs"].items():
        (event,) = re.findall(r"^github\.event_name == '(\w+)'$", steps["if"])
        assert events[event] == job
        assert "needs" not in steps
    assert set(GITHUB[True]) == set(events)  # YAML 1.1 reads the key `on` as true
    assert GITHUB[True]["push"]["branches"] == ["main"]


@pytest.mark.parametrize("name", ["azure-pipelines.yml", "github-actions.yml"])
def test_the_plan_asks_the_app_which_knows_whose_exports_are_its_own(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert "DEFENDER_EXPORT_URL" in text
    assert "--direct" not in text


@pytest.mark.parametrize("name", ["azure-pipelines.yml", "github-actions.yml"])
def test_the_release_that_is_installed_is_this_one(name: str) -> None:
    assert set(re.findall(r"/defender-export@v([\w.]+)", (FOLDER / name).read_text())) == {__version__}
