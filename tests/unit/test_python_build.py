"""A package that was built for another Python says so, and requirements resolve to one set for each Python."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from shared import python_build
from tools.wheels import PYTHONS, pins, requirements

ROOT = Path(__file__).resolve().parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
ASK = """
import json, sys
sys.path[:0] = sys.argv[1:]
import asyncio, azure.functions as func, function_app
from shared.web import routing
health = routing.alive()
request = func.HttpRequest("GET", "http://x/api/ready", headers={}, params={}, route_params={}, body=b"")
ready = asyncio.run(routing.respond("ready", request))
print(json.dumps([[each.status_code, each.get_body().decode()] for each in (health, ready)]))
"""


@pytest.mark.parametrize("python", PYTHONS)
def test_each_python_has_exactly_one_pin_of_each_package(python: str) -> None:
    found = pins(python, requirements())
    assert set(found) == {one.name.lower() for one in requirements()}
    assert [name for name, one in found.items() if len(one) != 1 or not re.fullmatch(r"==[\w.]+", one[0])] == []


def test_a_marker_that_leaves_a_python_out_or_pins_twice_is_found() -> None:
    gap = [Requirement('a==1 ; python_version < "3.13"'), Requirement('a==2 ; python_version > "3.13"')]
    assert [python for python in PYTHONS if pins(python, gap) == {}] == ["3.13"]
    both = [Requirement('a==1 ; python_version <= "3.13"'), Requirement('a==2 ; python_version >= "3.13"')]
    assert [python for python in PYTHONS if len(pins(python, both)["a"]) == 2] == ["3.13"]


def test_the_project_admits_these_pythons_and_no_other() -> None:
    (line,) = re.findall(r'^requires-python = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert line == f">={PYTHONS[0]},<3.{int(PYTHONS[-1][2:]) + 1}"
    makefile = (ROOT / "Makefile").read_text()
    assert f"(3, {PYTHONS[0][2:]}) <= sys.version_info < (3, {int(PYTHONS[-1][2:]) + 1})" in makefile
    assert all(f"python{python}" in makefile for python in PYTHONS)


def test_the_packages_of_this_environment_fit_its_python() -> None:
    assert python_build.fault() == ""
    assert {version for name in python_build.NATIVE for version in python_build.built_for(name)} <= {HERE}
    assert python_build.built_for("msgspec") == [HERE]
    assert python_build.built_for("azure-identity") == []
    assert python_build.built_for("nothing-of-that-name") == []


def another_python() -> str | None:
    """An interpreter of another version, on PATH or among pyenv's."""
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in PYTHONS:
        found = sorted(kept.glob(f"{version}.*/bin/python{version}"))
        path = str(found[-1]) if found else shutil.which(f"python{version}")
        if version != HERE and path and not subprocess.run([path, "-V"], capture_output=True, check=False).returncode:
            return path
    return None


def test_health_and_ready_fail_with_both_pythons_when_the_running_one_is_another() -> None:
    other = another_python()
    if other is None:
        pytest.skip("no second version of Python, on PATH or among pyenv's")
    site = next(path for path in sys.path if path.endswith("site-packages"))
    done = subprocess.run(
        [other, "-I", "-S", "-c", ASK, str(ROOT), site], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    running = re.search(r"python(3\.\d+)", other)
    assert running
    for status, body in json.loads(done.stdout):
        assert status == 503, body
        assert f"built for Python {HERE}, and this is Python {running[1]}" in body
        assert "orjson" in body
        assert "msgspec" in body
