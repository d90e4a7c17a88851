"""Unknown is never absent: what a broken file does not show is not taken for gone, what it shows is done."""

from __future__ import annotations

import os
from collections.abc import Callable

import orjson
import pytest

from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, Company, done
from tests.servers.scim import ScimServer

PEOPLE = ("ann", "bob", "cleo", "dan")
ASSIGNED = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'

Damage = Callable[[Company], None]


def users_without_the_last(company: Company) -> list[bytes]:
    company.users["ann"]["jobTitle"] = "Manager"
    company.users["bob"]["accountEnabled"] = False
    return [orjson.dumps(row) + b"\n" for id_, row in company.users.items() if id_ != "dan"]


def put(company: Company, name: str, content: bytes) -> None:
    (company.directory / name).write_bytes(content)


def cut_in_the_last_line(company: Company) -> None:
    put(company, "users.jsonl", b"".join(users_without_the_last(company)) + b'{"id": "dan", "userPrinci')


def one_line_unreadable(company: Company) -> None:
    put(company, "users.jsonl", b"".join(users_without_the_last(company)) + b"{not json}\n")


def a_key_twice(company: Company) -> None:
    rows = users_without_the_last(company)
    put(company, "users.jsonl", b"".join([*rows, rows[2]]))


def too_old(company: Company) -> None:
    put(company, "users.jsonl", b"".join(users_without_the_last(company)))
    company.source_lines = 'max_age = "3d"'
    then = company.clock.now() - 4 * DAY
    os.utime(company.directory / "users.jsonl", (then, then))


async def everybody_is_assigned(company: Company) -> None:
    company.job = ASSIGNED
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "APP")
    await company.cycle()


@pytest.mark.parametrize("damage", [cut_in_the_last_line, one_line_unreadable, a_key_twice, too_old])
async def test_a_users_file_that_is_not_whole_disables_nobody_but_whom_it_shows_inactive(
    company: Company, server: ScimServer, damage: Damage
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.write()
    damage(company)
    report = await company.cycle(write=False)
    assert (report.state, report.exit_code, report.complete) == ("incomplete", 4, False)
    assert report.problems[0].startswith("users.jsonl")
    assert server.user("dan@example.com")["active"] is True, "who is not shown is not gone"
    assert server.user("bob@example.com")["active"] is False, "who is shown as inactive is"
    assert server.user("ann@example.com")["title"] == "Manager"
    assert done(report) == {"update": 1, "disable": 1}
    company.source_lines = ""
    del company.users["dan"]
    report = await company.cycle()
    assert (done(report), report.exit_code) == ({"disable": 1}, 0)
    assert server.user("dan@example.com")["active"] is False, "the next whole file says so"


def missing(company: Company) -> None:
    (company.directory / "users.jsonl").unlink()


def empty(company: Company) -> None:
    put(company, "users.jsonl", b"")


def without_a_column(company: Company) -> None:
    rows = [{name: v for name, v in row.items() if name != "jobTitle"} for row in company.users.values()]
    put(company, "users.jsonl", b"".join(orjson.dumps(row) + b"\n" for row in rows[:1]))


@pytest.mark.parametrize("damage", [missing, empty, without_a_column])
async def test_a_users_file_that_cannot_be_used_changes_nothing(
    company: Company, server: ScimServer, damage: Damage
) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    company.write()
    damage(company)
    server.clear_requests()
    report = await company.cycle(write=False)
    assert (report.state, report.exit_code, done(report)) == ("incomplete", 4, {})
    assert server.requests == []
    server.clear_requests()
    assert (await company.cycle()).exit_code == 0
    assert server.requests == []


# --- groups ------------------------------------------------------------------------------------------------------


def groups_missing(company: Company) -> None:
    (company.directory / "groups.jsonl").unlink()


def groups_cut(company: Company) -> None:
    whole = (company.directory / "groups.jsonl").read_bytes()
    put(company, "groups.jsonl", whole[: whole.rindex(b'"members"')])


def groups_empty(company: Company) -> None:
    put(company, "groups.jsonl", b"")
    company.allow_empty = []


async def test_who_left_the_scope_leaves_the_groups_once_these_are_read_whole(
    company: Company, server: ScimServer
) -> None:
    company.tables = f"""{GROUPS}
[jobs.app.users.filter]
all = [ {{ attribute = "department", operator = "EQUALS", value = "Development" }} ]
"""
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    company.users["dan"]["department"] = "Sales"
    company.write()
    groups_cut(company)
    assert done(await company.cycle(write=False)) == {"disable": 1}, "what her own record says is done"
    assert len(server.members("Crew")) == 4
    assert done(await company.cycle()) == {"members_removed": 1}


def members_unreadable(company: Company) -> None:
    company.groups["g2"]["members"] = "ann, bob"
    company.write()


@pytest.mark.parametrize("damage", [groups_missing, groups_cut, groups_empty, members_unreadable])
async def test_a_groups_file_that_is_not_whole_takes_nobody_out(
    company: Company, server: ScimServer, damage: Damage
) -> None:
    company.job, company.tables = ASSIGNED, GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "APP")
    company.group("g2", [], "Crew")
    await company.cycle()
    assert len(server.members("APP")) == 4
    company.write()
    damage(company)
    server.clear_requests()
    report = await company.cycle(write=False)
    assert (report.state, report.exit_code, done(report)) == ("incomplete", 4, {})
    assert {seen.method for seen in server.requests} <= {"GET"}
    company.allow_empty = ["groups"]
    company.groups["g2"]["members"] = []
    company.groups["g1"]["members"] = ["ann", "bob", "cleo"]
    report = await company.cycle()
    assert done(report) == {"disable": 1, "members_removed": 1}
    assert server.user("dan@example.com")["active"] is False


