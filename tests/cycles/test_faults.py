"""Targets that fail: others go on, nothing is lost, nothing is hammered, and the next cycle makes it good."""

from __future__ import annotations

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import (
    FOR_EVER,
    CutBody,
    Drop,
    ErrorInside200,
    ServerFault,
    Status,
    Throttle,
    Unauthorized,
    WrongJson,
)
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
PEOPLE = ("ann", "bob", "cleo", "dan")


def take_out(server: ScimServer, member: str) -> None:
    """Take a member out of the group as the target does when an account is deleted there."""
    crew = server.group("Crew")
    crew["members"] = [one for one in crew["members"] if one["value"] != member]


# --- accounts that have vanished ---------------------------------------------------------------------------------


async def test_a_change_of_an_account_that_has_vanished_makes_it_again_in_the_same_cycle(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    company.clock.turn(HOUR)
    del server.users[server.user(ANN)["id"]]
    company.users["ann"]["jobTitle"] = "Manager"
    report = await company.cycle()
    assert (report.exit_code, report.counts["create"], report.counts["members_added"]) == (0, 1, 1)
    assert server.user(ANN)["title"] == "Manager"
    assert server.user(ANN)["id"] in server.members("Crew")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


@pytest.mark.parametrize("out_of_it", [False, True], ids=["still in it", "out of it by then"])
@pytest.mark.parametrize("members", ["owned", "exact"])
async def test_whose_account_does_not_show_and_has_the_name_all_the_same_stays_in_the_group(
    company: Company, server: ScimServer, members: str, *, out_of_it: bool
) -> None:
    company.tables = GROUPS + f'members = "{members}"\n'
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    company.clock.turn(HOUR)
    everybody, ann = server.members("Crew"), server.user(ANN)
    del server.users[ann["id"]]
    server.script.on("POST", "/Users$", then=Status(409), times=FOR_EVER)
    for full in (True, False):
        assert done(await company.cycle(full=full)).keys() <= {"failure"}
        assert server.members("Crew") == everybody
    server.users[ann["id"]] = ann
    if out_of_it:
        take_out(server, ann["id"])
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"adopt": 1, "members_added": 1}
    assert server.members("Crew") == everybody
    company.group("g1", PEOPLE[1:], "Crew")
    assert done(await company.cycle()) == {"members_removed": 1}


async def test_a_disable_of_an_account_that_has_vanished_is_done(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.forget()
    company.clock.turn(HOUR)
    company.users["ann"]["accountEnabled"] = False
    del company.users["bob"]
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"disable": 2})
    assert server.users == {}
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_a_target_that_forgot_everything_gets_everything_again_in_a_full_cycle(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    server.forget()
    company.clock.turn(HOUR)
    report = await company.cycle(full=True)
    assert (report.exit_code, report.counts["create"]) == (0, 5)
    assert len(server.members("Crew")) == 4


async def test_a_wrong_url_is_not_taken_for_accounts_that_have_vanished(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.script.on("*", ".", then=Status(404, body=b"<html>not here</html>"), times=FOR_EVER)
    company.users["ann"]["jobTitle"] = "Manager"
    company.users["bob"]["accountEnabled"] = False
    report = await company.cycle()
    assert report.counts.get("create", 0) == report.counts.get("disable", 0) == 0
    assert report.exit_code != 0
    server.script.clear()
    server.clear_requests()
    assert done(await company.cycle()) == {"update": 1, "disable": 1}
    assert server.sent("POST") == []


# --- one object that fails ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [Status(500), Status(400), Status(403), Status(422), Status(500, body=b"<html>no</html>"), ErrorInside200()],
)
async def test_one_that_fails_stops_nobody_else_and_is_tried_again_later_not_at_once(
    company: Company, server: ScimServer, fault: ServerFault
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    bob = server.user("bob@example.com")["id"]
    server.script.on("PATCH", bob, then=fault, times=FOR_EVER)
    for row in company.users.values():
        row["jobTitle"] = "Manager"
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"update": 3, "failure": 1})
    assert (report.failures[0]["id"], report.failures[0]["operation"]) == ("bob", "update")
    assert done(await company.cycle()) == {"failure": 1}, "tried again in the next cycle"
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "then only after six hours"
    company.clock.turn(6 * HOUR + 60)
    assert done(await company.cycle()) == {"failure": 1}
    company.clock.turn(6 * HOUR + 60)
    assert done(await company.cycle()) == {}
    server.script.clear()
    company.clock.turn(6 * HOUR + 60)
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("bob@example.com")["title"] == "Manager"


async def test_a_change_of_the_entry_is_tried_at_once(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.script.on("PATCH", server.user(ANN)["id"], then=Status(400), times=2)
    company.users["ann"]["jobTitle"] = "Manager"
    for _ in range(2):
        assert done(await company.cycle()) == {"failure": 1}
    assert done(await company.cycle()) == {}
    company.users["ann"]["jobTitle"] = "Chief"
    assert done(await company.cycle()) == {"update": 1}


async def test_a_disable_that_fails_is_tried_in_every_cycle(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.script.on("PATCH", ".", then=Status(400), times=FOR_EVER)
    company.users["ann"]["accountEnabled"] = False
    del company.users["bob"]
    for _ in range(5):
        assert done(await company.cycle()) == {"failure": 2}
    server.script.clear()
    assert done(await company.cycle()) == {"disable": 2}


async def test_one_create_that_fails_stops_nobody_else(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    server.script.on("POST", "/Users$", body="bob", then=Status(500), times=FOR_EVER)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"create": 3, "failure": 1})
    server.script.clear()
    assert done(await company.cycle()) == {"create": 1}


# --- a target that wants us to wait ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
async def test_who_is_asked_to_wait_waits_and_goes_on(company: Company, server: ScimServer, status: int) -> None:
    company.people(*(f"p{number}" for number in range(20)))
    server.script.on("POST", "/Users$", then=Throttle(7, status=status), nth=5, times=2)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 20})
    assert len(server.users) == 20
    assert max(company.clock.slept) >= 6.9


