"""One account, one owner: nobody gets a second account, and no account gets a second person."""

from __future__ import annotations

import pytest

from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, DropAfterCommit, Status, WrongJson
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
MATCH_BY_BOTH = """
  { to = "externalId", from = "employeeId", match = 1 },
  { to = "userName", from = "userPrincipalName", match = 2 },
  { to = "active", expression = "Not([IsSoftDeleted])" },
  { to = "title", from = "jobTitle" },
"""


def codes(report: object) -> list[str]:
    return [failure["error_code"] for failure in report.failures]  # type: ignore[attr-defined]  # because it is a report


def names(server: ScimServer) -> list[str]:
    return sorted(user["userName"] for user in server.users.values())


async def test_two_entries_that_match_one_account_are_told_apart(company: Company, server: ScimServer) -> None:
    server.put("user", userName=ANN, active=True)
    company.person("s1", userPrincipalName=ANN)
    company.person("s2", userPrincipalName=ANN.upper())
    report = await company.cycle()
    assert (done(report), codes(report)) == ({"adopt": 1, "failure": 1}, ["DuplicateSourceEntries"])
    assert server.user(ANN)["externalId"] == "s1"
    assert report.exit_code == 1


@pytest.mark.parametrize("many", [0, 20])
async def test_two_entries_of_one_name_make_one_account(company: Company, server: ScimServer, many: int) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.people(*(f"p{number}" for number in range(many)))
    company.person("s1", userPrincipalName=ANN)
    company.person("s2", userPrincipalName=ANN)
    report = await company.cycle()
    assert (done(report), codes(report)) == ({"create": 1 + many, "failure": 1}, ["DuplicateSourceEntries"])
    assert names(server).count(ANN) == 1
    for _ in range(2):
        await company.cycle()
    assert names(server).count(ANN) == 1


async def test_two_entries_of_one_second_name_make_one_account(company: Company, server: ScimServer) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.attributes = MATCH_BY_BOTH
    company.person("s1", userPrincipalName="one@example.com", employeeId="E1")
    company.person("s2", userPrincipalName="one@example.com", employeeId="E2")
    report = await company.cycle()
    assert (done(report), codes(report)) == ({"create": 1, "failure": 1}, ["DuplicateSourceEntries"])


async def test_a_name_that_the_filter_does_not_show_is_found_after_the_conflict(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(filter_lies_empty=("userName",))
    account = server.put("user", userName=ANN, active=True, title="Old")
    company.people("ann", "bob")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"adopt": 1, "create": 1})
    assert (server.user(ANN)["id"], server.user(ANN)["title"]) == (account, "Engineer")
    server.clear_requests()
    assert done(await company.cycle()) == {}


async def test_a_name_that_another_entry_holds_is_no_name_to_take(company: Company, server: ScimServer) -> None:
    server.quirks = Quirks(filter_lies_empty=("userName",))
    company.people("ann")
    await company.cycle()
    company.person("zoe", userPrincipalName=ANN)
    report = await company.cycle()
    assert codes(report) == ["DuplicateSourceEntries"]
    assert "belongs to ann" in report.failures[0]["reason"]
    assert server.user(ANN)["externalId"] == "ann"


