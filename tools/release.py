"""Builds a release: the same commit gives the same bytes, wherever it is built.

`python -m tools.release [FOLDER]` (`make release`) writes into FOLDER (default `dist`):

- `defender-export-<version>-py<X.Y>.zip`: the app with every package that it needs, for the Python that infra/ deploys;
- `defender-export-<version>-source.zip`: the app without packages, for the other Pythons, to be built when published;
- `defender_export-<version>-py3-none-any.whl`: the command line;
- `templates-<version>.zip`: the compiled templates;
- `sbom.cdx.json`: what is in the first, as CycloneDX 1.6;
- `SHA256SUMS`: the digest of each.

`python -m tools.release --lock` renews `requirements/release.txt`, the exact packages with their digests.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import uuid
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shared import __version__
from tools.package import ROOT, contents

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_WHEEL_FILES = frozenset({"setup.py", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"})
LOCK = ROOT / "requirements" / "release.txt"
SITE_PACKAGES = ".python_packages/lib/site-packages"
# Flex Consumption runs Linux on x86-64; pip takes a wheel of the first of these that there is.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip file can hold
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "defender-export")
_DISTRIBUTION = re.compile(r"(?P<name>[A-Za-z0-9_.]+)-(?P<version>[^-]+)-.*\.whl")


class ReleaseError(Exception):
    """A release can't be built here; the message says what is missing."""


