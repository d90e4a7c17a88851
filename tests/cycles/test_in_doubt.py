"""Answers that leave a doubt whether something was done, or of whom they speak: a look at the target settles it."""

from __future__ import annotations

import pytest

from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.cycles.test_leaving import Leave, gone, inactive
from tests.servers.faults import (
    FOR_EVER,
    Delay,
    Drop,
    DropAfterCommit,
    ServerFault,
    Status,
    Throttle,
    Unauthorized,
    WrongJson,
)
from tests.servers.quirks import Quirks
from tests.servers.schemas import LIST_RESPONSE
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
OUT_OF_SCOPE = """
[jobs.app.users.filter]
attribute = "department"
operator = "NOT EQUALS"
value = "Alumni"
"""


# --- a 404 that speaks of something else than the account ---------------------------------------------------------


async def test_a_rename_that_meets_a_404_makes_no_second_account(company: Company, server: ScimServer) -> None:
    company.attributes += MANAGER
    company.people("ann", "bob", "boss")
    await company.cycle()
    company.clock.turn(HOUR)  # what was made just now would not be believed gone
    company.person("ann", userPrincipalName="ann.married@example.com", manager="boss")
    server.script.on("PATCH", "/Users", then=Status(404), body="manager", times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    assert (len(server.users), server.sent("POST")[3:]) == (3, [])
    server.script.clear()
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("ann.married@example.com")["externalId"] == "ann"
    assert len(server.users) == 3


async def test_a_disable_that_meets_a_404_for_another_attribute_is_sent_alone(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.person("ann", accountEnabled=False, jobTitle="Former engineer")
    server.script.on("PATCH", "/Users", then=Status(404), body="title", times=FOR_EVER)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


# --- what was to be sent, and never was ----------------------------------------------------------------------------


async def test_who_was_there_is_not_taken_for_somebody_whom_we_made(company: Company, server: ScimServer) -> None:
    company.concurrency = 1
    company.people("ann", "bob")
    server.put("user", userName="bob@example.com", active=True)
    server.quirks = Quirks(filter_lies_empty=("userName",))
    server.script.on("POST", "/Users", then=Unauthorized(), times=FOR_EVER)
    assert done(await company.cycle()) == {}
    assert [seen.body["userName"] for seen in server.sent("POST")] == [ANN]
    server.script.clear()
    server.quirks = Quirks()
    assert done(await company.cycle()) == {"create": 1, "adopt": 1}


async def test_a_group_that_was_there_is_not_deleted_because_one_of_its_name_was_to_be_made(
    company: Company, server: ScimServer
) -> None:
    company.concurrency = 1
    company.tables = GROUPS + "hold_deletes = false\n"
    company.people("ann")
    await company.cycle()
    server.put("group", displayName="Crew")
    company.group("g1", [], "Board")
    company.group("g2", [], "Crew")
    server.quirks = Quirks(filter_lies_empty=("displayName",))
    server.script.on("POST", "/Groups", then=Unauthorized(), times=FOR_EVER)
    await company.cycle()
    server.script.clear()
    server.quirks = Quirks()
    assert done(await company.cycle()) == {"create": 1, "adopt": 1}
    company.groups.clear()
    assert done(await company.cycle()) == {"delete": 1}
    assert [group["displayName"] for group in server.groups.values()] == ["Crew"]


@pytest.mark.parametrize("leaves", [False, True])
async def test_an_unanswered_create_that_the_search_hides_is_found_in_the_list(
    company: Company, server: ScimServer, leaves: bool
) -> None:
    server.quirks = Quirks(filter_lies_empty=("userName",))
    company.people("bob")
    await company.cycle()
    company.person("ann")
    server.script.on("POST", "/Users", then=DropAfterCommit(), times=FOR_EVER)
    await company.cycle()
    server.script.clear()
    if leaves:
        company.users["ann"]["accountEnabled"] = False
    else:
        company.person("ann", userPrincipalName="ann.married@example.com")
    await company.cycle()
    await company.cycle()
    [account] = [user for user in server.users.values() if user["externalId"] == "ann"]
    assert (account["active"], account["userName"]) == ((False, ANN) if leaves else (True, "ann.married@example.com"))


async def test_of_those_who_wait_for_a_name_nobody_is_sent_any_more_once_the_target_refuses_us(
    company: Company, server: ScimServer
) -> None:
    company.concurrency = 1
    company.people("ann", "bob", "dan")
    server.script.on("POST", "/Users", then=Status(409), times=3)
    server.script.on("POST", "/Users", then=Unauthorized(), times=FOR_EVER)
    assert (await company.cycle()).state == "unreachable"
    assert len(server.sent("POST")) == 4
    server.script.clear()
    assert done(await company.cycle()) == {"create": 3}


@pytest.mark.parametrize("leave", [gone, inactive], ids=["gone", "inactive"])
async def test_a_leaver_whom_a_comparison_has_shown_on_is_switched_off_though_that_cycle_was_given_up(
    company: Company, server: ScimServer, leave: Leave
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    leave(company)
    await company.cycle()
    server.user(ANN)["active"] = True
    server.script.on("PATCH", "/Users", then=Unauthorized(), times=FOR_EVER)
    assert done(await company.cycle(full=True)) == {}
    server.script.clear()
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


async def test_who_was_refused_after_an_add_without_an_answer_is_taken_out_when_she_leaves(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(no_members_on_get=True)
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["bob"], "Crew")
    await company.cycle()
    company.group("g1", ["ann", "bob"], "Crew")
    server.script.on("PATCH", "/Groups", then=DropAfterCommit())
    server.script.on("PATCH", "/Groups", then=Status(400), times=FOR_EVER)
    await company.cycle()
    assert server.user(ANN)["id"] in server.members("Crew")
    server.script.clear()
    company.group("g1", ["bob"], "Crew")
    company.clock.turn(DAY)
    await company.cycle()
    assert server.user(ANN)["id"] not in server.members("Crew")


# --- a change that came through, and whose next try was refused ---------------------------------------------------


@pytest.mark.parametrize("then", [Throttle(3600), Status(403)])
async def test_who_was_switched_on_without_an_answer_and_left_again_does_not_stay_on(
    company: Company, server: ScimServer, then: ServerFault
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}
    company.users["ann"]["accountEnabled"] = True
    server.script.on("PATCH", "/Users", then=DropAfterCommit())
    server.script.on("PATCH", "/Users", then=then, times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    assert server.user(ANN)["active"] is True
    server.script.clear()
    company.users["ann"]["accountEnabled"] = False
    company.clock.turn(2 * HOUR)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


async def test_whose_account_was_taken_over_without_an_answer_has_it_under_her_new_name_too(
    company: Company, server: ScimServer
) -> None:
    company.tables = OUT_OF_SCOPE
    company.people("ann")
    server.put("user", userName=ANN, active=True)
    server.script.on("PATCH", "/Users", then=DropAfterCommit())
    server.script.on("PATCH", "/Users", then=Throttle(3600), times=FOR_EVER)
    await company.cycle()
    assert server.user(ANN)["externalId"] == "ann"
    server.script.clear()
    company.person("ann", userPrincipalName="ann.married@example.com", department="Alumni")
    company.clock.turn(2 * HOUR)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


# --- an answer that is no answer, and a look that failed ------------------------------------------------------------


async def test_a_create_that_is_answered_with_something_else_may_have_been_done(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(filter_refused=400)
    company.tables = OUT_OF_SCOPE
    company.people("ann")
    server.script.on("POST", "/Users", then=WrongJson())
    await company.cycle()
    company.users["ann"]["department"] = "Alumni"
    await company.cycle()
    assert server.user(ANN)["active"] is False


async def test_who_was_locked_after_a_look_that_failed_was_not_locked_by_us(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(patch_unsupported=True)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Chief"
    server.script.on("GET", f"/Users/{server.user(ANN)['id']}", then=Status(500), times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    assert not server.sent("PUT"), "nothing was changed"
    server.script.clear()
    server.user(ANN)["active"] = False
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"update": 1}
    assert (server.user(ANN)["active"], server.user(ANN)["title"]) == (False, "Chief")


async def test_a_disable_that_was_refused_with_the_credential_is_sent_again_and_not_taken_for_done(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users.pop("ann")
    server.script.on("PATCH", "/Users", then=Status(401), times=FOR_EVER)
    assert (await company.cycle()).exit_code == 4
    refused = len(server.sent("PATCH"))
    assert refused > 0
    server.script.clear()
    server.user(ANN)["active"] = False  # somebody else does it
    assert done(await company.cycle()) == {"disable": 1}
    assert len(server.sent("PATCH")) == refused + 1


async def test_a_disable_without_an_answer_is_ours_where_the_target_was_given_up_before_it_was_sent_alone(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[jobs.app.deprovision]\ndelete_after = "7d"\n'
    company.people("ann", "bob")
    await company.cycle()
    company.person("ann", accountEnabled=False, jobTitle="Former engineer")
    server.script.on("PATCH", "/Users", then=DropAfterCommit(), times=FOR_EVER)
    assert (await company.cycle()).exit_code == 4
    assert server.user(ANN)["active"] is False
    server.script.clear()
    company.clock.turn(HOUR)
    assert done(await company.cycle(full=True)) == {}
    company.clock.turn(8 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


@pytest.mark.parametrize(
    ("hers", "method", "nth", "other"),
    [
        (Unauthorized(), "POST", 1, Unauthorized()),
        (Status(409), "POST", 1, Unauthorized()),
        (Status(409), "GET", 3, Status(500)),
        (Status(409), "GET", 3, Status(401)),
    ],
    ids=["credential", "name, then credential", "name, and not by whom", "name, and not by whom for the credential"],
)
async def test_who_was_there_is_not_taken_for_what_a_refused_create_has_made(
    company: Company, server: ScimServer, hers: ServerFault, method: str, nth: int, other: ServerFault
) -> None:
    company.concurrency = 1
    company.tables = OUT_OF_SCOPE
    company.people("ann", "bob")
    server.script.on("POST", "/Users", then=hers, times=FOR_EVER, body="ann")
    server.script.on(method, "/Users", then=other, nth=nth, times=FOR_EVER)
    await company.cycle()
    server.script.clear()
    server.put("user", userName=ANN, active=True)
    company.users["ann"]["department"] = "Alumni"
    company.clock.turn(DAY)
    assert done(await company.cycle()).keys() <= {"create", "skip"}
    assert server.user(ANN)["active"] is True


@pytest.mark.parametrize("then", [Unauthorized(), Status(409)])
async def test_what_a_create_without_an_answer_made_is_hers_though_the_next_try_was_refused(
    company: Company, server: ScimServer, then: ServerFault
) -> None:
    company.concurrency = 1
    company.tables = OUT_OF_SCOPE
    company.people("ann", "bob")
    nobody = {"schemas": [LIST_RESPONSE], "totalResults": 0, "Resources": []}
    server.script.on("GET", "/Users$", then=Status(200, body=nobody), times=FOR_EVER)
    server.script.on("POST", "/Users", then=DropAfterCommit(), body="ann")
    server.script.on("POST", "/Users", then=then, body="ann")
    server.script.on("POST", "/Users", then=Unauthorized(), nth=2, times=FOR_EVER)
    await company.cycle()
    assert [seen.body["userName"] for seen in server.sent("POST")].count(ANN) > 1
    server.script.clear()
    company.users["ann"]["department"] = "Alumni"
    company.clock.turn(DAY)
    await company.cycle()
    assert server.user(ANN)["active"] is False


# --- two of one name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["reference", "title"])
async def test_who_is_switched_off_while_another_change_got_no_answer_was_not_disabled_by_us(
    company: Company, server: ScimServer, change: str
) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    company.people("bob")
    await company.cycle()
    if change == "reference":
        company.person("boss")
    else:
        company.users["ann"]["jobTitle"] = "Chief"
    server.script.on("PATCH", "/Users", then=Status(500), times=FOR_EVER)
    await company.cycle()
    assert len(server.sent("PATCH")) > 0
    server.script.clear()
    server.user(ANN)["active"] = False
    ann = company.users.pop("ann")
    await company.cycle()
    logged = [(row["action"], row["operation"], row["status"]) for row in await company.log(user="ann")]
    assert "disable" not in {word for row in logged for word in row[:2]}
    assert ("update", "update", "success") in logged, "that she was found switched off is told all the same"
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {}, "what we have not disabled we do not delete"
    company.users["ann"] = ann
    await company.cycle()
    assert server.user(ANN)["active"] is False
    assert [len(hold.operations) for hold in await company.held()] == [1], "to switch her on needs a person's word"


async def test_what_is_being_made_for_a_successor_is_not_taken_for_what_was_never_made(
    company: Company, server: ScimServer
) -> None:
    company.people("bob")
    await company.cycle()
    company.people("ann")
    server.script.on("POST", "/Users", then=Drop(), times=FOR_EVER)
    server.script.on("GET", "/Users", then=Drop(), nth=2, times=FOR_EVER)
    await company.cycle()
    server.script.clear()
    del company.users["ann"]
    company.person("anna", userPrincipalName=ANN)
    server.script.on("POST", "/Users", then=Delay(0.2, done=True))
    await company.cycle()
    assert (server.user(ANN)["externalId"], server.user(ANN)["active"]) == ("anna", True)
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


# --- a list that is older than what was made ------------------------------------------------------------------------


async def test_nobody_is_made_twice_where_only_a_list_shows_what_was_made(company: Company, server: ScimServer) -> None:
    server.quirks = Quirks(filter_refused=400, created_without_id=True, lax_unique=True)
    names = [f"p{number}" for number in range(12)]
    company.people(*names)
    await company.cycle()
    await company.cycle()
    assert sorted(user["externalId"] for user in server.users.values()) == sorted(names)
    assert len(server.sent("POST")) == len(names)


# --- many at once -------------------------------------------------------------------------------------------------


async def test_many_accounts_in_doubt_are_looked_at_with_one_list(company: Company, server: ScimServer) -> None:
    company.concurrency = 16
    names = [f"p{number}" for number in range(30)]
    company.people(*names)
    await company.cycle()
    for name in names:
        company.users[name]["jobTitle"] = "Manager"
    server.script.on("PATCH", "/Users", then=DropAfterCommit(), times=FOR_EVER)
    await company.cycle()
    assert sum(user["title"] == "Manager" for user in server.users.values()) > 8
    server.script.clear()
    server.clear_requests()
    for name in names:
        company.users[name]["jobTitle"] = "Engineer"
    await company.cycle()
    assert {seen.path for seen in server.sent("GET")} == {"/Users"}, "nobody is asked for alone"
    assert {user["title"] for user in server.users.values()} == {"Engineer"}
