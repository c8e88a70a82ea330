"""What is published is the app and nothing else, and it runs with nothing but its own requirements.txt."""

import ast
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from local.worker_environment import ROOT, find_python, prepare
from tests.e2e.test_worker import drive
from tools.package import Ignores, as_core_tools, as_git, build, contents

PYTHON = find_python()
pytestmark = [
    pytest.mark.skipif(PYTHON is None, reason="azure-functions-runtime needs Python 3.13, and none was found"),
    pytest.mark.timeout(600),
]
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("package")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def interpreter() -> Path:
    """A Python that has the worker and what requirements.txt names, nothing else."""
    assert PYTHON
    return prepare(PYTHON)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_package_is_the_app_and_nothing_else(package: Path) -> None:
    found = files(package)
    assert {name.partition("/")[0] for name in found} <= {
        "function_app.py",
        "host.json",
        "requirements.txt",
        "shared",
        "LICENSE",
    }
    assert found >= {"function_app.py", "host.json", "requirements.txt", "shared/bootstrap.py"}
    assert not [name for name in found if name.endswith((".pyc", ".key", ".pem", ".env"))]
    assert sum((package / name).stat().st_size for name in found) < 2.75 * MEGABYTE


def test_func_and_azd_publish_the_same() -> None:
    assert set(contents(read=as_core_tools)) == set(contents(read=as_git))


@pytest.mark.parametrize("read", [as_core_tools, as_git])
def test_what_is_ignored_is_kept_out_wherever_it_lies(tmp_path: Path, read: Callable[..., Ignores]) -> None:
    (tmp_path / ".funcignore").write_bytes((ROOT / ".funcignore").read_bytes())
    kept = {"function_app.py", "requirements.txt", "shared/exports/model.py", "shared/local.py"}
    for name in kept | {
        "local.settings.json",
        ".env",
        "shared/__pycache__/a.pyc",
        "exports/a.yaml",
        "tests/shared/a.py",
    }:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert set(contents(tmp_path, read)) == kept


@pytest.mark.parametrize("read", [as_core_tools, as_git])
@pytest.mark.parametrize("folder", ["defender-export", "defender.export", "my_app_env", "x"])
def test_the_environment_that_azd_makes_in_the_folder_is_kept_out(folder: str, read: Callable[..., Ignores]) -> None:
    """azd names it after the folder (VenvNameForDir), and with a .funcignore leaves nothing out by itself."""
    lines = (ROOT / ".funcignore").read_text().splitlines()
    made = f"{folder}_env/lib/python3.13/site-packages/azure/functions/__init__.py"
    assert read(lines)(made)
    assert not read([line for line in lines if line != "/*_env/"])(made)
    assert not read(lines)("shared/test_env.py")


@pytest.mark.parametrize(
    ("line", "lost"), [("requirements", "requirements.txt"), ("exports", "shared/exports/model.py")]
)
def test_a_line_that_the_two_read_differently_is_found(line: str, lost: str) -> None:
    assert as_core_tools([line])(lost) != as_git([line])(lost)


def test_the_worker_indexes_the_package_and_answers(interpreter: Path, package: Path) -> None:
    asked = [{"function": "health", "parameter": "req", "url": "http://x/api/health"}]
    seen = drive(interpreter, package, asked)
    published = drive(interpreter, ROOT, [])
    assert seen["functions"].keys() == published["functions"].keys()
    assert len(seen["functions"]) >= 15
    assert (seen["results"][0]["error"], seen["results"][0]["status"]) == ("", 200)


def imported(package: Path) -> set[str]:
    """Every module that any file of the package imports, now or on first use."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return found


def failures(interpreter: Path, package: Path, modules: set[str]) -> dict[str, str]:
    """Modules that can't be imported in the package's folder with that interpreter, with the reason."""
    script = (
        "import importlib, json, sys\n"
        "failed = {}\n"
        "for name in json.load(sys.stdin):\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except Exception as error:\n        failed[name] = str(error)\n"
        "print(json.dumps(failed))"
    )
    done = subprocess.run(
        [str(interpreter), "-c", script],
        input=json.dumps(sorted(modules)),
        cwd=package,
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_requirements_hold_all_that_the_package_imports_even_late(interpreter: Path, package: Path) -> None:
    modules = imported(package)
    assert {"azure.functions", "azure.storage.blob.aio", "pydantic", "shared.bootstrap"} <= modules
    assert failures(interpreter, package, modules) == {}


def test_a_missing_requirement_is_found(interpreter: Path, package: Path) -> None:
    assert failures(interpreter, package, {"duckdb", "msgspec"}).keys() == {"duckdb"}
