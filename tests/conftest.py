"""Servers that several rooms test against."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.real import RealScimServer

# Without a loop that is set, pytest-asyncio asks for one before each first async test, and never closes it.
asyncio.set_event_loop(None)

# Nothing is judged by how fast a machine is that others work on, too.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


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