async def test_what_a_broken_groups_file_adds_is_done_and_what_it_takes_away_waits(
    company: Company, server: ScimServer
) -> None:
    company.job, company.tables = ASSIGNED, GROUPS
    company.people(*PEOPLE)
    company.group("g1", ["ann", "bob"], "APP")
    await company.cycle()
    company.group("g1", ["bob", "cleo"], "APP")
    company.write()
    with (company.directory / "groups.jsonl").open("ab") as file:
        file.write(b'{"id": "g2", "displa')
    report = await company.cycle(write=False)
    assert (report.state, done(report)) == ("incomplete", {"create": 1, "members_added": 1})
    assert server.user("ann@example.com")["active"] is True
    assert len(server.members("APP")) == 3
    report = await company.cycle()
    assert done(report) == {"disable": 1, "members_removed": 1}
    assert len(server.members("APP")) == 2


async def test_a_list_that_shrank_in_a_broken_file_shrinks_in_the_next_whole_one_also_if_that_is_the_same(
    company: Company, server: ScimServer
) -> None:
    company.job, company.tables = ASSIGNED, GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "APP")
    await company.cycle()
    company.group("g1", ["ann"], "APP")
    for _ in range(3):
        company.write()
        with (company.directory / "groups.jsonl").open("ab") as file:
            file.write(b"broken")
        assert done(await company.cycle(write=False)) == {}
    assert done(await company.cycle()) == {"disable": 3, "members_removed": 3}
    assert len(server.members("APP")) == 1


async def test_a_named_group_that_the_source_lacks_judges_nobody_out(company: Company, server: ScimServer) -> None:
    company.job, company.tables = ASSIGNED, GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "APP")
    company.group("g2", PEOPLE, "Crew")
    await company.cycle()
    del company.groups["g1"]
    company.users["bob"]["accountEnabled"] = False
    report = await company.cycle()
    assert "the source has no group APP" in report.problems[0]
    assert done(report) == {"disable": 1}, "who is inactive is inactive, whatever group is missing"
    await company.cycle()
    told = [notice for notice in await company.notices() if notice.kind == "groups_missing"]
    assert [notice.facts["groups"] for notice in told] == [["APP"]], "once"
    assert len(server.members("APP")) == 4
    assert server.user("ann@example.com")["active"] is True
    company.group("g1", ["ann", "bob", "cleo"], "APP")
    report = await company.cycle()
    assert done(report) == {"disable": 1, "members_removed": 1}
    assert server.user("dan@example.com")["active"] is False


async def test_an_assigned_group_that_was_renamed_in_the_source_judges_nobody_out(
    company: Company, server: ScimServer
) -> None:
    await everybody_is_assigned(company)
    company.groups["g1"]["displayName"] = "Application"
    report = await company.cycle()
    assert done(report) == {}
    assert all(user["active"] for user in server.users.values())


