"""The stores that the contract is tested on: SQLite in a thread of its own, SQLite inline, PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from reconciler.store.sql import SqlStore
from tests import states
from tests.store.scenes import Work, open_work
from tests.store.servers import dropped, emptied, running_postgresql, why_no_postgresql


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    if why := why_no_postgresql():
        pytest.skip(why)
    # Not below pytest's own directory, which another user may not enter.
    with TemporaryDirectory() as directory, running_postgresql(Path(directory)) as url:
        yield url


@pytest.fixture(params=["sqlite", "sqlite inline", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a state, whether there is one or not."""
    if request.param != "postgresql":
        return f"sqlite:///{tmp_path}/state.db"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def url(place: str, tmp_path: Path) -> str:
    """The URL of a state in which nothing is yet."""
    if place.startswith("postgresql"):
        emptied(place)
    else:
        states.begin(tmp_path / "state.db")
    return place


@pytest.fixture
def unmade(place: str) -> str:
    """The URL of a state whose tables are to be made."""
    if place.startswith("postgresql"):
        dropped(place)
    return place


@pytest.fixture
async def store(request: pytest.FixtureRequest, url: str) -> AsyncIterator[SqlStore]:
    inline = "inline" in request.node.name
    store = await SqlStore.open(url, write=True, clock_now=0.0, process="test", inline=inline)
    yield store
    await store.close()


@pytest.fixture
async def work(store: SqlStore) -> Work:
    """A job with an open cycle."""
    return await open_work(store)
