"""Azurite, the storage emulator: blobs, queues and tables over https, for account keys and bearer tokens alike."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from local.certs import Certificates

SCRIPT = Path(__file__).resolve().parent.parent / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
MAIN_ACCOUNT = "devstoreaccount1"
# The key that every storage emulator shares; it is published and opens nothing else.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
# Azurite ends when our end of its stdin closes, so that not even a killed parent leaves it behind.  It sweeps what
# overwritten blobs left every ten minutes, answers nothing meanwhile (24 s after 6,000 writes, and four times as long
# after twice as many), and would take what a write under way has not yet named: never within a run, then.
BEFORE_IT_STARTS = (
    "data:text/javascript,import {createRequire} from 'node:module';"
    "process.stdin.resume().once('end',()=>process.kill(process.pid,'SIGTERM'));process.stdin.unref();"
    "createRequire(process.argv[1])('./blob/utils/constants.js').DEFAULT_GC_INTERVAL_MS=2**31-1"
)
SERVICES = ("Blob", "Queue", "Table")
START_SECONDS = 90.0
STOP_SECONDS = 10.0


class AzuriteError(RuntimeError):
    """Azurite is not installed, or ended before it listened; the message holds what it printed."""


@dataclass(frozen=True)
class StorageAccount:
    """One account of a running Azurite; the addresses end in the account's name, without a slash."""

    name: str
    blob_uri: str
    queue_uri: str
    table_uri: str

    @property
    def connection_string(self) -> str:
        """The account with its key, as `AzureWebJobsStorage` takes it."""
        return (
            f"DefaultEndpointsProtocol=https;AccountName={self.name};AccountKey={ACCOUNT_KEY};"
            f"BlobEndpoint={self.blob_uri};QueueEndpoint={self.queue_uri};TableEndpoint={self.table_uri};"
        )

    def identity_settings(self, connection: str = "AzureWebJobsStorage") -> dict[str, str]:
        """The app settings of an identity-based connection to this account."""
        return {
            f"{connection}__blobServiceUri": self.blob_uri,
            f"{connection}__queueServiceUri": self.queue_uri,
            f"{connection}__tableServiceUri": self.table_uri,
        }


class Azurite:
    """A storage emulator on free loopback ports, as a context manager, synchronous or asynchronous.

    In memory unless `folder` says where to keep data.  `accounts` are served beside `devstoreaccount1`, so that
    tests that use the same container names need not see each other's.

    Raises:
        AzuriteError: on entering, when it is not installed or does not start.
    """

    def __init__(
        self, certificates: Certificates, *, folder: Path | None = None, accounts: tuple[str, ...] = ()
    ) -> None:
        self._certificates = certificates
        self._folder = folder
        self._names = (MAIN_ACCOUNT, *accounts)
        self._addresses: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def main(self) -> StorageAccount:
        """The account `devstoreaccount1`."""
        return self.account(MAIN_ACCOUNT)

    def account(self, name: str) -> StorageAccount:
        """The account of that name; a `KeyError` when Azurite was not started with it, or does not run."""
        if name not in self._names:
            raise KeyError(name)
        blob, queue, table = (f"{self._addresses[service]}/{name}" for service in SERVICES)
        return StorageAccount(name, blob, queue, table)

    def start(self) -> None:
        """Start, and return once all three services listen."""
        node = shutil.which("node")
        if node is None or not SCRIPT.is_file():
            raise AzuriteError("Azurite is not installed: it needs Node 20 and `npm ci`.")
        with tempfile.TemporaryFile() as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own pinned tool, no shell
                [node, "--import", BEFORE_IT_STARTS, str(SCRIPT), *self._arguments()],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C is for us: what still uses storage gets to end first
                env=os.environ | {"AZURITE_ACCOUNTS": ";".join(f"{name}:{ACCOUNT_KEY}" for name in self._names)},
            )
            try:
                self._addresses = self._await_addresses(self._process, output.fileno())
            except BaseException:
                self.stop()
                raise

    def stop(self) -> None:
        """Stop: at once when all is in memory, else after Azurite has written its files."""
        if self._process is None:
            return
        process, self._process, self._addresses = self._process, None, {}
        if self._folder is None:
            process.kill()
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _arguments(self) -> list[str]:
        tls = ["--cert", str(self._certificates.cert_file), "--key", str(self._certificates.key_file)]
        ports = [part for service in SERVICES for part in (f"--{service.lower()}Port", "0")]
        place = ["--location", str(self._folder)] if self._folder else ["--inMemoryPersistence"]
        return [*tls, "--oauth", "basic", *ports, *place, "--skipApiVersionCheck", "--silent", "--disableTelemetry"]

    @staticmethod
    def _await_addresses(process: subprocess.Popen[bytes], output: int) -> dict[str, str]:
        deadline = time.monotonic() + START_SECONDS
        while True:
            ended = process.poll() is not None
            printed = os.pread(output, 65536, 0).decode(errors="replace")
            addresses = dict(re.findall(r"Azurite (\w+) service is successfully listening at (https://\S+)", printed))
            if len(addresses) == len(SERVICES) and not ended:
                return addresses
            if ended or time.monotonic() > deadline:
                raise AzuriteError(f"Azurite did not start: {printed.strip()}")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)
