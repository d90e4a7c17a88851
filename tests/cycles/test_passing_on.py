"""Ownership and cost: accounts pass to whom they belong, and a quiet cycle stays quiet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import orjson
import pytest

from reconciler import config, wiring
from reconciler.commands import linking
from reconciler.core.model import SourceId, TargetId
from reconciler.core.records import Link, Record, Verdict
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.journal import Journal
from reconciler.runtime.report import CycleReport
from tests.commands.shell import Hanging
from tests.cycles.calendar import DAY
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.faults import FOR_EVER, Delay, Drop, DropAfterCommit, Status, WrongJson
from tests.servers.quirks import Quirks
from tests.servers.schemas import LIST_RESPONSE
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
FILTER = """
[jobs.app.users.filter]
attribute = "department"
operator = "NOT EQUALS"
value = "Alumni"
"""
HIDES = Quirks(filter_lies_empty=("userName",))


async def cycle_of(company: Company, job: str) -> CycleReport:
    loaded = config.load(company.write())
    async with wiring.open_house(loaded, write=True) as opened:
        house = replace(opened, clock=company.clock, dice=company._dice)
        async with house.world(job) as world:
            return await run_cycle(house.plan(job), world)


def second_job(rules: str, *, source: str = "staff") -> str:
    return f"""
[jobs.other]
source = "{source}"
target = "app"
full_interval = "1000d"
{rules}
[jobs.other.users]
attributes = [
{ATTRIBUTES}
]
"""


CONTRACTORS = """
[sources.contractors]
type = "file"
users = "contractors.jsonl"
key = "id"
active = "accountEnabled"
"""


def contract(company: Company, id_: str, **attributes: object) -> None:
    row = {"id": id_, "userPrincipalName": ANN, "displayName": "Someone else", "jobTitle": "C", "accountEnabled": True}
    (company.directory / "contractors.jsonl").write_bytes(orjson.dumps({**row, **attributes}))


async def test_the_same_id_in_another_source_is_another_human(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    company.tables = CONTRACTORS + second_job('scope = "all"', source="contractors")
    contract(company, "ann")
    report = await cycle_of(company, "other")
    assert [failure["error_code"] for failure in report.failures] == ["AccountTaken"]
    assert (done(report), server.user(ANN)["active"]) == ({"failure": 1}, False)


@pytest.mark.parametrize("days", [1, 40])
async def test_who_is_in_scope_of_a_second_job_keeps_the_account(
    company: Company, server: ScimServer, days: int
) -> None:
    company.job = 'scope = "assigned"\nassigned = [ { group = "A" } ]'
    company.tables = second_job('scope = "assigned"\nassigned = [ { group = "B" } ]')
    company.people("ann", "bob")
    company.group("a", ["ann"], "A")
    company.group("b", ["ann", "bob"], "B")
    await cycle_of(company, "app")
    await cycle_of(company, "other")
    for _ in range(2):
        company.clock.turn(days * DAY)
        server.clear_requests()
        assert (done(await cycle_of(company, "other")), server.requests) == ({}, [])
    company.groups["a"]["members"] = ["bob"]
    company.users["ann"]["jobTitle"] = "Chief"
    assert done(await cycle_of(company, "app")) == {}
    assert "passes to job other" in [row["reason"] for row in await company.log(user="ann")][-1]
    assert done(await cycle_of(company, "other")) == {"update": 1}
    server.clear_requests()
    for job in ("app", "other", "app"):
        assert done(await cycle_of(company, job)) == {}
    assert (server.requests, server.user(ANN)["active"], server.user(ANN)["title"]) == ([], True, "Chief")
    del company.users["ann"]
    assert done(await cycle_of(company, "other")) == {"disable": 1}


async def test_whose_account_another_job_took_a_moment_ago_is_known_all_the_same(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    company.tables = second_job('scope = "all"')
    await company.cycle()
    account = TargetId(server.user(ANN)["id"])
    async with (
        wiring.open_house(config.load(company.write()), write=True) as house,
        house.world("other") as world,
    ):
        now = company.clock.now()
        state = await house.store.open_job("other", world.source.identity, world.target.identity, now)
        journal = Journal(house.store, state.job_id, state.epoch, company.clock)
        ann = Record("user", SourceId("ann"), fingerprint=b"ann", verdict=Verdict.IN_SCOPE)
        ann.link = Link(account, "adopted", {}, now)
        await journal.entry(ann)
        await journal.flush()
        assert journal.refused == [("user", "ann")]
        known = (await house.store.records(state.job_id, "user", [SourceId("ann")]))[SourceId("ann")]
        assert (known.link, known.fingerprint, known.claims) == (None, None, account)
        assert known.due_at is not None, "she is looked at in the next cycle"
        await journal.entry(replace(known, fingerprint=b"changed", due_at=None))
        await journal.flush()
        await journal.entry(replace(ann, row_id=known.row_id))
        await journal.flush()
        again = (await house.store.records(state.job_id, "user", [SourceId("ann")]))[SourceId("ann")]
        assert (again.link, again.fingerprint) == (None, None), "who was known before is looked at again, too"
        await house.store.close_visit(state.job_id, state.epoch, now)
    assert done(await cycle_of(company, "other")) == {}
    company.job = 'scope = "assigned"\nassigned = []'
    await company.cycle()
    await cycle_of(company, "other")
    assert server.user(ANN)["active"]


async def test_who_is_gone_from_the_source_passes_to_no_other_job(company: Company, server: ScimServer) -> None:
    company.tables = second_job('scope = "all"')
    company.people("ann", "bob")
    await company.cycle()
    assert done(await cycle_of(company, "other")) == {}
    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1}
    await cycle_of(company, "other")
    assert server.user(ANN)["active"] is False


def department_is(job: str, value: str, *, out_of_scope: str = "disable") -> str:
    """Return the tables of a job that has one department in scope."""
    return f"""