async def test_who_is_asked_to_wait_too_long_comes_back_in_the_next_cycle(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    server.script.on("POST", "/Users$", then=Throttle(3600), nth=2, times=FOR_EVER)
    report = await company.cycle()
    assert report.exit_code == 1
    assert max(company.clock.slept, default=0) < 300, "no cycle sleeps for an hour"
    server.script.clear()
    company.clock.turn(HOUR)
    await company.cycle()
    assert len(server.users) == 4


# --- a target that cannot be worked with -------------------------------------------------------------------------


async def test_a_dead_target_ends_the_cycle_soon_and_loses_nothing(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    await server.stop()
    company.person("new")
    company.users["ann"]["accountEnabled"] = False
    company.users["bob"]["jobTitle"] = "Manager"
    del company.users["cleo"]
    company.group("g1", ["bob", "new"], "The crew")
    began = company.clock.monotonic()
    report = await company.cycle()
    assert (report.state, report.exit_code, done(report)) == ("unreachable", 4, {})
    assert company.clock.monotonic() - began < 30
    await server.start()
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("active", 0)
    assert done(report) == {"create": 1, "update": 2, "disable": 2, "members_added": 1, "members_removed": 3}
    assert server.members("The crew") == {server.user(f"{one}@example.com")["id"] for one in ("bob", "new")}


@pytest.mark.parametrize("path", ["/Users$", "."])
@pytest.mark.parametrize("fault", [Unauthorized(), Status(403), Status(200, body=b"<html>log in</html>")])
async def test_a_target_that_refuses_us_is_not_asked_for_everybody(
    company: Company, server: ScimServer, fault: ServerFault, path: str
) -> None:
    company.people(*(f"p{number}" for number in range(40)))
    server.script.on("*", path, then=fault, times=FOR_EVER)
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("unreachable", 4)
    assert len(server.requests) < 20
    server.script.clear()
    assert done(await company.cycle()) == {"create": 40}


async def test_a_credential_that_runs_out_in_the_middle_loses_nothing(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{number:02}" for number in range(40)))
    await company.cycle()
    server.script.on("PATCH", "/Users", then=Unauthorized(), nth=10, times=FOR_EVER)
    for row in company.users.values():
        row["jobTitle"] = "Manager"
    company.users["p03"]["accountEnabled"] = False
    report = await company.cycle()
    assert (report.state, report.exit_code, report.counts.get("failure", 0)) == ("unreachable", 4, 0)
    assert len(server.sent("PATCH")) < 30
    server.script.clear()
    assert (await company.cycle()).exit_code == 0
    assert all(user["title"] == "Manager" for user in server.users.values())
    assert server.user("p03@example.com")["active"] is False


async def test_a_credential_that_is_refused_for_a_moment(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    server.script.on("GET", "/Users$", then=Unauthorized(), times=1)
    first, second = await company.cycle(), await company.cycle()
    assert (first.exit_code, second.exit_code) == (4, 0)
    assert len(server.users) == 4


async def test_a_target_that_allows_no_create_says_so_and_the_leavers_are_disabled_all_the_same(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.script.on("POST", "/Users$", then=Status(403), times=FOR_EVER)
    company.people("new")
    del company.users["ann"]
    report = await company.cycle()
    assert (report.state, report.exit_code) == ("unreachable", 4)
    assert done(report) == {"disable": 1, "failure": 1}
    assert server.user(ANN)["active"] is False


@pytest.mark.parametrize("fault", [Drop(), CutBody(), WrongJson()])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
async def test_answers_that_are_lost_or_broken_now_and_then(
    company: Company, server: ScimServer, method: str, fault: ServerFault
) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    for nth in (1, 3, 4):
        server.script.on(method, ".", then=fault, nth=nth)
    company.people("new", "newer", "newest")
    company.group("g1", ("new", "ann"), "The crew")
    company.users["ann"]["jobTitle"] = "Manager"
    company.users["bob"]["accountEnabled"] = False
    for _ in range(3):
        await company.cycle()
    assert sorted(user["userName"] for user in server.users.values()) == sorted(
        row["userPrincipalName"] for row in company.users.values()
    )
    assert (server.user(ANN)["title"], server.user("bob@example.com")["active"]) == ("Manager", False)
    assert server.members("The crew") == {server.user(ANN)["id"], server.user("new@example.com")["id"]}
    server.script.clear()
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


# --- how much is asked -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_never_more_calls_in_flight_than_configured(
    company: Company, server: ScimServer, concurrency: int
) -> None:
    server.quirks = Quirks(seconds_per_request=0.002)
    company.concurrency = concurrency
    company.tables = GROUPS
    people = [f"p{number:02}" for number in range(40)]
    company.people(*people)
    for number in range(5):
        company.group(f"g{number}", people, f"Crew {number}")
    assert (await company.cycle()).exit_code == 0
    assert server.in_flight_max == concurrency


async def test_an_initial_cycle_asks_little_more_than_it_makes(company: Company, server: ScimServer) -> None:
    company.attributes += '{ to = "preferredLanguage", constant = "en" },'
    company.people(*(f"p{number:03}" for number in range(150)))
    report = await company.cycle()
    assert done(report) == {"create": 150}
    assert report.requests == {"GET": 2, "POST": 150} == {m: len(server.sent(m)) for m in ("GET", "POST")}
