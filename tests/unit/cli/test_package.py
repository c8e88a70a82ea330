"""`package`: the files of a deployment go into a release's package, checked, and nothing else of it changes."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from shared.cli import main
from tools.package import ROOT, contents
from tools.release import write_zip

READERS = "version: 1\nreaders: [{role: Exports.Read.A, managementGroups: [unit]}]\n"
ROUTES = (
    "version: 1\n"
    "places: [{name: a, rule: {endpoint: 'https://x.ingest.monitor.azure.com', immutableId: dcr-1}}]\n"
    "rules: [{name: r, managementGroups: [unit], also: [a]}]\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_zip(tmp_path / "release.zip", {path: (ROOT / path).read_bytes() for path in contents()})
    (tmp_path / "mine.yaml").write_text(READERS)
    (tmp_path / "rows.yaml").write_text(ROUTES)
    return tmp_path


def package(folder: Path, *arguments: str, name: str = "release.zip", out: str = "out.zip") -> int:
    given = [str(folder / each) if each.endswith(".yaml") else each for each in arguments]
    return main(["package", str(folder / name), *given, "--out", str(folder / out)])


def read_by_the_app(app: Path) -> str:
    """The roles and places of an unpacked package, by the paths that the settings name."""
    code = (
        "from shared.enrich.invocation.routing_factory import APP;"
        "from shared.enrich.routing.routes_file import read_routes;"
        "from shared.web.readers import readers_of;"
        "routes = read_routes((APP / 'routes.yaml').read_bytes(), 'routes.yaml');"
        "print(*readers_of('readers.yaml'), *(one.name for one in routes.places))"
    )
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(app)!r}); {code}"]
    return subprocess.run(command, cwd=app.parent, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow  # it packs the whole app
def test_both_files_are_added_and_the_settings_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert package(folder, "--readers", "mine.yaml", "--routes", "rows.yaml") == 0
    digest = hashlib.sha256((folder / "out.zip").read_bytes()).hexdigest()
    assert capsys.readouterr().out.splitlines() == [
        f"{digest}  {folder / 'out.zip'}",
        "setting: ROUTES_FILE=routes.yaml",
        "setting: READERS_FILE=readers.yaml",
    ]
    with zipfile.ZipFile(folder / "release.zip") as before, zipfile.ZipFile(folder / "out.zip") as after:
        added = {"readers.yaml": READERS.encode(), "routes.yaml": ROUTES.encode()}
        old = {name: before.read(name) for name in before.namelist()}
        assert {name: after.read(name) for name in after.namelist()} == old | added
        after.extractall(folder / "unpacked")
    assert read_by_the_app(folder / "unpacked") == "Exports.Read.A a"
    # The package again, with another file in place of the one that is there, and the same twice.
    (folder / "mine.yaml").write_text(READERS.replace("unit", "other"))
    for out in ("again.zip", "twice.zip"):
        assert package(folder, "--readers", "mine.yaml", name="out.zip", out=out) == 0
    with zipfile.ZipFile(folder / "again.zip") as again:
        assert b"other" in again.read("readers.yaml")
        assert len(again.namelist()) == len(set(again.namelist())) == len(old) + 2
    assert (folder / "again.zip").read_bytes() == (folder / "twice.zip").read_bytes()


@pytest.mark.slow
def test_what_is_wrong_leaves_no_package(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.yaml").write_text(READERS.replace("managementGroups", "managementGroup"))
    (folder / "other.zip").write_bytes(b"PK")
    write_zip(folder / "foreign.zip", {"host.json": b"{}"})
    data = (folder / "release.zip").read_bytes()
    (folder / "damaged.zip").write_bytes(data[:2000] + b"\0\0\0\0" + data[2004:])
    tries = [
        (1, "Did you mean managementGroups?", package(folder, "--readers", "wrong.yaml")),
        (1, "", package(folder, "--routes", "mine.yaml")),
        (2, "name --routes", package(folder)),
        (2, "no such file", package(folder, "--readers", "none.yaml")),
        (2, "no such file", package(folder, "--readers", "mine.yaml", name="none.zip")),
        (1, "is no package of a release", package(folder, "--readers", "mine.yaml", name="other.zip")),
        (1, "it has no function_app.py", package(folder, "--readers", "mine.yaml", name="foreign.zip")),
        (1, "", package(folder, "--readers", "mine.yaml", name="damaged.zip")),
        (2, "is there", package(folder, "--readers", "mine.yaml", out="release.zip")),
    ]
    told = capsys.readouterr().err
    assert "Traceback" not in told
    for code, said, ended in tries:
        assert (ended, said in told) == (code, True), said
    assert not (folder / "out.zip").exists()
    assert (folder / "release.zip").read_bytes() == data
