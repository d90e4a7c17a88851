"""What people say to what is held, and the safeguards that look at single operations."""

from __future__ import annotations

from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ANN, BOB = "ann@example.com", "bob@example.com"
FILTER = """
[jobs.app.users.filter]
attribute = "department"
operator = "EQUALS"
value = "Development"
"""


def staff(number: int) -> list[str]:
    return [f"p{one:03}" for one in range(number)]


def off(server: ScimServer) -> int:
    return sum(user["active"] is False for user in server.users.values())


async def seven_of_twenty_leave(company: Company) -> dict[str, dict[str, object]]:
    company.people(*staff(20))
    await company.cycle()
    leavers = {one: company.users.pop(one) for one in staff(7)}
    assert done(await company.cycle()) == {"held": 7}
    return leavers


# --- approve -----------------------------------------------------------------------------------------------------


async def test_what_was_approved_is_done_and_does_not_count_again(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    assert await company.approve() == 7
    assert await company.held() == []
    report = await company.cycle()
    assert (report.exit_code, done(report), off(server)) == (0, {"disable": 7}, 7)
    assert "0 to be disabled or deleted (0 now, 0 in the last 24 h)" in report.arithmetic
    for one in staff(12)[7:]:
        del company.users[one]
    report = await company.cycle()
    assert done(report) == {"disable": 5}, "five more are within the limit: those with a person's word count no more"
    assert await company.decisions() == []


async def test_what_a_comparison_saw_of_those_who_are_held_is_put_right_with_them(
    company: Company, server: ScimServer
) -> None:
    company.people(*staff(20))
    await company.cycle()
    server.user("p000@example.com")["title"] = "Changed by hand"
    for one in staff(7):
        company.users[one]["accountEnabled"] = False
    assert done(await company.cycle(full=True)) == {"held": 7}
    assert await company.approve() == 7
    assert done(await company.cycle()) == {"disable": 7}
    assert server.user("p000@example.com")["title"] == "Engineer"


async def test_only_what_was_listed_is_done_the_rest_waits(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    assert await company.approve() == 7
    for one in staff(13)[7:]:
        del company.users[one]
    report = await company.cycle()
    assert (report.exit_code, done(report), off(server)) == (3, {"disable": 7, "held": 6}, 7)
    [hold] = await company.held()
    assert [operation.source_id for operation in hold.operations] == staff(13)[7:]


async def test_who_came_back_since_is_not_disabled_and_must_be_approved_anew(
    company: Company, server: ScimServer
) -> None:
    leavers = await seven_of_twenty_leave(company)
    await company.approve()
    company.users["p000"] = leavers["p000"]
    assert done(await company.cycle()) == {"disable": 6}
    assert server.user("p000@example.com")["active"] is True
    assert await company.decisions() == []


async def test_a_word_on_a_list_that_has_grown_since_is_not_taken(company: Company) -> None:
    await seven_of_twenty_leave(company)
    [hold] = await company.held()
    del company.users["p007"]
    await company.cycle()
    assert await company.approve(hold.id) == 0
    assert [len(hold.operations) for hold in await company.held()] == [8]


async def test_an_approved_disable_that_fails_is_tried_again_as_approved(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    await company.approve()
    server.script.on("PATCH", "/Users", then=Status(400), times=1)
    assert done(await company.cycle()) == {"disable": 6, "failure": 1}
    assert len(await company.decisions()) == 1
    assert done(await company.cycle()) == {"disable": 1}
    assert (await company.decisions(), off(server)) == ([], 7)


async def test_people_are_told_of_a_hold_once_and_again_when_it_grows(company: Company) -> None:
    leavers = await seven_of_twenty_leave(company)
    [told] = await company.notices()
    assert (told.kind, told.facts["total"], told.facts["counts"]) == ("held", 7, {"disable": 7})
    assert "7 to be disabled or deleted" in told.facts["arithmetic"]
    await company.cycle()
    assert len(await company.notices()) == 1
    del company.users["p007"]
    await company.cycle()
    assert [notice.facts["total"] for notice in await company.notices()] == [7, 8]
    company.users["p000"] = leavers["p000"]
    await company.cycle()
    assert len(await company.notices()) == 2, "fewer is no news"


# --- reject ------------------------------------------------------------------------------------------------------


async def test_who_was_rejected_stays_and_is_not_proposed_again_until_the_verdict_changes(
    company: Company, server: ScimServer
) -> None:
    leavers = await seven_of_twenty_leave(company)
    assert await company.reject() == 7
    report = await company.cycle()
    assert (report.exit_code, done(report), off(server)) == (0, {}, 0)
    rows = [row for row in await company.log() if row["error_code"] == "RejectedByOperator"]
    assert len(rows) == 7
    assert rows[0]["reason"].endswith("rejected by olga")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []
    assert done(await company.cycle(full=True)) == {}
    company.clock.turn(40 * DAY)
    assert done(await company.cycle()) == {}, "nor deleted"
    assert len(await company.decisions()) == 7

    company.users["p000"] = leavers["p000"]
    await company.cycle()
    assert len(await company.decisions()) == 6
    del company.users["p000"]
    assert done(await company.cycle()) == {"disable": 1}
    assert (server.user("p000@example.com")["active"], off(server)) == (False, 1)


async def test_a_restart_proposes_again_what_was_rejected(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    await company.reject()
    assert done(await company.cycle()) == {}
    await company.restart("escrows")
    assert await company.decisions() == []
    assert done(await company.cycle()) == {"held": 7}


async def test_force_deletes_lets_everybody_go_once(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    await company.restart("force-deletes")
    assert done(await company.cycle()) == {"disable": 7}
    for one in staff(14)[7:]:
        del company.users[one]
    assert done(await company.cycle()) == {"held": 7}, "that was good for one cycle"


async def test_what_was_rejected_and_is_forced_is_not_said_to_be_rejected(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    await company.reject()
    await company.cycle()
    await company.restart("force-deletes")
    assert done(await company.cycle()) == {"disable": 7}
    assert {row["reason"] for row in await company.log() if row["action"] == "disable"} == {"no longer in the source"}


async def test_forced_deletes_are_over_with_the_next_cycle_although_it_did_not_read_everything(
    company: Company, server: ScimServer
) -> None:
    await seven_of_twenty_leave(company)
    await company.restart("force-deletes")
    company.write()
    with (company.directory / "users.jsonl").open("a") as users:
        users.write('{"id": "half a li')
    assert (await company.cycle(write=False)).state == "incomplete"
    for one in staff(20)[7:15]:
        company.users[one]["accountEnabled"] = False
    assert done(await company.cycle())["held"] >= 8, "nobody has looked at these"


async def test_another_cause_is_proposed_again(company: Company, server: ScimServer) -> None:
    company.tables = FILTER
    company.people(*staff(20))
    await company.cycle()
    for one in staff(7):
        company.users[one]["department"] = "Sales"
    assert done(await company.cycle()) == {"held": 7}
    await company.reject()
    assert done(await company.cycle()) == {}
    company.users["p000"]["jobTitle"] = "Seller"
    assert done(await company.cycle()) == {}, "out of scope still"
    company.users["p000"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}
    assert off(server) == 1


# --- members -----------------------------------------------------------------------------------------------------


async def a_large_group(company: Company, but_for: int = 0) -> list[str]:
    """Bring sixty people, and a group of all but so many, into the app: thirty-one of them are too many to lose."""
    company.tables = GROUPS
    people = staff(60)
    company.people(*people)
    company.group("g1", people[: 60 - but_for], "Everybody")
    await company.cycle()
    return people


async def six_of_a_crew_of_ten_leave(company: Company) -> None:
    company.tables = GROUPS
    people = staff(10)
    company.people(*people)
    company.group("g1", people, "Crew")
    await company.cycle()
    for one in people[:6]:
        del company.users[one]
    company.group("g1", people[6:], "Crew")


async def test_removals_are_approved_by_name(company: Company, server: ScimServer) -> None:
    people = await a_large_group(company)
    company.group("g1", people[31:], "Everybody")
    assert done(await company.cycle()) == {"held": 31}
    [hold] = await company.held()
    assert (hold.safeguard, len(hold.operations[0].about)) == ("members", 31)
    await company.approve()
    company.group("g1", people[33:], "Everybody")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"members_removed": 33}), "two more are within the limit"
    assert len(server.members("Everybody")) == 27
    assert await company.decisions() == []


async def test_removals_that_were_rejected_are_not_proposed_again(company: Company, server: ScimServer) -> None:
    people = await a_large_group(company)
    company.group("g1", people[31:], "Everybody")
    await company.cycle()
    await company.reject()
    assert done(await company.cycle()) == {}
    assert len(server.members("Everybody")) == 60
    company.group("g1", people[32:], "Everybody")
    assert done(await company.cycle()) == {"members_removed": 1}
    company.group("g1", [*people[:10], *people[32:]], "Everybody")
    assert done(await company.cycle()) == {}
    company.group("g1", people[32:], "Everybody")
    assert done(await company.cycle()) == {"members_removed": 10}, "they came back and leave again"


async def test_approving_the_disables_lets_go_what_waited_with_them(company: Company, server: ScimServer) -> None:
    await six_of_a_crew_of_ten_leave(company)
    assert done(await company.cycle()) == {"held": 12}
    assert (off(server), len(server.members("Crew"))) == (0, 10)
    [hold] = await company.held()
    assert hold.safeguard == "deletions"
    await company.approve()
    assert done(await company.cycle()) == {"disable": 6, "members_removed": 6}
    assert len(server.members("Crew")) == 4


async def a_stranger_waits_with_six_disables(company: Company, server: ScimServer) -> dict[str, dict[str, object]]:
    company.tables = GROUPS + 'members = "exact"\n'
    company.people(*staff(10))
    company.group("g1", ["p009"], "Crew")
    await company.cycle()
    leavers = {one: company.users.pop(one) for one in staff(6)}
    server.group("Crew")["members"].append({"value": server.user("p008@example.com")["id"]})
    assert done(await company.cycle(full=True)) == {"held": 7}
    return leavers


async def test_strangers_who_waited_with_the_disables_go_in_the_next_cycle(
    company: Company, server: ScimServer
) -> None:
    await a_stranger_waits_with_six_disables(company, server)
    await company.approve()
    assert done(await company.cycle()) == {"disable": 6, "members_removed": 1}
    assert server.members("Crew") == {server.user("p009@example.com")["id"]}
    assert await company.decisions() == []


async def test_strangers_are_held_until_somebody_says_something(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + 'members = "exact"\n'
    people = staff(60)
    company.people(*people)
    company.group("g1", people[31:], "Everybody")
    await company.cycle()
    members = server.group("Everybody")["members"]
    members += [{"value": server.user(f"{one}@example.com")["id"]} for one in people[:31]]
    for full in (True, False, False, True, False):
        report = await company.cycle(full=full)
        assert (report.exit_code, done(report)) == (3, {"held": 31})
    assert len(await company.notices()) == 1
    await company.approve()
    assert done(await company.cycle()) == {"members_removed": 31}
    assert done(await company.cycle()) == {}


async def test_removals_are_held_on_while_their_group_waits_after_a_refusal(
    company: Company, server: ScimServer
) -> None:
    people = await a_large_group(company, but_for=1)
    company.group("g1", people[31:59], "Everybody")
    assert done(await company.cycle()) == {"held": 31}
    company.group("g1", people[31:], "Everybody")
    server.script.on("PATCH", "/Groups", then=Status(403), times=FOR_EVER)
    came = [done(await company.cycle()) for _ in range(3)]
    assert came == [{"failure": 1, "held": 31}, {"failure": 1, "held": 31}, {"held": 31}]
    assert len(await company.notices()) == 1
    company.group("g1", people, "Everybody")
    server.script.clear()
    assert done(await company.cycle()) == {"members_added": 1}, "what was held has lost its cause"
    assert await company.held() == []


async def test_a_group_that_was_let_go_and_cannot_be_changed_is_not_asked_for_in_each_cycle(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(no_members_on_get=True, patch_unsupported=True)
    people = await a_large_group(company)
    company.group("g1", people[31:], "Everybody")
    assert done(await company.cycle()) == {"held": 31}
    await company.approve()
    asked = []
    for _ in range(2 * 24):
        server.clear_requests()
        await company.cycle()
        asked.append(len(server.requests))
        company.clock.turn(DAY / 24)
    assert asked[:2] == [1, 1], "what was let go is tried at once, and in the next cycle"
    assert (max(asked), sum(asked)) == (1, 5), "then after 6, 12 and 24 hours"
    server.quirks = Quirks()
    company.group("g1", people[32:], "Everybody")
    assert done(await company.cycle()) == {"members_removed": 32}
    assert await company.decisions() == []


async def test_a_group_that_waits_after_a_refusal_is_tried_at_once_when_it_is_let_go(
    company: Company, server: ScimServer
) -> None:
    people = await a_large_group(company, but_for=1)
    company.group("g1", people[31:], "Everybody")
    server.script.on("PATCH", "/Groups", then=Status(400), times=FOR_EVER)
    for _ in range(2):
        assert done(await company.cycle()) == {"failure": 1, "held": 31}
    server.script.clear()
    await company.approve()
    assert done(await company.cycle()) == {"members_added": 1, "members_removed": 31}


async def test_strangers_who_waited_with_the_disables_go_when_the_others_are_back(
    company: Company, server: ScimServer
) -> None:
    leavers = await a_stranger_waits_with_six_disables(company, server)
    assert done(await company.cycle()) == {"held": 7}
    company.users.update(leavers)
    assert done(await company.cycle()) == {"members_removed": 1}
    assert await company.held() == []


async def test_who_was_rejected_stays_in_the_groups(company: Company, server: ScimServer) -> None:
    await six_of_a_crew_of_ten_leave(company)
    await company.cycle()
    await company.reject()
    for _ in range(2):
        assert done(await company.cycle()) == {}
    assert (off(server), len(server.members("Crew"))) == (0, 10)


# --- groups ------------------------------------------------------------------------------------------------------


async def test_a_group_that_was_rejected_stays(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    company.groups.clear()
    assert done(await company.cycle()) == {"held": 1}
    [hold] = await company.held()
    assert (hold.safeguard, hold.operations[0].operation) == ("groups", "delete")
    await company.reject()
    assert done(await company.cycle()) == {}
    assert [group["displayName"] for group in server.groups.values()] == ["Crew"]


async def test_group_deletes_are_counted_only_where_the_rules_say_so(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + "hold_deletes = false\n"
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    company.groups.clear()
    assert done(await company.cycle()) == {"delete": 1}
    assert server.groups == {}


# --- accounts that were there before us --------------------------------------------------------------------------


async def test_an_account_that_was_there_before_us_is_not_disabled_in_the_first_cycle(
    company: Company, server: ScimServer
) -> None:
    server.put("user", userName=ANN, active=True)
    company.person("ann", accountEnabled=False)
    company.person("bob")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (3, {"create": 1, "held": 1})
    assert [hold.safeguard for hold in await company.held()] == ["adopted"]
    assert done(await company.cycle()) == {"held": 1}, "a second cycle does not slip past"
    assert server.user(ANN)["active"] is True
    await company.approve()
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


async def test_who_could_not_be_judged_for_a_cycle_does_not_slip_past_either(
    company: Company, server: ScimServer
) -> None:
    server.put("user", userName=ANN, active=True)
    company.person("ann", accountEnabled=False)
    await company.cycle()
    company.users["ann"]["userPrincipalName"] = None
    assert done(await company.cycle()) == {"failure": 1}
    assert [hold.safeguard for hold in await company.held()] == ["adopted"]
    company.users["ann"]["userPrincipalName"] = ANN
    assert done(await company.cycle()) == {"held": 1}
    assert server.user(ANN)["active"] is True
    company.users["ann"]["userPrincipalName"] = None
    assert [done(await company.cycle()) for _ in range(3)] == [{"failure": 1}, {}, {}]
    assert [hold.safeguard for hold in await company.held()] == ["adopted"], "also while she waits to be tried again"
    await company.approve()
    assert done(await company.cycle()) == {}
    company.users["ann"]["userPrincipalName"] = ANN
    assert done(await company.cycle()) == {"disable": 1}, "what was approved is not asked for again"


async def test_the_others_are_not_few_enough_because_some_cannot_be_judged(
    company: Company, server: ScimServer
) -> None:
    company.people(*staff(20))
    await company.cycle()
    for one in staff(7):
        company.users[one]["accountEnabled"] = False
    assert done(await company.cycle()) == {"held": 7}
    for one in staff(2):
        company.users[one]["accountEnabled"] = None
    assert done(await company.cycle()) == {"held": 5}
    assert off(server) == 0
    assert [len(hold.operations) for hold in await company.held()] == [7]
    for one in staff(2):
        company.users[one]["accountEnabled"] = True
    assert done(await company.cycle()) == {"disable": 5}


async def test_new_accounts_are_not_few_enough_because_some_cannot_be_judged(
    company: Company, server: ScimServer
) -> None:
    company.job = 'scope = "all"\ncreation_threshold = 3'
    company.people(*staff(5))
    assert done(await company.cycle()) == {"held": 5}
    for one in staff(3):
        company.users[one]["accountEnabled"] = None
    assert done(await company.cycle()) == {"held": 2}
    assert server.users == {}
    for one in staff(3):
        company.users[one]["accountEnabled"] = False
    assert done(await company.cycle()) == {"create": 2}


async def test_an_account_that_was_there_before_us_may_stay_on(company: Company, server: ScimServer) -> None:
    server.put("user", userName=ANN, active=True)
    company.person("ann", accountEnabled=False)
    await company.cycle()
    await company.reject()
    assert done(await company.cycle()) == {}
    assert done(await company.cycle()) == {}
    assert server.user(ANN)["active"] is True


# --- accounts that somebody locked -------------------------------------------------------------------------------


async def test_an_account_that_somebody_locked_in_the_app_is_not_enabled(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.user(ANN)["active"] = False
    company.users["ann"]["jobTitle"] = "Manager"
    report = await company.cycle(full=True)
    assert (report.exit_code, done(report)) == (3, {"update": 1, "held": 1})
    assert (server.user(ANN)["active"], server.user(ANN)["title"]) == (False, "Manager")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (3, {"held": 1}), "it is remembered without another look"
    [hold] = await company.held()
    assert (hold.safeguard, hold.operations[0].operation) == ("locked", "enable")
    await company.approve()
    assert done(await company.cycle()) == {"enable": 1}
    assert server.user(ANN)["active"] is True


async def test_a_lock_that_a_person_wants_kept_is_kept(company: Company, server: ScimServer) -> None:
    company.people("ann")
    await company.cycle()
    server.user(ANN)["active"] = False
    await company.cycle(full=True)
    await company.reject()
    assert done(await company.cycle(full=True)) == {}
    assert done(await company.cycle()) == {}
    assert server.user(ANN)["active"] is False


async def test_an_account_that_was_off_before_us_becomes_what_the_rules_say(
    company: Company, server: ScimServer
) -> None:
    server.put("user", userName=ANN, active=False)
    company.people("ann")
    assert done(await company.cycle()) == {"adopt": 1}
    assert (server.user(ANN)["active"], server.user(ANN)["title"]) == (True, "Engineer")


# --- names -------------------------------------------------------------------------------------------------------


async def test_many_new_names_at_once_are_held_and_everything_else_flows(company: Company, server: ScimServer) -> None:
    company.people(*staff(10))
    await company.cycle()
    for one in staff(6):
        company.users[one] |= {"userPrincipalName": f"{one}@example.org", "jobTitle": "Manager"}
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (3, {"update": 6, "held": 6})
    assert "6 to get another name (6 now, 0 in the last 24 h), allowed 5" in report.arithmetic
    assert (server.user("p000@example.com")["title"], "p000@example.org" in str(server.users)) == ("Manager", False)
    assert done(await company.cycle()) == {"held": 6}
    [hold] = await company.held()
    assert ("userName=p000@example.org",) in [operation.about for operation in hold.operations]
    company.users["p000"]["userPrincipalName"] = "p000@example.net"
    await company.approve()
    report = await company.cycle()
    assert done(report) == {"update": 6}, "five with a person's word, and one more, which is within the limit"
    assert server.user("p000@example.net")["active"] is True
    assert done(await company.cycle()) == {}


async def test_a_few_new_names_are_none_of_the_safeguards_affair(company: Company, server: ScimServer) -> None:
    company.people(*staff(10))
    await company.cycle()
    for one in staff(5):
        company.users[one]["userPrincipalName"] = f"{one}@example.org"
    assert done(await company.cycle()) == {"update": 5}
    company.users["p005"]["userPrincipalName"] = "p005@example.org"
    assert done(await company.cycle()) == {"held": 1}, "many small cycles do not slip past"
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"update": 1}


async def test_a_name_that_was_rejected_is_not_proposed_again_but_another_one_is(
    company: Company, server: ScimServer
) -> None:
    company.job = 'scope = "all"\nrename_threshold = 0'
    company.people("ann")
    await company.cycle()
    company.users["ann"]["userPrincipalName"] = "anna@example.com"
    assert done(await company.cycle()) == {"held": 1}
    await company.reject()
    assert done(await company.cycle()) == {}
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"update": 1}
    assert server.user(ANN)["title"] == "Manager"
    company.users["ann"]["userPrincipalName"] = "anne@example.com"
    assert done(await company.cycle()) == {"held": 1}


# --- new accounts ------------------------------------------------------------------------------------------------


async def test_more_new_accounts_than_the_limit_wait_for_a_person(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\ncreation_threshold = 5'
    company.people(*staff(6))
    report = await company.cycle()
    assert (report.exit_code, done(report), server.users) == (3, {"held": 6}, {})
    assert "6 accounts to be created (6 now, 0 in the last 24 h), allowed 5" in report.arithmetic
    assert done(await company.cycle()) == {"held": 6}
    await company.approve()
    company.people("ann")
    assert done(await company.cycle()) == {"create": 7}, "one more is within the limit"
    company.people(*(f"q{one}" for one in range(5)))
    assert done(await company.cycle()) == {"held": 5}, "with ann they are six"
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"create": 5}


async def test_who_was_rejected_gets_no_account(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\ncreation_threshold = 0'
    company.people("ann")
    await company.cycle()
    await company.reject()
    assert done(await company.cycle()) == {}
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {}
    assert server.users == {}


async def test_without_a_limit_any_number_is_created(company: Company) -> None:
    company.people(*staff(600))
    report = await company.cycle()
    assert done(report) == {"create": 600}
    assert "created" not in report.arithmetic


async def test_a_plan_shows_what_is_held_and_changes_nothing(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\nrename_threshold = 0'
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["userPrincipalName"] = "anna@example.com"
    company.users["bob"]["jobTitle"] = "Manager"
    planned, shown = await company.plan()
    assert done(planned) == {"update": 1, "held": 1}
    assert {(word, who, bool(held)) for word, who, held in shown} == {("update", "ann", True), ("update", "bob", False)}
    assert await company.held() == []


async def test_a_run_on_demand_does_not_slip_past_a_hold(company: Company, server: ScimServer) -> None:
    await seven_of_twenty_leave(company)
    provisioned = await company.provision("p000")
    assert (provisioned.state, off(server)) == ("held", 0)
    [hold] = await company.held()
    assert len(hold.operations) == 7


async def test_a_run_on_demand_makes_no_more_accounts_than_the_limit(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\ncreation_threshold = 1'
    company.people("ann", "bob")
    assert done(await company.cycle()) == {"held": 2}
    assert (await company.provision("ann")).state == "held", "with bob they are two"
    assert server.users == {}
    del company.users["bob"]
    assert done(await company.cycle()) == {"create": 1}