def main() -> int:
    """Build everything, or renew the lock file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    parser.add_argument("--lock", action="store_true", help="renew requirements/release.txt instead")
    arguments = parser.parse_args()
    try:
        if arguments.lock:
            LOCK.write_text(locked())
            print(f"written: {LOCK.relative_to(ROOT)}")
        else:
            for line in build(arguments.folder):
                print(line)
    except ReleaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(folder: Path) -> list[str]:
    """Build a release into `folder`; gives the lines of SHA256SUMS.

    Raises:
        ReleaseError: the working copy is not a commit, or a tool is missing.
    """
    commit = _commit()
    folder.mkdir(parents=True, exist_ok=True)
    app = app_files(commit)
    python = deployed_python()
    with tempfile.TemporaryDirectory() as temporary:
        wheels = download(Path(temporary) / "wheels", python)
        packages = {name: data for wheel in wheels for name, data in installed(wheel).items()}
        whole = app | {f"{SITE_PACKAGES}/{name}": data for name, data in packages.items()}
        write_zip(folder / f"defender-export-{__version__}-py{python}.zip", whole)
        write_zip(folder / f"defender-export-{__version__}-source.zip", app)
        command_line(folder, Path(temporary))
        write_zip(folder / f"templates-{__version__}.zip", templates(Path(temporary) / "templates"))
        sbom = bill_of_materials(wheels, commit)
    (folder / "sbom.cdx.json").write_text(sbom)
    verify(folder / f"defender-export-{__version__}-py{python}.zip", interpreter(python), commit)
    names = sorted(path.name for path in folder.iterdir() if path.name != "SHA256SUMS")
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return sums


def _commit() -> str:
    changed = _git("status", "--porcelain", "--untracked-files=no")
    if changed:
        raise ReleaseError("the working copy has changes that are in no commit: commit or undo them first")
    return _git("rev-parse", "HEAD")


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()


def app_files(commit: str) -> dict[str, bytes]:
    """The files that are published, as they are in the commit, with a note of it beside the code."""
    tracked = set(_git("ls-files").splitlines())
    files = {path: (ROOT / path).read_bytes() for path in contents(ROOT) if path in tracked}
    return files | {"shared/COMMIT": f"{commit}\n".encode()}


def deployed_python(template: Path = ROOT / "infra" / "modules" / "app.bicep") -> str:
    """The version of Python that infra/ deploys, such as 3.13.

    Raises:
        ReleaseError: the template names none.
    """
    found = re.search(r"runtime:\s*\{[^}]*version:\s*'(3\.\d+)'", template.read_text(), re.DOTALL)
    if found is None:
        raise ReleaseError(f"{template.name} names no version of Python")
    return found[1]


def interpreter(version: str) -> str:
    """An interpreter of that version on PATH or among pyenv's: markers in requirements are read by the one that asks.

    Raises:
        ReleaseError: there is none.
    """
    if (found := shutil.which(f"python{version}")) and _runs(found):
        return found
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = sorted(kept.glob(f"{version}.*/bin/python{version}"))
    if not candidates:
        raise ReleaseError(f"Python {version}, which infra/ deploys, is needed and was not found on PATH")
    return str(candidates[-1])


def _runs(python: str) -> bool:
    """Whether it starts: pyenv leaves names on PATH for versions that are not chosen."""
    return subprocess.run([python, "--version"], capture_output=True, check=False).returncode == 0


def _pip(version: str) -> list[str]:
    environment = ROOT / "build" / f"release-python{version}"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter(version), "-m", "venv", str(environment)], check=True)
    return [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check"]


def locked() -> str:
    """The text of the lock file: every package that the app needs on the deployed Python, with its digest.

    Raises:
        ReleaseError: pip finds no set of packages.
    """
    version = deployed_python()
    with tempfile.TemporaryDirectory() as temporary:
        report = Path(temporary) / "report.json"
        command = [*_pip(version), "install", "--dry-run", "--ignore-installed", "--report", str(report)]
        command += [*_only_wheels(), "--target", temporary, "--requirement", str(ROOT / "requirements.txt")]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise ReleaseError("pip found no set of packages")
        found = json.loads(report.read_text())["install"]
    lines = sorted(
        f"{each['metadata']['name'].lower()}=={each['metadata']['version']} "
        f"--hash=sha256:{each['download_info']['archive_info']['hashes']['sha256']}"
        for each in found
    )
    head = f"# Written by `python -m tools.release --lock`: what a release for Python {version} holds, with digests.\n"
    return head + "\n".join(lines) + "\n"


def _only_wheels() -> list[str]:
    return ["--only-binary=:all:", *(part for name in PLATFORMS for part in ("--platform", name))]


def download(folder: Path, python: str) -> list[Path]:
    """The locked wheels, their digests checked, ordered by name.

    Raises:
        ReleaseError: one is not to be had, or has another digest.
    """
    command = [*_pip(python), "download", "--require-hashes", "--no-deps", "--dest", str(folder)]
    done = subprocess.run([*command, *_only_wheels(), "--requirement", str(LOCK)], check=False)
    if done.returncode:
        raise ReleaseError("pip could not download what requirements/release.txt names")
    return sorted(folder.glob("*.whl"))


def installed(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by their path in site-packages; its scripts are left out, for the app starts none.

    Source of the layout: packaging.python.org/en/latest/specifications/binary-distribution-format.
    """
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            parts = entry.filename.split("/")
            if parts[0].endswith(".data"):
                if parts[1] not in {"purelib", "platlib"}:
                    continue
                parts = parts[2:]
            files["/".join(parts)] = archive.read(entry)
    return files


def write_zip(path: Path, files: Mapping[str, bytes]) -> None:
    """A zip file that depends on the names and contents alone: no time, no owner, one order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, files[name])


_VERIFICATION = """
import importlib, json, pathlib, sys
root = pathlib.Path(sys.argv[1])
packages = root / ".python_packages/lib/site-packages"
sys.path[:0] = [str(root), str(packages)]
native = sorted(packages.rglob("*.so"))
failed = {}
for file in native:
    name = ".".join(file.relative_to(packages).parts)
    name = name[: name.index(".cpython")] if ".cpython" in name else name.removesuffix(".so").removesuffix(".abi3")
    try:
        importlib.import_module(name)
    except ImportError as error:
        failed[name] = str(error)
import function_app
from shared.web import routing
answer = json.loads(routing.alive().get_body())
print(json.dumps({"native": len(native), "failed": failed, "health": answer}))
"""


def verify(package: Path, python: str, commit: str) -> None:
    """Unzip a package and have it answer `health` on that Python, with no packages but its own.

    Raises:
        ReleaseError: a native module can't be imported, or the answer names another version or commit.
    """
    with tempfile.TemporaryDirectory() as temporary:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(temporary)
        # -S: no site-packages of the interpreter's own; -I: no environment, no current folder.
        command = [python, "-I", "-S", "-B", "-c", _VERIFICATION, temporary]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=temporary)
    if done.returncode:
        raise ReleaseError(f"the package does not start: {done.stderr.strip()[-2000:]}")
    seen = json.loads(done.stdout)
    if seen["failed"] or not seen["native"]:
        raise ReleaseError(f"native modules that can't be imported: {seen['failed'] or 'none were found'}")
    said = {"status": "alive", "version": __version__, "commit": commit}
    if seen["health"] != said:
        raise ReleaseError(f"the package answers {seen['health']}, and should say {said}")


def command_line(folder: Path, temporary: Path) -> None:
    """The command line's wheel, its entries rewritten without times."""
    source = temporary / "source"
    for name in _git("ls-files").splitlines():
        if name.startswith(("shared/", "defender_export/")) or name in {
            "setup.py",
            "pyproject.toml",
            "requirements.txt",
            "README.md",
            "LICENSE",
        }:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    built = temporary / "built"
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
    command += ["--wheel-dir", str(built), str(source)]
    done = subprocess.run(command, check=False, env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"})
    if done.returncode:
        raise ReleaseError("pip could not build the command line's wheel")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        files = {entry.filename: archive.read(entry) for entry in archive.infolist() if not entry.is_dir()}
    write_zip(folder / wheel.name, files)


def templates(folder: Path) -> dict[str, bytes]:
    """The compiled templates by name, built with the Bicep command line (PATH, or BICEP).

    Raises:
        ReleaseError: there is no compiler, or it refuses a template.
    """
    compiler = os.environ.get("BICEP") or shutil.which("bicep")
    if not compiler:
        raise ReleaseError("the Bicep command line is needed: put `bicep` on PATH, or name it in BICEP")
    folder.mkdir(parents=True)
    found = {}
    for source in sorted((ROOT / "infra").glob("*.bicep")):
        target = folder / f"{source.stem}.json"
        done = subprocess.run(
            [compiler, "build", str(source), "--outfile", str(target)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ReleaseError(f"{source.name}: {done.stderr.strip()}")
        found[target.name] = target.read_bytes()
    return found


def bill_of_materials(wheels: list[Path], commit: str) -> str:
    """What the package for the deployed Python holds, as a CycloneDX 1.6 document, the same for the same commit.

    Raises:
        ReleaseError: a file is no wheel.
    """
    from cyclonedx.model import Property
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from cyclonedx.output.json import JsonV1Dot6

    app = Component(
        name="defender-export",
        version=__version__,
        type=ComponentType.APPLICATION,
        bom_ref="defender-export",
        licenses=[DisjunctiveLicense(id="MIT")],
        properties=[Property(name="defender-export:commit", value=commit)],
    )
    bom = Bom(components=[_component(wheel) for wheel in wheels], serial_number=uuid.uuid5(_NAMESPACE, commit))
    bom.metadata.component = app
    bom.metadata.timestamp = datetime(*EPOCH, tzinfo=UTC)
    bom.register_dependency(app, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _component(wheel: Path) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component
    from packageurl import PackageURL

    found = _DISTRIBUTION.fullmatch(wheel.name)
    if found is None:
        raise ReleaseError(f"{wheel.name} is no wheel's name")
    name, version = re.sub(r"[-_.]+", "-", found["name"]).lower(), found["version"]
    identifier = PackageURL("pypi", name=name, version=version)
    digest = HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(wheel.read_bytes()).hexdigest())
    return Component(name=name, version=version, purl=identifier, bom_ref=str(identifier), hashes=[digest])


if __name__ == "__main__":
    raise SystemExit(main())
