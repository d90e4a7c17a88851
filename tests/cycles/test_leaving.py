"""How people leave: each cause by its row of the deprovision table, in its time, and back again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status, Unauthorized
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

FILTER = """
[jobs.app.users.filter]
all = [ { attribute = "department", operator = "EQUALS", value = "Development" } ]
"""
ROLES = """
[roles.agent]
when = { attribute = "department", operator = "EQUALS", value = "Development" }
"""
EVERYBODY = ("ann", "bob")
ANN = "ann@example.com"

Leave = Callable[[Company], None]


def gone(company: Company) -> None:
    del company.users["ann"]


async def disabled_long_ago(company: Company) -> None:
    """Have ann gone, and disabled for as long as it takes until she is deleted."""
    company.people("ann", "bob")
    await company.cycle()
    gone(company)
    await company.cycle()
    company.clock.turn(30 * DAY)


def inactive(company: Company) -> None:
    company.users["ann"]["accountEnabled"] = False


def other_department(company: Company) -> None:
    company.users["ann"]["department"] = "Sales"


def not_in_the_group(company: Company) -> None:
    company.group("g1", ["bob"], "APP")


CAUSES: dict[str, tuple[str, str, str, Leave]] = {
    "gone": ("gone", 'scope = "all"', "", gone),
    "inactive": ("inactive", 'scope = "all"', "", inactive),
    "role lost": ("role_lost", 'scope = "roles"\nroles = ["agent"]', ROLES, other_department),
    "filtered out": ("out_of_scope", 'scope = "all"', FILTER, other_department),
    "not assigned any more": (
        "out_of_scope",
        'scope = "assigned"\nassigned = [ { group = "APP" } ]',
        "",
        not_in_the_group,
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("action", ["disable", "delete", "keep"])
async def test_the_deprovision_table(company: Company, server: ScimServer, cause: str, action: str) -> None:
    row, company.job, tables, leave = CAUSES[cause]
    company.tables = f'{tables}\n[jobs.app.deprovision]\n{row} = "{action}"\n'
    company.people(*EVERYBODY)
    company.group("g1", EVERYBODY, "APP")
    await company.cycle()
    leave(company)
    report = await company.cycle()
    assert report.exit_code == 0
    accounts = {user["userName"]: user["active"] for user in server.users.values()}
    match action:
        case "disable":
            assert (done(report), accounts[ANN]) == ({"disable": 1}, False)
        case "delete":
            assert done(report) == {"delete": 1}
            assert ANN not in accounts
        case _:
            assert (done(report), accounts[ANN]) == ({}, True)
    assert accounts["bob@example.com"] is True
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []
    (last,) = (await company.log(user="ann"))[-1:]
    assert last["reason"] != ""
    assert last["action"] == {"disable": "disable", "delete": "delete", "keep": "other"}[action]


async def test_a_kept_account_is_left_alone_but_disabled_when_its_owner_is_inactive_or_gone(
    company: Company, server: ScimServer
) -> None:
    company.tables = FILTER + '[jobs.app.deprovision]\nout_of_scope = "keep"\n'
    company.people("ann", "bob", "cleo")
    await company.cycle()
    for one in ("ann", "bob"):
        company.users[one]["department"] = "Sales"
        company.users[one]["jobTitle"] = "Seller"
    assert done(await company.cycle()) == {}
    assert server.user(ANN)["title"] == "Engineer", "a kept account gets no updates"
    company.users["ann"]["accountEnabled"] = False
    del company.users["bob"]
    assert done(await company.cycle()) == {"disable": 2}


async def test_somebody_who_leaves_is_disabled_after_the_days_of_grace_and_deleted_after_the_next(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[jobs.app.deprovision]\ndisable_after = "7d"\ndelete_after = "30d"\n'
    company.people("ann", "bob", "cleo")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    del company.users["bob"]
    for days in (0, 3, 3):
        company.clock.turn(days * DAY)
        server.clear_requests()
        assert done(await company.cycle()) == {}
        assert server.requests == []
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"disable": 2}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"delete": 2}
    assert {user["userName"] for user in server.users.values()} == {"cleo@example.com"}
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_a_delete_is_told_with_what_the_source_said_and_not_with_what_was_waited_for(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["bob"]
    await company.cycle()
    await company.cycle(full=True)
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}
    why = "no longer in the source; disabled long enough, so the account is deleted"
    assert [row["reason"] for row in await company.log() if row["action"] == "delete"] == [why]


@pytest.mark.parametrize("leave", [gone, inactive], ids=["gone", "inactive"])
async def test_who_is_on_although_we_disabled_her_is_disabled_again_and_deleted_later(
    company: Company, server: ScimServer, leave: Leave
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    leave(company)
    assert done(await company.cycle()) == {"disable": 1}
    server.user(ANN)["active"] = True  # it said that it did it
    company.clock.turn(30 * DAY)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    (last,) = (await company.log(user="ann"))[-1:]
    assert (last["operation"], last["status"]) == ("disable", "success")
    assert last["reason"].endswith("but it is on, so it is disabled again, and deleted later")
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_an_app_that_never_disables_is_found_out_before_the_delete(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.quirks = Quirks(patch_silent_no_op=("active",), patch_no_content=True)
    gone(company)
    assert done(await company.cycle()) == {"disable": 1}, "it answers with nothing, and is believed"
    company.clock.turn(30 * DAY)
    for _ in range(2):
        assert done(await company.cycle()) == {"failure": 1}
        (last,) = (await company.log(user="ann"))[-1:]
        assert (last["operation"], last["error_code"]) == ("disable", "DisableNotKept")
    assert server.user(ANN)["active"] is True


async def test_who_cannot_be_looked_at_for_a_while_is_deleted_in_the_next_cycle(
    company: Company, server: ScimServer
) -> None:
    await disabled_long_ago(company)
    server.script.on("GET", "/Users/", then=Status(500), times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    (last,) = (await company.log(user="ann"))[-1:]
    assert last["reason"].startswith("looking whether it is off before its delete: ")
    assert not server.sent("DELETE")
    server.script.clear()
    assert done(await company.cycle()) == {"delete": 1}


async def test_an_app_that_does_not_show_who_is_off_is_believed(company: Company, server: ScimServer) -> None:
    await disabled_long_ago(company)
    server.script.on("GET", "/Users/", then=Status(404), times=FOR_EVER)
    assert done(await company.cycle()) == {"delete": 1}
    assert {user["userName"] for user in server.users.values()} == {"bob@example.com"}


async def test_only_a_delete_that_follows_a_disable_needs_a_look(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("ann", "bob")
    await company.cycle()
    inactive(company)
    await company.cycle()
    server.user(ANN)["active"] = True
    gone(company)
    server.clear_requests()
    assert done(await company.cycle()) == {"delete": 1}
    assert not server.sent("GET")


async def test_who_was_back_while_the_app_was_out_of_reach_has_the_days_of_grace_anew(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[jobs.app.deprovision]\ndisable_after = "7d"\n'
    company.concurrency = 1
    company.people("bob", "ann")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    company.clock.turn(3 * DAY)
    company.users["ann"] |= {"accountEnabled": True, "jobTitle": "Manager"}
    company.users["bob"]["jobTitle"] = "Manager"
    server.script.on("PATCH", "/Users", then=Unauthorized(), times=FOR_EVER)
    assert (await company.cycle()).state == "unreachable"
    server.script.clear()
    company.clock.turn(5 * DAY)
    company.users["ann"]["accountEnabled"] = False
    assert "disable" not in done(await company.cycle())
    assert server.user(ANN)["active"] is True
    company.clock.turn(7 * DAY)
    assert done(await company.cycle()) == {"disable": 1}


async def test_who_returns_within_the_days_of_grace_has_never_left(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ndisable_after = "7d"\n'
    company.people("ann", "bob")
    await company.cycle()
    ann = company.users.pop("ann")
    await company.cycle()
    company.clock.turn(6 * DAY)
    company.users["ann"] = ann
    server.clear_requests()
    assert done(await company.cycle()) == {}
    company.clock.turn(9 * DAY)
    assert done(await company.cycle()) == {}
    assert server.requests == []
    del company.users["ann"]
    assert done(await company.cycle()) == {}
    company.clock.turn(6 * DAY)
    assert done(await company.cycle()) == {}, "the days begin anew"
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"disable": 1}


async def test_who_returns_before_the_delete_keeps_the_account(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    account = server.user(ANN)["id"]
    ann = company.users.pop("ann")
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(29 * DAY)
    company.users["ann"] = ann
    assert done(await company.cycle()) == {"enable": 1}
    company.clock.turn(9 * DAY)
    assert done(await company.cycle()) == {}
    assert server.user(ANN)["id"] == account
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}, "the days count from the last time"
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_a_change_of_an_inactive_person_does_not_put_off_the_delete(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()
    company.clock.turn(20 * DAY)
    company.users["ann"]["jobTitle"] = "Alumna"
    assert done(await company.cycle()) == {"update": 1}
    assert done(await company.cycle(full=True)) == {}, "whoever is looked at does not go before the time"
    company.clock.turn(10 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_who_changes_at_the_moment_of_leaving_and_was_off_already_is_deleted_in_time(
    company: Company, server: ScimServer
) -> None:
    off = """expression = 'IIF([department]="On leave", "False", Not([IsSoftDeleted]))'"""
    company.attributes = company.attributes.replace('expression = "Not([IsSoftDeleted])"', off)
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["department"] = "On leave"
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(100 * DAY)
    company.users["ann"].update(jobTitle="Alumna", accountEnabled=False)
    assert done(await company.cycle()) == {"update": 1}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}, "the days count from the moment when she left"
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_an_update_that_is_refused_for_ever_does_not_put_off_the_delete(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    company.write()
    async with company.staying_open():
        await company.cycle()
        company.users["ann"]["accountEnabled"] = False
        assert done(await company.cycle()) == {"disable": 1}
        company.users["ann"]["jobTitle"] = "Alumna"
        server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
        for _ in range(29):
            await company.cycle()
            company.clock.turn(DAY)
        assert done(await company.cycle()) == {}, "it was tried for 28 days"
        company.clock.turn(DAY)
        assert done(await company.cycle()) == {"delete": 1}


async def test_what_differs_each_time_does_not_put_off_the_delete(company: Company, server: ScimServer) -> None:
    company.attributes += (
        '{ to = "nickName", expression = "FormatDateTime(Now(), , \\"o\\", \\"yyyy-MM-dd HH:mm:ss\\")" },'
    )
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle())["disable"] == 1
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1, "update": 1}
    assert [user["userName"] for user in server.users.values()] == ["bob@example.com"]


async def test_who_was_deleted_and_returns_gets_a_new_account(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("ann", "bob")
    await company.cycle()
    account = server.user(ANN)["id"]
    ann = company.users.pop("ann")
    await company.cycle()
    company.users["ann"] = ann
    assert done(await company.cycle()) == {"create": 1}
    assert server.user(ANN)["id"] != account


async def test_never_deleted_where_delete_after_is_never(company: Company) -> None:
    company.tables = '[jobs.app.deprovision]\ndelete_after = "never"\n'
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1}
    company.clock.turn(999 * DAY)
    assert done(await company.cycle()) == {}


async def test_other_days_for_the_delete_count_for_who_has_left_already(company: Company) -> None:
    company.people("ann", "bob", "cleo")
    company.tables = '[jobs.app.deprovision]\ndelete_after = "never"\n'
    await company.cycle()
    del company.users["ann"]
    company.users["bob"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 2}
    company.clock.turn(50 * DAY)
    company.tables = '[jobs.app.deprovision]\ndelete_after = "60d"\n'
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {})
    company.clock.turn(10 * DAY)
    assert done(await company.cycle()) == {"delete": 2}


async def test_an_account_that_was_kept_is_disabled_when_the_rules_say_so_later(company: Company) -> None:
    company.people("ann", "bob")
    company.tables = '[jobs.app.deprovision]\ngone = "keep"\n'
    await company.cycle()
    del company.users["ann"]
    assert done(await company.cycle()) == {}
    company.tables = '[jobs.app.deprovision]\ngone = "disable"\n'
    assert done(await company.cycle()) == {"disable": 1}


async def test_entras_name_for_keep(company: Company, server: ScimServer) -> None:
    company.tables = FILTER + "\n[jobs.app.deprovision]\nskip_out_of_scope_deletions = true\n"
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["department"] = company.users["bob"]["department"] = "Sales"
    assert done(await company.cycle()) == {}
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}


async def test_a_delete_needs_the_action(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.attributes += ']\nactions = ["create", "update"'
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1}, "who may not be deleted is disabled at least"
    company.clock.turn(99 * DAY)
    assert done(await company.cycle()) == {}
    assert len(server.users) == 2


async def test_without_an_active_mapping_nobody_is_disabled(company: Company, server: ScimServer) -> None:
    company.attributes = '{ to = "userName", from = "userPrincipalName", match = 1 },'
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    del company.users["bob"]
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {})
    assert {row["error_code"] for row in (await company.log())[-2:]} == {"DisableNotAllowed"}


async def test_somebody_inactive_from_the_beginning_gets_no_account(company: Company, server: ScimServer) -> None:
    company.person("ann", accountEnabled=False)
    company.people("bob")
    assert done(await company.cycle()) == {"create": 1}
    assert {row["error_code"] for row in await company.log(user="ann")} == {"NotActive"}
    company.users["ann"]["accountEnabled"] = True
    assert done(await company.cycle()) == {"create": 1}


async def test_an_account_of_somebody_inactive_is_found_and_disabled(company: Company, server: ScimServer) -> None:
    server.put("user", userName=ANN, active=True)
    company.people("bob")
    await company.cycle()
    company.person("ann", accountEnabled=False)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


async def test_a_protected_account_is_never_touched(company: Company, server: ScimServer) -> None:
    company.target_lines = 'protected = ["Ann@example.com"]'
    server.put("user", userName=ANN, active=True, title="Queen")
    company.people("ann", "bob")
    assert done(await company.cycle()) == {"create": 1}
    del company.users["ann"]
    assert done(await company.cycle()) == {}
    assert (server.user(ANN)["active"], server.user(ANN)["title"]) == (True, "Queen")
    company.target_lines = f'protected = ["Ann@example.com", "{server.user("bob@example.com")["id"]}"]'
    company.users["bob"].update(accountEnabled=False, jobTitle="King")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "also an account that we made ourselves, once it is named by its id"
    company.target_lines = 'protected = ["BOB@example.com"]'
    del company.users["bob"]
    assert done(await company.cycle()) == {}
    assert server.requests == [], "or by its name"


# --- groups ------------------------------------------------------------------------------------------------------


async def test_a_group_that_is_gone_is_deleted_and_an_adopted_one_is_not(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    server.put("group", displayName="Old crew")
    company.people("ann")
    company.group("g1", ["ann"], "Crew")
    company.group("g2", ["ann"], "Old crew")
    await company.cycle()
    company.groups.clear()
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (3, {"held": 1}), "one group is too many"
    assert await company.approve() == 1
    assert done(await company.cycle()) == {"delete": 1}
    assert {group["displayName"] for group in server.groups.values()} == {"Old crew"}
    assert len(server.members("Old crew")) == 1


async def test_who_leaves_the_scope_leaves_the_groups(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + FILTER
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    company.users["ann"]["department"] = "Sales"
    assert done(await company.cycle()) == {"disable": 1, "members_removed": 1}
    company.users["ann"]["department"] = "Development"
    assert done(await company.cycle()) == {"enable": 1, "members_added": 1}


async def test_who_is_inactive_stays_in_the_groups(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    assert done(await company.cycle()) == {"disable": 1}
    assert len(server.members("Crew")) == 2


# --- nothing stands before the disable ---------------------------------------------------------------------------


async def test_a_value_that_the_target_refuses_does_not_stand_before_the_disable(
    company: Company, server: ScimServer
) -> None:
    company.attributes += '{ to = "profileUrl", from = "page" },'
    company.person("ann", page="https://example.com/ann")
    company.person("bob", page=None)
    await company.cycle()
    server.script.on("PATCH", "/Users/", body="profileUrl", times=FOR_EVER, then=Status(400))
    company.users["ann"].update(page="not good", accountEnabled=False)
    report = await company.cycle()
    assert done(report) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"failure": 1})
    assert report.failures[0]["operation"] == "update"


async def test_a_mapping_that_fails_does_not_stand_before_the_disable(company: Company, server: ScimServer) -> None:
    company.attributes += """{ to = "nickName", expression = 'IIF([jobTitle]="Alumna", IgnoreObjectFlow, "x")' },"""
    company.attributes += """{ to = "roles[primary eq true].value", expression = 'CDate([jobTitle])' },"""
    company.people("ann", "bob")
    company.users["ann"]["jobTitle"] = company.users["bob"]["jobTitle"] = "2026-01-01"
    report = await company.cycle()
    assert done(report) == {"create": 2}, report.failures
    company.users["ann"].update(jobTitle="Alumna", accountEnabled=False)
    company.users["bob"].update(jobTitle="no date", accountEnabled=False)
    assert done(await company.cycle()) == {"disable": 2}


async def test_a_disable_that_the_target_only_claims_to_do_is_a_failure(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.quirks = Quirks(patch_silent_no_op=("active",))
    company.users["ann"]["accountEnabled"] = False
    for _ in range(5):
        report = await company.cycle()
        assert (report.exit_code, [failure["error_code"] for failure in report.failures]) == (1, ["DisableNotKept"])


@pytest.mark.parametrize("leave", [gone, other_department])
async def test_a_leaver_whom_somebody_else_disabled_leaves_the_groups_too_and_is_not_deleted(
    company: Company, server: ScimServer, leave: Leave
) -> None:
    company.tables = FILTER + GROUPS
    company.people(*EVERYBODY)
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    server.user(ANN)["active"] = False
    leave(company)
    assert done(await company.cycle(full=True)) == {"members_removed": 1}
    assert server.members("Crew") == {server.user("bob@example.com")["id"]}
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {}
    company.people("ann")
    assert done(await company.cycle()) == {"members_added": 1}
    assert (await company.cycle(full=True)).state == "held", "who locked the account decides"
    assert len(server.members("Crew")) == 2


async def test_a_leaver_who_is_kept_stays_in_the_groups_whoever_disabled_her(
    company: Company, server: ScimServer
) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "keep"\n' + GROUPS
    company.people(*EVERYBODY)
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    server.user(ANN)["active"] = False
    gone(company)
    assert done(await company.cycle(full=True)) == {}
    assert len(server.members("Crew")) == 2


async def test_a_404_does_not_delete_an_account_that_is_there(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ngone = "delete"\n'
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    server.script.on("DELETE", "/Users", then=Status(404, body=b"<html>404 page not found</html>"), times=2)
    report = await company.cycle()
    assert done(report) == {"failure": 1}
    assert "and shows it all the same" in report.failures[0]["reason"]
    assert done(await company.cycle()) == {"failure": 1}
    assert done(await company.cycle()) == {"delete": 1}
    assert len(server.users) == 1


# --- somebody else disabled her, or the app did not take our enable -----------------------------------------------


async def back_without_being_switched_on(company: Company, server: ScimServer) -> None:
    """Have ann back, and her account off as we left it: the app took the enable, and has not done it."""
    company.people(*EVERYBODY)
    await company.cycle()
    gone(company)
    assert done(await company.cycle()) == {"disable": 1}
    company.people(*EVERYBODY)
    server.quirks = Quirks(patch_silent_no_op=("active",))
    assert done(await company.cycle()) == {"enable": 1}
    server.quirks = Quirks()
    (last,) = (await company.log(user="ann"))[-1:]
    assert (last["status"], last["reason"]) == ("warning", "the target does not keep: active")


async def test_who_was_not_switched_on_is_still_one_whom_we_disabled(company: Company, server: ScimServer) -> None:
    await back_without_being_switched_on(company, server)
    company.users["ann"]["jobTitle"] = "Manager"
    assert done(await company.cycle()) == {"update": 1}
    assert done(await company.cycle(full=True)) == {"enable": 1}, "it needs no person's word"
    assert server.user(ANN)["active"] is True


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("leave", [gone, inactive])
async def test_who_was_not_switched_on_and_leaves_again_is_deleted_in_time(
    company: Company, server: ScimServer, leave: Leave, *, full: bool
) -> None:
    await back_without_being_switched_on(company, server)
    company.clock.turn(20 * DAY)
    leave(company)
    assert done(await company.cycle(full=full)) == {"disable": 1}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle(full=full)) == {}, "the days count from the last time"
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_who_was_seen_on_since_and_is_locked_by_somebody_else_is_not_ours(
    company: Company, server: ScimServer
) -> None:
    await back_without_being_switched_on(company, server)
    server.user(ANN)["active"] = True  # it only took its time
    assert done(await company.cycle(full=True)) == {}
    server.user(ANN)["active"] = False
    assert (await company.cycle(full=True)).state == "held"
    gone(company)
    assert done(await company.cycle(full=True)) == {}
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {}


@pytest.mark.parametrize("leave", [gone, inactive, other_department])
async def test_whom_somebody_else_disabled_is_not_disabled_later_and_deleted_for_it(
    company: Company, server: ScimServer, leave: Leave
) -> None:
    company.tables = FILTER + '[jobs.app.deprovision]\ndisable_after = "7d"\n'
    company.people(*EVERYBODY)
    await company.cycle()
    server.user(ANN)["active"] = False
    leave(company)
    for full in (True, True, True, False, False):
        assert done(await company.cycle(full=full)) == {}
        company.clock.turn(7 * DAY)
    (last,) = (await company.log(user="ann"))[-1:]
    assert last["reason"].endswith("waits 7 days")
    assert (await company.overdue()).people == ()
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {}


@pytest.mark.parametrize(("leave", "sent"), [(inactive, {"update": 1}), (other_department, {})])
async def test_a_change_of_whom_somebody_else_disabled_does_not_make_it_ours(
    company: Company, server: ScimServer, leave: Leave, sent: dict[str, int]
) -> None:
    company.tables = FILTER
    company.people(*EVERYBODY)
    await company.cycle()
    server.user(ANN)["active"] = False
    leave(company)
    assert done(await company.cycle(full=True)) == {}
    company.users["ann"]["jobTitle"] = "Alumna"
    assert done(await company.cycle()) == sent
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {}
    server.user(ANN)["active"] = True
    assert done(await company.cycle(full=True)) == {"disable": 1}, "somebody has switched it on"
    company.clock.turn(30 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_who_is_back_and_cannot_get_her_name_leaves_the_groups_that_she_has_left(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS + '[jobs.app.deprovision]\ndisable_after = "1d"\n'
    company.people(*EVERYBODY)
    company.group("g1", EVERYBODY, "Crew")
    await company.cycle()
    inactive(company)
    await company.cycle()
    server.put("user", userName="theirs@example.com", active=True)
    company.users["ann"].update(accountEnabled=True, userPrincipalName="theirs@example.com")
    company.group("g1", ["bob"], "Crew")
    assert done(await company.cycle()) == {"failure": 1, "members_removed": 1}
    assert server.members("Crew") == {server.user("bob@example.com")["id"]}


# --- a comparison shows on whom we had disabled, and who is back --------------------------------------------------


async def back_without_having_been_switched_off(company: Company, server: ScimServer) -> None:
    """Have ann back, and her account on all the time: the app took the disable, and has not done it."""
    company.people(*EVERYBODY)
    await company.cycle()
    gone(company)
    server.quirks = Quirks(patch_silent_no_op=("active",), patch_no_content=True)
    assert done(await company.cycle()) == {"disable": 1}
    server.quirks = Quirks()
    assert server.user(ANN)["active"] is True
    company.people(*EVERYBODY)


@pytest.mark.parametrize("title", ["Engineer", "Manager"])
@pytest.mark.parametrize("leave", [gone, inactive, other_department])
async def test_who_was_never_switched_off_is_when_she_leaves_again(
    company: Company, server: ScimServer, leave: Leave, title: str
) -> None:
    company.tables = FILTER
    await back_without_having_been_switched_off(company, server)
    company.users["ann"]["jobTitle"] = title
    assert done(await company.cycle(full=True)) == ({"update": 1} if title == "Manager" else {})
    company.clock.turn(20 * DAY)
    leave(company)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}, "the days count from the last time"
    company.clock.turn(1 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_who_was_never_switched_off_and_is_kept_is_switched_off_when_she_is_gone(
    company: Company, server: ScimServer
) -> None:
    company.tables = FILTER + '[jobs.app.deprovision]\nout_of_scope = "keep"\n'
    await back_without_having_been_switched_off(company, server)
    other_department(company)
    assert done(await company.cycle(full=True)) == {}
    gone(company)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False


@pytest.mark.parametrize(("change", "full", "sent"), [({}, True, "enable"), ({"jobTitle": "Manager"}, False, "update")])
async def test_who_was_switched_off_and_shown_on_late_is_switched_on_again(
    company: Company, server: ScimServer, change: dict[str, str], sent: str, *, full: bool
) -> None:
    await back_without_having_been_switched_off(company, server)
    assert done(await company.cycle(full=True)) == {}
    server.user(ANN)["active"] = False  # what the comparison saw was of before
    company.users["ann"].update(change)
    assert done(await company.cycle(full=full)) == {sent: 1}, "it was us who disabled her"
    assert server.user(ANN)["active"] is True


@pytest.mark.parametrize("leave", [gone, inactive])
async def test_who_was_locked_by_somebody_else_and_is_on_again_is_switched_off_when_she_leaves(
    company: Company, server: ScimServer, leave: Leave
) -> None:
    company.people(*EVERYBODY)
    await company.cycle()
    server.user(ANN)["active"] = False
    assert (await company.cycle(full=True)).state == "held"
    server.user(ANN)["active"] = True
    assert done(await company.cycle(full=True)) == {}
    leave(company)
    assert done(await company.cycle()) == {"disable": 1}
    assert server.user(ANN)["active"] is False
