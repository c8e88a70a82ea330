"""What an editor shows: the YAML language server with the published schema, over typical mistakes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.exports.json_schema import export_schema

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
SCHEMA = ROOT / "docs" / "export.schema.json"
MISTAKES = sorted((ROOT / "tests" / "data" / "mistakes").glob("*.yaml"))
BLANK = sorted((ROOT / "tests" / "data" / "blank_keys").glob("*.yaml"))
SAMPLES = sorted((ROOT / "exports").glob("*.yaml"))
# What no schema of one file can say: a name used twice, and a list of text given as the name of a region.
NOT_MARKED = {"25-dup-a", "25-dup-b", "20-location-display"}
SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "schemas": {SCHEMA.as_uri(): ["*.yaml"]},
        "schemaStore": {"enable": False},
    }
}


class LanguageServer:
    """A client of a language server over its standard input and output."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._number = 0

    def send(self, method: str, parameters: Any, *, request: bool = False) -> int:
        self._number += 1
        message = {"jsonrpc": "2.0", "method": method, "params": parameters} | ({"id": self._number} if request else {})
        self._write(message)
        return self._number

    def until(self, wanted: Any) -> dict[str, Any]:
        """The next message for which `wanted` holds; requests of the server are answered on the way."""
        while True:
            message = self._read()
            if message.get("method") == "workspace/configuration":
                items = message["params"]["items"]
                self._answer(message, [SETTINGS.get(item.get("section") or "") for item in items])
            elif "method" in message and "id" in message:
                self._answer(message, None)
            if wanted(message):
                return message

    def diagnostics(self, uri: str, text: str) -> list[dict[str, Any]]:
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.send("textDocument/didOpen", {"textDocument": document})
        found = self.until(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri
            )
        )
        listed: list[dict[str, Any]] = found["params"]["diagnostics"]
        return listed

    def completions(self, uri: str, line: int, character: int) -> list[dict[str, Any]]:
        position = {"line": line, "character": character}
        number = self.send(
            "textDocument/completion", {"textDocument": {"uri": uri}, "position": position}, request=True
        )
        result = self.until(lambda message: message.get("id") == number and "method" not in message)["result"]
        items: list[dict[str, Any]] = result["items"] if isinstance(result, dict) else result
        return items

    def _answer(self, message: dict[str, Any], result: Any) -> None:
        self._write({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def _write(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        assert length, "the language server has ended"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message


@contextmanager
def running() -> Iterator[LanguageServer]:
    process = subprocess.Popen(
        ["node", str(SERVER), "--stdio"],  # noqa: S607 - node is found as everywhere in the tests
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        server = LanguageServer(process)
        snippets = {"completion": {"completionItem": {"snippetSupport": True}}}
        capabilities = {"textDocument": snippets, "workspace": {"configuration": True}}
        number = server.send(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities}, request=True
        )
        server.until(lambda message: message.get("id") == number and "method" not in message)
        server.send("initialized", {})
        server.send("workspace/didChangeConfiguration", {"settings": SETTINGS})
        yield server
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    with running() as one:
        yield one


def test_mistakes_are_marked_in_the_editor_and_samples_are_not(server: LanguageServer, tmp_path: Path) -> None:
    def marked(path: Path) -> bool:
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("# yaml-language"))
        return bool(server.diagnostics((tmp_path / path.name).as_uri(), text))

    unmarked = {path.stem for path in MISTAKES if not marked(path)}
    assert unmarked <= NOT_MARKED | {"27-empty"}
    assert len(MISTAKES) - len(unmarked) >= 30
    assert [path.stem for path in BLANK if not marked(path)] == []
    assert [path.stem for path in SAMPLES if marked(path)] == []


def test_whole_exports_are_offered_and_no_key_is_completed_with_null(server: LanguageServer, tmp_path: Path) -> None:
    empty = (tmp_path / "new.yaml").as_uri()
    server.diagnostics(empty, "\n")
    labels = {item["label"] for item in server.completions(empty, 0, 0)}
    assert {snippet["label"] for snippet in export_schema()["defaultSnippets"]} <= labels
    half = (tmp_path / "half.yaml").as_uri()
    server.diagnostics(half, "version: 1\nname: a\nexport:\n  alerts:\n    minimumSeverity: \n")
    offered = {item["label"] for item in server.completions(half, 4, 21)}
    assert {"High", "Medium", "Low", "Informational"} <= offered
    assert "null" not in offered


def test_every_property_says_what_it_is() -> None:
    schema = export_schema()
    for name, part in {"": schema, **schema["$defs"]}.items():
        for key, described in part.get("properties", {}).items():
            assert {"description", "examples", "enum"} & set(described), f"{name}.{key}"
    assert schema["$id"]
    assert '"null"' not in json.dumps(schema)
