"""The warm processes for all tests of kills: one for each of two cores."""

from collections.abc import Iterator

import pytest

from tests.crash.warm import WarmProcess


@pytest.fixture(scope="session")
def warm_processes() -> Iterator[tuple[WarmProcess, WarmProcess]]:
    processes = (WarmProcess(), WarmProcess())
    yield processes
    for process in processes:
        process.stop()


@pytest.fixture
def warm(warm_processes: tuple[WarmProcess, WarmProcess]) -> WarmProcess:
    return warm_processes[0]