async def test_a_role_is_not_taken_away_while_it_is_unknown(company: Company, server: ScimServer) -> None:
    company.job = """
scope = "all"
roles = ["support"]
"""
    company.tables = '[roles.support]\nwhen = { member_of = "Support" }\n'
    company.attributes += (
        '{ to = "userType", expression = "SingleAppRoleAssignment([appRoleAssignments])", null = "clear" },'
    )
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Support")
    await company.cycle()
    assert server.user("ann@example.com")["userType"] == "support"
    del company.groups["g1"]
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"update": 1}
    assert (server.user("ann@example.com")["userType"], server.user("ann@example.com")["title"]) == (
        "support",
        "Manager",
    )
    company.group("g1", [], "Support")
    assert done(await company.cycle()) == {"update": 1}
    assert "userType" not in server.user("ann@example.com")


async def test_a_leaver_who_waits_to_be_deleted_is_not_deleted_after_an_incomplete_reading(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    dan = company.users.pop("dan")
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(31 * DAY)
    company.write()
    with (company.directory / "users.jsonl").open("ab") as file:
        file.write(orjson.dumps(dan)[:-5])
    report = await company.cycle(write=False)
    assert (report.state, done(report)) == ("incomplete", {})
    assert done(await company.cycle()) == {"delete": 1}


async def test_a_cycle_says_of_how_many_it_cannot_tell_whether_they_take_part(company: Company) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    for id_ in ("ann", "bob"):
        company.users[id_]["accountEnabled"] = "no longer"
    look = "`reconciler provision app ann --dry-run` shows why"
    for _ in range(2):
        report = await company.cycle()
        assert (report.state, report.exit_code, done(report)) == ("active", 0, {})
        assert list(report.problems) == [
            f"it is not known whether 2 entries take part, so nothing is done to them: {look}"
        ], "also in the cycles after the first: an export with other words for active would keep each leaver in"
    company.users["bob"]["accountEnabled"] = False
    report = await company.cycle()
    assert list(report.problems) == [f"it is not known whether 1 user takes part, so nothing is done to them: {look}"]
    assert done(report) == {"disable": 1}
    company.users["ann"]["accountEnabled"] = True
    company.person("uid=dan, ou=people", accountEnabled="no longer")
    (problem,) = (await company.cycle()).problems
    assert "`reconciler provision app 'uid=dan, ou=people' --dry-run`" in problem, "it can be pasted"


# --- inactive, and not known whether in scope --------------------------------------------------------------------


async def test_who_is_inactive_is_only_disabled_while_the_group_that_gives_the_account_is_missing(
    company: Company, server: ScimServer
) -> None:
    await everybody_is_assigned(company)
    del company.groups["g1"]
    for id_ in ("ann", "bob"):
        company.users[id_].update(accountEnabled=False, jobTitle="Manager")
    assert done(await company.cycle()) == {"disable": 2}
    assert done(await company.cycle()) == {}
    assert server.user("ann@example.com")["title"] == "Engineer"
    company.group("g1", ["ann", "cleo", "dan"], "APP")
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("ann@example.com")["title"] == "Manager", "she is in scope, and inactive"
    assert server.user("bob@example.com")["title"] == "Engineer", "he is out"


async def test_who_was_out_of_scope_is_not_changed_when_she_is_inactive_in_a_broken_reading(
    company: Company, server: ScimServer
) -> None:
    await everybody_is_assigned(company)
    company.group("g1", ["bob", "cleo", "dan"], "APP")
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"disable": 1}
    company.users["ann"]["accountEnabled"] = False
    company.write()
    groups_missing(company)
    server.clear_requests()
    assert (done(await company.cycle(write=False)), server.requests) == ({}, [])
    assert done(await company.cycle()) == {}
    assert server.user("ann@example.com")["title"] == "Engineer"


async def test_an_account_is_not_taken_for_somebody_inactive_of_whom_it_is_not_known_whether_she_is_in_scope(
    company: Company, server: ScimServer
) -> None:
    company.job = ASSIGNED
    server.put("user", userName="ann@example.com", active=True)
    company.people(*PEOPLE)
    company.group("g1", ["bob", "cleo", "dan"], "APP")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    company.write()
    groups_missing(company)
    server.clear_requests()
    report = await company.cycle(write=False)
    assert (report.state, done(report), server.requests) == ("incomplete", {}, [])
    assert done(await company.cycle()) == {}
    assert server.user("ann@example.com")["active"] is True, "she was never assigned, so the account is not ours"
    company.group("g1", PEOPLE, "APP")
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user("ann@example.com")["active"] is False
