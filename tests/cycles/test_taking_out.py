"""One person is taken out of every job at once, by hand, and stays out until somebody lets her back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio
import orjson
import pytest

from reconciler import config, wiring
from reconciler.core.model import SourceId
from reconciler.errors import NobodyOrSeveral
from reconciler.ports import Store
from reconciler.runtime.cycle import run_cycle
from reconciler.runtime.journal import Journal
from reconciler.runtime.ondemand import provision
from reconciler.runtime.taking_out import TakenOut, let_back, take_out
from tests.cycles.calendar import DAY
from tests.cycles.company import Company, done
from tests.daemon.office import opened
from tests.servers.faults import FOR_EVER, Delay, DropAfterCommit, Status
from tests.servers.scim import ScimServer

ANN, BOB = "ann@example.com", "bob@example.com"


async def out(company: Company, user: str, *, dry_run: bool = False) -> TakenOut:
    async with wiring.open_house(config.load(company.configure()), write=True) as opened:
        house = replace(opened, clock=company.clock)
        return await take_out(*(house.store, house.plans(), house.world, house.clock, user), by="olga", dry_run=dry_run)


async def back(company: Company, user: str) -> int:
    async with wiring.open_house(config.load(company.configure()), write=True) as house:
        return (await let_back(house.store, user))[0]


def outcomes(done: TakenOut) -> list[str]:
    return [one.outcome for one in done.people]


async def test_the_account_is_off_at_once_and_stays_off_until_she_is_let_back(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    assert outcomes(await out(company, "ann", dry_run=True)) == ["to disable"]
    assert server.user(ANN)["active"] is True
    taken = await out(company, ANN.upper())
    assert (outcomes(taken), taken.exit_code) == (["disabled"], 0)
    assert (server.user(ANN)["active"], server.user(BOB)["active"]) == (False, True)
    [row] = [row for row in await company.log(user="ann") if row["operation"] == "disable"]
    assert (row["reason"], row["initiated_by"]) == ("taken out by hand by olga", "by hand: olga")

    company.users["ann"]["jobTitle"] = "Manager"
    for full in (False, True, False):
        assert done(await company.cycle(full=full)) == {}
    company.clock.turn(60 * DAY)
    assert done(await company.cycle()) == {}, "nor is she deleted: nobody said that she has left"
    assert outcomes(await out(company, "ann")) == ["off already"]

    assert await back(company, "ann") == 1
    assert done(await company.cycle()) == {"enable": 1}
    assert (server.user(ANN)["active"], server.user(ANN)["title"]) == (True, "Manager")


async def test_somebody_switches_her_on_in_the_app_and_the_next_comparison_switches_her_off(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    await out(company, "ann")
    server.user(ANN)["active"] = True
    assert done(await company.cycle(full=True)) == {"disable": 1}


async def test_no_limit_and_no_rule_stands_in_the_way(company: Company, server: ScimServer) -> None:
    company.job = 'scope = "all"\ndeletion_threshold = 0'
    company.tables = '[jobs.app.deprovision]\ninactive = "keep"\ndisable_after = "30d"\n'
    company.people("ann", "bob")
    await company.cycle()
    assert outcomes(await out(company, "ann")) == ["disabled"]
    report = await company.cycle()
    assert (report.exit_code, server.user(ANN)["active"]) == (0, False)


async def test_what_the_app_does_not_take_now_the_next_cycle_tries_again(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.script.on("PATCH", "/Users", then=Status(400))
    taken = await out(company, "ann")
    assert (outcomes(taken), taken.exit_code) == (["failed"], 1)
    assert server.user(ANN)["active"] is True
    assert [one.hindrance for one in (await company.overdue()).people] == ["escrow"]
    assert done(await company.cycle()) == {"disable": 1}


async def test_it_works_without_the_source(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    (company.directory / "users.jsonl").unlink()
    assert outcomes(await out(company, "ann")) == ["disabled"]
    assert server.user(ANN)["active"] is False


async def test_nobody_is_taken_out_by_a_guess(company: Company) -> None:
    company.people("ann", "anna")
    await company.cycle()
    with pytest.raises(NobodyOrSeveral, match="no job knows anybody called an"):
        await out(company, "an")
    company.users["anna"]["userPrincipalName"] = "ANN@example.com"
    assert outcomes(await out(company, "ann")) == ["disabled"]


@pytest.mark.parametrize("nothing", ["", " "])
async def test_nothing_is_nobodys_name(company: Company, server: ScimServer, nothing: str) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.users["ann"] |= {"userPrincipalName": "", "displayName": nothing}
    await company.cycle()
    with pytest.raises(NobodyOrSeveral, match="the name is empty"):
        await out(company, nothing)
    assert server.user(ANN)["active"] is True


@pytest.mark.parametrize("name", ["Ömer.O'Neil@example.com", "ÖMER.O'NEIL@EXAMPLE.COM"])
async def test_a_name_is_found_in_every_script_and_letter_case(company: Company, name: str) -> None:
    company.person("o1", userPrincipalName="Ömer.O'Neil@example.com", displayName="Ömer O'Neil")
    await company.cycle()
    assert outcomes(await out(company, name)) == ["disabled"]


async def test_who_has_left_meanwhile_is_deleted_in_the_end(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    await out(company, "ann")
    del company.users["ann"]
    assert done(await company.cycle()) == {}
    company.clock.turn(31 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


async def test_who_has_changed_and_left_when_she_is_let_back_is_deleted_in_time(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    await out(company, "ann")
    assert done(await company.cycle()) == {}
    company.users["ann"].update(jobTitle="Alumna", accountEnabled=False)
    await back(company, "ann")
    assert done(await company.cycle()) == {"update": 1}
    company.clock.turn(29 * DAY)
    assert done(await company.cycle()) == {}
    company.clock.turn(2 * DAY)
    assert done(await company.cycle()) == {"delete": 1}


SECOND = """
[jobs.second]
source = "SOURCE"
target = "other"
scope = "all"
[jobs.second.users]
attributes = [
  { to = "userName", expression = "Join(\\".\\", \\"x\\", [userPrincipalName])", match = 1 },
  { to = "active", expression = "Not([IsSoftDeleted])" },
]
[targets.other]
type = "scim"
url = "URL"
tenant = "2"
auth = { type = "bearer", token = { file = "token" } }
"""
PARTNERS = """
[sources.partners]
type = "file"
users = "partners.jsonl"
key = "id"
active = "accountEnabled"
"""


async def cycle_of_second(company: Company) -> None:
    async with wiring.open_house(config.load(company.configure()), write=True) as opened:
        house = replace(opened, clock=company.clock)
        async with house.world("second") as world:
            await run_cycle(house.plan("second"), world)


async def test_in_every_job_that_knows_her(company: Company, server: ScimServer) -> None:
    company.tables = SECOND.replace("URL", server.url).replace("SOURCE", "staff")
    company.people("ann", "bob")
    await company.cycle()
    await cycle_of_second(company)
    taken = await out(company, "ann")
    assert [(one.job, one.outcome) for one in taken.people] == [("app", "disabled"), ("second", "disabled")]
    assert (server.user(ANN)["active"], server.user(f"x.{ANN}")["active"]) == (False, False)
    assert server.user(f"x.{BOB}")["active"] is True


async def test_a_job_of_the_same_source_that_meets_her_later_makes_no_account(
    company: Company, server: ScimServer
) -> None:
    company.tables = SECOND.replace("URL", server.url).replace("SOURCE", "staff")
    company.people("ann", "bob")
    await company.cycle()
    taken = await out(company, "ann")
    assert [(one.job, one.outcome) for one in taken.people] == [("app", "disabled")]
    await cycle_of_second(company)
    assert {user["userName"] for user in server.users.values()} == {ANN, BOB, f"x.{BOB}"}
    assert await back(company, "ann") == 1
    await cycle_of_second(company)
    assert server.user(f"x.{ANN}")["active"] is True
    assert done(await company.cycle()) == {"enable": 1}


@pytest.mark.looptime
async def test_an_app_that_takes_its_time_does_not_hold_up_the_others(company: Company, server: ScimServer) -> None:
    company.tables = SECOND.replace("URL", server.url).replace("SOURCE", "staff")
    company.people("ann")
    company.write()
    async with opened(company) as office:
        for job, plan in office.plans().items():
            async with office.house.world(job) as world:
                await run_cycle(plan, world)
        server.script.on("PATCH", "/Users", then=Delay(15.0), times=2)
        began = office.clock.monotonic()
        taken = await take_out(
            *(office.store, office.plans(), office.house.world, office.clock, "ann"), by="olga", dry_run=False
        )
        took = office.clock.monotonic() - began
    assert [(one.job, one.outcome) for one in taken.people] == [("app", "disabled"), ("second", "disabled")]
    assert 15 <= took < 20


async def taken_out_while_it_runs(company: Company, server: ScimServer) -> TakenOut:
    """Take Ann out while the first cycle of another job waits for the answer to a create, one after the other."""
    second = SECOND.replace('tenant = "2"', 'tenant = "2"\nconcurrency = 1')
    second = second.replace('scope = "all"', 'scope = "all"\nfull_interval = "1000d"')
    company.tables = second.replace("URL", server.url).replace("SOURCE", "staff")
    company.write()
    async with opened(company) as office, office.house.world("second") as world, anyio.create_task_group() as tasks:
        async with office.house.world("app") as first:
            await run_cycle(office.plans()["app"], first)
        server.clear_requests()
        server.script.on("POST", "/Users", then=Delay(15.0, done=True))
        tasks.start_soon(run_cycle, office.plans()["second"], world)
        await server.until_sent("POST")
        by = office.store, office.plans(), office.house.world, office.clock, "ann"
        taken = await take_out(*by, by="olga", dry_run=False)
    assert server.script.waiting == [], "the answer to the create came late"
    return taken


@pytest.mark.looptime
async def test_a_job_that_is_about_to_make_her_account_does_not(company: Company, server: ScimServer) -> None:
    company.people("bob", "ann")
    taken = await taken_out_while_it_runs(company, server)
    assert [(one.job, one.outcome) for one in taken.people] == [("app", "disabled"), ("second", "failed")]
    assert {user["userName"] for user in server.users.values()} == {ANN, BOB, f"x.{BOB}"}
    await cycle_of_second(company)
    assert {user["userName"] for user in server.users.values()} == {ANN, BOB, f"x.{BOB}"}


@pytest.mark.looptime
async def test_an_account_that_was_being_made_at_that_moment_is_disabled_by_the_next_cycle(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await taken_out_while_it_runs(company, server)
    assert server.user(f"x.{ANN}")["active"] is True
    await cycle_of_second(company)
    assert (server.user(f"x.{ANN}")["active"], server.user(f"x.{BOB}")["active"]) == (False, True)


async def killed_after_a_word(company: Company, say: Callable[[Store], Awaitable[object]]) -> None:
    """Let a cycle write down of Ann what it had decided before somebody said a word, and be no more."""
    async with wiring.open_house(config.load(company.configure()), write=True) as house, house.world("app") as world:
        state = await house.store.open_job("app", world.source.identity, world.target.identity, company.clock.now())
        [decided] = (await house.store.records(state.job_id, "user", [SourceId("ann")])).values()
        await say(house.store)
        journal = Journal(house.store, state.job_id, state.epoch, company.clock)
        await journal.entry(decided)
        await journal.flush()


async def test_an_account_that_was_being_made_when_the_cycle_was_killed_is_disabled_by_the_next(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    now = company.clock.now()
    await killed_after_a_word(company, lambda store: store.take_out([("app", "user", SourceId("ann"))], "olga", now))
    assert server.user(ANN)["active"] is True
    assert done(await company.cycle()) == {"disable": 1}
    assert (server.user(ANN)["active"], server.user(BOB)["active"]) == (False, True)


async def test_who_is_let_back_before_the_cycle_that_left_her_out_is_killed_is_on_after_the_next(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    await company.cycle()
    await out(company, "ann")
    assert done(await company.cycle()) == {}
    await killed_after_a_word(company, lambda store: let_back(store, "ann"))
    assert server.user(ANN)["active"] is False
    assert done(await company.cycle()) == {"enable": 1}
    assert done(await company.cycle()) == {}


@pytest.mark.looptime
async def test_who_is_let_back_while_she_is_being_taken_out_is_on_after_the_next_cycle(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob")
    company.write()
    async with opened(company) as office, office.house.world("app") as world:
        plan = office.plans()["app"]
        await run_cycle(plan, world)
        server.script.on("PATCH", "/Users", then=Delay(15.0, done=True))
        async with anyio.create_task_group() as tasks:
            by_hand = office.store, office.plans(), office.house.world, office.clock, "ann"
            tasks.start_soon(partial(take_out, *by_hand, by="olga", dry_run=False))
            await server.until_sent("PATCH")
            await let_back(office.store, "ann")
        assert (server.user(ANN)["active"], server.script.waiting) == (False, [])
        assert done(await run_cycle(plan, world)) == {"enable": 1}


@pytest.mark.looptime
@pytest.mark.parametrize("by", ["cycle", "on demand"])
async def test_who_is_let_back_while_her_disable_is_sent_is_on_again_after_the_next_cycle(
    company: Company, server: ScimServer, by: str
) -> None:
    company.people("ann", "bob")
    company.write()
    async with opened(company) as office, office.house.world("app") as world:
        plan = office.plans()["app"]
        await run_cycle(plan, world)
        server.script.on("PATCH", "/Users", then=Status(400))
        by_hand = office.store, office.plans(), office.house.world, office.clock, "ann"
        assert outcomes(await take_out(*by_hand, by="olga", dry_run=False)) == ["failed"]
        server.clear_requests()
        server.script.on("PATCH", "/Users", then=Delay(15.0, done=True))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(*((run_cycle, plan, world) if by == "cycle" else (provision, plan, world, ["ann"])))
            await server.until_sent("PATCH")
            assert await let_back(office.store, "ann") == (1, ["app"])
        assert (server.user(ANN)["active"], server.script.waiting) == (False, [])
        assert done(await run_cycle(plan, world)) == {"enable": 1}
    assert server.user(ANN)["active"] is True


async def test_the_same_id_in_another_source_is_another_human(company: Company, server: ScimServer) -> None:
    company.tables = SECOND.replace("URL", server.url).replace("SOURCE", "partners") + PARTNERS
    company.person("7", userPrincipalName=ANN, employeeId=None)
    partner = {"id": "7", "userPrincipalName": BOB, "accountEnabled": True}
    (company.directory / "partners.jsonl").write_bytes(orjson.dumps(partner) + b"\n")
    await company.cycle()
    await cycle_of_second(company)
    account = server.user(f"x.{BOB}")["id"]
    with pytest.raises(NobodyOrSeveral, match=rf"7 \(7, account {account}\) in second"):
        await out(company, "7")
    assert (server.user(ANN)["active"], server.user(f"x.{BOB}")["active"]) == (True, True)
    taken = await out(company, account)
    assert [(one.job, one.outcome) for one in taken.people] == [("second", "disabled")]


async def test_a_job_that_never_heard_of_her_employee_number_knows_her_by_her_id(
    company: Company, server: ScimServer
) -> None:
    company.tables = SECOND.replace("URL", server.url).replace("SOURCE", "staff")
    company.person("ann", employeeId=None)
    await company.cycle()
    await cycle_of_second(company)
    company.users["ann"]["employeeId"] = "E-1"
    company.users["ann"]["jobTitle"] = "Manager"
    await company.cycle()
    assert outcomes(await out(company, "ann")) == ["disabled", "disabled"]


async def test_an_account_of_which_nobody_knows_whether_it_was_made_is_not_called_none(
    company: Company, server: ScimServer
) -> None:
    company.people("ann")
    await company.cycle()
    company.people("bob")
    server.script.on("POST", "/Users", then=DropAfterCommit(), times=FOR_EVER)
    server.script.on("GET", "/Users", then=Status(500), nth=2, times=FOR_EVER)
    await company.cycle()
    assert server.user(BOB)["active"] is True
    for dry_run in (True, False):
        taken = await out(company, "bob", dry_run=dry_run)
        assert ([(one.outcome, one.target_id) for one in taken.people], taken.exit_code) == ([("failed", None)], 1)
        assert "may have been made" in taken.people[0].why
    server.script.clear()
    await company.cycle()
    assert server.user(BOB)["active"] is False


async def test_a_conflict_is_no_disable(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    server.script.on("PATCH", "/Users", then=Status(409), times=2)
    taken = await out(company, "ann")
    assert (outcomes(taken), taken.exit_code) == (["failed"], 1)
    assert server.user(ANN)["active"] is True
    assert [row["status"] for row in await company.log(user="ann") if row["operation"] == "disable"] == ["failure"]
    assert done(await company.cycle()) == {"disable": 1}
