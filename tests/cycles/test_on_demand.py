"""One person, now: the five steps, and that they are the cycle's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest

from reconciler.core.standing import Pause
from reconciler.runtime.finding import NotOne
from tests.cycles.company import GROUPS, Company, done
from tests.servers.faults import FOR_EVER, Status
from tests.servers.scim import ScimServer

Arrange = Callable[[Company, ScimServer], Awaitable[None]]

ANN = "ann@example.com"
ASSIGNED = 'scope = "assigned"\nassigned = [ { group = "Crew" } ]'


def steps(result: Any, of: int = 0) -> Mapping[str, tuple[str, str]]:
    return {step["name"]: (step["status"], step["description"]) for step in result.as_dict()["results"][of]["steps"]}


def details(result: Any, number: int, of: int = 0) -> Mapping[str, Any]:
    found: Mapping[str, Any] = result.as_dict()["results"][of]["steps"][number - 1]["details"]
    return found


async def test_somebody_new_is_created_and_each_step_shows_its_values(company: Company, server: ScimServer) -> None:
    company.job = ASSIGNED
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Crew")
    result = await company.provision("ann")
    assert (result.exit_code, list(server.users)) == (0, [server.user(ANN)["id"]])
    assert steps(result) == {
        "Test the connection": ("success", "the target answers and takes our credential"),
        "Import": ("success", "read user ann from the source"),
        "Determine the scope": ("success", "in scope through group Crew"),
        "Match": ("success", "no account matches"),
        "Perform the action": ("success", "create: in scope through group Crew; no account matches"),
    }
    assert details(result, 2)["attributes"]["jobTitle"] == "Engineer"
    assert details(result, 3)["checks"] == [
        {"name": "Active in the source", "result": True, "why": "accountEnabled says so"},
        {"name": "Assigned to the application", "result": True, "why": "group Crew"},
    ]
    assert details(result, 4)["asked"] == [{"attribute": "userName", "value": ANN, "found": []}]
    assert {"path": "title", "old": None, "new": "Engineer"} in details(result, 5)["modified"]


async def test_the_next_cycle_finds_nothing_to_do_for_whom_was_provisioned(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.provision("ann")
    assert done(await company.cycle()) == {"create": 1}
    assert len(server.users) == 2
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []


async def test_the_answer_has_the_shape_of_graphs_and_the_log_says_who_asked(company: Company) -> None:
    company.people("ann")
    answer = (await company.provision("ann")).as_dict()["results"][0]
    assert orjson.loads(answer["key"]) == {"result": "Success", "details": {"errorCode": "", "errorMessage": ""}}
    (told,) = orjson.loads(answer["value"])
    assert (told["provisioningAction"], told["initiatedBy"]["displayName"]) == ("create", "on demand by ann")
    (row,) = await company.log()
    assert (row["initiated_by"], row["change_id"]) == ("on demand by ann", told["changeId"])


async def test_who_is_as_before_is_skipped_and_that_is_logged_too(company: Company, server: ScimServer) -> None:
    company.people("ann")
    await company.cycle()
    server.clear_requests()
    result = await company.provision("ann")
    assert steps(result)["Perform the action"][0] == "skipped"
    assert (result.exit_code, result.subjects[0].error_code) == (0, "RedundantExport")
    assert {request.method for request in server.requests} == {"GET"}
    assert (await company.log())[-1]["error_code"] == "RedundantExport"


async def test_an_update_shows_old_and_new(company: Company, server: ScimServer) -> None:
    company.people("ann")
    await company.cycle()
    company.users["ann"]["jobTitle"] = "Chief"
    result = await company.provision(ANN)
    assert details(result, 5)["modified"] == [{"path": "title", "old": "Engineer", "new": "Chief"}]
    assert "linked to" in steps(result)["Match"][1]
    assert server.user(ANN)["title"] == "Chief"


async def test_a_dry_run_asks_and_changes_nothing(company: Company, server: ScimServer) -> None:
    company.people("ann")
    result = await company.provision("ann", dry_run=True)
    assert (result.dry_run, steps(result)["Perform the action"][0]) == (True, "success")
    assert {request.method for request in server.requests} == {"GET"}
    assert not (company.directory / "state.db").exists()
    assert done(await company.cycle()) == {"create": 1}


@pytest.mark.parametrize("name", ["ann", "ANN@EXAMPLE.COM", "ann@example.com", "Ann", "ann.mail@example.com"])
async def test_somebody_is_found_by_id_and_by_every_name(company: Company, name: str) -> None:
    company.person("ann", mail="Ann.Mail@example.com")
    company.people("bob")
    assert (await company.provision(name)).subjects[0].id == "ann"


async def test_a_name_that_several_have_is_refused_with_their_ids(company: Company, server: ScimServer) -> None:
    company.person("ann", displayName="Sam")
    company.person("bob", displayName="sam")
    (problem,) = await company.ask_for("Sam")  # type: ignore[misc]  # because it is a tuple of problems
    assert isinstance(problem, NotOne)
    assert [one.id for one in problem.found] == ["ann", "bob"]
    assert server.requests == []


async def test_a_name_that_nobody_has_gets_the_nearest(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    (problem,) = await company.ask_for("anne@example.com")  # type: ignore[misc]  # because it is a tuple of problems
    assert isinstance(problem, NotOne)
    assert problem.nearest[0] == ANN
    assert server.requests == []


async def test_it_works_on_a_job_that_is_paused_and_not_enabled(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\nenabled = false'
    company.people("ann", "bob")
    await company.settle(lambda s: (replace(s, paused=Pause(0.0, "ann")), []))
    assert (await company.provision("ann")).exit_code == 0
    assert list(server.users) == [server.user(ANN)["id"]]


async def test_who_is_inactive_is_disabled_with_the_reason(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    dry = await company.provision("ann", dry_run=True)
    assert "disable: accountEnabled was False" in steps(dry)["Perform the action"][1]
    assert server.user(ANN)["active"] is True
    result = await company.provision("ann")
    assert steps(result)["Determine the scope"] == ("skipped", "not in scope (inactive): accountEnabled was False")
    assert "it counts for the safeguard" in steps(result)["Perform the action"][1]
    assert server.user(ANN)["active"] is False
    assert done(await company.cycle()) == {}


async def test_who_is_out_of_scope_is_told_by_which_clause(company: Company, server: ScimServer) -> None:
    company.tables = 'filter = { attribute = "department", operator = "EQUALS", value = "Sales" }'
    company.people("ann")
    result = await company.provision("ann")
    assert details(result, 3)["checks"][-1] == {
        "name": "Scoping filter",
        "result": False,
        "why": "department EQUALS Sales: was Development",
    }
    assert (steps(result)["Perform the action"][0], server.users) == ("skipped", {})


async def test_who_is_gone_from_the_source_is_found_by_the_link_and_disabled(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    result = await company.provision(ANN)
    assert steps(result)["Import"][0] == "skipped"
    assert steps(result)["Perform the action"][1].startswith("disable: no longer in the source")
    assert server.user(ANN)["active"] is False


async def test_a_disable_on_demand_does_not_slip_past_a_hold(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{n}" for n in range(20)))
    await company.cycle()
    for n in range(10):
        company.users[f"p{n}"]["accountEnabled"] = False
    assert (await company.cycle()).state == "held"
    result = await company.provision("p0")
    assert (result.state, result.exit_code) == ("held", 3)
    assert "held by the safeguard: 10 to be disabled" in steps(result)["Perform the action"][1]
    assert all(user["active"] for user in server.users.values())
    assert len((await company.plan())[1]) == 10


async def too_many_leave(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{n}" for n in range(20)))
    await company.cycle()
    for n in range(10):
        company.users[f"p{n}"]["accountEnabled"] = False
    company.users["ann"]["accountEnabled"] = False
    await company.cycle()


async def too_many_join(company: Company, server: ScimServer) -> None:
    company.job += "\ncreation_threshold = 0"
    company.person("ann")


async def too_many_get_another_name(company: Company, server: ScimServer) -> None:
    company.job += "\nrename_threshold = 0"
    await company.cycle()
    company.users["ann"] |= {"userPrincipalName": "anna@example.com", "jobTitle": "Manager"}


async def an_account_was_there_before(company: Company, server: ScimServer) -> None:
    server.put("user", userName=ANN, active=True)
    company.users["ann"]["accountEnabled"] = False


async def somebody_locked_her(company: Company, server: ScimServer) -> None:
    await company.cycle()
    server.user(ANN)["active"] = False
    await company.cycle(full=True)


@pytest.mark.parametrize(
    ("arrange", "what", "code"),
    [
        (too_many_leave, "disable held", "TooManyDeletes"),
        (too_many_join, "create held", "TooManyCreates"),
        (too_many_get_another_name, "rename held", "TooManyRenames"),
        (an_account_was_there_before, "disable held", "AdoptedAccountHeld"),
        (somebody_locked_her, "enable held", "LockedAccountHeld"),
    ],
)
async def test_each_safeguard_that_holds_has_its_own_code(
    company: Company, server: ScimServer, arrange: Arrange, what: str, code: str
) -> None:
    company.job = 'scope = "all"'
    company.person("ann")
    await arrange(company, server)
    result = await company.provision("ann")
    assert (result.state, result.exit_code) == ("held", 3)
    assert steps(result)["Perform the action"][1].startswith(f"{what} by the safeguard: ")
    [subject] = result.subjects
    assert (subject.status, subject.error_code) == ("skipped", code)


async def test_a_group_whose_removals_are_held_has_their_code(company: Company, server: ScimServer) -> None:
    people = [f"p{n:02}" for n in range(60)]
    company.job, company.tables = 'scope = "all"', GROUPS
    company.people(*people)
    company.group("g1", people, "Crew")
    await company.cycle()
    company.group("g1", people[:10], "Crew")
    result = await company.provision("Crew")
    crew = result.subjects[0]
    assert (result.exit_code, crew.id, crew.error_code) == (3, "g1", "TooManyRemovals")
    assert crew.why.startswith("50 removals of members held by the safeguard: ")
    assert len(server.members("Crew")) == 60


async def test_a_group_that_would_be_deleted_has_its_code(company: Company, server: ScimServer) -> None:
    company.job, company.tables = ASSIGNED, GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Crew")
    company.group("g2", ["ann"], "Other")
    company.job = 'scope = "assigned"\nassigned = [ { group = "Crew" }, { group = "Other" } ]'
    await company.cycle()
    company.job = 'scope = "assigned"\nassigned = [ { group = "Other" } ]'
    result = await company.provision("g1")
    group = next(one for one in result.subjects if one.kind == "group")
    assert (group.status, group.error_code) == ("skipped", "GroupDeleteHeld")
    assert len(server.groups) == 2


async def test_disables_on_demand_count_for_the_safeguard(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{n}" for n in range(20)))
    await company.cycle()
    for n in range(6):
        company.users[f"p{n}"]["accountEnabled"] = False
    answers = [(await company.provision(f"p{n}")).exit_code for n in range(6)]
    assert answers == [0, 0, 0, 0, 0, 3]
    assert [user["active"] for user in server.users.values()].count(False) == 5


async def test_an_account_that_is_there_is_adopted(company: Company, server: ScimServer) -> None:
    there = server.put("user", userName=ANN, title="Old")
    company.people("ann")
    result = await company.provision("ann")
    assert steps(result)["Match"] == ("success", "one account matches by userName")
    assert details(result, 4)["asked"][0]["found"][0]["id"] == there
    assert (len(server.users), server.user(ANN)["title"]) == (1, "Engineer")


async def test_what_the_target_refuses_is_a_failure_with_its_reason(company: Company, server: ScimServer) -> None:
    company.people("ann")
    server.script.on("POST", "/Users", then=Status(400))
    result = await company.provision("ann")
    assert (result.exit_code, result.subjects[0].error_code) == (1, "UnprocessableEntity")
    assert (await company.provision("ann")).exit_code == 0, "it does not wait for the escrow's time"


async def test_a_dead_target_ends_at_the_first_step(company: Company, server: ScimServer) -> None:
    company.people("ann")
    server.script.on("*", "", then=Status(401), times=FOR_EVER)
    result = await company.provision("ann")
    assert (result.exit_code, list(steps(result))) == (4, ["Test the connection"])
    assert steps(result)["Test the connection"][0] == "failure"


async def test_a_group_comes_with_its_members(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS
    company.people("ann", "bob", "cleo")
    company.group("g1", ["ann", "bob"], "Crew")
    company.group("g2", ["cleo"], "Other")
    result = await company.provision("Crew")
    assert [(one.kind, one.id, one.status) for one in result.subjects] == [
        ("group", "g1", "success"),
        ("user", "ann", "success"),
        ("user", "bob", "success"),
    ]
    assert len(server.members("Crew")) == 2
    assert (len(server.users), len(server.groups)) == (2, 1)
    assert done(await company.cycle()) == {"create": 2, "members_added": 1}


async def test_a_group_that_is_not_provisioned_itself_brings_its_members(company: Company, server: ScimServer) -> None:
    company.job = ASSIGNED
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Crew")
    result = await company.provision("crew")
    assert [(one.kind, one.id) for one in result.subjects] == [("user", "ann")]
    assert (len(server.users), server.groups) == (1, {})


async def test_of_a_source_that_is_not_whole_nobody_is_said_to_be_gone(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.write()
    del company.users["ann"]
    company.users["broken"] = {"displayName": "no id"}
    result = await company.provision(ANN)
    assert (result.exit_code, result.state) == (4, "incomplete")
    assert server.user(ANN)["active"] is True


async def test_who_is_matched_only_at_the_end_is_disabled_all_the_same(company: Company, server: ScimServer) -> None:
    company.attributes = company.attributes.replace('from = "id"', 'from = "id", match = 2')
    company.people("ann")
    await company.cycle()
    old = server.put("user", userName="kim.old@example.com", externalId="k2", active=True)
    server.script.on("POST", "/Users", then=Status(400), times=FOR_EVER)
    company.person("k1", userPrincipalName="kim@example.com")
    company.person("k2", userPrincipalName="kim@example.com", accountEnabled=False)
    result = await company.provision("k1", "k2")
    assert [(subject.id, subject.status) for subject in result.subjects] == [("k1", "failure"), ("k2", "success")]
    assert result.subjects[1].why.startswith("disable: ")
    assert server.users[old]["active"] is False
