"""Servers that several rooms test against."""

import asyncio
import gc
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings

from tests.servers.mariadb import running_mariadb, why_no_mariadb
from tests.servers.real import RealScimServer, scim2_server, scimmy, why_no_scimmy
from tests.servers.samba import Samba, running_samba, why_no_samba

# Without a loop that is set, pytest-asyncio asks for one before each first async test, and never closes it.
asyncio.set_event_loop(None)

# Nothing is judged by how fast a machine is that others work on, too.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Let nobody look for garbage among ten thousand tests and what they import: all of it is needed to the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def _running_scim2_server() -> Iterator[RealScimServer]:
    server = scim2_server()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _running_scimmy() -> Iterator[RealScimServer]:
    if why := why_no_scimmy():
        pytest.skip(why)
    server = scimmy()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def _running_samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    if why := why_no_samba():
        pytest.skip(why)
    # Its ports cannot be chosen, so each worker of a run has an address of its own.
    worker = int("".join(filter(str.isdigit, os.environ.get("PYTEST_XDIST_WORKER", ""))) or 0)
    with running_samba(tmp_path_factory.mktemp("samba"), f"127.0.0.{61 + worker}") as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """The URL of a database of a MariaDB server. Never in virtual time."""
    if why := why_no_mariadb():
        pytest.skip(why)
    with TemporaryDirectory() as directory, running_mariadb(Path(directory)) as url:
        yield url


@pytest.fixture
def samba(_running_samba: Samba) -> Samba:
    """A domain controller without anybody in it but its administrator and a reader. Never in virtual time."""
    _running_samba.empty()
    return _running_samba


@pytest.fixture
def real_scim_server(_running_scim2_server: RealScimServer) -> RealScimServer:
    """scim2-server from PyPI in its own process, without a resource. Never in virtual time."""
    _running_scim2_server.empty()
    return _running_scim2_server


@pytest.fixture
def scimmy_server(_running_scimmy: RealScimServer) -> RealScimServer:
    """scimmy from npm in its own process, without a resource. Never in virtual time."""
    _running_scimmy.empty()
    return _running_scimmy


@pytest.fixture(params=["scim2-server", "scimmy"])
def any_real_scim_server(request: pytest.FixtureRequest) -> RealScimServer:
    """Each of the servers that nobody here wrote, in turn."""
    fixture = {"scim2-server": "real_scim_server", "scimmy": "scimmy_server"}[request.param]
    server: RealScimServer = request.getfixturevalue(fixture)
    return server
