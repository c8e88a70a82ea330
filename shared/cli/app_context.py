"""Which app a command asks: by `--url`, the environment, or what `use` keeps; or none with `--direct`.

`use` keeps the app's address and how to get in, in a file that only its owner may read.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.cli.exit_codes import UsageError
from shared.cli.time_limit import add_timeout

URL_VARIABLE = "DEFENDER_EXPORT_URL"
KEY_VARIABLE = "DEFENDER_EXPORT_KEY"
RESOURCE_VARIABLE = "DEFENDER_EXPORT_RESOURCE"
CONFIG_VARIABLE = "DEFENDER_EXPORT_CONFIG"
_STORAGE = ("AzureWebJobsStorage", "AzureWebJobsStorage__blobServiceUri")
_OWNER_ONLY = 0o600
NO_APP = (
    "it is not said which app: `defender-export use https://<app>.azurewebsites.net` keeps its address; or `--direct` "
    "with AzureWebJobsStorage__blobServiceUri works on its storage"
)


@dataclass(frozen=True)
class AppContext:
    """An app's address, and a function key or the resource (`api://<client id>`) that a token is for."""

    url: str
    key: str = ""
    resource: str = ""


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which app is asked."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--url", metavar="URL", help=f"ask the app at this address; else {URL_VARIABLE}, else what `use` keeps"
    )
    which.add_argument("--direct", action="store_true", help="work on the app's storage and on Azure without the app")
    parser.add_argument(
        "--entra", action="store_true", help=f"sign in with Entra, even where {KEY_VARIABLE} holds a function key"
    )
    add_timeout(parser)
    parser.add_argument("--resource", metavar="URI", help="the API's application id URI for Entra, api://<client id>")


def chosen(arguments: argparse.Namespace) -> AppContext | None:
    """The app that the arguments mean; None for direct work.

    Without any of `--url`, `--direct`, an address in the environment and `use`, settings of the app in the environment
    mean direct work.

    Raises:
        UsageError: nothing says which app, or the file of `use` can't be read.
    """
    if arguments.direct:
        return None
    kept = read()
    url = arguments.url or os.environ.get(URL_VARIABLE)
    if not url:
        if kept is None:
            if any(value for name, value in os.environ.items() if name in _STORAGE):
                return None
            raise UsageError(NO_APP)
        url = kept.url
    same = kept is not None and kept.url == url.rstrip("/")
    resource = arguments.resource or os.environ.get(RESOURCE_VARIABLE) or (kept.resource if kept and same else "")
    key = os.environ.get(KEY_VARIABLE) or (kept.key if kept and same else "")
    return AppContext(url, "" if arguments.entra or (resource and not os.environ.get(KEY_VARIABLE)) else key, resource)


def place(environment: dict[str, str] | None = None, platform: str = sys.platform) -> Path:
    """The file of `use`: below APPDATA on Windows, else below XDG_CONFIG_HOME or ~/.config."""
    known = dict(os.environ) if environment is None else environment
    if named := known.get(CONFIG_VARIABLE):
        return Path(named)
    if platform == "win32":
        return Path(known.get("APPDATA") or Path.home()) / "defender-export" / "app.json"
    base = known.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "defender-export" / "app.json"


def read() -> AppContext | None:
    """What `use` keeps; None where it keeps nothing.

    Raises:
        UsageError: the file holds something else.
    """
    path = place()
    try:
        found = json.loads(path.read_bytes())
        return AppContext(*(str(found.get(name, "")) for name in ("url", "key", "resource")))
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        raise UsageError(f"{path} can't be read: `defender-export use URL` writes it anew") from None


def keep(context: AppContext) -> Path:
    """Write the file of `use`; from its first byte on it is readable by its owner alone."""
    path = place()
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    with suppress(FileNotFoundError):
        beside.unlink()
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "w", encoding="utf-8") as file:
        json.dump({name: value for name, value in vars(context).items() if value}, file)
    beside.replace(path)
    return path


def forget() -> bool:
    """Remove the file of `use`; whether there was one."""
    try:
        place().unlink()
    except FileNotFoundError:
        return False
    return True
