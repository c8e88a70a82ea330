"""One running app for all tests of its HTTP API, under function keys and under Entra; both end with this package."""

from collections.abc import Iterator

import pytest

from local.certs import Certificates
from tests.e2e.api import Api


@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("api"), local_certs) as running:
        yield running


@pytest.fixture(scope="package")
def entra_api(tmp_path_factory: pytest.TempPathFactory, local_certs: Certificates) -> Iterator[Api]:
    with Api(tmp_path_factory.mktemp("entra"), local_certs, AUTH_MODE="entra", WEBSITE_AUTH_ENABLED="true") as running:
        yield running
