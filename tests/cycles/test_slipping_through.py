"""Answers, readings and rules that once let somebody stay in, fall out, or slip past a safeguard."""

from __future__ import annotations

import json

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.faults import FOR_EVER, ServerFault, Status, WrongJson
from tests.servers.scim import ScimServer

ANN = "ann@example.com"


# --- what a question is answered with ----------------------------------------------------------------------------

REFUSALS: dict[str, ServerFault] = {
    "forbidden": Status(403),
    "not found": Status(404),
    "a web page": WrongJson(b"<html>"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_where_no_question_is_answered_leavers_are_disabled_all_the_same(
    company: Company, server: ScimServer, refusal: ServerFault
) -> None:
    company.people("ann", "bob", "cleo")
    await company.cycle()
    del company.users["ann"]
    company.people("new", "newer")
    company.users["bob"]["jobTitle"] = "Manager"
    server.script.on("GET", "/Users$", then=refusal, times=FOR_EVER)
    report = await company.cycle()
    assert (report.state, report.exit_code, done(report)) == ("unreachable", 4, {"update": 1, "disable": 1})
    assert len(report.problems) == 1
    assert server.user(ANN)["active"] is False
    assert not any(seen.method == "POST" for seen in server.requests[-3:])
    server.script.clear()
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 2})


@pytest.mark.parametrize(
    "odd",
    [
        b'{"totalResults": 1, "Resources": [{"userName": "new@example.com"}]}',
        b'{"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 3}',
    ],
)
async def test_an_odd_answer_about_one_name_fails_that_entry_only(
    company: Company, server: ScimServer, odd: bytes
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    company.people("new", "newer")
    server.script.on("GET", "/Users$", then=WrongJson(odd))
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("active", 1)
    assert done(report) == {"create": 1, "disable": 1, "failure": 1}
    assert [failure["id"] for failure in report.failures] == ["new"]


async def test_a_full_cycle_that_may_not_list_disables_leavers(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    server.script.on("GET", "/Users$", then=Status(403), times=FOR_EVER)
    report = await company.cycle(full=True)
    assert (report.state, report.exit_code, done(report)) == ("unreachable", 4, {"disable": 1})
    assert server.user(ANN)["active"] is False


# --- a 404 that is not SCIM's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"message": "no Route matched with those values"}, b"<html>404</html>", None])
@pytest.mark.parametrize("delete", [False, True])
async def test_behind_a_url_that_leads_nowhere_nobody_is_gone(
    company: Company, server: ScimServer, body: object, delete: bool
) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n' if delete else ""
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    server.script.on("*", "/", then=Status(404, body=body), times=FOR_EVER)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"failure": 1})
    server.script.clear()
    await company.cycle()
    assert [user["userName"] for user in server.users.values() if user["active"]] == ["bob@example.com"]


# --- holds -------------------------------------------------------------------------------------------------------

TEN = [f"p{n:02}" for n in range(10)]


def inactive(server: ScimServer) -> int:
    return sum(user["active"] is False for user in server.users.values())