[jobs.{job}.users.filter]
attribute = "department"
operator = "EQUALS"
value = "{value}"
[jobs.{job}.deprovision]
out_of_scope = "{out_of_scope}"
"""


@pytest.mark.parametrize("out_of_scope", ["disable", "delete"])
@pytest.mark.parametrize("order", [("app", "other"), ("other", "app")])
async def test_who_moves_from_one_job_to_another_keeps_the_account_whichever_runs_first(
    company: Company, server: ScimServer, order: tuple[str, str], out_of_scope: str
) -> None:
    company.tables = department_is("app", "Sales", out_of_scope=out_of_scope)
    company.tables += second_job('scope = "all"') + department_is("other", "Research", out_of_scope=out_of_scope)
    company.people("ann", "bob")
    company.users["ann"]["department"], company.users["bob"]["department"] = "Sales", "Research"
    for job in order:
        await cycle_of(company, job)
    account = server.user(ANN)["id"]
    for department in ("Research", "Sales"):
        company.users["ann"] |= {"department": department, "jobTitle": f"In {department}"}
        server.clear_requests()
        for _ in range(2):
            for job in order:
                await cycle_of(company, job)
        changed = [seen for seen in server.requests if seen.method not in ("GET", "PATCH")]
        assert (changed, server.user(ANN)["id"], server.user(ANN)["active"]) == ([], account, True)
        assert server.user(ANN)["title"] == f"In {department}"
        server.clear_requests()
        assert ([done(await cycle_of(company, job)) for job in order], server.requests) == ([{}, {}], [])
    company.users["ann"]["department"] = "Alumni"
    for job in order:
        await cycle_of(company, job)
    assert [user["active"] for user in server.users.values() if user["userName"] == ANN] != [True]


async def test_an_account_that_passes_to_another_job_while_it_is_off_is_deleted_in_time(
    company: Company, server: ScimServer
) -> None:
    """Inactive, away from the source for a while, and then inactive where another job has her in scope."""
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann", "bob")
    company.users["ann"] |= {"department": "Sales", "accountEnabled": True}
    await cycle_of(company, "app")
    company.users["ann"]["accountEnabled"] = False
    assert done(await cycle_of(company, "app")) == {"disable": 1}
    away = company.users.pop("ann")
    company.clock.turn(10 * DAY)
    assert done(await cycle_of(company, "app")) == {}
    company.users["ann"] = {**away, "department": "Research"}
    assert done(await cycle_of(company, "other")) == {"adopt": 1}
    assert done(await cycle_of(company, "other")) == {}
    company.clock.turn(19 * DAY)
    assert done(await cycle_of(company, "other")) == {}, "29 days after she was disabled"
    company.clock.turn(DAY)
    assert done(await cycle_of(company, "other")) == {"delete": 1}
    assert ANN not in {user["userName"] for user in server.users.values()}


async def test_an_account_that_another_job_disabled_a_moment_ago_is_switched_on_whatever_is_shown(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann", "bob")
    company.users["ann"]["department"] = "Sales"
    await cycle_of(company, "app")
    shown_before = dict(server.user(ANN))
    company.users["ann"]["department"] = "Alumni"
    assert done(await cycle_of(company, "app")) == {"disable": 1}
    company.users["ann"]["department"] = "Research"
    stale = {"schemas": [LIST_RESPONSE], "totalResults": 1, "Resources": [shown_before]}
    server.script.on("GET", "/Users$", then=Status(200, body=stale), times=FOR_EVER)
    assert done(await cycle_of(company, "other")) == {"adopt": 1}
    assert server.user(ANN)["active"] is True


async def test_a_disable_that_was_kept_back_because_the_app_is_away_is_not_taken_for_ours(
    company: Company, server: ScimServer
) -> None:
    """Another job found that nobody answers, so nothing is sent, and an administrator locks her meanwhile."""
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann", "bob")
    company.users["ann"]["department"], company.users["bob"]["department"] = "Sales", "Research"
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    loaded = config.load(company.write())
    async with wiring.open_house(loaded, write=True) as opened:
        house = replace(opened, clock=company.clock)
        await server.stop()
        for job in ("other", "app"):
            async with house.world(job) as world:
                report = await run_cycle(house.plan(job), world)
    assert (report.state, report.requests) == ("unreachable", {})
    server.user(ANN)["active"] = False
    await server.start()
    company.clock.turn(DAY)
    server.clear_requests()
    assert done(await company.cycle()) == {"disable": 1}
    assert len(server.sent("PATCH")) == 1


async def test_who_takes_an_account_over_stays_in_its_groups_while_that_is_in_doubt(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann", "bob"], "Crew")
    await company.cycle()
    account = server.user(ANN)["id"]
    del company.users["ann"]
    company.person("ann2", userPrincipalName=ANN, displayName="Ann", employeeId="E-ann")
    company.group("g1", ["ann2", "bob"], "Crew")
    server.script.on("PATCH", f"/Users/{account}$", then=WrongJson(), times=FOR_EVER)
    assert done(await company.cycle()) == {"failure": 1}
    assert account in server.members("Crew")
    server.script.clear()
    await company.cycle()
    assert (account in server.members("Crew"), server.user(ANN)["externalId"]) == (True, "ann2")
    company.group("g1", ["bob"], "Crew")
    assert done(await company.cycle()) == {"members_removed": 1}


async def test_who_takes_an_account_over_comes_into_groups_though_the_first_change_of_it_is_refused(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS + department_is("app", "Sales")
    company.tables += second_job('scope = "all"') + department_is("other", "Research") + 'disable_after = "1d"'
    company.people("ann", "bob")
    company.users["ann"]["department"], company.users["bob"]["department"] = "Research", "Sales"
    company.group("g1", ["ann", "bob"], "Crew")
    await cycle_of(company, "other")
    assert done(await cycle_of(company, "app")) == {"create": 2, "members_added": 1}
    company.users["ann"] |= {"department": "Sales", "jobTitle": "In sales"}
    for job in ("app", "other"):
        assert done(await cycle_of(company, job)) == {}, "the one waits for the other, and that for a day"
    server.script.on("PATCH", "/Users/", then=Status(400), times=FOR_EVER)
    assert done(await cycle_of(company, "app"))["failure"] == 1
    server.script.clear()
    await cycle_of(company, "app")
    assert server.members("Crew") == {server.user(ANN)["id"], server.user("bob@example.com")["id"]}
    assert server.user(ANN)["title"] == "In sales"


@pytest.mark.parametrize("order", [("app", "other"), ("other", "app")])
async def test_who_moves_to_another_job_when_her_account_is_not_there_any_more_gets_a_new_one(
    company: Company, server: ScimServer, order: tuple[str, str]
) -> None:
    """The one job would leave the account to the other, and that one would wait for it."""
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann", "bob")
    company.users["ann"]["department"] = "Sales"
    for job in order:
        await cycle_of(company, job)
    company.clock.turn(DAY)
    del server.users[server.user(ANN)["id"]]
    company.users["ann"]["department"] = "Research"
    for job in (*order, *order):
        await cycle_of(company, job)
    assert [user["active"] for user in server.users.values() if user["userName"] == ANN] == [True]
    server.clear_requests()
    assert ([done(await cycle_of(company, job)) for job in order], server.requests) == ([{}, {}], [])


async def test_what_somebody_changed_in_an_account_is_put_right_by_the_job_that_it_passes_to(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann")
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    company.users["ann"]["department"] = "Research"
    server.user(ANN)["title"] = "Changed by hand"
    await cycle_of(company, "other")
    await company.cycle()
    assert "passes to job other" in [row["reason"] for row in await company.log(user="ann")][-1]
    assert done(await cycle_of(company, "other")) == {"update": 1}
    assert (server.user(ANN)["title"], server.user(ANN)["active"]) == ("Engineer", True)


async def test_whoever_another_job_gets_through_a_group_is_left_to_it(company: Company, server: ScimServer) -> None:
    company.tables = department_is("app", "Sales", out_of_scope="delete")
    company.tables += second_job('scope = "assigned"\nassigned = [ { group = "Crew" } ]')
    company.people("ann", "bob")
    company.group("g1", ["bob"], "Crew")
    for name in ("ann", "bob"):
        company.users[name]["department"] = "Sales"
    await company.cycle()
    account = server.user(ANN)["id"]
    company.users["ann"]["department"] = "Research"
    company.groups["g1"]["members"].append("ann")
    report = await company.cycle()
    assert (done(report), server.user(ANN)["active"]) == ({}, True)
    assert "job other has ann in scope" in [row["reason"] for row in await company.log(user="ann")][-1]
    for _ in range(2):
        await cycle_of(company, "other")
        await company.cycle()
    company.groups["g1"]["members"].remove("ann")
    await cycle_of(company, "other")
    assert (server.user(ANN)["id"], server.user(ANN)["active"]) == (account, False)


@pytest.mark.parametrize("user", ["bob", "bob@example.com"])
async def test_whom_another_job_has_by_name_is_left_to_it_and_nobody_else(
    company: Company, server: ScimServer, user: str
) -> None:
    """Among the attributes that may hold the name are some that the source does not have."""
    company.tables = department_is("app", "Sales")
    company.tables += second_job(f'scope = "assigned"\nassigned = [ {{ user = "{user}" }} ]')
    company.people("ann", "bob")
    for department in ("Sales", "Research"):
        for person in company.users.values():
            person["department"] = department
        report = await company.cycle()
    assert done(report) == {"disable": 1}
    assert (server.user(ANN)["active"], server.user("bob@example.com")["active"]) == (False, True)


async def test_who_waits_for_another_job_leaves_when_that_one_wants_her_no_more(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann")
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    company.users["ann"]["department"] = "Research"
    for _ in range(2):
        assert (done(await company.cycle()), server.user(ANN)["active"]) == ({}, True)
    company.users["ann"]["department"] = "Alumni"
    assert done(await company.cycle()) == {"disable": 1}


async def test_nobody_is_taken_out_while_it_is_unknown_whether_another_job_has_her(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales", out_of_scope="delete")
    company.tables += second_job('scope = "assigned"\nassigned = [ { group = "Crew" } ]')
    company.people("ann", "bob")
    company.group("g1", ["bob"], "Another crew")
    company.users["ann"]["department"] = company.users["bob"]["department"] = "Sales"
    await company.cycle()
    company.users["ann"]["department"] = "Research"
    for _ in range(2):
        assert (done(await company.cycle()), server.user(ANN)["active"]) == ({}, True)
    assert "is unknown" in [row["reason"] for row in await company.log(user="ann")][-1]
    company.groups["g1"]["displayName"] = "Crew"
    assert done(await company.cycle()) == {"delete": 1}


async def cycle_while(company: Company, server: ScimServer, read: str, **changes: object) -> Mapping[str, int]:
    """Run a cycle that reads ann in this department, and let the source change before anybody is taken out."""
    company.users["ann"]["department"] = read
    company.person("zoe", department="Sales")
    held = Hanging(server, "GET", "/Users", seconds=0.5)
    reports: list[CycleReport] = []

    async def cycle() -> None:
        reports.append(await cycle_of(company, "app"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cycle)
        await held.arrived()
        if changes:
            company.users["ann"] |= changes
        else:
            del company.users["ann"]
        company.write()
    return done(reports[0])


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        pytest.param({"accountEnabled": False}, {"disable": 1}, id="inactive"),
        pytest.param({}, {"disable": 1}, id="gone"),
        pytest.param({"department": "Sales"}, {}, id="back"),
    ],
)
async def test_who_moves_and_then_changes_while_the_cycle_runs_is_not_deleted(
    company: Company, server: ScimServer, changes: dict[str, object], then: dict[str, int]
) -> None:
    """As she was read the other job had her in scope, and as she is when that one is asked no delete is due."""
    company.tables = department_is("app", "Sales", out_of_scope="delete")
    company.tables += second_job('scope = "all"') + department_is("other", "Research", out_of_scope="delete")
    company.people("ann", "bob")
    company.users["ann"]["department"], company.users["bob"]["department"] = "Sales", "Research"
    for job in ("app", "other"):
        await cycle_of(company, job)
    assert await cycle_while(company, server, "Research", **changes) == {"create": 1}
    assert server.user(ANN)["active"] is True
    assert done(await company.cycle()) == then
    server.clear_requests()
    assert ([done(await cycle_of(company, job)) for job in ("app", "other")], server.sent("DELETE")) == ([{}, {}], [])


async def test_who_leaves_every_job_and_becomes_inactive_meanwhile_is_disabled_at_once_where_that_is_asked_for(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann")
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    assert await cycle_while(company, server, "Alumni", accountEnabled=False) == {"create": 1, "disable": 1}
    assert done(await company.cycle()) == {}


async def test_who_is_kept_as_inactive_is_deleted_for_leaving_the_scope_all_the_same(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales", out_of_scope="delete") + 'inactive = "keep"\n'
    company.tables += second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann")
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    assert await cycle_while(company, server, "Research", accountEnabled=False) == {"create": 1, "delete": 1}


async def test_a_job_that_is_switched_off_keeps_nobody_on(company: Company, server: ScimServer) -> None:
    company.tables = department_is("app", "Sales")
    company.tables += second_job('scope = "all"\nenabled = false') + department_is("other", "Research")
    company.people("ann")
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    company.users["ann"]["department"] = "Research"
    assert done(await company.cycle()) == {"disable": 1}


async def test_a_new_name_makes_no_second_account_of_whoever_has_one_through_another_job(
    company: Company, server: ScimServer
) -> None:
    company.tables = second_job('scope = "all"')
    company.people("ann", "bob")
    await company.cycle()
    await cycle_of(company, "other")
    company.users["ann"]["userPrincipalName"] = "ann.married@example.com"
    for job in ("other", "app", "other"):
        await cycle_of(company, job)
    assert sorted(user["userName"] for user in server.users.values()) == ["ann.married@example.com", "bob@example.com"]


async def test_who_moves_and_is_renamed_at_once_keeps_the_account_whatever_has_her_new_name(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.people("ann", "bob")
    company.users["ann"]["department"], company.users["bob"]["department"] = "Sales", "Research"
    for job in ("app", "other"):
        await cycle_of(company, job)
    account = server.user(ANN)["id"]
    company.users["ann"] |= {"department": "Research", "userPrincipalName": "bob@example.com"}
    company.users["bob"]["userPrincipalName"] = "robert@example.com"
    for job in ("app", "other", "app", "other"):
        await cycle_of(company, job)
    assert len(server.users) == 2
    assert server.user("bob@example.com")["id"] == account
    assert all(user["active"] for user in server.users.values())


async def test_a_link_that_is_dropped_is_taken_up_by_the_job_that_waited(company: Company, server: ScimServer) -> None:
    company.tables = second_job('scope = "all"')
    company.people("ann")
    await company.cycle()
    await cycle_of(company, "other")
    async with wiring.open_house(config.load(company.write()), write=True) as house:
        assert await house.store.unlink("app", "user", SourceId("ann"))
    assert done(await cycle_of(company, "other")) == {"adopt": 1}
    assert done(await company.cycle()) == {}


async def test_another_human_gets_the_name_once_the_account_is_deleted(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.tables = CONTRACTORS + second_job('scope = "all"', source="contractors")
    contract(company, "x1")
    for _ in range(3):
        await cycle_of(company, "other")
        company.clock.turn(20 * DAY)
    server.clear_requests()
    assert (done(await cycle_of(company, "other")), server.requests) == ({}, [])
    del company.users["ann"]
    await company.cycle()
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}
    assert done(await cycle_of(company, "other")) == {"create": 1}


@pytest.mark.parametrize("job", ["app", "other"])
@pytest.mark.parametrize("quirks", [Quirks(), HIDES, replace(HIDES, conflict_status=400, empty_errors=True)])
async def test_who_is_renamed_gets_the_name_of_a_leaver_once_the_account_is_deleted(
    job: str, quirks: Quirks, company: Company, server: ScimServer
) -> None:
    server.quirks = quirks
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.person("ann", department="Sales")
    company.person("bob", department="Sales" if job == "app" else "Research")
    for one in ("app", "other"):
        await cycle_of(company, one)
    account = server.user(ANN)["id"]
    del company.users["bob"]
    assert done(await cycle_of(company, job)) == {"disable": 1}
    company.users["ann"]["userPrincipalName"] = "bob@example.com"
    for _ in range(30):
        report = await cycle_of(company, "app")
        company.clock.turn(DAY)
    assert done(report) == {}, "what fails for so long is not tried any more"
    assert done(await cycle_of(company, job)) == {"delete": 1}
    assert done(await cycle_of(company, "app")) == {"update": 1}
    assert server.user("bob@example.com")["id"] == account


async def test_a_name_that_somebody_with_the_same_id_in_another_source_has_is_said_to_be_hers(
    company: Company, server: ScimServer
) -> None:
    company.tables = second_job('scope = "all"', source="contractors") + CONTRACTORS
    company.people("ann")
    contract(company, "ann", userPrincipalName="bob@example.com")
    for job in ("app", "other"):
        await cycle_of(company, job)
    company.users["ann"]["userPrincipalName"] = "bob@example.com"
    [failure] = (await cycle_of(company, "app")).failures
    assert "belongs to ann of job other" in failure["reason"]


async def test_the_old_inactive_id_beside_the_new_one_costs_nothing(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["accountEnabled"] = False
    company.person("ann2", userPrincipalName=ANN, displayName="Ann", employeeId="E-ann")
    for _ in range(3):
        await company.cycle()
    for _ in range(3):
        company.clock.turn(DAY)
        server.clear_requests()
        assert (done(await company.cycle()), server.requests) == ({}, [])
    assert (server.user(ANN)["active"], server.user(ANN)["externalId"]) == (True, "ann2")


async def test_a_link_that_is_imported_for_somebody_who_is_gone_is_looked_at(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    other = server.put("user", userName="ann.two@example.com", active=True)
    async with wiring.open_house(config.load(company.write()), write=True) as house:
        wish = linking.Wish("user", SourceId("ann"), TargetId(other))
        await linking.import_links(house, "app", [(1, wish)], replace_links=True)
    await company.cycle()
    assert server.users[other]["active"] is False


async def test_no_account_is_taken_over_while_a_cycle_of_its_job_is_under_way(
    company: Company, server: ScimServer
) -> None:
    company.tables = FILTER + second_job('scope = "all"')
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"]["department"] = "Alumni"
    company.tables = FILTER + '[jobs.app.deprovision]\nout_of_scope = "keep"\n' + second_job('scope = "all"')
    await company.cycle()
    async with wiring.open_house(config.load(company.write()), write=True) as house, house.world("app") as world:
        await house.store.open_job("app", world.source.identity, world.target.identity, company.clock.now())
    assert done(await cycle_of(company, "other")) == {}
    await company.cycle()
    assert done(await cycle_of(company, "other")) == {"adopt": 1}


async def test_a_refused_member_is_tried_again_after_longer_and_longer_waits(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob")
    company.group("g1", ["ann"], "Crew")
    await company.cycle()
    company.groups["g1"]["members"].append("bob")
    server.script.on("PATCH", "/Groups", then=Status(400), times=FOR_EVER)
    for hours, tries in ((0, True), (0, True), (0, False), (5, False), (2, True), (7, False), (6, True), (12, False)):
        company.clock.turn(hours * 3600)
        server.clear_requests()
        report = await company.cycle()
        assert bool(server.requests) is tries, (hours, [(s.method, s.path) for s in server.requests], report.failures)
    server.script.clear()
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"members_added": 1}


async def test_a_refused_reference_is_tried_again_after_longer_and_longer_waits(
    company: Company, server: ScimServer
) -> None:
    company.attributes += MANAGER
    company.person("ann", manager="boss")
    await company.cycle()
    company.person("boss")
    server.script.on("PATCH", "/Users", then=Status(400), times=FOR_EVER)
    server.script.on("PUT", "/Users", then=Status(400), times=FOR_EVER)
    for hours, tries in ((0, True), (0, True), (0, False), (5, False), (2, True), (7, False)):
        company.clock.turn(hours * 3600)
        server.clear_requests()
        report = await company.cycle()
        assert bool(server.requests) is tries, (hours, [(s.method, s.path) for s in server.requests], report.failures)
    server.script.clear()
    company.clock.turn(DAY)
    assert done(await company.cycle()) == {"update": 1}


async def test_a_mapping_that_reads_now_asks_for_nobody_who_has_no_account(
    company: Company, server: ScimServer
) -> None:
    company.attributes += '{ to = "nickName", expression = "Left(Now(), 2)" },'
    company.person("ann")
    company.person("ina", accountEnabled=False)
    company.person("bob")
    server.script.on("POST", "/Users", then=Status(400), body="bob@", times=FOR_EVER)
    for _ in range(2):
        await company.cycle()
    server.clear_requests()
    assert (done(await company.cycle()), server.requests) == ({}, [])


async def test_a_summary_names_the_first_thousand_failures_and_counts_all(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{n}" for n in range(1005)))
    for person in company.users.values():
        person["userPrincipalName"] = None  # nothing to match with, so nothing is asked
    report = await company.cycle()
    assert (report.counts["failure"], len(report.failures)) == (1005, 1000)


async def both_at_once(company: Company) -> list[CycleReport]:
    """Run a cycle of each of two jobs side by side, in one process."""
    async with wiring.open_house(config.load(company.write()), write=True) as opened:
        house = replace(opened, clock=company.clock, dice=company._dice)
        reports: list[CycleReport] = []

        async def cycle(job: str) -> None:
            async with house.world(job) as world:
                reports.append(await run_cycle(house.plan(job), world))

        async with anyio.create_task_group() as jobs:
            jobs.start_soon(cycle, "app")
            jobs.start_soon(cycle, "other")
    return reports


async def test_two_jobs_that_run_side_by_side_make_one_account_for_one_person(tmp_path: Path) -> None:
    async with ScimServer(Quirks(lax_unique=True)) as server:
        company = Company(tmp_path, server)
        company.tables = second_job('scope = "all"')
        company.people("ann", "bob")
        server.script.on("POST", "/Users", then=Delay(0.3), times=FOR_EVER)
        reports = await both_at_once(company)
        assert sum(report.counts.get("create", 0) for report in reports) == 2
        assert sorted(user["userName"] for user in server.users.values()) == [ANN, "bob@example.com"]
        server.clear_requests()
        for job in ("app", "other"):
            report = await cycle_of(company, job)
            assert (report.failures, server.sent("POST")) == ([], [])


@pytest.mark.parametrize(("active", "word"), [(True, "adopt"), (False, "disable")])
async def test_of_two_jobs_that_find_an_account_at_the_same_moment_one_changes_it(
    company: Company, server: ScimServer, active: bool, word: str
) -> None:
    company.tables = second_job('scope = "all"')
    company.people("ann")
    server.put("user", userName=ANN, active=True, title="Theirs")
    server.script.on("GET", "/Users", then=Status(500), times=FOR_EVER)
    await both_at_once(company)  # nobody learns that there is one
    server.script.clear()
    server.clear_requests()
    company.users["ann"]["accountEnabled"] = active
    company.clock.turn(DAY)
    server.script.on("GET", "/Users", then=Delay(0.3), times=FOR_EVER)
    reports = await both_at_once(company)
    assert sum(report.counts.get(word, 0) for report in reports) == 1
    assert [request.method for request in server.requests].count("PATCH") == 1
    server.script.clear()
    for job in ("app", "other"):
        assert done(await cycle_of(company, job)) == {}


async def test_of_two_creates_of_one_name_without_an_answer_the_later_made_the_account(
    company: Company, server: ScimServer
) -> None:
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.person("bob", department="Sales")
    await cycle_of(company, "app")
    for id_, department, fault in (("ann", "Sales", Drop()), ("anna", "Research", DropAfterCommit())):
        company.person(id_, userPrincipalName=ANN, department=department)
        server.script.on("POST", "/Users", then=fault, times=FOR_EVER)
        server.script.on("GET", "/Users", then=Drop(), nth=2, times=FOR_EVER)
        await cycle_of(company, "app" if id_ == "ann" else "other")
        server.script.clear()
        company.users["ann"]["department"] = "Alumni"
    assert server.user(ANN)["externalId"] == "anna"
    for _ in range(2):
        await cycle_of(company, "app")
        await cycle_of(company, "other")
        assert server.user(ANN)["active"] is True
    server.clear_requests()
    assert done(await cycle_of(company, "other")) == {}
    assert server.requests == []


@pytest.mark.parametrize("taken", [False, True])
async def test_who_moves_and_is_renamed_while_her_create_is_in_doubt_gets_no_second_account(
    company: Company, server: ScimServer, taken: bool
) -> None:
    """`taken`: somebody else's account has the new name, in an app that takes two of one name."""
    if taken:
        server.quirks = Quirks(lax_unique=True)
    company.tables = department_is("app", "Sales") + second_job('scope = "all"') + department_is("other", "Research")
    company.person("bob", department="Sales")
    await cycle_of(company, "app")
    company.person("ann", department="Sales")
    server.script.on("POST", "/Users", then=DropAfterCommit())
    server.script.on("GET", "/Users", then=Drop(), nth=2, times=FOR_EVER)
    await cycle_of(company, "app")
    server.script.clear()
    if taken:
        server.put("user", userName="ann.married@example.com", title="Theirs", active=True)
    company.person("ann", userPrincipalName="ann.married@example.com", department="Research")
    for job in ("other", "app"):
        await cycle_of(company, job)
        hers = [user for user in server.users.values() if user.get("externalId") == "ann"]
        assert [(user["userName"], user["active"]) for user in hers] == [("ann.married@example.com", True)]
    company.clock.turn(300.0)  # so long the first job cannot know that its create has made no other account
    await cycle_of(company, "app")
    server.clear_requests()
    for job in ("other", "app"):
        assert done(await cycle_of(company, job)) == {}
    assert server.requests == []


