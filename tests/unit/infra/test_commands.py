"""Every command that a page, a runbook, a pipeline or a sentence of the app gives is one that its tool documents."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.infra.command_reference import PUBLISHED, TOOLS, code, commands, complaints
from tools.infra import ROOT

TEXTS = [
    ROOT / "README.md",
    ROOT / "azure.yaml",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "runbooks").iterdir()),
    *sorted((ROOT / "docs" / "pipelines").iterdir()),
    *sorted((ROOT / "shared").rglob("*.py")),
]
FOUND = [(path, command) for path in TEXTS for piece in code(path) for command in commands(piece)]


def test_the_commands_were_found() -> None:
    assert len(FOUND) > 100
    assert {command.tool for _, command in FOUND} == set(TOOLS)


@pytest.mark.parametrize("path", sorted({path for path, _ in FOUND}), ids=lambda path: path.name)
def test_every_command_of_a_file_is_one_that_its_tool_documents(path: Path) -> None:
    assert [line for where, command in FOUND if where == path for line in complaints(command)] == []


def test_no_command_asks_a_storage_account_for_the_keys_that_are_off() -> None:
    """Without `--auth-mode login` the Azure CLI looks for the account's key (`allowSharedKeyAccess: false`)."""
    asking = [command.words for _, command in FOUND if command.words[0] == "storage" and len(command.words) > 3]
    assert asking
    assert [words for words in asking if ("--auth-mode", "login") not in pairwise(words)] == []


def test_the_reference_holds_no_command_that_nothing_gives() -> None:
    given = {(command.tool, " ".join(command.words)) for _, command in FOUND}
    unused = [
        f"{tool} {name}"
        for tool, known in TOOLS.items()
        for name in known["commands"]
        if not any(one == tool and f"{words} ".startswith(f"{name} ") for one, words in given)
    ]
    assert unused == []


def test_each_reference_says_where_and_when_it_was_read() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", PUBLISHED["read"])
    for name, tool in TOOLS.items():
        assert tool["source"]
        assert tool["where"]
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", tool["dated"])
        assert re.fullmatch(r"[0-9a-f]{40}", tool["commit"]) or name == "gh"  # its manual has no commit


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("az stack sub remove --name x", "az stack sub remove is no command"),
        ("az ad app create --display-name x --reply-urls y", "az ad app create has no --reply-urls"),
        ("az ad sp create --query id", "az ad sp create needs --id"),
        ("az role assignment create --role x --scope y --asignee z", "az role assignment create has no --asignee"),
        (
            "az stack sub delete --name x --action-on-unmanage deleteEverything",
            "az stack sub delete --action-on-unmanage takes no deleteEverything",
        ),
        (
            "az eventhubs namespace update --capacity 1 --name x --ressource-group y",
            "az eventhubs namespace update has no --ressource-group",
        ),
        ("xargs -n1 az role assignment delete --id", "az role assignment delete has no --id"),
        ('token="$(az account get-access-token --ressource x)"', "az account get-access-token has no --ressource"),
        ("azd env put A b", "azd env put is no command"),
        ("azd down --purge --remove", "azd down has no --remove"),
        ("func azure functionapp publish x --pythn", "func azure functionapp publish has no --pythn"),
        ("gh pr comment 1 --body-text x", "gh pr comment has no --body-text"),
    ],
)
def test_a_command_that_is_not_documented_is_found(line: str, said: str) -> None:
    assert [one for command in commands(line) for one in complaints(command)][:1] == [said]
