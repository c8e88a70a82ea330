"""checkov reads every snapshot and finds nothing that is not explained."""

import json
import shutil
from pathlib import Path

import pytest

from tools.checkov import EXCEPTIONS, CheckovUnavailableError, Result, scan, unexplained
from tools.snapshots import PARAMETERS, committed

pytestmark = pytest.mark.slow


def checked(folder: Path) -> Result:
    try:
        return scan(folder)
    except CheckovUnavailableError as error:
        pytest.skip(f"checkov can't be installed here: {error}")


@pytest.fixture(scope="module")
def result() -> Result:
    return checked(PARAMETERS)


def test_nothing_fails(result: Result) -> None:
    assert unexplained(result) == []


def test_everything_was_read_and_no_check_crashed(result: Result) -> None:
    assert result.parsing_errors == []
    assert result.crashes == []
    assert result.resource_count >= sum(len(snapshot.resources) for snapshot in committed().values()) / 2


def test_each_exception_is_needed_and_gives_its_reason(result: Result) -> None:
    failed = {(each["check_id"], each["resource"].rsplit(".", 1)[0]) for each in result.failed}
    assert set(EXCEPTIONS) - failed == set()
    assert all(len(reason) > 20 for reason in EXCEPTIONS.values())


def test_a_broken_copy_is_found(tmp_path: Path) -> None:
    shutil.copy(PARAMETERS / "small.snapshot.json", tmp_path)
    broken = json.loads((tmp_path / "small.snapshot.json").read_text())
    for one in broken["predictedResources"]:
        if one["type"] == "Microsoft.Storage/storageAccounts":
            one["properties"]["minimumTlsVersion"] = "TLS1_0"
    (tmp_path / "small.snapshot.json").write_text(json.dumps(broken))
    (tmp_path / "second.snapshot.json").write_text(json.dumps({"predictedResources": [{"type": 1}]}))
    assert {check for check, _, _ in unexplained(checked(tmp_path))} == {"CKV_AZURE_44"}
