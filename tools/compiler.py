"""The Bicep compiler, started once for many calls: what a template compiles to, and what a deployment would create.

Its protocol is JSON-RPC with a Content-Length before each message (`bicep jsonrpc --stdio`). The published Python
client has no field for a management group, which half of the deployments here need: docs/decisions says more.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
MANAGEMENT_GROUP = "contoso"
# What a deployment is evaluated as, by its scope; fixed, so that names made of these are the same everywhere.
_PLACES = {
    "subscription": {"subscriptionId": SUBSCRIPTION},
    "managementGroup": {"managementGroupId": MANAGEMENT_GROUP},
}
_UNEXPLAINED = "Compilation failed"  # all that a snapshot says of errors in the files
_ANYWHERE = {"tenantId": TENANT, "location": "westeurope", "deploymentName": "defender-export"}


class CompilerError(RuntimeError):
    """The compiler doesn't start or ends early, or refuses what it was asked; the message says which."""


@dataclass(frozen=True)
class Diagnostic:
    """What the compiler or its linter says of one place."""

    file: str
    line: int
    level: str
    code: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.code} {self.message}"


@dataclass(frozen=True)
class Compiled:
    """The ARM template of a file, None where there are errors, with everything that was said of it."""

    template: str | None
    diagnostics: tuple[Diagnostic, ...]


def find() -> str | None:
    """Path of the compiler: what BICEP names, or `bicep` on PATH; None where there is neither.

    Raises:
        CompilerError: BICEP names no file.
    """
    given = os.environ.get("BICEP")
    if given and not Path(given).is_file():
        raise CompilerError(f"BICEP names {given}, which is no file")
    return given or shutil.which("bicep")


class Compiler:
    """One compiler process. Not safe for use by several threads."""

    def __init__(self, path: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it.

        Raises:
            CompilerError: it doesn't start.
        """
        self._calls = 0
        try:
            self._process = subprocess.Popen(
                [path, "jsonrpc", "--stdio"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise CompilerError(f"{path} does not start: {error}") from error
        try:
            self.version: str = self._call("bicep/version", {})["version"]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(timeout=30)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not sent can't be any more
                    stream.close()

    def compile(self, path: Path) -> Compiled:
        """Compile one `.bicep` file with the linter of the bicepconfig.json above it."""
        answer = self._call("bicep/compile", {"path": str(path.resolve())})
        return Compiled(answer.get("contents"), _diagnostics(answer))

    def compile_parameters(self, path: Path) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
        """The parameters of a `.bicepparam` file by name; empty where there are errors."""
        answer = self._call("bicep/compileParams", {"path": str(path.resolve()), "parameterOverrides": {}})
        document = json.loads(answer.get("parameters") or '{"parameters": {}}')
        return document["parameters"], _diagnostics(answer)

    def format(self, path: Path) -> str:
        """The file's text as the formatter writes it."""
        contents: str = self._call("bicep/format", {"path": str(path.resolve())})["contents"]
        return contents

    def snapshot(self, path: Path) -> str:
        """What a `.bicepparam` file would deploy, evaluated without Azure, as the compiler writes it.

        Raises:
            CompilerError: the file doesn't compile, or the template refuses its parameters with `fail()`.
        """
        place = _PLACES[_scope(path)] | _ANYWHERE
        try:
            request = {"path": str(path.resolve()), "metadata": place, "externalInputs": []}
            document: str = self._call("bicep/getSnapshot", request)["snapshot"]
        except CompilerError as error:
            if str(error) != _UNEXPLAINED:
                raise
            said = [str(one) for one in self.compile_parameters(path)[1] if one.level == "Error"]
            raise CompilerError("; ".join(said) or str(error)) from error
        return document

    def _call(self, method: str, parameters: Mapping[str, Any]) -> Any:
        self._calls += 1
        message = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": parameters}
        body = json.dumps(message).encode()
        assert self._process.stdin is not None  # noqa: S101 - opened as a pipe
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            self._process.stdin.flush()
        except OSError as error:
            raise CompilerError(f"the Bicep compiler ended: {error}") from error
        while (answer := self._read()).get("id") != self._calls:
            pass  # notifications
        if "error" in answer:
            raise CompilerError(str(answer["error"].get("message", answer["error"])))
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None  # noqa: S101 - opened as a pipe
        length = None
        while (line := stream.readline()).strip():
            name, _, value = line.decode().partition(":")
            if name.lower() == "content-length":
                length = int(value)
        if length is None:
            raise CompilerError("the Bicep compiler ended without an answer")
        document: dict[str, Any] = json.loads(stream.read(length))
        return document


def _scope(parameters: Path) -> str:
    """Scope of the template that a `.bicepparam` file uses."""
    used = re.search(r"^using '(.+)'", parameters.read_text(), re.MULTILINE)
    template = (parameters.parent / used[1]).read_text() if used else ""
    declared = re.search(r"^targetScope = '(\w+)'", template, re.MULTILINE)
    return declared[1] if declared else "subscription"


def _diagnostics(answer: Mapping[str, Any]) -> tuple[Diagnostic, ...]:
    return tuple(
        Diagnostic(
            Path(one["source"]).name, one["range"]["start"]["line"] + 1, one["level"], one["code"], one["message"]
        )
        for one in answer["diagnostics"]
    )
