"""Rules that change, places that change, and plans that change nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler import config, wiring
from reconciler.errors import IdentityChanged
from tests.cycles.calendar import DAY
from tests.cycles.company import GROUPS, MANAGER, Company, done
from tests.servers.scim import ScimServer

PEOPLE = ("ann", "bob", "cleo", "dan")


async def test_another_mapping_makes_an_initial_cycle_that_sends_only_what_differs(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    company.users["ann"]["department"] = "Sales"
    await company.cycle()
    server.clear_requests()
    company.attributes = company.attributes.replace('from = "jobTitle"', 'expression = "Coalesce([department])"')
    for row in company.users.values():
        row["jobTitle"] = row["department"]
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {"update": 4})
    company.attributes = company.attributes.replace('expression = "Coalesce([department])"', 'from = "jobTitle"')
    server.clear_requests()
    report = await company.cycle()
    assert (report.kind, done(report), server.requests) == ("initial", {}, []), "another way to the same values"
    assert (await company.cycle()).kind == "incremental"


async def test_another_scope_takes_out_and_in(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.group("g1", ["ann", "bob"], "APP")
    company.job = 'scope = "assigned"\nassigned = [ { group = "APP" } ]'
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {"disable": 2})
    company.job = 'scope = "all"'
    assert done(await company.cycle()) == {"enable": 2}


async def test_a_mapping_that_is_left_out_leaves_the_values_at_the_target(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.attributes = company.attributes.replace('{ to = "title", from = "jobTitle" },', "")
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.user("ann@example.com")["title"] == "Engineer"
    assert server.requests == []


async def test_rules_are_tried_again_after_a_cycle_that_was_not_whole(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.attributes += '{ to = "nickName", from = "department" },'
    company.write()
    with (company.directory / "users.jsonl").open("ab") as file:
        file.write(b"broken")
    report = await company.cycle(write=False)
    assert (report.kind, report.exit_code, done(report)) == ("initial", 4, {"update": 4})
    report = await company.cycle()
    assert (report.kind, report.exit_code, done(report)) == ("initial", 0, {})
    assert (await company.cycle()).kind == "incremental"


# --- places that change ------------------------------------------------------------------------------------------


async def test_another_file_is_another_source_until_it_is_said_to_be_the_same(
    company: Company, server: ScimServer
) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    company.users_file = "people.jsonl"
    server.clear_requests()
    with pytest.raises(IdentityChanged, match="rebind app --keep-links"):
        await company.cycle()
    assert server.requests == []
    await company.rebind(keep_links=True)
    report = await company.cycle()
    assert (report.kind, done(report)) == ("initial", {})


@pytest.mark.parametrize("url", ["https://App.EXAMPLE.com/scim", "https://app.example.com:443/scim/"])
def test_a_target_is_the_same_however_its_address_is_written(company: Company, url: str) -> None:
    """What belongs to one app must not be split: each half would make an account of its own for one person."""
    path = company.write()
    text = path.read_text("utf-8")
    for place, written in ((company.directory / "a.toml", url), (path, "https://app.example.com/scim")):
        place.write_text(re.sub(r'url = "http://[^"]*"', f'url = "{written}"', text), "utf-8")
    one, other = (wiring.target_identity(config.load(place), "app") for place in (company.directory / "a.toml", path))
    assert one == other


async def test_another_target_gets_accounts_of_its_own(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    async with ScimServer(token=server.token) as other:
        company.serve_with(other)
        with pytest.raises(IdentityChanged, match="belong to target scim"):
            await company.cycle()
        assert other.requests == []
        await company.rebind(keep_links=False)
        assert done(await company.cycle()) == {"create": 4}
        assert len(other.users) == 4


async def test_a_target_that_moved_keeps_its_accounts(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    async with ScimServer(token=server.token) as moved:
        moved.users.update(server.users)
        company.serve_with(moved)
        await company.rebind(keep_links=True)
        company.users["ann"]["jobTitle"] = "Manager"
        assert done(await company.cycle()) == {"update": 1}
        assert len(moved.users) == 4
        assert moved.sent("POST") == []


# --- plans -------------------------------------------------------------------------------------------------------


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Return the state; its index of the write-ahead log is made anew by whoever reads."""
    return {
        path.name: path.read_bytes() for path in directory.glob("state.db*") if not path.name.endswith(("-shm", "-wal"))
    }


async def test_a_plan_changes_nothing_and_shows_what_the_cycle_then_does(company: Company, server: ScimServer) -> None:
    company.tables = GROUPS + "hold_deletes = false\n"
    company.attributes += MANAGER
    company.people(*PEOPLE, "eve", "fay")
    company.group("g1", PEOPLE, "Crew")
    company.group("g2", PEOPLE, "Team")
    await company.cycle()
    server.put("user", userName="gil@example.com", active=True)
    company.person("gil")
    company.person("hal", manager="gil")
    company.person("ida", accountEnabled=False)
    company.users["ann"]["jobTitle"] = "Manager"
    company.users["bob"]["accountEnabled"] = False
    del company.users["cleo"]
    company.users["eve"]["jobTitle"] = "Chief"
    del company.groups["g2"]
    company.group("g1", ("ann", "bob", "gil", "hal"), "The crew")
    before, accounts = bytes_of(company.directory), str(server.users) + str(server.groups)
    server.clear_requests()
    planned, shown = await company.plan()
    assert {seen.method for seen in server.requests} == {"GET"}
    assert bytes_of(company.directory) == before
    assert str(server.users) + str(server.groups) == accounts
    report = await company.cycle()
    assert done(planned) == done(report)
    assert (planned.kind, planned.state, planned.exit_code) == (report.kind, report.state, report.exit_code)
    sent = {
        (row["operation"], row["source_id"])
        for row in await company.log()
        if row["cycle_id"] == report.cycle_id and row["operation"] not in ("leave", "members")
    }
    assert {(word, source_id) for word, source_id, _ in shown} == sent
    planned, shown = await company.plan()
    assert (done(planned), shown) == ({}, [])


async def test_a_plan_of_a_full_cycle_and_of_the_first_one(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    planned, shown = await company.plan()
    assert done(planned) == {"create": 4}
    assert (server.users, bytes_of(company.directory)) == ({}, {})
    await company.cycle()
    server.user("ann@example.com")["title"] = "Queen"
    planned, shown = await company.plan(full=True)
    assert shown == [("update", "ann", "")]
    assert server.user("ann@example.com")["title"] == "Queen"
    assert done(await company.cycle(full=True)) == {"update": 1}


async def test_a_plan_says_what_would_be_held(company: Company, server: ScimServer) -> None:
    people = [f"p{number}" for number in range(8)]
    company.people(*people)
    await company.cycle()
    company.users.clear()
    company.people("p7", "new")
    planned, shown = await company.plan()
    assert (planned.state, planned.exit_code) == ("held", 3)
    held = {source_id for word, source_id, why in shown if word == "disable" and "allowed 5" in why}
    assert held == set(people[:7])
    assert ("create", "new", "") in shown
    assert all(user["active"] for user in server.users.values())


async def test_a_plan_of_somebody_whose_time_has_come(company: Company, server: ScimServer) -> None:
    company.people(*PEOPLE)
    await company.cycle()
    del company.users["ann"]
    await company.cycle()
    company.clock.turn(31 * DAY)
    _, shown = await company.plan()
    assert shown == [("delete", "ann", "")]
    assert len(server.users) == 4