async def test_an_account_that_this_cycle_has_switched_off_is_switched_on_for_who_has_its_name_now(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(filter_lies_empty=("userName",), soft_delete=True)
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("ann", "bob")
    await company.cycle()
    account = server.user(ANN)["id"]
    del company.users["ann"]
    company.person("zoe", userPrincipalName=ANN)
    assert done(await company.cycle()) == {"delete": 1, "adopt": 1}
    assert server.users[account]["active"] is True
    assert done(await company.cycle()) == {}


async def test_an_account_that_this_cycle_has_deleted_is_not_what_a_lost_create_has_made(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(filter_refused=400)
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    company.person("zoe", userPrincipalName=ANN)
    server.script.on("POST", "/Users", then=DropAfterCommit())
    assert done(await company.cycle()) == {"delete": 1, "create": 1}
    assert server.user(ANN)["externalId"] == "zoe"
    assert done(await company.cycle()) == {}


async def test_a_conflict_with_nobody_to_be_seen_is_a_failure_and_not_an_endless_create(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    server.script.on("POST", "/Users$", then=Status(409), times=FOR_EVER)
    report = await company.cycle()
    assert (report.exit_code, codes(report)) == (1, ["EntryConflict"])
    assert len(server.sent("POST")) <= 5
    server.script.clear()
    assert done(await company.cycle()) == {"create": 1}


@pytest.mark.parametrize("lax", [True, False])
async def test_many_accounts_that_match_are_left_alone(company: Company, server: ScimServer, lax: bool) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.attributes = MATCH_BY_BOTH
    for number in range(2):
        server.put("user", userName=f"a{number}@example.com", externalId="E-ann", active=True, title="Old")
    server.quirks = Quirks(lax_unique=lax)
    company.people("ann", "bob")
    report = await company.cycle()
    assert (done(report), codes(report)) == ({"create": 1, "failure": 1}, ["DuplicateTargetEntries"])
    assert [user["title"] for user in server.users.values()].count("Old") == 2
    assert len(server.users) == 3


async def test_rows_that_the_target_repeats_are_one_account(company: Company, server: ScimServer) -> None:
    server.quirks = Quirks(filter_repeats_rows=True)
    server.put("user", userName=ANN, active=True)
    company.people("ann")
    assert done(await company.cycle()) == {"adopt": 1}


async def test_the_second_matching_attribute_is_asked_for_where_the_first_finds_nobody(
    company: Company, server: ScimServer
) -> None:
    company.attributes = MATCH_BY_BOTH
    by_name = server.put("user", userName=ANN, active=True)
    by_id = server.put("user", userName="somebody@example.com", externalId="E-bob", active=True)
    server.put("user", userName="bob@example.com", active=True)
    company.people("ann", "bob")
    report = await company.cycle()
    assert report.counts["adopt"] >= 1
    assert server.users[by_name]["externalId"] == "E-ann"
    assert server.users[by_id]["externalId"] == "E-bob", "the first attribute that matches decides"
    assert codes(report) == ["EntryConflict"], "his name is taken by an account that nobody owns"


BARE_REFUSAL = Quirks(conflict_status=400, empty_errors=True)
NOBODY_FOUND = Status(200, body={"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 0})


async def test_a_create_in_doubt_is_not_sent_again_where_several_have_the_name(
    company: Company, server: ScimServer
) -> None:
    """The search did not show a stranger of that name at first; the app takes more than one of it."""
    server.quirks = Quirks(lax_unique=True)
    company.people("ann", "bob")
    server.put("user", userName=ANN, title="Theirs", active=True)
    server.script.on("GET", "/Users", then=NOBODY_FOUND, times=2)
    server.script.on("POST", "/Users", then=DropAfterCommit(), body='"ann@')
    report = await company.cycle()
    assert [failure["id"] for failure in report.failures] == ["ann"]
    await company.cycle()
    assert [user.get("title") for user in server.users.values() if user["userName"] == ANN] == [
        "Theirs",
        "Engineer",
    ]


async def test_a_create_that_a_taken_name_refuses_without_a_word_of_it_takes_the_account_over(
    company: Company, server: ScimServer
) -> None:
    server.quirks = BARE_REFUSAL
    mine = server.put("user", userName=ANN, active=True)
    company.people("ann")
    server.script.on("GET", "/Users$", then=NOBODY_FOUND)
    assert done(await company.cycle()) == {"adopt": 1}
    assert server.users[mine]["title"] == "Engineer"
    assert len(server.sent("POST")) == 1


async def test_a_create_that_is_refused_without_a_word_says_whose_the_name_is(
    company: Company, server: ScimServer
) -> None:
    server.quirks = BARE_REFUSAL
    company.attributes = MATCH_BY_BOTH
    company.people("ann")
    await company.cycle()
    company.person("ann2", userPrincipalName=ANN, employeeId="E-other")
    server.script.on("GET", "/Users$", then=NOBODY_FOUND, times=2)
    report = await company.cycle()
    assert codes(report) == ["DuplicateSourceEntries"]
    assert len(server.users) == 1


async def test_a_create_that_is_refused_and_whose_name_is_free_is_not_sent_again(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", *(f"p{number:02}" for number in range(20)))
    server.script.on("POST", "/Users$", then=Status(400), times=FOR_EVER, body="ann")
    report = await company.cycle()
    assert (done(report), codes(report)) == ({"create": 20, "failure": 1}, ["UnprocessableEntity"])
    assert len(server.sent("POST")) == 21
    server.script.clear()
    server.script.on("POST", "/Users$", then=Status(400), times=FOR_EVER)
    company.people(*(f"q{number:02}" for number in range(20)))
    company.clock.turn(86400.0)
    server.clear_requests()
    report = await company.cycle()
    assert set(codes(report)) == {"UnprocessableEntity"}
    assert len(server.sent("POST")) == 21
    asked = len(server.sent("GET"))
    assert asked < 12, "where all are refused it is not because of their names"


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(page_max=7),
        Quirks(page_max=7, wrong_total_results="page_size", lax_unique=True),
        Quirks(page_max=7, wrong_total_results="missing", lax_unique=True),
        Quirks(page_max=7, wrong_total_results=3, lax_unique=True),
        Quirks(page_max=7, repeats_first_page=True, lax_unique=True),
        Quirks(page_max=7, ignores_start_index=True, lax_unique=True),
        Quirks(ignores_filter=True, page_max=7, lax_unique=True),
        Quirks(filter_refused=400, lax_unique=True),
        Quirks(filter_refused=501, page_max=7, lax_unique=True),
        Quirks(filter_case_exact=True, lax_unique=True),
    ],
    ids=str,
)
async def test_an_odd_list_never_leads_to_a_second_account(
    company: Company, server: ScimServer, quirks: Quirks
) -> None:
    people = [f"p{number:02}" for number in range(30)]
    for name in people:
        server.put("user", userName=f"{name}@example.com", active=True)
    server.quirks = quirks
    company.people(*people, "new")
    for _ in range(2):
        await company.cycle()
        company.clock.turn(86400)
    assert len(set(names(server))) == len(server.users), "nobody twice"
    if not quirks.ignores_start_index:
        assert len(server.users) == 31
        assert all(user["title"] == "Engineer" for user in server.users.values())


# --- replies that are lost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lax", [True, False])
async def test_a_lost_reply_makes_no_second_account(company: Company, server: ScimServer, lax: bool) -> None:
    server.quirks = Quirks(lax_unique=lax)
    company.people(*(f"p{number}" for number in range(12)))
    server.script.on("POST", "/Users$", then=DropAfterCommit(), nth=3, times=4)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 12})
    assert len(server.users) == 12
    assert server.script.waiting == []
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


async def test_a_reply_that_is_lost_by_a_target_which_shows_late_makes_no_second_account(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(lax_unique=True, invisible_for_requests=1)
    company.people("ann", "bob", "cleo", "dan")
    server.script.on("POST", "/Users$", then=DropAfterCommit(), nth=2)
    for _ in range(2):
        await company.cycle()
    assert names(server) == [f"{name}@example.com" for name in ("ann", "bob", "cleo", "dan")]


async def test_a_create_that_ends_in_an_error_is_asked_for_before_the_next_one(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(lax_unique=True)
    company.people("ann", "bob")
    server.script.on("POST", "/Users$", then=Status(500, done=True), nth=2)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"create": 2})
    assert len(server.users) == 2


async def test_who_was_made_with_an_answer_that_nobody_can_read_is_found_under_her_old_name(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    server.script.on("POST", "/Users$", body="ann", then=WrongJson())
    server.script.on("GET", "/Users$", then=Status(500), nth=3, times=FOR_EVER)
    assert done(await company.cycle()) == {"create": 1, "failure": 1}
    server.script.clear()
    company.users["ann"]["userPrincipalName"] = "ann.married@example.com"
    assert done(await company.cycle()) == {"create": 1, "update": 1}, "found, and renamed"
    assert names(server) == ["ann.married@example.com", "bob@example.com"]


async def test_a_leaver_whose_create_was_lost_is_disabled(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "assigned"\nassigned = [ { user = "ann" }, { user = "bob" }, { user = "cleo" } ]'
    company.people("ann", "bob", "cleo")
    server.script.on("POST", "/Users$", body="ann|bob", then=Status(500, done=True), times=2)
    server.script.on("GET", "/Users$", then=Status(500), nth=4, times=FOR_EVER)
    report = await company.cycle()
    assert done(report) == {"create": 1, "failure": 2}
    server.script.clear()
    company.job = 'scope = "assigned"\nassigned = [ { user = "bob" }, { user = "cleo" } ]'
    del company.users["bob"]
    report = await company.cycle()
    assert report.counts["disable"] == 2
    active = {user["userName"]: user["active"] for user in server.users.values()}
    assert active == {ANN: False, "bob@example.com": False, "cleo@example.com": True}


async def test_a_lost_create_of_a_group_makes_no_second_group(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    server.script.on("POST", "/Groups$", then=DropAfterCommit())
    assert (await company.cycle()).exit_code == 0
    assert len(server.groups) == 1
    assert len(server.members("Crew")) == 1


async def test_answers_without_an_id_are_looked_up(company: Company, server: ScimServer) -> None:
    server.quirks = Quirks(created_without_body=True, lax_unique=True)
    company.people("ann", "bob")
    assert done(await company.cycle()) == {"create": 2}
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert (len(server.users), server.requests) == (2, [])