async def test_what_changed_rules_would_take_away_stays_held(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "keep"\n'
    company.people(*TEN)
    await company.cycle()
    for one in TEN[:6]:
        del company.users[one]
    assert done(await company.cycle()) == {}
    company.tables = ""
    for _ in range(3):
        report = await company.cycle()
        assert (report.state, done(report)) == ("held", {"held": 6})
    assert inactive(server) == 0


async def test_what_a_full_cycle_found_stays_held(company: Company, server: ScimServer) -> None:
    company.people(*TEN)
    await company.cycle()
    for days, leavers in enumerate((TEN[:5], TEN[5:6])):
        for one in leavers:
            company.users[one]["accountEnabled"] = False
        assert (await company.cycle()).exit_code == 0, days
        company.clock.turn(2 * DAY)
    for one in TEN[:6]:
        server.user(f"{one}@example.com")["active"] = True
    assert done(await company.cycle(full=True)) == {"held": 6}
    report = await company.cycle()
    assert (report.state, done(report)) == ("held", {"held": 6})
    for one in TEN[:3]:
        company.users[one]["accountEnabled"] = True
    assert done(await company.cycle()) == {"disable": 3}
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_a_reading_that_shows_a_part_of_what_is_held_lets_none_of_it_through(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people(*TEN)
    company.group("g1", TEN, "Crew")
    await company.cycle()
    for one in TEN[:6]:
        company.users[one]["accountEnabled"] = False
    company.group("g1", TEN[:5], "Crew")
    assert done(await company.cycle()) == {"held": 11}
    company.write()
    users = company.directory / "users.jsonl"
    users.write_bytes(b"".join(users.read_bytes().splitlines(keepends=True)[:4]) + b"broken")
    report = await company.cycle(write=False)
    assert report.state == "incomplete"
    assert (inactive(server), len(server.members("Crew"))) == (0, 10)
    assert (await company.cycle()).state == "held"
    company.job += '\ndeletion_share = "90%"'
    assert done(await company.cycle()) == {"disable": 6, "members_removed": 5}
    assert done(await company.cycle()) == {}


async def test_what_is_done_with_a_warning_counts_against_the_safeguard(company: Company, server: ScimServer) -> None:
    company.people(*TEN)
    await company.cycle()
    for one in TEN[:5]:
        del server.users[server.user(f"{one}@example.com")["id"]]
        del company.users[one]
    company.clock.turn(HOUR)
    assert done(await company.cycle()) == {"disable": 5}
    assert {row["status"] for row in await company.log(action="disable")} == {"warning"}
    del company.users["p05"]
    assert done(await company.cycle()) == {"held": 1}


# --- members of groups -------------------------------------------------------------------------------------------

FILTER = """[jobs.app.users.filter]
attribute = "department"
operator = "NOT EQUALS"
value = "Alumni"
"""


async def test_who_is_disabled_after_a_grace_leaves_the_groups(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + '[jobs.app.deprovision]\ndisable_after = "1d"\n'
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    del company.users["ann"]
    company.group("g1", ["bob"], "Crew")
    assert done(await company.cycle()) == {}
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"disable": 1, "members_removed": 1}
    assert len(server.members("Crew")) == 1


async def test_who_was_kept_and_is_disabled_by_changed_rules_leaves_the_groups(
    company: Company, server: ScimServer
) -> None:
    company.tables = FILTER + GROUPS + '[jobs.app.deprovision]\nout_of_scope = "keep"\n'
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    company.users["ann"]["department"] = "Alumni"
    assert done(await company.cycle()) == {}
    company.tables = FILTER + GROUPS
    assert done(await company.cycle()) == {"disable": 1, "members_removed": 1}
    assert len(server.members("Crew")) == 1


# --- what is not known -------------------------------------------------------------------------------------------


async def test_somebody_inactive_and_kept_is_looked_at_again_when_the_group_is_back(
    company: Company, server: ScimServer
) -> None:
    company.job = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'
    company.tables = '[jobs.app.deprovision]\ninactive = "keep"\n'
    company.people("ann", "bob")
    group = company.group("g1", ["ann", "bob"], "APP")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    del company.groups["g1"]
    assert done(await company.cycle()) == {}
    company.groups["g1"] = {**group, "members": ["bob"]}
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
async def test_an_entry_that_is_nested_too_deeply_is_a_problem_of_its_own(
    company: Company, server: ScimServer, suffix: str
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    title: object = "x"
    for _ in range(240):
        title = [title]
    rows = [*company.users.values(), {**company.person("new"), "jobTitle": title}]
    company.write()
    lines = [json.dumps(row) for row in rows]
    (company.directory / "users.json").write_text(f"[{', '.join(lines)}]")
    (company.directory / "users.jsonl").write_text("\n".join(lines))
    company.users_file = f"users.{suffix}"
    if suffix == "json":
        await company.rebind(keep_links=True)
        (company.directory / "users.json").write_text(f"[{', '.join(lines)}]")
    report = await company.cycle(write=False)
    assert (report.state, done(report)) == ("incomplete", {"disable": 1})
    assert "nested more than 200 levels deep" in report.problems[0]
    assert server.user(ANN)["active"] is False


@pytest.mark.parametrize("what", ["add", "remove"])
async def test_a_change_of_members_without_a_sure_answer_is_looked_at_so_that_it_can_be_reversed(
    company: Company, server: ScimServer, what: str
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    before, then = (["ann"], ["ann", "bob"]) if what == "add" else (["ann", "bob"], ["ann"])
    company.group("g1", before, "Crew")
    await company.cycle()
    company.group("g1", then, "Crew")
    server.script.on("PATCH", "/Groups", then=Status(500, done=True), times=8)
    assert (await company.cycle()).exit_code == 1
    server.script.clear()
    assert len(server.members("Crew")) == len(then)
    company.group("g1", before, "Crew")
    company.clock.turn(DAY)
    await company.cycle()
    assert len(server.members("Crew")) == len(before)


async def test_in_an_exact_group_nobody_is_a_stranger_after_a_reading_that_is_not_whole(
    company: Company, server: ScimServer
) -> None:
    bob = server.put("user", userName="bob@example.com", active=True)
    eve = server.put("user", userName="eve@example.com", active=True)
    server.put("group", displayName="Crew", members=[{"value": bob}, {"value": eve}])
    company.tables = GROUPS + 'members = "exact"\n'
    company.people("ann")
    company.group("g1", ["ann", "bob"], "Crew")
    company.write()
    with (company.directory / "users.jsonl").open("ab") as users:
        users.write(b'{"id": "bob", "userPrinc')
    assert (await company.cycle(write=False)).state == "incomplete"
    assert {bob, eve} < server.members("Crew")
    company.people("bob")
    await company.cycle()
    assert server.members("Crew") == {bob, server.user(ANN)["id"]}


async def test_in_an_exact_group_who_is_listed_and_not_linked_is_no_stranger(
    company: Company, server: ScimServer
) -> None:
    bob = server.put("user", userName="bob@example.com", active=True)
    eve = server.put("user", userName="eve@example.com", active=True)
    server.put("group", displayName="Crew", members=[{"value": bob}, {"value": eve}])
    company.tables = FILTER + GROUPS + 'members = "exact"\n'
    company.people("ann")
    company.person("bob", department="Alumni")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    assert server.members("Crew") == {bob, server.user(ANN)["id"]}


@pytest.mark.parametrize("full", [False, True])
async def test_who_reports_to_somebody_that_was_made_again_follows(
    company: Company, server: ScimServer, full: bool
) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    company.people("boss")
    await company.cycle()
    company.clock.turn(HOUR)
    del server.users[server.user("boss@example.com")["id"]]
    if not full:
        company.users["boss"]["jobTitle"] = "Chief"
    assert done(await company.cycle(full=full))["create"] == 1
    await company.cycle()
    manager = server.user(ANN)["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["manager"]
    assert manager["value"] == server.user("boss@example.com")["id"]
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []
