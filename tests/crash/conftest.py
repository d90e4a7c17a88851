"""The warm process for all tests of kills."""

from collections.abc import Iterator

import pytest

from tests.crash.warm import WarmProcess


@pytest.fixture(scope="session")
def warm() -> Iterator[WarmProcess]:
    process = WarmProcess()
    yield process
    process.stop()
