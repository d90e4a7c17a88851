"""References: managers and members follow when those whom they point to have an account."""

from __future__ import annotations

import pytest

from reconciler import config
from reconciler.core.model import SourceId, TargetId
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

EXTENSION = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


@pytest.fixture(autouse=True)
def _with_managers(company: Company) -> None:
    company.attributes += MANAGER


def id_of(server: ScimServer, name: str) -> str:
    return str(server.user(f"{name}@example.com")["id"])


def manager(server: ScimServer, name: str) -> str | None:
    held = server.user(f"{name}@example.com").get(EXTENSION, {}).get("manager")
    return held["value"] if held else None


async def test_two_who_manage_each_other(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="bob")
    company.person("bob", manager="ann")
    company.person("cleo", manager="cleo")
    report = await company.cycle()
    assert (report.exit_code, report.counts["create"]) == (0, 3)
    assert (manager(server, "ann"), manager(server, "bob")) == (id_of(server, "bob"), id_of(server, "ann"))
    assert manager(server, "cleo") == id_of(server, "cleo")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_whoever_manages_others_is_made_before_them(company: Company, server: ScimServer) -> None:
    for one in range(40):
        company.person(f"p{one:02}", manager=f"boss{one % 4}")
    for one in range(4):
        company.person(f"boss{one}")
    assert done(await company.cycle()) == {"create": 44}
    assert server.sent("PATCH") == [], "each account was made whole"
    assert {manager(server, f"p{one:02}") for one in range(4)} == {id_of(server, f"boss{one}") for one in range(4)}


async def test_a_manager_who_comes_later_is_named_then(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="boss")
    company.person("bob", manager="boss")
    assert done(await company.cycle()) == {"create": 2}
    assert manager(server, "ann") is None
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "nobody is asked for again and again"
    company.people("boss")
    assert done(await company.cycle()) == {"create": 1, "update": 2}
    assert manager(server, "ann") == manager(server, "bob") == id_of(server, "boss")


async def test_a_manager_who_is_out_of_scope_is_named_when_in_scope(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'
    company.person("ann", manager="boss")
    company.people("boss")
    company.group("g1", ["ann"], "APP")
    assert done(await company.cycle()) == {"create": 1}
    company.group("g1", ["ann", "boss"], "APP")
    assert done(await company.cycle()) == {"create": 1, "update": 1}
    assert manager(server, "ann") == id_of(server, "boss")


async def test_another_manager_is_one_change(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="boss")
    company.people("boss", "chief")
    await company.cycle()
    company.users["ann"]["manager"] = "chief"
    server.clear_requests()
    assert done(await company.cycle()) == {"update": 1}
    assert manager(server, "ann") == id_of(server, "chief")
    assert len(server.sent("PATCH")) == 1


async def test_a_manager_who_is_not_known_does_not_take_the_old_one_away(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    company.users["ann"]["manager"] = "nobody"
    assert done(await company.cycle()) == {}
    assert manager(server, "ann") == id_of(server, "boss")
    company.users["ann"]["manager"] = "boss"
    assert done(await company.cycle()) == {}
    company.people("nobody")
    assert done(await company.cycle()) == {"create": 1}, "she is not pointed to any more"
    assert manager(server, "ann") == id_of(server, "boss")


async def test_a_manager_who_is_gone_stays_named_while_the_account_is_there(
    company: Company, server: ScimServer
) -> None:
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    boss = company.users.pop("boss")
    assert done(await company.cycle()) == {"disable": 1}
    assert manager(server, "ann") == id_of(server, "boss")
    company.users["boss"] = boss
    assert done(await company.cycle()) == {"enable": 1}


@pytest.mark.parametrize("clear", [False, True])
async def test_no_manager_any_more(company: Company, server: ScimServer, clear: bool) -> None:
    if clear:
        company.attributes = company.attributes.replace(' from = "manager" }', ' from = "manager", null = "clear" }')
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    company.users["ann"]["manager"] = None
    assert done(await company.cycle()) == ({"update": 1} if clear else {})
    assert manager(server, "ann") == (None if clear else id_of(server, "boss"))
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_a_manager_that_waits_and_is_taken_back_is_not_sent_later(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="boss")
    await company.cycle()
    company.users["ann"]["manager"] = None
    await company.cycle()
    company.people("boss")
    assert done(await company.cycle()) == {"create": 1}
    assert manager(server, "ann") is None


async def test_a_reference_that_the_target_refuses_fails_alone(company: Company, server: ScimServer) -> None:
    company.person("ann", manager="boss")
    company.person("bob", manager="boss")
    await company.cycle()
    for method in ("PATCH", "PUT"):
        server.script.on(method, id_of(server, "ann"), then=Status(400), times=FOR_EVER)
    company.people("boss")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"create": 1, "update": 1, "failure": 1})
    assert manager(server, "bob") == id_of(server, "boss")
    server.script.clear()
    assert done(await company.cycle()) == {"update": 1}
    assert manager(server, "ann") == id_of(server, "boss")


