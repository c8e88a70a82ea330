"""`package`: a release's package with files of a deployment in it.

Exit codes: 0 done, 1 an error, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shared.cli.exit_codes import DONE
from shared.cli.exports import usage

_SETTINGS: Final = {"routes.yaml": "ROUTES_FILE", "readers.yaml": "READERS_FILE"}
_OF_A_PACKAGE: Final = frozenset({"function_app.py", "host.json", "shared/bootstrap.py"})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # as in a release: the same files give the same bytes


def register(commands: Any) -> None:
    """Add the command."""
    package = commands.add_parser("package", help="put files of routes and readers into a release's package")
    package.add_argument("package", type=Path, help="the zip file of a release")
    package.add_argument("--routes", type=Path, metavar="FILE", help="becomes routes.yaml")
    package.add_argument("--readers", type=Path, metavar="FILE", help="becomes readers.yaml")
    package.add_argument("--out", type=Path, required=True, metavar="FILE", help="the package to publish")
    package.set_defaults(run=_package)


def _package(arguments: argparse.Namespace) -> int:
    if not arguments.routes and not arguments.readers:
        return usage("name --routes, --readers or both")
    if arguments.out.exists():
        return usage(f"{arguments.out} is there: choose another name")
    files: dict[str, bytes] = {}
    if arguments.routes:
        from shared.enrich.routing.routes_file import MAX_BYTES, read_routes

        read_routes(files.setdefault("routes.yaml", _read(arguments.routes, MAX_BYTES)), str(arguments.routes))
    if arguments.readers:
        from shared.readers_file import MAX_BYTES as MOST
        from shared.readers_file import read_readers

        read_readers(files.setdefault("readers.yaml", _read(arguments.readers, MOST)), str(arguments.readers))
    try:
        _write(arguments.package, arguments.out, files)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(f"{arguments.package} is no package of a release: {error}") from None
    digest = hashlib.sha256(arguments.out.read_bytes()).hexdigest()
    print(f"{digest}  {arguments.out}")
    for name in files:
        print(f"setting: {_SETTINGS[name]}={name}")
    return DONE


def _read(path: Path, most: int) -> bytes:
    """As much of a file as is needed to see that it is too long."""
    with path.open("rb") as file:
        return file.read(most + 1)


def _write(package: Path, out: Path, files: Mapping[str, bytes]) -> None:
    """Copy a package with these files at its root, in place of those of the same names.

    Raises:
        zipfile.BadZipFile: it is no package of this app, or is damaged.
    """
    with zipfile.ZipFile(package) as source:
        if missing := _OF_A_PACKAGE - set(source.namelist()):
            raise zipfile.BadZipFile(f"it has no {min(missing)}")
        try:
            with zipfile.ZipFile(out, "x", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
                for entry in source.infolist():
                    if entry.filename not in files:
                        target.writestr(entry, source.read(entry))
                for name in sorted(files):
                    target.writestr(_entry(name), files[name])
        except BaseException:  # a part of a package is none
            out.unlink(missing_ok=True)
            raise


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.external_attr, entry.create_system = zipfile.ZIP_DEFLATED, 0o644 << 16, 3
    return entry
