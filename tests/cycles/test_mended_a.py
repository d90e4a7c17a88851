"""Answers that never came, refusals, and leavers all the same: in the end the target is what the source says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.cycles.calendar import DAY
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.faults import FOR_EVER, Delay, Drop, DropAfterCommit, Status, Unauthorized
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

FILTER = """
[jobs.app.users.filter]
attribute = "department"
operator = "NOT EQUALS"
value = "Alumni"
"""
HOWS = pytest.mark.parametrize("how", ["gone", "out of scope"])
WAYS = pytest.mark.parametrize("way", ["answer lost", "killed"])


def leave(company: Company, how: str) -> None:
    if how == "gone":
        company.users.pop("ann", None)
    else:
        company.users["ann"]["department"] = "Alumni"


def come_back(company: Company) -> None:
    company.person("ann")


async def cycle_whose_answer_is_lost(company: Company, server: ScimServer, way: str) -> None:
    """Let the PATCHes of a cycle be done, and the cycle not know it: they are answered by 500, or it is killed."""
    if way == "answer lost":
        server.script.on("PATCH", "/Users", then=Status(500, done=True), times=8)
        assert done(await company.cycle()) == {"failure": 1}
    else:
        server.script.on("PATCH", "/Users", then=Delay(0.2, done=True))
        server.clear_requests()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(company.cycle)
            while not server.sent("PATCH"):
                await anyio.lowlevel.checkpoint()
            with closing(sqlite3.connect(company.directory / "state.db")) as state:
                state.backup(kept := sqlite3.connect(company.directory / "killed.db"))
                kept.close()
        for file in company.directory.glob("state.db*"):
            file.unlink()
        Path(company.directory / "killed.db").rename(company.directory / "state.db")
    server.script.clear()


async def quiet(company: Company, server: ScimServer) -> bool:
    server.clear_requests()
    return done(await company.cycle()) == {} and server.requests == []


@HOWS
@WAYS
async def test_who_leaves_again_after_an_enable_without_an_answer_is_disabled(
    company: Company, server: ScimServer, how: str, way: str
) -> None:
    company.tables = FILTER
    company.people("ann", "bob")
    await company.cycle()
    leave(company, how)
    await company.cycle()
    come_back(company)
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["active"] is True
    leave(company, how)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)


@HOWS
@WAYS
async def test_who_comes_back_after_a_disable_without_an_answer_is_enabled(
    company: Company, server: ScimServer, how: str, way: str
) -> None:
    company.tables = FILTER
    company.people("ann", "bob")
    await company.cycle()
    leave(company, how)
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["active"] is False
    come_back(company)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is True
    assert await quiet(company, server)


@HOWS
@WAYS
async def test_a_disable_without_an_answer_is_deleted_in_time(
    company: Company, server: ScimServer, how: str, way: str
) -> None:
    company.tables = FILTER
    company.people("ann", "bob")
    await company.cycle()
    leave(company, how)
    await cycle_whose_answer_is_lost(company, server, way)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_a_value_whose_answer_was_lost_is_put_back_when_the_source_goes_back(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Chief"
    await cycle_whose_answer_is_lost(company, server, "answer lost")
    company.users["ann"]["jobTitle"] = "Engineer"
    await company.cycle()
    assert server.user("ann@example.com")["title"] == "Engineer"
    assert await quiet(company, server)


@WAYS
async def test_who_leaves_after_an_adopt_without_an_answer_is_disabled(
    company: Company, server: ScimServer, way: str
) -> None:
    company.people("bob")
    await company.cycle()
    server.put("user", userName="ann@example.com", active=False)
    company.people("ann")
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["active"] is True
    leave(company, "gone")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)


@HOWS
async def test_a_create_without_an_answer_is_found_by_what_it_was_made_with(
    company: Company, server: ScimServer, how: str
) -> None:
    company.attributes = ATTRIBUTES.replace(
        'from = "userPrincipalName"', 'expression = "ToLower([userPrincipalName])"'
    )
    company.tables = FILTER
    company.people("bob")
    await company.cycle()
    company.people("ann")
    server.script.on("POST", "/Users", then=DropAfterCommit())
    server.script.on("GET", "/Users", then=Drop(), nth=2, times=50)
    await company.cycle()
    server.script.clear()
    leave(company, how)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False


async def test_who_was_gone_and_is_made_anew_without_an_answer_is_not_forgotten(
    company: Company, server: ScimServer
) -> None:
    company.tables = FILTER
    company.people("bob")
    company.person("ann", department="Alumni")
    await company.cycle()
    leave(company, "gone")
    await company.cycle()
    come_back(company)
    server.script.on("POST", "/Users", then=DropAfterCommit())
    server.script.on("GET", "/Users", then=Unauthorized(), nth=2, times=50)
    await company.cycle()
    server.script.clear()
    leave(company, "gone")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False


@pytest.mark.parametrize("code", [400, 403, 409, 412, 413])
async def test_a_disable_is_sent_alone_where_it_is_refused_with_something_else(
    company: Company, server: ScimServer, code: int
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"].update(accountEnabled=False, jobTitle="Chief")
    server.script.on("PATCH", "/Users", then=Status(code), times=FOR_EVER, body="title")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
