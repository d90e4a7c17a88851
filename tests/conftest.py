"""Servers that several rooms test against."""

from collections.abc import Iterator

import pytest

from tests.servers.real import RealScimServer


@pytest.fixture(scope="session")
def _running_scim2_server() -> Iterator[RealScimServer]:
    server = RealScimServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def real_scim_server(_running_scim2_server: RealScimServer) -> RealScimServer:
    """scim2-server from PyPI in its own process, without a resource. Never in virtual time."""
    _running_scim2_server.empty()
    return _running_scim2_server
