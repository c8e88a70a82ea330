"""Any error of a command as one sentence that says what to do: for people who did not write this program.

Sentences come from what is known of each error (status, code, host); a text of an SDK is kept to its first line.
"""

from __future__ import annotations

import errno
import re
from typing import Any
from urllib.parse import urlsplit

_HOST = re.compile(r"host (?P<host>[\w.:\[\]-]+?)(?: ssl|,|$)")
_AADSTS = re.compile(r"(AADSTS\d+): ?(.+?)(?:\. |\.?\s*(?:Trace ID|$))", re.DOTALL)
_LONGEST = 400
_STORAGE_HOSTS = (".blob.", ".queue.", ".table.")
_RIGHTS = (
    "it needs the role Storage Blob Data Contributor on the app's storage account (Reader is enough for `plan`, "
    "`status` and `pull`), and the account's network rules must let this machine in"
)
_OS = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "it may not be opened: look at its rights",
    errno.EPERM: "it may not be changed: look at its rights",
    errno.EEXIST: "there is a file of that name: choose another",
    errno.EISDIR: "it is a folder, and a file is needed",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENOSPC: "there is no room left on the disk",
    errno.EROFS: "the disk takes no writes",
    errno.ENAMETOOLONG: "its name is too long",
}
_SIGN_IN = "sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and a secret or certificate"


def sentence(error: BaseException | str) -> str:
    """The error in one line, its mend in it where one is known."""
    if isinstance(error, str):
        return _one_line(error)
    if isinstance(error, UnicodeDecodeError):
        return "the file is not UTF-8 text: save it as UTF-8"
    if isinstance(error, OSError) and error.errno in _OS and error.filename is not None:
        return _one_line(f"{error.filename}: {_OS[error.errno]}")
    if isinstance(error, RecursionError):
        return "the file is nested too deeply to be read"
    from shared.azure.blob_container import StoreError

    told = _azure(error.__cause__ or error) if isinstance(error, StoreError) else _azure(error)
    return _one_line(told or str(getattr(error, "message", None) or error) or type(error).__name__)


def _azure(error: BaseException) -> str:
    """What an error of an Azure SDK means; empty for any other."""
    from azure.core.exceptions import (
        AzureError,
        ClientAuthenticationError,
        HttpResponseError,
        ServiceRequestError,
        ServiceResponseError,
    )

    from shared.azure.archive_tier import archived

    if not isinstance(error, AzureError):
        return ""
    if told := archived(error):
        return told
    text = str(error.message or error)
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        found = _HOST.search(text)
        where = found["host"] if found else "Azure"
        return f"{where} can't be reached: look at the network, the proxy and the address ({_first(text)})"
    if isinstance(error, ClientAuthenticationError) and error.response is None:
        return _sign_in(text)
    if isinstance(error, HttpResponseError) and error.response is not None:
        return _refusal(error, text)
    return _first(text)


def _sign_in(text: str) -> str:
    found = _AADSTS.search(text)
    if found:
        why = f"{found[1]}: {_first(found[2])}"
        return f"the sign-in was refused ({why}): look at the client id, its secret and the tenant"
    return f"nobody is signed in to Azure: {_SIGN_IN}"


def _refusal(error: Any, text: str) -> str:
    """A status that a service answered."""
    host = urlsplit(str(getattr(error.response.request, "url", ""))).hostname or "Azure"
    status, code = error.status_code, str(getattr(error, "error_code", None) or _code(error) or error.reason or "")
    told = f"{host} answered {status}{f' {code}' if code else ''}"
    if status == 401:  # noqa: PLR2004 - HTTP
        return f"{told}: {_SIGN_IN}"
    if status == 403 and any(part in f"{host}" for part in _STORAGE_HOSTS):  # noqa: PLR2004 - HTTP
        return f"{told}: {_RIGHTS}"
    if code == "ContainerNotFound":
        return f"{told}: is AzureWebJobsStorage the app's account, and was `infra/` deployed to it?"
    return f"{told}: {_first(text)}"


def _code(error: Any) -> str:
    return str(getattr(getattr(error, "error", None), "code", "") or "")


def _first(text: str) -> str:
    """The first line of a text, without the code that some SDKs put in front of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^\(\w+\) ", "", lines[0]) if lines else ""


def _one_line(text: str) -> str:
    from shared.shown_text import printable

    told = " ".join(printable(line.strip()) for line in text.splitlines() if line.strip())
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 4]} ..."
