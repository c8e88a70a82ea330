"""`readers check`: a file of readers is checked where it lies."""

from pathlib import Path

import pytest

from shared.cli import main

TENANT = "22222222-2222-4222-8222-222222222222"


def test_what_each_role_sees_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readers.yaml"
    path.write_text(
        "version: 1\nreaders:\n"
        f"  - {{role: Exports.Read.Contoso, tenants: [{TENANT}], managementGroups: [Unit]}}\n"
        f"  - {{role: Exports.Read.Other, managementGroups: [{TENANT}/cards, b]}}\n"
    )
    assert main(["readers", "check", str(path)]) == 0
    assert capsys.readouterr().out == (
        f"Exports.Read.Contoso: tenants {TENANT}; management groups unit\n"
        f"Exports.Read.Other: management groups {TENANT}/cards, b\n"
    )


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (f"version: 1\nreaders: [{{role: Exports.Read.A, tenant: [{TENANT}]}}]\n", "Did you mean tenants?"),
        ("version: 1\nreaders: [{role: Exports.Read, tenants: [x]}]\n", "no role of a limited reader"),
        ("", "must be a mapping"),
        ("\x1b[31m", ""),
        ("a: " + "b" * 1_000_001, ""),
    ],
)
def test_what_is_wrong_is_an_error_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], contents: str, said: str
) -> None:
    path = tmp_path / "readers.yaml"
    path.write_text(contents)
    assert main(["readers", "check", str(path)]) == 1
    told = capsys.readouterr()
    assert not told.out
    assert said in told.err
    assert told.err.strip()
    assert "Traceback" not in told.err
    assert "\x1b" not in told.err


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["readers", "check", str(tmp_path / "none.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_every_finding_has_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "readers.yaml"
    path.write_text("version: 1\nreaders:\n" + "  - {role: Exports.Read, tenants: [x]}\n" * 6)
    assert main(["readers", "check", str(path)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= 12
    assert all(line.startswith(f"error: {path}:") for line in lines)
