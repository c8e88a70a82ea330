"""checkov reads every template and finds nothing that is not explained."""

import shutil
from pathlib import Path

import pytest

from tools.bicep import parse
from tools.checkov import CheckovUnavailableError, Result, scan
from tools.infra import INFRA

pytestmark = pytest.mark.slow


def checked(folder: Path) -> Result:
    try:
        return scan(folder)
    except CheckovUnavailableError as error:
        pytest.skip(f"checkov can't be installed here: {error}")


@pytest.fixture(scope="module")
def result() -> Result:
    return checked(INFRA)


def test_nothing_fails(result: Result) -> None:
    assert [(each["check_id"], each["file_path"], each["resource"]) for each in result.failed] == []


def test_everything_was_read_and_no_check_crashed(result: Result) -> None:
    assert result.parsing_errors == []
    assert result.crashes == []
    deployed = [
        resource
        for path in INFRA.rglob("*.bicep")
        for resource in parse(path).resources.values()
        if not resource.existing
    ]
    assert result.resource_count >= len(deployed) > 40


def test_each_suppression_gives_its_reason(result: Result) -> None:
    assert result.skipped
    assert all(len(each["check_result"]["suppress_comment"]) > 20 for each in result.skipped)


def test_a_broken_copy_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "infra"
    copy.mkdir()
    text = (INFRA / "modules" / "storage.bicep").read_text()
    (copy / "storage.bicep").write_text(text.replace("'TLS1_2'", "'TLS1_0'"))
    shutil.copy(INFRA / "modules" / "identity.bicep", copy)
    (copy / "identity.bicep").write_text("resource { \n")
    broken = checked(copy)
    assert {each["check_id"] for each in broken.failed} == {"CKV_AZURE_44"}
    assert len(broken.parsing_errors) == 1