@pytest.mark.parametrize("moves", [False, True])
async def test_who_is_in_another_job_while_a_create_without_an_answer_may_not_show_yet_gets_no_second_account(
    tmp_path: Path, moves: bool
) -> None:
    async with ScimServer(Quirks(lax_unique=True, invisible_for_requests=1000)) as server:
        company = Company(tmp_path, server)
        company.tables = department_is("app", "Sales") + second_job('scope = "all"')
        company.person("ann", department="Sales")
        server.script.on("POST", "/Users", then=DropAfterCommit())
        server.script.on("GET", "/Users", then=Drop(), nth=2, times=FOR_EVER)
        await cycle_of(company, "app")
        server.script.clear()
        company.clock.turn(60.0)
        if moves:
            company.users["ann"].update(department="Research", userPrincipalName="ann.married@example.com")
        report = await cycle_of(company, "other")
        assert (done(report), report.failures) == ({}, []), "it waits, and no word of it: the other job says so"
        server.show_everything()
        for job in ("app", "other", "app"):
            await cycle_of(company, job)
        hers = company.users["ann"]["userPrincipalName"]
        assert [(user["userName"], user["active"]) for user in server.users.values()] == [(hers, True)]
        server.clear_requests()
        for job in ("app", "other"):
            assert done(await cycle_of(company, job)) == {}
        assert server.requests == []
