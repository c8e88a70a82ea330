"""The parts of building a release that need no network; `make release` checks the whole on the deployed Python."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from shared import __version__
from tools.package import ROOT
from tools.release import (
    LOCK,
    ReleaseError,
    bill_of_materials,
    deployed_python,
    installed,
    templates,
    write_zip,
)


def made_wheel(folder: Path, name: str = "some_thing-1.2.3-py3-none-any.whl") -> Path:
    path = folder / name
    files = {
        "some_thing/__init__.py": b"x = 1\n",
        "some_thing-1.2.3.data/purelib/extra.py": b"y = 2\n",
        "some_thing-1.2.3.data/scripts/tool": b"#!python\n",
        "some_thing-1.2.3.dist-info/METADATA": b"Name: some-thing\n",
    }
    write_zip(path, files)
    return path


def test_a_zip_depends_on_names_and_contents_alone(tmp_path: Path) -> None:
    files = {f"a/{number}.py": bytes([number]) * 50 for number in range(20)}
    write_zip(tmp_path / "one.zip", files)
    write_zip(tmp_path / "two.zip", dict(reversed(files.items())))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files
    write_zip(tmp_path / "three.zip", files | {"a/0.py": b"other"})
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "three.zip").read_bytes()


def test_a_wheel_is_laid_out_as_pip_does_without_its_scripts(tmp_path: Path) -> None:
    assert set(installed(made_wheel(tmp_path))) == {
        "some_thing/__init__.py",
        "extra.py",
        "some_thing-1.2.3.dist-info/METADATA",
    }


def test_the_bill_names_each_package_with_its_digest_and_the_commit(tmp_path: Path) -> None:
    text = bill_of_materials([made_wheel(tmp_path)], "c" * 40)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.replace('"library"', '"book"')) is not None
    document = json.loads(text)
    assert document["metadata"]["component"]["version"] == __version__
    assert "c" * 40 in json.dumps(document)
    (component,) = document["components"]
    assert (component["purl"], len(component["hashes"][0]["content"])) == ("pkg:pypi/some-thing@1.2.3", 64)
    with pytest.raises(ReleaseError, match="no wheel"):
        bill_of_materials([made_wheel(tmp_path, "something.whl")], "c")


def test_the_bill_of_the_same_wheels_and_commit_is_the_same_to_the_byte(tmp_path: Path) -> None:
    wheels = [made_wheel(tmp_path), made_wheel(tmp_path, "another-2.0-py3-none-any.whl")]
    assert bill_of_materials(wheels, "c" * 40) == bill_of_materials(wheels[::-1], "c" * 40)
    assert bill_of_materials(wheels, "c" * 40) != bill_of_materials(wheels, "d" * 40)
    assert bill_of_materials(wheels, "c" * 40) != bill_of_materials(wheels[:1], "c" * 40)


def test_the_lock_holds_what_requirements_pin_for_the_deployed_python() -> None:
    python = deployed_python()
    assert python == "3.13"
    locked = dict(re.findall(r"^([a-z0-9._-]+)==(\S+) --hash=sha256:[0-9a-f]{64}$", LOCK.read_text(), re.MULTILINE))
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(locked) == len(lines)
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line.startswith("#") or 'python_version < "3.13"' in line:
            continue
        name, version = re.split(r"[\s;#]", line)[0].split("==")
        assert locked[name.lower()] == version, f"run python -m tools.release --lock: {name} is locked otherwise"


def test_a_template_without_a_python_is_named(tmp_path: Path) -> None:
    (tmp_path / "app.bicep").write_text("resource x 'y' = {}\n")
    with pytest.raises(ReleaseError, match=r"app\.bicep names no version"):
        deployed_python(tmp_path / "app.bicep")


def test_without_a_compiler_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BICEP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseError, match="Bicep command line"):
        templates(tmp_path / "out")