async def test_a_broken_groups_file_does_not_stop_managers(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.person("ann", manager="boss")
    await company.cycle()
    company.people("boss")
    company.write()
    (company.directory / "groups.jsonl").write_bytes(b"broken")
    assert (await company.cycle(write=False)).exit_code == 4
    assert manager(server, "ann") == id_of(server, "boss")


async def test_groups_in_groups_are_members(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + "hold_deletes = false\n"
    company.people("ann", "bob")
    company.group("a", ["ann", "b", "nobody"], "All")
    company.group("b", ["bob", "a"], "Inner")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 4, "members_added": 4})
    assert server.members("All") == {id_of(server, "ann"), server.group("Inner")["id"]}
    assert server.members("Inner") == {id_of(server, "bob"), server.group("All")["id"]}
    company.group("a", ["ann"], "All")
    assert done(await company.cycle()) == {"members_removed": 1}
    del company.groups["b"]
    assert done(await company.cycle()) == {"delete": 1}


@pytest.mark.parametrize("full", [False, True])
async def test_a_group_in_a_group_that_does_not_show_and_has_the_name_all_the_same_stays_in_it(
    company: Company, server: ScimServer, *, full: bool
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("outer", ["inner"], "Outer")
    company.group("inner", ["ann"], "Inner")
    await company.cycle()
    company.clock.turn(HOUR)
    inner = server.group("Inner")
    del server.groups[inner["id"]]
    server.script.on("POST", "/Groups$", then=Status(409), times=FOR_EVER)
    company.group("inner", ["ann", "bob"], "Inner")
    await company.cycle(full=full)
    company.group("outer", ["inner", "ann"], "Outer")
    assert done(await company.cycle(full=full)) == {"failure": 1, "members_added": 1}
    assert server.members("Outer") == {inner["id"], id_of(server, "ann")}
    server.groups[inner["id"]] = inner
    company.clock.turn(DAY)
    await company.cycle()
    assert len(server.members("Inner")) == 2


async def test_who_is_in_an_assigned_group_through_another_one_counts_only_where_the_job_says_so(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob", "cleo")
    company.group("a", ["ann", "b"], "APP")
    company.group("b", ["bob", "c"], "Inner")
    company.group("c", ["cleo", "a"], "Innermost")
    company.job = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'
    assert done(await company.cycle()) == {"create": 1}
    company.job += "\nnested = true"
    assert done(await company.cycle()) == {"create": 2}
    company.group("b", ["bob"], "Inner")
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user("cleo@example.com")["active"] is False
    del company.groups["b"]
    assert done(await company.cycle()) == {"disable": 1}, "the list still names it, but there is no such group"


async def test_one_member_that_the_target_refuses_leaves_the_others_in(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    people = [f"p{number}" for number in range(10)]
    company.people(*people)
    await company.cycle()
    server.script.on("PATCH", "/Groups/", body=id_of(server, "p3"), then=Status(400), times=FOR_EVER)
    company.group("g1", people, "Crew")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"create": 1, "members_added": 9, "failure": 1})
    assert len(server.members("Crew")) == 9
    server.script.clear()
    assert done(await company.cycle()) == {"members_added": 1}


@pytest.mark.parametrize("by_somebody_else", [False, True])
async def test_a_manager_who_was_deleted_and_comes_back_is_named_anew(
    company: Company, server: ScimServer, by_somebody_else: bool
) -> None:
    """The reports did not change at all: it is the account that they name which became another one."""
    company.job = 'scope = "all"\ndeletion_share = "100%"'
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    boss = company.users.pop("boss")
    if by_somebody_else:
        del server.users[id_of(server, "boss")]
        company.clock.turn(HOUR)
    assert (await company.cycle()).counts["delete"] == 1
    company.users["boss"] = boss
    await company.cycle()
    await company.cycle()
    assert manager(server, "ann") == id_of(server, "boss")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_a_manager_who_was_deleted_on_demand_and_comes_back_is_named_anew(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    boss, first = company.users.pop("boss"), id_of(server, "boss")
    await company.provision("boss")
    assert first not in server.users
    company.users["boss"] = boss
    assert done(await company.cycle()) == {"create": 1, "update": 1}
    assert manager(server, "ann") == id_of(server, "boss")


async def test_a_manager_whom_a_person_gives_another_account_is_named_anew(
    company: Company, server: ScimServer
) -> None:
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    server.user("boss@example.com")["userName"] = "former@example.com"
    other = server.put("user", userName="boss@example.com", active=True)
    async with company.opened(config.load(company.write()), write=True) as house:
        await house.store.link("app", "user", SourceId("boss"), TargetId(other), company.clock.now())
    await company.cycle()
    assert manager(server, "ann") == other
