"""Answers that never came, refusals, and leavers all the same: in the end the target is what the source says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.faults import (
    FOR_EVER,
    Delay,
    Drop,
    DropAfterCommit,
    ErrorInside200,
    ServerFault,
    Status,
    Throttle,
    Unauthorized,
    WrongJson,
)
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
FILTER = """
[jobs.app.users.filter]
attribute = "department"
operator = "NOT EQUALS"
value = "Alumni"
"""
HOWS = pytest.mark.parametrize("how", ["gone", "out of scope"])
AFTERWARDS: dict[str, ServerFault] = {
    "answer lost, then refused": Status(400),
    "answer lost, then refused as if the name were taken": Status(409),
    "answer lost, then refused in a success": ErrorInside200(),
    "answer lost, then put off": Throttle(seconds=3600),
}
"""What the next try of the same request meets, where the first was done and got no answer."""
WAYS = pytest.mark.parametrize("way", ["answer lost", "answer unreadable", "killed", *AFTERWARDS])


async def hire(company: Company) -> None:
    company.tables = FILTER
    company.people("ann", "bob")
    await company.cycle()


def leave(company: Company, how: str) -> None:
    if how == "gone":
        company.users.pop("ann", None)
    else:
        company.users["ann"]["department"] = "Alumni"


def come_back(company: Company) -> None:
    company.person("ann")


def copy(path: Path, to: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(path)) as state:
        state.backup(to)


async def cycle_whose_answer_is_lost(company: Company, server: ScimServer, way: str) -> None:
    """Let the PATCHes of a cycle be done, and the cycle not know it: their answers say nothing, or it is killed."""
    if way in AFTERWARDS:
        server.script.on("PATCH", "/Users", then=DropAfterCommit())
        server.script.on("PATCH", "/Users", then=AFTERWARDS[way], times=FOR_EVER)
        assert done(await company.cycle()) == {"failure": 1}
        company.clock.turn(HOUR)
    elif way != "killed":
        answer = Status(500, done=True) if way == "answer lost" else WrongJson()
        server.script.on("PATCH", "/Users", then=answer, times=8)
        assert done(await company.cycle()) == {"failure": 1}
    else:
        server.script.on("PATCH", "/Users", then=Delay(0.2, done=True))
        server.clear_requests()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(company.cycle)
            while not server.sent("PATCH"):
                await anyio.lowlevel.checkpoint()
            as_it_is = sqlite3.connect(":memory:")
            copy(company.directory / "state.db", as_it_is)
        for file in company.directory.glob("state.db*"):
            file.unlink()
        with closing(sqlite3.connect(company.directory / "state.db")) as state, closing(as_it_is):
            as_it_is.backup(state)
    server.script.clear()


async def quiet(company: Company, server: ScimServer) -> bool:
    server.clear_requests()
    return done(await company.cycle()) == {} and server.requests == []


@HOWS
@WAYS
async def test_who_leaves_again_after_an_enable_without_an_answer_is_disabled(
    company: Company, server: ScimServer, how: str, way: str
) -> None:
    await hire(company)
    leave(company, how)
    await company.cycle()
    come_back(company)
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["active"] is True
    leave(company, how)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)


async def test_who_leaves_again_after_an_enable_that_went_alone_without_an_answer_is_disabled(
    company: Company, server: ScimServer
) -> None:
    await hire(company)
    leave(company, "gone")
    await company.cycle()
    company.person("ann", userPrincipalName="taken@example.com")
    server.put("user", userName="taken@example.com", active=True)
    server.script.on("PATCH", "/Users", body="taken", then=Status(409), times=FOR_EVER)
    server.script.on("PATCH", "/Users", then=Status(500, done=True), times=4)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is True
    server.script.clear()
    leave(company, "gone")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False


@HOWS
@WAYS
async def test_who_comes_back_after_a_disable_without_an_answer_is_enabled(
    company: Company, server: ScimServer, how: str, way: str
) -> None:
    await hire(company)
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
    await hire(company)
    leave(company, how)
    await cycle_whose_answer_is_lost(company, server, way)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


@WAYS
async def test_who_is_disabled_again_without_an_answer_is_not_deleted_at_once(
    company: Company, server: ScimServer, way: str
) -> None:
    await hire(company)
    leave(company, "gone")
    await company.cycle()
    server.user("ann@example.com")["active"] = True
    company.clock.turn(31 * DAY)
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["active"] is False
    assert done(await company.cycle()) == {}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}
    company.clock.turn(2 * DAY)
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
    server.put("user", userName="ann@example.com", active=True, title="Queen")
    company.people("ann")
    await cycle_whose_answer_is_lost(company, server, way)
    assert server.user("ann@example.com")["title"] == "Engineer"
    leave(company, "gone")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False
    assert await quiet(company, server)


@HOWS
async def test_a_create_without_an_answer_is_found_by_what_it_was_made_with(
    company: Company, server: ScimServer, how: str
) -> None:
    company.attributes = ATTRIBUTES.replace('from = "userPrincipalName"', 'expression = "ToLower([userPrincipalName])"')
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


async def test_a_create_that_timed_out_is_not_sent_again_before_it_can_be_seen(tmp_path: Path) -> None:
    async with ScimServer(Quirks(lax_unique=True)) as server:
        company = Company(tmp_path, server)
        company.target_lines = 'timeout = "1s"'
        company.people("bob")
        await company.cycle()
        company.people("ann")
        server.clear_requests()
        server.script.on("POST", "/Users", then=Delay(1.5))
        await company.cycle()
        assert len(server.sent("POST")) == 1
        with anyio.fail_after(5):
            while len(server.users) < 2:
                await anyio.lowlevel.checkpoint()
        await company.cycle()
        assert sorted(user["userName"] for user in server.users.values()) == ["ann@example.com", "bob@example.com"]
        assert await quiet(company, server)


async def test_an_account_that_was_taken_over_has_an_owner_though_its_update_failed(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    leave(company, "gone")
    company.person("ann2", userPrincipalName="ann@example.com", employeeId="E-ann", jobTitle="Chief")
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    await company.cycle()
    assert len(server.members("Crew")) == 1, "the new id is in no group"
    server.script.clear()
    del company.users["ann2"]
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False


async def test_a_404_that_is_not_about_the_group_does_not_forget_its_members(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob", "dan")
    company.group("g1", ["ann", "bob", "dan"], "Crew")
    await company.cycle()
    company.group("g1", ["ann", "bob"], "Crew")
    server.script.on("PATCH", "/Groups", then=Status(404))
    assert done(await company.cycle()) == {"failure": 1}
    await company.cycle()
    assert len(server.members("Crew")) == 2


async def test_who_waits_for_a_manager_and_has_vanished_is_made_again(company: Company, server: ScimServer) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    await company.cycle()
    company.person("boss")
    company.clock.turn(HOUR)
    del server.users[server.user("ann@example.com")["id"]]
    await company.cycle()
    await company.cycle()
    assert server.user("ann@example.com")["active"] is True
    assert await quiet(company, server)


async def test_a_manager_that_is_refused_is_not_sent_in_every_cycle(company: Company, server: ScimServer) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    await company.cycle()
    company.person("boss")
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    for _ in range(3):
        await company.cycle()
    assert await quiet(company, server)


async def test_a_grace_that_was_interrupted_begins_anew(company: Company, server: ScimServer) -> None:
    company.tables = FILTER + '[jobs.app.deprovision]\ndisable_after = "10d"\n'
    company.people("ann", "bob")
    await company.cycle()
    leave(company, "out of scope")
    await company.cycle()
    company.clock.turn(DAY)
    company.person("ann", jobTitle="Chief")
    server.script.on("PATCH", "/Users", then=Status(400))
    await company.cycle()
    company.clock.turn(60)
    leave(company, "out of scope")
    await company.cycle()
    assert server.user("ann@example.com")["active"] is True
    company.clock.turn(10 * DAY)
    await company.cycle()
    assert server.user("ann@example.com")["active"] is False


async def test_whom_we_disabled_is_enabled_also_where_active_flows_on_creation_only(
    company: Company, server: ScimServer
) -> None:
    active = '{ to = "active", expression = "Not([IsSoftDeleted])" },'
    assert active in company.attributes
    company.attributes = company.attributes.replace(active, '{ to = "active", constant = true, apply = "create" },')
    company.people("ann", "bob")
    await company.cycle()
    leave(company, "gone")
    await company.cycle()
    come_back(company)
    assert done(await company.cycle()) == {"enable": 1}
    assert server.user("ann@example.com")["active"] is True


async def test_a_disable_that_is_not_kept_fails_for_ever(tmp_path: Path) -> None:
    async with ScimServer(Quirks(patch_silent_no_op=("active",))) as server:
        company = Company(tmp_path, server)
        company.people("ann", "bob")
        await company.cycle()
        leave(company, "gone")
        for _ in range(6):
            company.clock.turn(DAY)
            assert done(await company.cycle()) == {"failure": 1}


async def test_of_three_with_one_name_one_gets_an_account(tmp_path: Path) -> None:
    async with ScimServer(Quirks(lax_unique=True)) as server:
        company = Company(tmp_path, server)
        for id_ in ("a", "b", "c"):
            company.person(id_, userPrincipalName="same@example.com", employeeId="E")
        server.script.on("POST", "/Users", then=Status(400))
        for _ in range(3):
            await company.cycle()
            assert len(server.users) == 1


async def test_an_account_that_does_not_show_yet_when_its_manager_is_set_is_not_forgotten(
    company: Company, server: ScimServer
) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    company.person("boss", manager="ann")
    server.script.on("PATCH", "/Users", then=Status(404))
    server.script.on("GET", "/Users/", then=Status(404))
    await company.cycle()
    for name in ("ann", "boss"):
        company.users[name]["userPrincipalName"] = f"{name}.renamed@example.com"
    for _ in range(2):
        await company.cycle()
    names = sorted(user["userName"] for user in server.users.values())
    assert names == ["ann.renamed@example.com", "boss.renamed@example.com"]


async def test_a_group_that_does_not_show_yet_when_it_is_filled_is_still_one_that_we_made(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS + "hold_deletes = false\n"
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    server.script.on("PATCH", "/Groups", then=Status(404))
    server.script.on("GET", "/Groups/", then=Status(404))
    await company.cycle()
    assert done(await company.cycle()) == {"members_added": 1}
    company.groups.clear()
    assert done(await company.cycle()) == {"delete": 1}
    assert server.groups == {}


async def test_a_group_that_does_not_show_yet_in_two_cycles_is_filled_in_the_third(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    server.script.on("PATCH", "/Groups", then=Status(404), times=FOR_EVER)
    server.script.on("GET", "/Groups/", then=Status(404), times=FOR_EVER)
    for _ in range(2):
        assert [failure["id"] for failure in (await company.cycle()).failures] == ["g1"]
    server.script.clear()
    assert done(await company.cycle()) == {"members_added": 1}, "and not hours later"


@pytest.mark.parametrize("lax", [False, True])
async def test_an_account_that_does_not_show_yet_in_the_next_cycle_is_not_made_again(
    company: Company, server: ScimServer, lax: bool
) -> None:
    server.quirks = Quirks(lax_unique=lax)
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    company.person("boss", manager="ann")
    server.script.on("PATCH", "/Users", then=Status(404), times=FOR_EVER)
    server.script.on("GET", "/Users/", then=Status(404), times=FOR_EVER)
    await company.cycle()
    for _ in range(3):
        company.clock.turn(20.0)
        company.users["ann"]["jobTitle"] += "!"
        await company.cycle()
    server.script.clear()
    await company.cycle()
    assert len(server.sent("POST")) == 2
    ann, boss = server.user("ann@example.com"), server.user("boss@example.com")
    assert (ann[ENTERPRISE]["manager"]["value"], ann["title"]) == (boss["id"], "Engineer!!!")
    assert boss[ENTERPRISE]["manager"]["value"] == ann["id"]


SLOW_TO_SHOW = Quirks(lax_unique=True, invisible_for_requests=1000)


async def test_an_account_that_a_comparison_does_not_show_yet_is_not_made_again(tmp_path: Path) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        company.people("ann")
        await company.cycle()
        company.clock.turn(20.0)
        assert done(await company.cycle(full=True)) == {}
        server.show_everything()
        company.users["ann"]["jobTitle"] = "Chief"
        assert done(await company.cycle()) == {"update": 1}
        assert [user["title"] for user in server.users.values()] == ["Chief"]
        server.forget()
        company.clock.turn(HOUR)
        assert done(await company.cycle(full=True)) == {"create": 1}, "after five minutes what is not there is gone"


async def test_an_account_that_does_not_show_yet_after_a_lost_answer_is_not_made_again(tmp_path: Path) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        company.people("ann")
        await company.cycle()
        company.users["ann"]["jobTitle"] = "Chief"
        server.script.on("*", "/Users/", then=Drop(), times=FOR_EVER)
        assert done(await company.cycle()) == {"failure": 1}
        server.script.clear()
        for _ in range(3):
            company.clock.turn(20.0)
            assert done(await company.cycle()) == {"failure": 1}
        server.show_everything()
        assert done(await company.cycle()) == {"update": 1}
        assert [user["title"] for user in server.users.values()] == ["Chief"]
        assert await quiet(company, server)


@pytest.mark.parametrize("full", [False, True])
async def test_who_leaves_before_her_account_shows_is_disabled_when_it_does(tmp_path: Path, full: bool) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        company.people("ann", "bob")
        await company.cycle()
        leave(company, "gone")
        company.clock.turn(20.0)
        assert done(await company.cycle(full=full)) == {"failure": 1}
        server.show_everything()
        assert done(await company.cycle()) == {"disable": 1}
        assert server.user("ann@example.com")["active"] is False
        assert await quiet(company, server)


async def hire_and_be_cut_off(company: Company, server: ScimServer) -> None:
    """Have the cycle that makes an account cut off before it hears of it."""
    company.tables = FILTER
    company.people("bob")
    await company.cycle()
    company.people("ann")
    server.script.on("POST", "/Users", then=Delay(1.0, done=True))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(company.cycle)
        while len(server.users) < 2:
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


@HOWS
@pytest.mark.parametrize("shows", [True, False])
async def test_who_leaves_while_a_create_without_an_answer_may_not_show_yet_is_looked_for(
    tmp_path: Path, how: str, shows: bool
) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        leave(company, how)
        for _ in range(3):
            company.clock.turn(60.0)
            (failure,) = (await company.cycle()).failures
            assert (failure["id"], failure["error_code"]) == ("ann", "Timeout")
        assert "may not show yet" in (await company.log())[-1]["reason"]
        if shows:
            server.show_everything()
            assert done(await company.cycle()) == {"create": 1, "disable": 1}
            assert server.user("ann@example.com")["active"] is False
        else:
            company.clock.turn(300.0)
            assert done(await company.cycle()) == {}, "after five minutes what is not there is gone"
        assert await quiet(company, server)


@HOWS
async def test_who_leaves_after_an_account_that_did_not_show_yet_has_refused_her_another_is_disabled(
    tmp_path: Path, how: str
) -> None:
    async with ScimServer(Quirks(invisible_for_requests=1000)) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        (failure,) = (await company.cycle()).failures
        assert failure["error_code"] == "EntryConflict"
        server.show_everything()
        company.clock.turn(HOUR)
        leave(company, how)
        assert done(await company.cycle()) == {"create": 1, "disable": 1}
        assert server.user("ann@example.com")["active"] is False
        assert await quiet(company, server)


@HOWS
@pytest.mark.parametrize("kept_back", ["by a limit", "by the actions"])
async def test_who_leaves_when_no_second_create_was_sent_is_looked_for_all_the_same(
    tmp_path: Path, how: str, kept_back: str
) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        if kept_back == "by a limit":
            company.job += "\ncreation_threshold = 0"
        else:
            company.tables = 'actions = ["update", "delete"]\n' + company.tables
        company.clock.turn(60.0)
        await company.cycle()
        leave(company, how)
        server.show_everything()
        assert done(await company.cycle()) == {"create": 1, "disable": 1}
        assert server.user("ann@example.com")["active"] is False
        assert await quiet(company, server)


@pytest.mark.parametrize("shows", [True, False])
async def test_whose_create_is_in_doubt_and_not_to_be_sent_again_is_looked_for_until_it_is_known(
    tmp_path: Path, shows: bool
) -> None:
    async with ScimServer(SLOW_TO_SHOW) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        company.tables = 'actions = ["update", "delete"]\n' + company.tables
        company.clock.turn(60.0)
        assert done(await company.cycle()) == {}
        if shows:
            server.show_everything()
        else:
            company.clock.turn(300.0)
        assert done(await company.cycle()) == ({"create": 1} if shows else {})
        assert await quiet(company, server)


async def test_what_a_create_without_an_answer_made_counts_as_made_also_where_only_a_refusal_shows_it(
    tmp_path: Path,
) -> None:
    async with ScimServer(Quirks(invisible_for_requests=4)) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        server.clear_requests()
        assert done(await company.cycle()) == {"create": 1}
        assert server.sent("POST"), "it was refused"
        assert [row["reason"] for row in await company.log() if row["action"] == "create"][-1].startswith("made by")
        assert await quiet(company, server)


async def test_who_is_renamed_while_a_create_without_an_answer_may_not_show_yet_gets_no_second_account(
    tmp_path: Path,
) -> None:
    async with ScimServer(Quirks(invisible_for_requests=1000)) as server:
        company = Company(tmp_path, server)
        await hire_and_be_cut_off(company, server)
        company.users["ann"]["userPrincipalName"] = "ann.married@example.com"
        company.clock.turn(60.0)
        assert done(await company.cycle()) == {"failure": 1}
        server.show_everything()
        assert done(await company.cycle()) == {"create": 1, "update": 1}
        names = sorted(user["userName"] for user in server.users.values())
        assert names == ["ann.married@example.com", "bob@example.com"]
        assert await quiet(company, server)
