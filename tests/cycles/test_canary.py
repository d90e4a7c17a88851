"""`only` keeps a job to a few people: nobody else is touched, nobody else is taken for gone."""

from __future__ import annotations

import pytest

from reconciler import config
from tests.cycles.company import ATTRIBUTES, GROUPS, MANAGER, Company, done
from tests.servers.scim import ScimServer

ANN = "ann@example.com"
ALL = 'scope = "all"'
ONLY = f'{ALL}\nonly = ["Ann@Example.com"]'


async def test_only_the_canary_is_created_and_everybody_else_follows_when_it_is_over(
    company: Company, server: ScimServer
) -> None:
    company.people("ann", "bob", "cleo")
    company.job = ONLY
    report = await company.cycle()
    assert done(report) == {"create": 1}
    assert list(server.users) == [server.user(ANN)["id"]]
    assert (report.as_dict()["only"], report.exit_code) == (["Ann@Example.com"], 0)
    assert "2 others of the source are left as they are" in report.problems[0]
    server.clear_requests()
    assert done(await company.cycle()) == {}
    assert server.requests == []
    company.job = ALL
    after = await company.cycle()
    assert (after.kind, done(after), len(server.users)) == ("initial", {"create": 2}, 3)
    assert done(await company.cycle()) == {}


async def test_the_others_are_neither_changed_nor_gone(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob", "cleo", "dan")
    await company.cycle()
    company.job = ONLY
    company.users["ann"]["jobTitle"] = "Chief"
    company.users["bob"]["jobTitle"] = "Chief"
    company.users["cleo"]["accountEnabled"] = False
    del company.users["dan"]
    server.clear_requests()
    for full in (False, True):
        await company.cycle(full=full)
    assert [request.method for request in server.requests if request.method != "GET"] == ["PATCH"]
    assert server.user(ANN)["title"] == "Chief"
    company.job = ALL
    assert done(await company.cycle()) == {"update": 1, "disable": 2}


async def test_the_canary_herself_leaves(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    company.job = ONLY
    del company.users["ann"]
    assert done(await company.cycle()) == {"disable": 1}
    assert (server.user(ANN)["active"], server.user("bob@example.com")["active"]) == (False, True)


async def test_whose_delete_is_due_is_not_deleted_while_others_are_tried(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    await company.cycle()
    del company.users["bob"]
    await company.cycle()
    company.clock.turn(40 * 86400.0)
    company.job = ONLY
    assert done(await company.cycle()) == {}
    company.job = ALL
    assert done(await company.cycle()) == {"delete": 1}


async def test_a_group_is_left_alone_unless_it_is_named_and_then_only_the_canary_joins_it(
    company: Company, server: ScimServer
) -> None:
    company.tables = GROUPS
    company.people("ann", "bob", "cleo")
    company.group("g1", ["bob"], "Crew")
    await company.cycle()
    company.job = ONLY
    company.groups["g1"]["members"] = ["ann", "cleo"]
    assert done(await company.cycle()) == {}
    company.job = f'{ALL}\nonly = ["ann", "crew"]'
    assert done(await company.cycle()) == {"members_added": 1}
    ann, bob = server.user(ANN)["id"], server.user("bob@example.com")["id"]
    assert server.members("Crew") == {ann, bob}
    company.job = ALL
    assert done(await company.cycle()) == {"members_added": 1, "members_removed": 1}
    assert server.members("Crew") == {ann, server.user("cleo@example.com")["id"]}


async def test_what_is_held_of_the_others_stays_held(company: Company, server: ScimServer) -> None:
    company.people(*(f"p{n}" for n in range(20)))
    await company.cycle()
    for n in range(10):
        company.users[f"p{n}"]["accountEnabled"] = False
    assert (await company.cycle()).state == "held"
    company.job = f'{ALL}\nonly = ["p0"]'
    report = await company.cycle()
    assert (report.state, report.counts["held"]) == ("held", 1)
    assert all(user["active"] for user in server.users.values())


async def test_a_manager_who_is_not_a_canary_is_not_made_for_her(company: Company, server: ScimServer) -> None:
    company.attributes = ATTRIBUTES + MANAGER
    company.person("ann", manager="bob")
    company.people("bob")
    company.job = ONLY
    assert done(await company.cycle()) == {"create": 1}
    company.job = ALL
    assert done(await company.cycle()) == {"create": 1, "update": 1}


async def test_on_demand_keeps_to_it_too(company: Company, server: ScimServer) -> None:
    company.people("ann", "bob")
    company.job = ONLY
    bob = await company.provision("bob")
    assert (bob.subjects[0].error_code, bob.exit_code, server.users) == ("NotInOnly", 0, {})
    assert (await company.provision("ann")).subjects[0].status == "success"


async def test_a_name_that_nobody_has_is_said(company: Company) -> None:
    company.people("ann")
    company.job = f'{ALL}\nonly = ["ann", "zoe"]'
    assert "only names zoe: the source has nobody called so" in (await company.cycle()).problems


@pytest.mark.parametrize("job", [ONLY, ALL])
async def test_check_warns_of_it(company: Company, job: str) -> None:
    company.job = job
    warnings = [str(one) for one in config.load(company.write()).warnings]
    assert any("restricted to Ann@Example.com" in one for one in warnings) is (job == ONLY)
