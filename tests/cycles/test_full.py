"""A full cycle looks at the target itself, mends what somebody changed there, and gives up what it does not keep."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from reconciler import config, wiring
from reconciler.core.model import Change, TargetId
from reconciler.runtime.cycle import run_cycle
from tests.cycles.calendar import DAY, HOUR
from tests.cycles.company import GROUPS, Company, done
from tests.servers.engine import Seen
from tests.servers.faults import FOR_EVER, Status
from tests.servers.quirks import Quirks
from tests.servers.scim import ScimServer

ANN, BOB = "ann@example.com", "bob@example.com"
PEOPLE = ("ann", "bob", "cleo", "dan")


def writes(server: ScimServer) -> list[Seen]:
    return [seen for seen in server.requests if seen.method != "GET"]


async def test_what_was_changed_at_the_target_is_put_right_by_a_full_cycle_only(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    server.user(ANN)["title"] = "Queen"
    server.user("dan@example.com")["nickName"] = "not ours to say"
    del server.users[server.user("cleo@example.com")["id"]]
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == [], "a quiet cycle does not ask"
    company.clock.turn(HOUR)
    report = await company.cycle(full=True)
    assert (report.exit_code, done(report)) == (0, {"create": 1, "update": 1})
    assert server.user(ANN)["title"] == "Engineer"
    assert server.user("dan@example.com")["nickName"] == "not ours to say"
    server.clear_requests()
    assert done(await company.cycle(full=True)) == {}
    assert writes(server) == []
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_what_a_full_cycle_saw_and_could_not_put_right_is_tried_again_by_the_next(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    del company.users["bob"]
    await company.cycle()
    server.user(ANN)["title"] = "Queen"
    server.user(BOB)["active"] = True
    server.script.on("PATCH", "/Users", then=Status(400), times=2)
    assert done(await company.cycle(full=True)) == {"failure": 2}
    assert done(await company.cycle()) == {"update": 1, "disable": 1}
    assert (server.user(ANN)["title"], server.user(BOB)["active"]) == ("Engineer", False)


async def test_everything_is_compared_once_in_every_full_interval(company: Company, server: ScimServer) -> None:
    company.full_interval = "7d"
    company.people(*PEOPLE)
    await company.cycle()
    asked: list[bool] = []
    for _ in range(15):
        server.user(ANN)["title"] = "Queen"
        server.clear_requests()
        company.clock.turn(DAY)
        await company.cycle()
        asked.append(bool(server.requests))
        assert (server.user(ANN)["title"] == "Engineer") is asked[-1]
    assert [day for day, compared in enumerate(asked, 1) if compared] == [7, 14]


async def test_a_comparison_that_failed_is_made_up_for_by_the_next_cycle(company: Company, server: ScimServer) -> None:
    company.full_interval = "7d"
    company.people(*PEOPLE)
    await company.cycle()
    server.user(ANN)["title"] = "Queen"
    company.clock.turn(7 * DAY)
    server.script.on("*", "", then=Status(503), times=FOR_EVER)
    assert (await company.cycle()).state == "unreachable"
    server.script.clear()
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"update": 1}
    server.clear_requests()
    company.clock.turn(DAY)
    await company.cycle()
    assert server.requests == []


async def test_a_full_cycle_lists_and_does_not_ask_for_each(company: Company, server: ScimServer) -> None:
    people = [f"p{number:03}" for number in range(120)]
    company.people(*people)
    await company.cycle()
    server.clear_requests()
    await company.cycle(full=True)
    assert len(server.requests) <= 3


async def test_a_leaver_whom_somebody_switched_on_again_is_switched_off(company: Company, server: ScimServer) -> None:
    company.tables = '[jobs.app.deprovision]\ndelete_after = "never"\n'
    company.people(*PEOPLE)
    await company.cycle()
    del company.users["ann"]
    company.users["bob"]["accountEnabled"] = False
    await company.cycle()
    for one in (ANN, BOB):
        server.user(one)["active"] = True
    assert done(await company.cycle()) == {}
    assert done(await company.cycle(full=True)) == {"disable": 2}
    assert [server.user(one)["active"] for one in (ANN, BOB)] == [False, False]


# --- members -----------------------------------------------------------------------------------------------------


async def test_who_was_put_in_the_place_of_all_members_does_not_hide_that_they_are_gone(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    stranger = server.put("user", userName="stranger@example.org", active=True)
    server.group("Crew")["members"] = [{"value": stranger}]
    assert done(await company.cycle(full=True)) == {"members_added": 1}
    assert server.members("Crew") == {stranger, server.user(ANN)["id"]}
    assert done(await company.cycle(full=True)) == {}


@pytest.mark.parametrize("members", ["owned", "exact"])
async def test_members_that_somebody_changed_are_put_right(company: Company, server: ScimServer, members: str) -> None:
    company.tables = GROUPS + f'members = "{members}"\n'
    company.people(*PEOPLE)
    company.group("g1", ("ann", "bob", "cleo"), "Crew")
    await company.cycle()
    ann, dan = server.user(ANN)["id"], server.user("dan@example.com")["id"]
    stranger = server.put("user", userName="stranger@example.org", active=True)
    crew = server.group("Crew")
    crew["members"] = [one for one in crew["members"] if one["value"] != ann]
    crew["members"] += [{"value": dan}, {"value": stranger}]
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []
    report = await company.cycle(full=True)
    assert report.exit_code == 0
    ours = {server.user(f"{one}@example.com")["id"] for one in ("ann", "bob", "cleo")}
    if members == "exact":
        assert done(report) == {"members_added": 1, "members_removed": 2}
        assert server.members("Crew") == ours
    else:
        assert done(report) == {"members_added": 1}
        assert server.members("Crew") == ours | {dan, stranger}
    server.clear_requests()
    assert done(await company.cycle(full=True)) == {}
    assert writes(server) == []


async def test_a_member_that_somebody_added_before_us_is_ours_when_the_source_has_it_too(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", ("ann",), "Crew")
    await company.cycle()
    server.group("Crew")["members"] += [{"value": server.user(BOB)["id"]}]
    company.group("g1", ("ann", "bob"), "Crew")
    server.clear_requests()
    await company.cycle(full=True)
    assert writes(server) == [], "he is there already"
    company.group("g1", ("ann",), "Crew")
    assert done(await company.cycle()) == {"members_removed": 1}


async def test_a_group_that_was_deleted_or_renamed_at_the_target_is_put_right(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    company.group("g2", PEOPLE, "Team")
    await company.cycle()
    del server.groups[server.group("Crew")["id"]]
    server.group("Team")["displayName"] = "Gang"
    company.clock.turn(HOUR)
    report = await company.cycle(full=True)
    assert (report.exit_code, done(report)) == (0, {"create": 1, "update": 1, "members_added": 4})
    assert len(server.members("Crew")) == len(server.members("Team")) == 4


async def test_who_leaves_a_group_whose_members_are_hidden_is_taken_out_by_a_full_cycle_too(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(no_members_on_get=True)
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    company.group("g1", ["ann"], "Crew")
    await company.cycle(full=True)
    assert server.members("Crew") == {server.user(ANN)["id"]}


async def test_who_is_to_leave_later_is_taken_out_after_a_comparison_that_showed_no_members(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(no_members_on_get=True)
    company.job = 'scope = "all"\ndeprovision = { disable_after = "1d" }'
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    company.users["bob"]["accountEnabled"] = False
    del company.users["cleo"]
    await company.cycle(full=True)
    company.clock.turn(2 * DAY)
    company.group("g1", ["ann", "dan"], "Crew")
    await company.cycle()
    assert server.members("Crew") == {server.user(f"{name}@example.com")["id"] for name in ("ann", "dan")}


def crew_at_an_app_that_hides_members(company: Company, server: ScimServer) -> None:
    """Have a group of two at an app that can only write it whole, and shows nobody in it."""
    server.quirks = Quirks(no_members_on_get=True, patch_unsupported=True)
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", ["ann", "bob"], "Crew")


async def test_a_group_that_hides_its_members_and_is_written_whole_loses_none(
    company: Company, server: ScimServer
) -> None:
    crew_at_an_app_that_hides_members(company, server)
    await company.cycle()
    there = server.members("Crew")
    assert len(there) == 2
    company.group("g1", ["ann", "bob", "cleo"], "Gang")
    report = await company.cycle()
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("g1", "NotImplemented")] * 2
    assert server.members("Crew") == there


async def test_a_group_that_hides_its_members_loses_none_where_it_was_forgotten_that_it_hides_them(
    company: Company, server: ScimServer
) -> None:
    crew_at_an_app_that_hides_members(company, server)
    await company.cycle()
    there = server.members("Crew")
    with closing(sqlite3.connect(company.directory / "state.db")) as state, state:
        state.execute("DELETE FROM target_facts")  # as after a kill, or a stop, before the cycle's end
    company.group("g1", ["ann", "cleo"], "Crew")
    report = await company.cycle()
    assert [(one["id"], one["error_code"]) for one in report.failures] == [("g1", "NotImplemented")]
    assert server.members("Crew") == there


async def test_the_last_member_whom_the_app_keeps_is_told_of_and_not_sent_in_each_cycle(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(patch_unsupported=True, put_resets=False)
    company.tables = GROUPS
    company.people(*PEOPLE)
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    company.group("g1", [], "Crew")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (1, {"members_removed": 1, "failure": 1})
    (failure,) = report.failures
    assert (failure["id"], failure["operation"], failure["error_code"]) == ("g1", "members", "RemovalNotKept")
    (kept,) = server.members("Crew")
    assert f"member {kept}: " in failure["reason"]
    assert "it answered success, and shows the member in the group still" in failure["reason"]
    assert [(row["status"], row["error_code"]) for row in await company.log(action="update")][-1] == (
        "failure",
        "RemovalNotKept",
    )
    tried = []
    for _ in range(5 * 24):
        server.clear_requests()
        await company.cycle()
        tried.append(len(writes(server)))
        company.clock.turn(DAY / 24)
    assert tried[0] == 1, "the next cycle tries once more"
    assert (max(tried), sum(tried)) == (1, 7), "then after 6 and 12 hours, and then once a day"
    assert server.members("Crew") == {kept}
    server.quirks = Quirks(patch_unsupported=True)
    company.clock.turn(DAY)
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"members_removed": 1})
    assert server.members("Crew") == set()
    server.clear_requests()
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {}
    assert server.requests == []


@pytest.mark.parametrize("members", ["owned", "exact"])
async def test_the_last_member_whom_the_app_kept_goes_with_the_next_one_who_comes(
    company: Company, server: ScimServer, members: str
) -> None:
    server.quirks = Quirks(patch_unsupported=True, put_resets=False)
    company.tables = GROUPS + f'members = "{members}"\n'
    company.people(*PEOPLE)
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    company.group("g1", [], "Crew")
    await company.cycle()
    await company.cycle(full=True)
    assert server.members("Crew") == {server.user(ANN)["id"]}
    company.group("g1", ["bob"], "Crew")
    report = await company.cycle()
    assert (report.exit_code, done(report)) == (0, {"members_added": 1, "members_removed": 1})
    assert server.members("Crew") == {server.user(BOB)["id"]}
    server.clear_requests()
    await company.cycle()
    assert server.requests == []


async def test_what_one_job_learned_of_an_app_is_not_forgotten_where_another_ends_later(
    company: Company, server: ScimServer
) -> None:
    crew_at_an_app_that_hides_members(company, server)
    async with wiring.open_house(config.load(company.write()), write=True) as house:
        async with house.world("app") as another:
            async with house.world("app") as world:
                await run_cycle(house.plan("app"), world)
            await another.target.update("user", TargetId("nobody"), [Change("title", None, "Engineer")], {})
        facts = await house.store.remembered(another.target.identity)
    assert facts is not None
    assert facts["shows_members"] is False


async def test_in_an_exact_group_protected_accounts_stay(company: Company, server: ScimServer) -> None:
    company.target_lines = 'protected = ["root@example.org"]'
    company.tables = GROUPS + 'members = "exact"\n'
    root = server.put("user", userName="root@example.org", active=True)
    other = server.put("user", userName="other@example.org", active=True)
    server.put("group", displayName="Crew", members=[{"value": root}, {"value": other}])
    company.people("ann")
    company.group("g1", ("ann",), "Crew")
    report = await company.cycle()
    assert done(report) == {"create": 1, "adopt": 1, "members_added": 1, "members_removed": 1}
    assert server.members("Crew") == {root, server.user(ANN)["id"]}


async def test_in_an_exact_group_those_stay_of_whom_nothing_is_known(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "assigned"\nassigned = [ { group = "APP" }, { group = "Crew" }, { user = "dan" } ]'
    company.tables = GROUPS + 'members = "exact"\n'
    company.people("ann", "bob", "dan")
    company.group("g1", ("ann", "bob"), "APP")
    company.group("g2", ("bob", "dan"), "Crew")
    await company.cycle()
    del company.groups["g1"]
    company.group("g2", ("ann", "dan"), "Crew")
    server.group("Crew")["members"] += [{"value": server.user(ANN)["id"]}]
    await company.cycle(full=True)
    assert server.user(ANN)["id"] in server.members("Crew")


@pytest.mark.parametrize("members", ["owned", "exact"])
@pytest.mark.parametrize(
    "quirks", [Quirks(no_members_on_get=True), Quirks(member_value_is_user_name=True), Quirks(duplicates_members=True)]
)
async def test_a_target_that_shows_members_oddly_is_not_filled_again_and_again(
    company: Company, server: ScimServer, quirks: Quirks, members: str
) -> None:
    server.quirks = quirks
    company.tables = GROUPS + f'members = "{members}"\n'
    company.people(*PEOPLE)
    company.group("g1", PEOPLE, "Crew")
    await company.cycle()
    await company.cycle(full=True)
    server.clear_requests()
    report = await company.cycle(full=True)
    assert (report.exit_code, done(report)) == (0, {})
    assert writes(server) == []
    server.quirks = Quirks()
    assert len({one["value"] for one in server.group("Crew")["members"]}) == 4


# --- what the target does not keep -------------------------------------------------------------------------------

SILENT = [
    pytest.param(Quirks(drops_attributes=("title",)), id="dropped"),
    pytest.param(Quirks(drops_attributes=("title",), patch_no_content=True), id="dropped without a word"),
]


def titles_sent(server: ScimServer) -> int:
    return sum(b'"title"' in seen.raw for seen in writes(server))


@pytest.mark.parametrize("quirks", SILENT)
async def test_an_attribute_that_the_target_drops_is_sent_three_times_and_then_reported(
    company: Company, server: ScimServer, quirks: Quirks
) -> None:
    server.quirks = quirks
    company.people("ann")
    await company.cycle()
    for _ in range(3):
        server.clear_requests()
        assert done(await company.cycle()) == {}
        assert server.requests == [], "never in a quiet cycle"
    sent = 0
    for _ in range(5):
        server.clear_requests()
        await company.cycle(full=True)
        sent += titles_sent(server)
    assert 1 <= sent <= 3
    server.clear_requests()
    assert done(await company.cycle(full=True)) == {}
    assert titles_sent(server) == 0
    warnings = [row for row in await company.log(status="warning") if "does not keep: title" in row["reason"]]
    assert warnings
    assert "not sent again until its value changes" in warnings[-1]["reason"]
    company.users["ann"]["jobTitle"] = "Manager"
    server.clear_requests()
    await company.cycle()
    assert titles_sent(server) == 1, "another value is another try"
    server.quirks = Quirks()
    company.users["ann"]["jobTitle"] = "Chief"
    await company.cycle()
    assert server.user(ANN)["title"] == "Chief"


@pytest.mark.parametrize("no_content", [False, True])
async def test_a_patch_that_changes_nothing_is_sent_three_times_and_then_reported(
    company: Company, server: ScimServer, no_content: bool
) -> None:
    company.people("ann")
    await company.cycle()
    server.quirks = Quirks(patch_silent_no_op=("title",), patch_no_content=no_content)
    company.users["ann"]["jobTitle"] = "Manager"
    server.clear_requests()
    for full in (False, False, True, True, False, True, True, True):
        await company.cycle(full=full)
    assert titles_sent(server) == 3
    server.quirks = Quirks()
    server.clear_requests()
    company.users["ann"]["jobTitle"] = "Chief"
    await company.cycle(full=True)
    assert server.user(ANN)["title"] == "Chief"
    assert titles_sent(server) == 1


async def test_what_somebody_changes_at_the_target_each_day_is_put_right_each_day(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    await company.cycle()
    for _ in range(6):
        server.user(ANN)["title"] = "Queen"
        assert done(await company.cycle(full=True)) == {"update": 1}
        assert server.user(ANN)["title"] == "Engineer"


async def test_an_answer_that_shows_only_an_id_does_not_mean_that_nothing_was_kept(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    await company.cycle()
    account = server.user(ANN)["id"]
    server.script.on("PATCH", account, then=Status(200, body={"id": account}, done=True), times=FOR_EVER)
    company.users["ann"]["jobTitle"] = "Manager"
    server.clear_requests()
    assert done(await company.cycle()) == {"update": 1}
    assert await company.log(status="warning") == []
    assert len(writes(server)) == 1
    server.script.on("POST", "/Users$", then=Status(201, body={"id": "u-77"}, done=True))
    company.people("bob")
    server.clear_requests()
    assert done(await company.cycle()) == {"create": 1}
    assert [seen.method for seen in writes(server)] == ["POST"]
    assert await company.log(status="warning") == []


async def test_what_a_create_did_not_take_is_sent_after_it(company: Company, server: ScimServer) -> None:
    company.people("ann")
    server.quirks = Quirks(drops_attributes=("title",))
    await company.cycle()
    assert [seen.method for seen in writes(server)] == ["POST", "PATCH"]
    company.people(*(f"p{number:02}" for number in range(30)))
    server.clear_requests()
    await company.cycle()
    assert len(server.sent("PATCH")) <= 10, "thirty times would teach nothing that ten do not"


@pytest.mark.parametrize(
    "refusal",
    [
        *(pytest.param(Status(status), id=str(status)) for status in (404, 409, 412, 429, 503)),
        pytest.param(Status(200, body=b"<!DOCTYPE html><title>Sign in</title>"), id="web page"),
    ],
)
async def test_what_could_not_be_sent_right_after_a_create_is_sent_in_the_next_cycle(
    company: Company, server: ScimServer, refusal: Status
) -> None:
    server.quirks = Quirks(drops_attributes=("title",))
    server.script.on("PATCH", "/Users", then=refusal, times=FOR_EVER)
    company.people("ann")
    assert done(await company.cycle()) == {"create": 1}
    server.quirks = Quirks()
    server.script.clear()
    assert done(await company.cycle()) == {"update": 1}
    assert server.user("ann@example.com")["title"] == company.users["ann"]["jobTitle"]
    assert done(await company.cycle()) == {}


async def test_what_was_sent_after_a_create_and_nobody_shows_is_not_said_to_be_lost(
    company: Company, server: ScimServer
) -> None:
    server.quirks = Quirks(drops_attributes=("title",), patch_no_content=True)
    server.script.on("GET", "/Users/", then=Status(404), times=FOR_EVER)
    company.people("ann")
    assert done(await company.cycle()) == {"create": 1}
    assert [seen.method for seen in writes(server)] == ["POST", "PATCH"]
    assert await company.log(status="warning") == []
