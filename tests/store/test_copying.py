"""A plan works on a copy of the state, also where the state is in PostgreSQL: it says the same, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from reconciler.errors import NoStateYet, StateError
from reconciler.store.copying import copy_server_state
from reconciler.store.database import open_database
from reconciler.store.sql import SqlStore
from reconciler.store.tables import metadata
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.scim import ScimServer
from tests.store.servers import dropped

Rows = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def state(postgresql: str) -> str:
    dropped(postgresql)
    return postgresql


def everything(url: str) -> Rows:
    database = open_database(url, None)
    try:
        with database.transaction() as connection:
            return {
                table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
                for table in metadata.sorted_tables
            }
    finally:
        database.close()


async def test_a_plan_says_what_the_cycle_does_then(state: str, tmp_path: Path) -> None:
    async with ScimServer() as server:
        company = Company(tmp_path, server)
        company.state_url = state
        company.attributes += MANAGER
        company.tables = GROUPS
        assert done((await company.plan())[0]) == {}, "there is no state yet"
        company.people("ann", "bob", "cleo")
        company.person("dan", manager="ann")
        company.group("g1", ["ann", "bob"], "Crew")
        planned, operations = await company.plan()
        assert (done(planned)["create"], len(operations)) == (5, 5)
        server.clear_requests()
        assert done(await company.cycle()) == done(planned)
        company.users["ann"]["accountEnabled"] = False
        company.users["bob"]["jobTitle"] = "Chief"
        before = everything(state)
        server.clear_requests()
        planned, _ = await company.plan()
        assert done(planned) == {"disable": 1, "update": 1}
        assert {request.method for request in server.requests} <= {"GET"}
        assert everything(state) == before
        assert done(await company.cycle()) == done(planned)


async def test_the_copy_holds_everything_while_somebody_writes(state: str, tmp_path: Path) -> None:
    async with ScimServer() as server:
        company = Company(tmp_path, server)
        company.state_url = state
        company.tables = GROUPS
        company.people("ann", "bob")
        company.group("g1", ["ann"], "Crew")
        await company.cycle()
    writer = await SqlStore.open(state, write=True, clock_now=0.0)
    try:
        copy_server_state(state, tmp_path / "copy.db")
    finally:
        await writer.close()
    kept = everything(state)
    assert len(kept["entries"]) == 3
    assert everything(f"sqlite:///{tmp_path}/copy.db") == kept


def test_no_state_and_no_server_are_told_apart(state: str, tmp_path: Path) -> None:
    with pytest.raises(NoStateYet):
        copy_server_state(state, tmp_path / "copy.db")
    with pytest.raises(StateError) as refused:
        copy_server_state("postgresql://nobody@127.0.0.1:1/state", tmp_path / "copy.db")
    assert not isinstance(refused.value, NoStateYet)
