"""The Bicep compiler, where there is one."""

from collections.abc import Iterator

import pytest

from tools.compiler import Compiler, find


@pytest.fixture(scope="session")
def compiler() -> Iterator[Compiler]:
    found = find()
    if found is None:
        pytest.skip("no Bicep compiler: neither in BICEP nor on PATH (az bicep install)")
    with Compiler(found, {"AZURE_ENV_NAME": "prod", "AZURE_LOCATION": "westeurope"}) as started:
        yield started
