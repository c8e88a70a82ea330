"""Fixtures that several areas share: the local certificate, storage, and the Event Hubs broker."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.certs import Certificates

# aiohttp builds its TLS context when it is imported, so trust must be in place before any test module is read.
_CERTIFICATES = Certificates(Path(tempfile.mkdtemp(prefix="defender-export-tests-")))
os.environ.update(_CERTIFICATES.environment())

from hypothesis import settings  # noqa: E402 - see above

from local.azurite import Azurite, StorageAccount  # noqa: E402 - see above
from local.eventhubs import EventHubsBroker  # noqa: E402

if TYPE_CHECKING:
    from local.stack import LocalAzure

# How long one example takes says more of the machine than of the code; pytest-timeout ends what hangs.
settings.register_profile("defender-export", deadline=None)
settings.load_profile("defender-export")

_SPARE_ACCOUNTS = tuple(f"test{number:04}" for number in range(1000))
_spares = iter(_SPARE_ACCOUNTS)


def pytest_unconfigure() -> None:
    shutil.rmtree(_CERTIFICATES.ca_file.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def local_certs() -> Certificates:
    """The authority that this process, and children with its environment, already trust."""
    return _CERTIFICATES


@pytest.fixture(scope="session")
def azurite(local_certs: Certificates) -> Iterator[Azurite]:
    """One storage emulator for the whole run; take `storage` for an account of the test's own."""
    with Azurite(local_certs, accounts=_SPARE_ACCOUNTS) as running:
        yield running


@pytest.fixture
def storage(azurite: Azurite, local_certs: Certificates) -> StorageAccount:
    """A storage account that no other test uses, with the empty containers, queue and tables of a deployment."""
    from local.stack import provision_storage

    account = azurite.account(next(_spares))
    provision_storage(account.connection_string, local_certs)
    return account


@pytest.fixture
async def broker() -> AsyncIterator[EventHubsBroker]:
    """A namespace with the hubs `events` (4 partitions) and `other` (1), and a consumer group `second` in each."""
    async with EventHubsBroker({"events": 4, "other": 1}, consumer_groups=["second"]) as running:
        yield running


@pytest.fixture
async def local_azure(
    tmp_path: Path, local_certs: Certificates, monkeypatch: pytest.MonkeyPatch
) -> "AsyncIterator[LocalAzure]":
    """The whole local Azure but the app, with this process's environment set as the app's."""
    from local.stack import LocalAzure

    async with LocalAzure(tmp_path / "azure", certificates=local_certs) as running:
        for name, value in running.app_settings().items():
            monkeypatch.setenv(name, value)
        yield running
